"""What the numbers of a graph say: the latest, the one before, whether they are still coming."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cloudwatch_to_slack.graphs import Graph, GraphMetric
from common.cloudwatch import Series


@dataclass(frozen=True)
class Finding:
    """One visible metric of a graph.

    `latest` is None where the range has no data; `before` where the period before has none at the
    same place. `silent_since` is the end of the last period with data, where that is long ago.
    """

    title: str
    latest: float | None = None
    before: float | None = None
    silent_since: datetime | None = None
    peak: float | None = None

    @property
    def change(self) -> float | None:
        """The change against the period before; None where that is not known."""
        if self.latest is None or self.before is None:
            return None
        return self.latest - self.before

    @property
    def change_in_percent(self) -> float | None:
        """The change in per cent; None where there was nothing before, or 0."""
        if self.change is None or not self.before:
            return None
        return 100 * self.change / abs(self.before)


@dataclass(frozen=True)
class Part:
    """What the message says and shows of one graph: its metrics by id, and what was found."""

    graph: Graph
    metrics: Mapping[str, GraphMetric]
    findings: Sequence[Finding]

    @property
    def has_data(self) -> bool:
        """Whether there is anything to draw."""
        return any(finding.latest is not None for finding in self.findings)

    @property
    def latest(self) -> float:
        """The graph's latest value: the sum where it is stacked, else the highest; 0 for none."""
        values = [finding.latest for finding in self.findings if finding.latest is not None]
        return (sum(values) if self.graph.stacked else max(values)) if values else 0

    @property
    def title(self) -> str:
        """The graph's title with its latest value in place of `{latest}`."""
        return self.graph.title.replace("{latest}", number(self.latest) if self.has_data else "-")


def number(value: float, sign: str = "") -> str:
    """Return a number for people: separators, two decimals at most, e.g. `1,234` or `+0.5`."""
    text = f"{value:{sign},.2f}"
    return text.rstrip("0").rstrip(".")


def find(
    graph: Graph,
    metrics: Mapping[str, GraphMetric],
    series: Mapping[str, Series],
    now: datetime,
) -> Part:
    """Return what there is to say of each visible metric, in the order of the declaration."""
    findings = [
        _find(graph, metric, series[identifier].points if identifier in series else {}, now)
        for identifier, metric in metrics.items()
        if metric.visible
    ]
    return Part(graph, metrics, findings)


def _find(graph: Graph, metric: GraphMetric, points: Mapping[int, float], now: datetime) -> Finding:
    window, earlier = graph.window(now), graph.before(now)
    period = timedelta(seconds=metric.period or 0)
    times = {datetime.fromtimestamp(time, UTC): value for time, value in points.items()}
    # A period belongs to the range that it ends in.
    shown = {time: value for time, value in times.items() if time + period > window.start}
    if not shown:
        return Finding(metric.title)
    last = max(shown)
    # The same place in the period before, or the nearest earlier one that has data there.
    place = earlier.start + (last - window.start)
    before = [t for t in times.keys() - shown.keys() if t <= place and t + period > earlier.start]
    ended = last + period
    return Finding(
        metric.title,
        latest=shown[last],
        before=times[max(before)] if before else None,
        silent_since=ended if now - ended > max(2 * period, timedelta(minutes=15)) else None,
        peak=max(shown.values()),
    )
