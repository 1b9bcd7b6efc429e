"""CloudWatch's metric widgets: the JSON that GetMetricWidgetImage takes. Pure: no network.

Source: 'GetMetricWidgetImage: Metric Widget Structure and Syntax'. Not played, and refused: the
views bar and pie, the dark theme. Taken and without effect: liveData and live. Guesses: the words
of the errors (in the form that PutDashboard has), and that unknown fields are errors.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

PALETTE = (
    "#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd",
    "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf",
)  # fmt: skip
_LONGEST = 100 * 1024  # bytes of a widget
_MOST_METRICS = 100
_MARK_COLOR = "#7f7f7f"
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_ID = re.compile(r"[a-z][a-zA-Z0-9_]*")
_ZONE = re.compile(r"([+-])([01][0-9]|2[0-3])([0-5][0-9])")
_STAT = re.compile(
    r"SampleCount|Average|Sum|Minimum|Maximum|IQM|p\d{1,2}(\.\d+)?|p100"
    r"|(tm|tc|ts|wm)\d{1,2}(\.\d+)?|(TM|TC|TS|WM|PR)\([0-9.%]*:[0-9.%]*\)"
)
_AGO = re.compile(
    r"-P(?:(\d{1,3})Y)?(?:(\d{1,4})M)?(?:(\d{1,4})W)?(?:(\d{1,5})D)?"
    r"(?:T(?=\d)(?:(\d{1,6})H)?(?:(\d{1,7})M)?(?:(\d{1,8})S)?)?"
)
_ROWS = (
    'Field "metrics" has to be an array of array of strings, with an optional metricRenderer '
    "object as last element"
)


class InvalidWidget(ValueError):
    """A widget that CloudWatch would refuse; the message lists what is wrong, and where."""


@dataclass(frozen=True)
class Line:
    """One row of `metrics`: a metric, as GetMetricData's MetricStat, or an expression."""

    id: str
    label: str
    color: str
    visible: bool
    right: bool
    stat: Mapping[str, Any] | None
    expression: str | None


@dataclass(frozen=True)
class Mark:
    """An annotation, or a band up to `end`; vertical ones have epoch seconds for values.

    `fill` is above, below, before, after or none.
    """

    value: float
    label: str
    color: str
    fill: str
    right: bool
    end: float | None = None
    end_label: str = ""


@dataclass(frozen=True)
class Axis:
    """What a y axis shows; None: up to the data."""

    low: float | None = None
    high: float | None = None
    label: str = ""


@dataclass(frozen=True)
class Widget:
    """A graph: `start` and `end` in epoch seconds, `offset` of its time zone in seconds."""

    lines: Sequence[Line]
    title: str
    view: str
    stacked: bool
    start: int
    end: int
    offset: int
    width: int
    height: int
    legend: str
    left: Axis
    right: Axis
    horizontal: Sequence[Mark]
    vertical: Sequence[Mark]


@dataclass(frozen=True)
class _Wrong:
    """What is wrong so far: (path, message)."""

    found: list[tuple[str, str]] = field(default_factory=list)

    def say(self, path: str, message: str) -> None:
        self.found.append((path, message))

    def take(self, data: Mapping[str, Any], path: str, name: str, default: Any = None) -> Any:
        """Return a field if it is right, and otherwise say what is wrong and give the default."""
        if name not in data:
            return default
        takes, fits = _CHECKS[name]
        if not fits(data[name]):
            self.say(f"{path}/{name}", f"Should be {takes}")
            return default
        return data[name]

    def object(self, data: object, path: str, known: str) -> Mapping[str, Any]:
        """Return an object without the fields that it does not have."""
        if not isinstance(data, dict):
            self.say(path, "Should be object")
            return {}
        names = known.split()
        for name in data.keys() - names:
            self.say(f"{path}/{ascii(name)[1:-1][:80]}", "Should NOT have additional properties")
        return {name: value for name, value in data.items() if name in names}


def parse(text: str, *, now: datetime, region: str) -> Widget:
    """Read a widget. `now`, with its zone, is what relative times count from.

    Raises InvalidWidget listing every fault that was found.
    """
    try:
        data = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise _invalid([("", "Should be valid JSON")]) from None
    if len(text.encode("utf-8", "replace")) > _LONGEST:
        raise _invalid([("", f"Should NOT be longer than {_LONGEST} bytes")])
    wrong = _Wrong()
    data = wrong.object(
        data,
        "",
        "metrics annotations end height legend live liveData period region stacked start stat "
        "theme timezone title view width yAxis",
    )
    take = wrong.take
    if take(data, "", "region", region) != region:
        wrong.say("/region", f"Should be the local region, {region}")
    for name in ("theme", "liveData", "live"):
        take(data, "", name)
    start, end = (
        _moment(wrong, data, name, default, now)
        for name, default in (("start", "-PT3H"), ("end", "-PT0H"))
    )
    if not start < end and not wrong.found:
        wrong.say("/start", "Should be before end")
    axes = wrong.object(data.get("yAxis", {}), "/yAxis", "left right")
    marks = wrong.object(data.get("annotations", {}), "/annotations", "horizontal vertical")
    legend = wrong.object(data.get("legend", {}), "/legend", "position")
    widget = Widget(
        lines=_lines(wrong, data),
        title=take(data, "", "title", ""),
        view=take(data, "", "view", "timeSeries"),
        stacked=bool(take(data, "", "stacked")),
        start=start,
        end=end,
        offset=_offset(take(data, "", "timezone", "+0000")),
        width=take(data, "", "width", 600),
        height=take(data, "", "height", 400),
        legend=take(legend, "/legend", "position", "bottom"),
        left=_axis(wrong, axes, "left"),
        right=_axis(wrong, axes, "right"),
        horizontal=_marks(wrong, marks, "horizontal"),
        vertical=_marks(wrong, marks, "vertical"),
    )
    if wrong.found:
        raise _invalid(wrong.found)
    return widget


def moment(text: str, now: datetime) -> datetime | None:
    """Read a time: ISO 8601 in UTC, with Z or without, or `-P…` before now; None if it is neither.

    Months and years go by the calendar: a month before 31 March is the last day of February.
    """
    ago = _AGO.fullmatch(text)
    try:
        if not ago:
            at = datetime.fromisoformat(text.removesuffix("Z"))
            return None if at.tzinfo else at.replace(tzinfo=UTC)
        if not any(ago.groups()):
            return None
        years, months, weeks, days, hours, minutes, seconds = (int(n or 0) for n in ago.groups())
        span = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
        return _months_before(now, 12 * years + months) - span
    except (ValueError, OverflowError):
        return None


def _months_before(at: datetime, months: int) -> datetime:
    year, month = divmod(at.year * 12 + at.month - 1 - months, 12)
    following = at.replace(year=year + month // 11, month=(month + 1) % 12 + 1, day=1)
    last = (following - timedelta(days=1)).day
    return at.replace(year=year, month=month + 1, day=min(at.day, last))


def _moment(wrong: _Wrong, data: Mapping[str, Any], name: str, default: str, now: datetime) -> int:
    at = moment(wrong.take(data, "", name, default), now)
    if not at:
        wrong.say(f"/{name}", "Should be an ISO 8601 time in UTC or a relative one such as -PT3H")
        return 0
    return int(at.timestamp())


def _lines(wrong: _Wrong, data: Mapping[str, Any]) -> list[Line]:
    rows = data.get("metrics")
    if rows is None:
        wrong.say("", "Should have required property 'metrics'")
        return []
    if not isinstance(rows, list) or not all(isinstance(row, list) and row for row in rows):
        wrong.say("/metrics", _ROWS)
        return []
    if not 1 <= len(rows) <= _MOST_METRICS:
        wrong.say("/metrics", f"Should have from 1 to {_MOST_METRICS} items")
        return []
    defaults = {
        "stat": wrong.take(data, "", "stat", "Average"),
        "period": wrong.take(data, "", "period", 300),
    }
    lines: list[Line] = []
    previous: list[str] = []
    for index, row in enumerate(rows):
        path = f"/metrics/{index}"
        parts, last = (row[:-1], row[-1]) if isinstance(row[-1], dict) else (row, {})
        options = wrong.object(
            last, f"{path}/{len(parts)}", "color expression id label period stat visible yAxis"
        )
        path_of_options = f"{path}/{len(parts)}"
        if not all(isinstance(part, str) and part for part in parts):
            wrong.say(path, _ROWS)
            continue
        name = wrong.take(options, path_of_options, "id", f"z__{index}")
        if name in {line.id for line in lines}:
            wrong.say(f"{path_of_options}/id", "Should be unique")
        expression = wrong.take(options, path_of_options, "expression")
        stat = None
        if parts:
            previous = _expand(parts, previous)
            stat = _stat(wrong, path, previous, {**defaults, **_given(wrong, options, path)})
            if expression is not None:
                wrong.say(path, "Should be a metric or an expression")
        elif expression is None:
            wrong.say(path_of_options, "Should have required property 'expression'")
        shown = sum(line.visible for line in lines)
        lines.append(
            Line(
                id=name,
                label=wrong.take(options, path_of_options, "label", ""),
                color=wrong.take(options, path_of_options, "color", PALETTE[shown % len(PALETTE)]),
                visible=wrong.take(options, path_of_options, "visible", default=True),
                right=_side(wrong, options, path_of_options),
                stat=stat,
                expression=expression,
            )
        )
    return _labelled(lines)


def _given(wrong: _Wrong, options: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Return the stat and period of a metric's options, where they are right."""
    taken = {name: wrong.take(options, path, name) for name in ("stat", "period")}
    return {name: value for name, value in taken.items() if value is not None}


def _expand(parts: Sequence[str], previous: Sequence[str]) -> list[str]:
    """Put what `.` and `...` stand for in their places; where there is nothing, they stay."""
    if "..." in parts:
        at = parts.index("...")
        count = len(previous) - (len(parts) - 1)
        parts = [*parts[:at], *previous[at : at + max(count, 0)], *parts[at + 1 :]]
    return [
        previous[index] if part == "." and index < len(previous) else part
        for index, part in enumerate(parts)
    ]


def _stat(
    wrong: _Wrong, path: str, parts: Sequence[str], options: Mapping[str, Any]
) -> Mapping[str, Any]:
    if "." in parts or "..." in parts:
        wrong.say(path, "Should have a metric before it that '.' and '...' refer to")
    if len(parts) < 2 or len(parts) % 2:
        wrong.say(path, "Should have a namespace, a metric name, and pairs of dimensions")
        return {}
    dimensions = zip(parts[2::2], parts[3::2], strict=True)
    return {
        "Metric": {
            "Namespace": parts[0],
            "MetricName": parts[1],
            "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions],
        },
        "Period": options["period"],
        "Stat": options["stat"],
    }


def _labelled(lines: Sequence[Line]) -> list[Line]:
    """Give the lines without a label one that tells them apart, as CloudWatch does."""
    parts: dict[str, tuple[str, ...]] = {}
    for line in lines:
        if line.stat:
            metric = line.stat["Metric"]
            values = (dimension["Value"] for dimension in metric["Dimensions"])
            parts[line.id] = (metric["MetricName"], *values, line.stat["Stat"])
    longest = max((len(part) for part in parts.values()), default=0)
    alike = [
        len({part[index : index + 1] for part in parts.values()}) == 1 for index in range(longest)
    ]
    labelled = []
    for line in lines:
        differ = [
            part for part, same in zip(parts.get(line.id, ()), alike, strict=False) if not same
        ]
        auto = " ".join(differ) or parts.get(line.id, (line.expression or "",))[0]
        labelled.append(Line(**{**vars(line), "label": line.label or auto}))
    return labelled


def _axis(wrong: _Wrong, axes: Mapping[str, Any], side: str) -> Axis:
    path = f"/yAxis/{side}"
    data = wrong.object(axes.get(side, {}), path, "min max label showUnits")
    low, high = (wrong.take(data, path, name) for name in ("min", "max"))
    if low is not None and high is not None and not low < high:
        wrong.say(f"{path}/min", "Should be less than max")
    return Axis(low, high, wrong.take(data, path, "label", ""))


def _marks(wrong: _Wrong, data: Mapping[str, Any], which: str) -> list[Mark]:
    path = f"/annotations/{which}"
    given = data.get(which, [])
    if not isinstance(given, list):
        wrong.say(path, "Should be array")
        return []
    marks = []
    for index, item in enumerate(given):
        band = isinstance(item, list)
        if band and len(item) != 2:
            wrong.say(f"{path}/{index}", "Should have 2 items")
            continue
        (first, at), *ends = (
            (_mark(wrong, one, place, which), place)
            for one, place in (
                [(one, f"{path}/{index}/{n}") for n, one in enumerate(item)]
                if band
                else [(item, f"{path}/{index}")]
            )
        )
        if not wrong.take(first, at, "visible", default=True):
            continue
        marks.append(
            Mark(
                value=first.get("value", 0.0),
                label=wrong.take(first, at, "label", ""),
                color=wrong.take(first, at, "color", _MARK_COLOR),
                fill="none" if band else wrong.take(first, at, "fill", "none"),
                right=_side(wrong, first, at),
                end=ends[0][0].get("value", 0.0) if ends else None,
                end_label=wrong.take(*ends[0], "label", "") if ends else "",
            )
        )
    return marks


def _mark(wrong: _Wrong, item: object, path: str, which: str) -> dict[str, Any]:
    """Return an annotation with its value as a number, if it has a right one."""
    fills = "above below none" if which == "horizontal" else "before after none"
    data = dict(wrong.object(item, path, "value label color fill visible yAxis"))
    value = data.pop("value", None)
    if data.get("fill", "none") not in fills.split():
        wrong.say(f"{path}/fill", f"Should be one of {', '.join(fills.split())}")
        data.pop("fill")
    if which == "horizontal":
        if _number(value):
            return {**data, "value": float(value)}
        wrong.say(f"{path}/value", "Should be number")
        return data
    at = moment(value, datetime.now(UTC)) if isinstance(value, str) and value[:1] != "-" else None
    if not at:
        wrong.say(f"{path}/value", "Should be an absolute ISO 8601 time in UTC")
        return data
    return {**data, "value": at.timestamp()}


def _side(wrong: _Wrong, data: Mapping[str, Any], path: str) -> bool:
    if data.get("yAxis", "left") not in ("left", "right"):
        wrong.say(f"{path}/yAxis", "Should be one of left, right")
    return data.get("yAxis") == "right"


def _offset(text: str) -> int:
    match = _ZONE.fullmatch(text)
    if not match:
        return 0
    seconds = int(match[2]) * 3600 + int(match[3]) * 60
    return -seconds if match[1] == "-" else seconds


def _invalid(found: Sequence[tuple[str, str]]) -> InvalidWidget:
    count = f"{len(found)} validation error{'' if len(found) == 1 else 's'}"
    listed = json.dumps([{"message": message, "dataPath": path} for path, message in found])
    return InvalidWidget(f"The metric widget is invalid, there are {count}: {listed}")


def _number(value: object) -> bool:
    try:
        return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]
    except OverflowError:
        return False


def _text(value: object) -> bool:
    return isinstance(value, str)


def _matches(pattern: re.Pattern[str]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and bool(pattern.fullmatch(value))


def _one_of(*values: str) -> "_Check":
    return f"one of {', '.join(values)}", lambda value: value in values


def _flag(value: object) -> bool:
    return isinstance(value, bool)


def _period(value: object) -> bool:
    return type(value) is int and (value in (1, 5, 10, 30) or (value > 0 and value % 60 == 0))


def _pixels(value: object) -> bool:
    return type(value) is int and 1 <= value <= 2000


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


_Check: TypeAlias = tuple[str, Callable[[Any], bool]]
_CHECKS: dict[str, _Check] = {
    "color": ("a colour such as #1f77b4", _matches(_COLOR)),
    "end": ("string", _text),
    "expression": ("string", _text),
    "fill": ("string", _text),
    "height": ("integer from 1 to 2000", _pixels),
    "id": ("a lowercase letter, then letters, numbers and underscores", _matches(_ID)),
    "label": ("string", _text),
    "live": ("boolean", _flag),
    "liveData": ("boolean", _flag),
    "max": ("number", _number),
    "min": ("number", _number),
    "period": ("1, 5, 10, 30 or a multiple of 60", _period),
    "position": _one_of("bottom", "right", "hidden"),
    "region": ("string", _text),
    "stacked": ("boolean", _flag),
    "start": ("string", _text),
    "stat": ("a statistic such as Average, Sum or p99", _matches(_STAT)),
    "theme": _one_of("light"),
    "timezone": ("a time zone such as +0900", _matches(_ZONE)),
    "title": ("string", _text),
    "view": _one_of("timeSeries", "singleValue"),
    "visible": ("boolean", _flag),
    "width": ("integer from 1 to 2000", _pixels),
}
