"""Read CloudWatch metrics: declared in a payload, asked in few requests, read whole."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from common.events import require

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
QUERIES_A_REQUEST = 500

Query = dict[str, Any]

_STAT = re.compile(
    r"SampleCount|Average|Sum|Minimum|Maximum|IQM"
    r"|(p|tm|tc|ts|wm)(100|\d{1,2}(\.\d{1,10})?)"
    r"|(PR|TM|TC|TS|WM)\([\d.%]*:[\d.%]*\)"
)


@dataclass(frozen=True)
class FromParameter:
    """A value that is kept in SSM: `{"parameter": "NAME"}`."""

    parameter: str


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One CloudWatch metric, or an expression over others (by their `id`).

    `period` is in seconds; `stat` is a statistic or percentile such as `Sum` or `p99`.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html
    """

    id: str | None = None
    namespace: str | None = None
    metric: str | None = None
    dimensions: dict[str, str | FromParameter] = field(default_factory=dict)
    stat: str | None = None
    period: int = 300
    expression: str | None = None

    def __post_init__(self) -> None:
        """Check against CloudWatch's rules. Raises InvalidEvent naming the field."""
        require(
            self.id is None or re.fullmatch(r"[a-z][a-zA-Z0-9_]{0,254}", self.id),
            "id",
            self.id,
            "letters, digits and _, beginning with a small letter",
        )
        require(
            self.period in (1, 5, 10, 30) or (self.period > 0 and self.period % 60 == 0),
            "period",
            self.period,
            "1, 5, 10, 30 or a multiple of 60 (seconds)",
        )
        declared = {"namespace": self.namespace, "metric": self.metric, "stat": self.stat}
        if self.expression is not None:
            require(self.expression.strip(), "expression", self.expression, "metric math")
            for name, value in (declared | {"dimensions": self.dimensions or None}).items():
                require(value is None, name, value, "nothing beside an expression")
            return
        for name, value in declared.items():
            require(value, name, value, "text, unless there is an expression")
        require(
            _STAT.fullmatch(self.stat or ""), "stat", self.stat, "a statistic such as Sum or p99"
        )
        require(len(self.dimensions) <= 30, "dimensions", self.dimensions, "at most 30")

    def parameters(self) -> set[str]:
        """Return the names of the SSM parameters that its dimensions stand on."""
        return {v.parameter for v in self.dimensions.values() if isinstance(v, FromParameter)}

    def query(self, identifier: str, parameter: Callable[[str], str]) -> Query:
        """Return the MetricDataQuery; `parameter` gives the value of an SSM parameter's name."""
        if self.expression is not None:
            return {"Id": identifier, "Expression": self.expression, "Period": self.period}
        dimensions = [
            {
                "Name": name,
                "Value": parameter(value.parameter) if isinstance(value, FromParameter) else value,
            }
            for name, value in self.dimensions.items()
        ]
        return {
            "Id": identifier,
            "MetricStat": {
                "Metric": {
                    "Namespace": self.namespace,
                    "MetricName": self.metric,
                    "Dimensions": dimensions,
                },
                "Stat": self.stat,
                "Period": self.period,
            },
        }


@dataclass
class Series:
    """What CloudWatch said of one query: values by epoch second, and what went wrong."""

    points: dict[int, float] = field(default_factory=dict)
    status: str = "Complete"
    messages: list[str] = field(default_factory=list)
    labels: set[str] = field(default_factory=set)

    def problem(self) -> str | None:
        """Return why the series cannot be trusted, or None."""
        if len(self.labels) > 1:
            return f"gives {len(self.labels)} series ({', '.join(sorted(self.labels))}), takes one"
        if self.status != "Complete":
            return f"CloudWatch: {self.status} {' '.join(self.messages)}".rstrip()
        return None


def inputs(metrics: Mapping[str, Metric], identifier: str) -> set[str]:
    """Return the ids that must be asked with one metric: itself and all its expression names."""
    needed: set[str] = set()
    pending = {identifier}
    while pending:
        needed |= pending
        words = (re.findall(r"\b[a-z]\w*", metrics[i].expression or "") for i in pending)
        pending = (set(chain.from_iterable(words)) & metrics.keys()) - needed
    return needed


def requests(metrics: Mapping[str, Metric]) -> list[list[str]]:
    """Spread the ids over requests of at most 500 queries, counting the inputs of each."""
    batches: list[list[str]] = []
    asked: set[str] = set()
    for identifier in metrics:
        needed = inputs(metrics, identifier)
        if not batches or len(asked | needed) > QUERIES_A_REQUEST:
            batches.append([])
            asked = set()
        batches[-1].append(identifier)
        asked |= needed
    return batches


def read(
    client: Any,
    queries: Sequence[Query],
    start: datetime,
    end: datetime,
) -> dict[str, Series]:
    """Ask GetMetricData once, follow its pages, and return the series by query id.

    `start` is inclusive, `end` exclusive. Raises ClientError in CloudWatch's own words.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
    """
    found: dict[str, Series] = {}
    pages = client.get_paginator("get_metric_data").paginate(
        MetricDataQueries=queries, StartTime=start, EndTime=end, ScanBy="TimestampAscending"
    )
    for page in pages:
        for result in page["MetricDataResults"]:
            series = found.setdefault(result["Id"], Series())
            seconds = (int(t.astimezone(UTC).timestamp()) for t in result["Timestamps"])
            series.points.update(zip(seconds, result["Values"], strict=True))
            series.labels.add(result.get("Label", ""))
            # A partial page is followed by the rest: the last word counts.
            series.status = result.get("StatusCode", "Complete")
            series.messages = [message["Value"] for message in result.get("Messages", [])]
    return found
