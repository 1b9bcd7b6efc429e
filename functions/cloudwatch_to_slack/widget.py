"""The MetricWidget that CloudWatch draws a graph from."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from cloudwatch_to_slack.findings import Part
from cloudwatch_to_slack.graphs import GraphMetric


def widget(part: Part, now: datetime, parameter: Callable[[str], str]) -> dict[str, Any]:
    """Return the widget: what the graph declares, and lines for the latest value and the target.

    A graph with a target has y from 0 to one and a half times the latest value, or the target
    where that is higher, and never cuts off a peak. `parameter` gives the value of an SSM
    parameter's name.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Metric-Widget-Structure.html
    """
    graph = part.graph
    start, end = graph.window(now)
    drawn = {
        "title": part.title,
        "view": graph.view,
        "stacked": graph.stacked,
        "metrics": [_metric(i, metric, parameter) for i, metric in part.metrics.items()],
        "period": graph.period,
        "start": _utc(start),
        "end": _utc(end),
        "timezone": f"{now:%z}",
        "width": graph.width,
        "height": graph.height,
    }
    if lines := _lines(part):
        drawn["annotations"] = {"horizontal": lines}
    if graph.target is not None:
        peak = max((finding.peak or 0 for finding in part.findings), default=0)
        highest = max(1.5 * max(part.latest, graph.target), peak)
        drawn["yAxis"] = {"left": {"min": 0, "max": highest}}
    return drawn


def _utc(time: datetime) -> str:
    # The only form of an absolute time that the documentation shows.
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _lines(part: Part) -> list[dict[str, Any]]:
    graph, colors = part.graph, part.graph.colors
    lines = []
    if graph.target is not None:
        lines = [
            {"label": "Today", "value": part.latest, "color": colors.latest},
            {"label": "Target", "value": graph.target, "color": colors.target},
        ]
    if graph.compare == "line":
        lines += [
            {"label": "Before", "value": finding.before, "color": colors.before}
            for finding in part.findings
            if finding.before is not None
        ]
    return lines


def _metric(
    identifier: str, metric: GraphMetric, parameter: Callable[[str], str]
) -> list[str | dict[str, Any]]:
    options: dict[str, Any] = {"id": identifier, "visible": metric.visible}
    options |= {"label": metric.title, "period": metric.period}
    if metric.color:
        options["color"] = metric.color
    query = metric.query(identifier, parameter)
    if metric.expression is not None:
        return [options | {"expression": query["Expression"]}]
    asked = query["MetricStat"]["Metric"]
    dimensions = [text for d in asked["Dimensions"] for text in (d["Name"], d["Value"])]
    stat = {"stat": metric.stat}
    return [asked["Namespace"], asked["MetricName"], *dimensions, options | stat]
