"""Mackerel's service metrics as line charts: SVG drawn here, without script or style of its own."""

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pygal
from markupsafe import Markup

TOKYO = timezone(timedelta(hours=9))  # no summer time: needs no zone database
_DAY = 24 * 3600
_HOURS = 6
_MOST = 10**15  # no value is drawn larger
_MOST_CHARTS = 48
_MOST_LINES = 8  # as many as there are colours
_MOST_POINTS = 240  # a line, thinned evenly: more than a small chart has pixels for
_DOTS = 24  # with so few points each is marked
_STEPS = (300, 600, 900, 1800, 3600, 7200)  # seconds between labels of the time axis
_LABELS = 5
_NAMESPACE = "{http://www.w3.org/2000/svg}"


@dataclass(frozen=True)
class Line:
    """One metric of a graph: the last part of its name, and its latest value as text."""

    name: str
    latest: str


@dataclass(frozen=True)
class Chart:
    """One graph of a Mackerel service: its lines in order, the newest point's time, the picture."""

    service: str
    name: str
    lines: tuple[Line, ...]
    more: int  # lines that are left out
    at: str
    svg: Markup


def draw(posts: Iterable[object], now: float) -> list[Chart]:
    """Draw what posts to Mackerel brought in the last hours before the newest point.

    `posts` are bodies of inbox items, `{"service", "points": [{"name", "time", "value"}]}`, oldest
    first; a later value of the same name and time replaces the earlier, as on Mackerel. As there, a
    name up to its last dot is one graph. Points more than a day from `now` (epoch seconds) are left
    out. At most 48 charts, by service and name.
    """
    graphs: dict[tuple[str, str], dict[str, dict[int, float]]] = {}
    for service, point in _points(posts):
        if abs(point["time"] - now) > _DAY:
            continue
        graph, _, line = point["name"].rpartition(".")
        lines = graphs.setdefault((service, graph or line), {})
        lines.setdefault(line, {})[point["time"]] = float(max(-_MOST, min(point["value"], _MOST)))
    newest = max((max(points) for lines in graphs.values() for points in lines.values()), default=0)
    oldest = newest - _HOURS * 3600
    charts: list[Chart] = []
    for (service, name), lines in sorted(graphs.items()):
        recent = {
            line: sorted((at, value) for at, value in points.items() if at >= oldest)
            for line, points in lines.items()
        }
        shown = {line: points for line, points in recent.items() if points}
        if shown and len(charts) < _MOST_CHARTS:
            charts.append(_chart(service, name, shown))
    return charts


def number(value: float) -> str:
    """Write a value for people: separators, six digits, M and G for millions and more."""
    for size, unit in ((1e9, "G"), (1e6, "M")):
        if abs(value) >= size:
            return f"{value / size:,.4g}{unit}"
    return f"{value:,.6g}" if abs(value) < 1000 else f"{value:,.1f}".removesuffix(".0")


def _points(posts: Iterable[object]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    for post in posts:
        if not isinstance(post, dict) or not isinstance(post.get("points"), list):
            continue
        for point in post["points"]:
            match point:
                case {"name": str(), "time": int(), "value": int() | float()}:
                    yield str(post.get("service", "")), point


def _chart(service: str, name: str, lines: Mapping[str, list[tuple[int, float]]]) -> Chart:
    shown = dict(itertools.islice(lines.items(), _MOST_LINES))
    latest = tuple(Line(line, number(points[-1][1])) for line, points in shown.items())
    newest = max(points[-1][0] for points in shown.values())
    return Chart(
        service=service,
        name=name,
        lines=latest,
        more=len(lines) - len(shown),
        at=f"{_tokyo(newest):%H:%M}",
        svg=_svg(name, latest, shown),
    )


def _svg(name: str, latest: Iterable[Line], lines: Mapping[str, list[tuple[int, float]]]) -> Markup:
    values = [value for points in lines.values() for _, value in points]
    times = [at for points in lines.values() for at, _ in points]
    levels = _levels(min(values), max(values))
    chart = pygal.XY(
        width=400,
        height=125,
        margin=4,
        margin_right=10,
        spacing=6,
        css=[],  # the page's style sheet knows pygal's classes
        js=[],
        show_legend=False,
        dots_size=2,
        range=(levels[0], levels[-1]),
        y_labels=levels,
        xrange=(min(times), max(*times, min(times) + 300)),
        x_labels=_ticks(min(times), max(times)),
        x_value_formatter=lambda at: f"{_tokyo(at):%H:%M}",
        value_formatter=number,
        disable_xml_declaration=True,
    )
    for line, points in lines.items():
        chart.add(line, points[:: 1 + len(points) // _MOST_POINTS], show_dots=len(points) <= _DOTS)
    summary = ", ".join(f"{line.name} {line.latest}" for line in latest)
    chart.add_xml_filter(lambda root: _bare(root, f"{name}: {summary}"))
    return Markup(chart.render(is_unicode=True))  # noqa: S704 (serialised XML, names escaped)


def _bare(root: Any, label: str) -> Any:
    """Strip what pygal adds for its own script and styles, and say what the picture shows."""
    for parent in list(root.iter()):
        for child in list(parent):
            kind = child.tag if isinstance(child.tag, str) else "comment"
            kind = kind.removeprefix(_NAMESPACE)
            if kind in ("comment", "defs", "title") or "tooltip-overlay" in child.get("class", ""):
                parent.remove(child)
            elif kind == "desc":
                if child.get("class") == "value":
                    child.tag = child.tag.replace("desc", "title")  # the browser's own tooltip
                    del child.attrib["class"]
                else:
                    parent.remove(child)
    del root.attrib["id"]  # a random one
    root.set("role", "img")
    root.set("aria-label", label)
    return root


def _ticks(first: int, last: int) -> list[int]:
    span = last - first
    step = next((step for step in _STEPS if span / step <= _LABELS), _STEPS[-1])
    start = -(-first // step) * step  # Tokyo's offset is whole hours
    return list(range(start, last + 1, step)) or [first]


def _levels(low: float, high: float) -> list[float]:
    """Return the labels of the value axis: two to five round numbers that enclose the values."""
    if 0 <= low < high / 2 or low == high >= 0:
        low = 0.0  # else the line's own range says more
    span = high - low
    if span < 1e-9:
        span = abs(low) or 1.0
    size = 10.0 ** math.floor(math.log10(span))
    step = next(n * size for n in (0.5, 1, 2, 5) if span / (n * size) <= 3)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(n * step, 12) for n in range(first, max(last, first + 1) + 1)]


def _tokyo(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC).astimezone(TOKYO)
