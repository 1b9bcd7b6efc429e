"""What a graph shows: its declaration, its range of time, and the metrics to read for it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

import isodate

from common.cloudwatch import (
    ENVIRONMENT,
    Metric,
    Window,
    aligned,
    check_period,
    check_stat,
    identified,
)
from common.events import require

RANGES = {"day": "P1D", "week": "P7D", "month": "P1M", "3months": "P3M"}
# The shortest period for a range, so that a graph has some hundred points and CloudWatch still
# holds them: minutes for 15 days, five minutes for 63, hours for 455.
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html
_PERIODS = (
    (timedelta(hours=3), 60),
    (timedelta(days=1), 300),
    (timedelta(days=7), 3600),
    (timedelta(days=31), 6 * 3600),
)
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True, kw_only=True)
class GraphMetric(Metric):
    """A metric in a graph. One that is not `visible` only feeds expressions."""

    label: str | None = None
    color: str | None = None
    visible: bool = True

    def __post_init__(self) -> None:
        """Check. Raises InvalidEvent naming the field."""
        super().__post_init__()
        _require_colour("color", self.color)

    @property
    def title(self) -> str:
        """The name that people are shown."""
        return self.label or self.metric or self.expression or ""


@dataclass(frozen=True)
class Colors:
    """The colours of the horizontal lines, as `#rrggbb`."""

    latest: str = "#8ec6ff"
    target: str = "#ff8e8e"
    before: str = "#c5b0d5"

    def __post_init__(self) -> None:
        """Check. Raises InvalidEvent naming the field."""
        for name in ("latest", "target", "before"):
            _require_colour(f"colors.{name}", getattr(self, name))


@dataclass(frozen=True, kw_only=True)
class Graph:
    """One graph of the message.

    `{latest}` in the title becomes the latest value. `range` is day, week, month, 3months or an
    ISO 8601 duration; `period` is in seconds; `width` and `height` in pixels. `compare` with the
    period before is a number in the comment, also a horizontal line in the picture, or nothing.
    """

    title: str
    metrics: list[GraphMetric]
    range: str = "day"
    stat: str = "Average"
    period: int | None = None
    view: Literal["timeSeries", "singleValue"] = "timeSeries"
    stacked: bool = False
    target: float | None = None
    compare: Literal["number", "line", "nothing"] = "number"
    colors: Colors = field(default_factory=Colors)
    width: int = 600
    height: int = 400

    def __post_init__(self) -> None:
        """Check. Raises InvalidEvent naming the field."""
        require(self.title.strip(), "title", self.title, "text")
        require(any(m.visible for m in self.metrics), "metrics", self.metrics, "a visible metric")
        require(len(self.metrics) <= 100, "metrics", len(self.metrics), "at most 100")
        require(
            self.range in RANGES or _duration(self.range),
            "range",
            self.range,
            f"{', '.join(RANGES)}, or a duration such as PT3H or P14D",
        )
        for name in ("width", "height"):
            pixels = getattr(self, name)
            require(100 <= pixels <= 2000, name, pixels, "100 to 2000 (pixels)")
        check_stat(self.stat)
        check_period(self.period)

    def window(self, now: datetime) -> Window:
        """Return the time that the picture shows; months are counted in the zone of `now`."""
        return Window(now - isodate.parse_duration(RANGES.get(self.range, self.range)), now)

    def before(self, now: datetime) -> Window:
        """Return the period before, as long as the range."""
        window = self.window(now)
        return Window(self.window(window.start).start, window.start)

    def filled(self, now: datetime) -> "Graph":
        """Return the graph with every metric's statistic and period, chosen where not given."""
        start, end = self.window(now)
        fitting = (seconds for length, seconds in _PERIODS if end - start <= length)
        period = self.period or next(fitting, 86_400)
        metrics = [
            replace(
                metric,
                stat=None if metric.expression else metric.stat or self.stat,
                period=metric.period or period,
            )
            for metric in self.metrics
        ]
        return replace(self, metrics=metrics, period=period)


def users(target: float, environment: str) -> Graph:
    """Return the graph where none is declared: the trend of an environment's number of users."""
    metric = GraphMetric(
        namespace="RDS/RECORDS",
        metric="USERS",
        dimensions={ENVIRONMENT: environment, "RDS": "RECORDS"},
        stat="Maximum",
    )
    return Graph(
        title="TREND NUMBER OF USERS (Today: {latest})",
        metrics=[metric],
        stacked=True,
        target=target,
    )


def numbered(graphs: Sequence[Graph]) -> list[dict[str, GraphMetric]]:
    """Return each graph's metrics by id, every id unique in the whole message.

    So one GetMetricData can ask for all. Raises InvalidEvent where a graph's ids clash.
    """
    return [_numbered(identified(graph.metrics), f"g{n}_") for n, graph in enumerate(graphs)]


def _numbered(metrics: Mapping[str, GraphMetric], prefix: str) -> dict[str, GraphMetric]:
    def renamed(expression: str) -> str:
        return re.sub(
            r"\b[a-z]\w*",
            lambda word: prefix + word[0] if word[0] in metrics else word[0],
            expression,
        )

    return {
        prefix + identifier: replace(
            metric,
            id=prefix + identifier,
            expression=metric.expression and renamed(metric.expression),
        )
        for identifier, metric in metrics.items()
    }


def windows(graphs: Sequence[Graph], now: datetime) -> dict[int, Window]:
    """Return what to read for each period: from the earliest start to now, aligned.

    The period before is read along, unless no graph of that period compares with it.
    """
    found: dict[int, Window] = {}
    for graph in graphs:
        compared = graph.compare != "nothing"
        start = (graph.before(now) if compared else graph.window(now)).start
        for period in {metric.period or 0 for metric in graph.metrics}:
            known = found.get(period)
            earliest = min(start, known.start) if known else start
            end = aligned(now, period) + timedelta(seconds=period)
            found[period] = Window(aligned(earliest, period), end)
    return found


def _duration(text: str) -> bool:
    try:
        duration = isodate.parse_duration(text)
    except (isodate.ISO8601Error, ValueError, OverflowError):
        return False
    # What CloudWatch keeps for 455 days has to hold the period before as well.
    moment = datetime(2026, 1, 1)  # noqa: DTZ001
    try:
        length: timedelta = moment - (moment - duration)
    except OverflowError:
        return False
    return timedelta(minutes=5) <= length <= timedelta(days=227)


def _require_colour(field: str, colour: str | None) -> None:
    require(colour is None or _COLOUR.fullmatch(colour), field, colour, "a colour such as #8ec6ff")
