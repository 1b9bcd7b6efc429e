"""What the header of a query in queries/ declares."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from common import queries
from common.cloudwatch import ENVIRONMENT
from common.events import require

MOST_SECONDS = 50
FOLDER = Path(__file__).with_name("queries")

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html
_SIZES = [
    f"{size}{unit}" for unit in ("bytes", "bits") for size in ("", "kilo", "mega", "giga", "tera")
]
UNITS = {
    *("None", "Count", "Count/Second", "Percent", "Seconds", "Milliseconds", "Microseconds"),
    *(size.capitalize() for size in _SIZES),
    *(f"{size.capitalize()}/Second" for size in _SIZES),
}


@dataclass(frozen=True)
class Header:
    """What the header of a query declares.

    `dimensions` are beside `Environment`, which every metric has. `timeout` is in seconds,
    enforced by the server. `metrics` names the columns that are metrics, the others being
    dimensions; without it every numeric column is one.
    """

    namespace: str
    unit: str = "None"
    dimensions: dict[str, str] = field(default_factory=dict)
    timeout: int = 10
    metrics: list[str] | None = None

    def __post_init__(self) -> None:
        """Check against CloudWatch's rules. Raises InvalidEvent naming the field."""
        require(
            re.fullmatch(r"(?!AWS/)[A-Za-z0-9._/#-][A-Za-z0-9._/#: -]{0,254}", self.namespace),
            "namespace",
            self.namespace,
            "up to 255 letters, digits and ._-/#: that begin neither with AWS/ nor with a colon",
        )
        require(
            ENVIRONMENT not in self.dimensions,
            f"dimensions.{ENVIRONMENT}",
            self.dimensions.get(ENVIRONMENT),
            "nothing: every metric has it already, it is the environment's name",
        )
        require(self.unit in UNITS, "unit", self.unit, f"one of {', '.join(sorted(UNITS))}")
        require(
            0 < self.timeout <= MOST_SECONDS,
            "timeout",
            self.timeout,
            f"1 to {MOST_SECONDS} seconds",
        )
        require(self.metrics is None or self.metrics, "metrics", self.metrics, "names of columns")


Query = queries.Query[Header]


def names() -> list[str]:
    """Return the names of all queries, sorted."""
    return queries.names(FOLDER)


def load(name: str, folder: Path = FOLDER) -> Query:
    """Read one query. Raises InvalidQuery that says what is wrong with its header."""
    return queries.load(folder, name, Header)
