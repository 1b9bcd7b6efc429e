"""Draws a metric widget as a PNG, in the manner of CloudWatch.

Importing this imports matplotlib, which takes a second or more and 40 MB: do it when the first
widget is asked for. Nothing of pyplot is used, so a figure is free as soon as it is drawn.
"""

import functools
import io
import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from sandbox import fonts
from sandbox.metric_math import Series
from sandbox.widget import Axis, Line, Mark, Widget

# matplotlib's own, and for what it lacks the sandbox's: the same picture on every machine.
_FONTS = ["DejaVu Sans", fonts.JAPANESE]
_DPI = 100
_DARK, _TEXT, _GREY, _GRID = "#16191f", "#545b64", "#aab7b8", "#eaeded"
_TITLE, _LABEL, _SMALL, _BESIDE = (16.0, _DARK), (12.0, _TEXT), (11.0, _TEXT), (11.0, _DARK)
_ROW = 19  # pixels of a row of the legend
_STEPS = (60, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 1209600)
_DAY = 86400
_LINE = 2 * 72 / _DPI  # points: two whole pixels, so that straight lines have their very colour
_LOCK = threading.Lock()  # matplotlib's fonts are no matter for two threads

font_manager.fontManager.addfont(fonts.japanese())


@dataclass(frozen=True)
class Scale:
    """A y axis: its ends and the labels of its ticks, by value."""

    low: float
    high: float
    ticks: Mapping[float, str]


@dataclass(frozen=True)
class _Box:
    """A part of the picture, in pixels from its left upper corner."""

    left: float
    top: float
    right: float
    bottom: float


def draw(widget: Widget, series: Mapping[str, Series], *, asked: str = "") -> bytes:
    """Return a PNG of exactly the widget's size; `series` by the lines' ids.

    `asked`, the widget's own JSON, is written into the file, for whoever wants to compare. A
    character that no font has is drawn as a box, and is one of Python's warnings.
    """
    with _LOCK:
        # A hundredth of a pixel more, as the sizes are cut to whole pixels.
        size = ((widget.width + 0.01) / _DPI, (widget.height + 0.01) / _DPI)
        figure = Figure(figsize=size, dpi=_DPI, facecolor="white")
        sheet = _Sheet(FigureCanvasAgg(figure), widget.width, widget.height)
        top = 10.0
        if widget.title:
            sheet.text(12, top + 10, sheet.fitting(widget.title, 16, widget.width - 24), _TITLE)
            top += 28
        lines = [line for line in widget.lines if line.visible]
        box = _Box(12, top, widget.width - 12, widget.height - 8)
        if widget.view == "singleValue":
            _numbers(sheet, box, lines, series)
        else:
            _graph(sheet, _legend(sheet, box, lines, widget.legend), widget, series)
        output = io.BytesIO()
        figure.savefig(output, format="png", dpi=_DPI, metadata={"MetricWidget": asked})
        figure.clear()
        return output.getvalue()


def time_ticks(start: int, end: int, offset: int, most: int) -> list[tuple[int, str]]:
    """Return (epoch second, label) of at most `most` round times in a zone `offset` s off UTC.

    Labels: `09:00`, or `11/24` at midnight and where days, weeks or months are the step.
    """
    span, most = end - start, max(most, 1)
    step = next((step for step in _STEPS if span / step <= most), None)
    if step is None:
        return _month_ticks(start, end, offset, most)
    # Weeks start on Mondays: the epoch's first was its fifth day.
    shift = 4 * _DAY if step % (7 * _DAY) == 0 else 0
    first = -((shift - start - offset) // step) * step + shift - offset
    ticks = []
    for at in range(first, end + 1, step):
        local = _local(at, offset)
        midnight = local.hour == local.minute == 0
        days = step >= _DAY or (midnight and span > _DAY)
        ticks.append((at, f"{local:%m/%d}" if days else f"{local:%H:%M}"))
    return ticks


def _month_ticks(start: int, end: int, offset: int, most: int) -> list[tuple[int, str]]:
    first, last = _local(start, offset), _local(end, offset)
    begin, stop = first.year * 12 + first.month, last.year * 12 + last.month
    steps = (1, 2, 3, 6, 12, 24, 60, 120, 600, 1200, 6000, 12000)
    step = next(step for step in (*steps, 10**6) if (stop - begin) / step <= most)
    ticks = []
    for month in range(-(-begin // step) * step, stop, step):
        at = datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC) - timedelta(seconds=offset)
        ticks.append((int(at.timestamp()), f"{month // 12}/{month % 12 + 1:02d}"))
    return ticks


def scale(values: Sequence[float], axis: Axis, most: int, *, from_zero: bool) -> Scale:
    """Fit an axis to values, with at most about `most` ticks; the axis's own ends go first."""
    least, greatest = min(values, default=0.0), max(values, default=1.0)
    if from_zero:
        least, greatest = min(least, 0.0), max(greatest, 0.0)
    low = axis.low if axis.low is not None else least
    high = axis.high if axis.high is not None else greatest
    if not low < high:
        room = abs(low) * 0.1 or 1.0
        low = low - room if axis.low is None else low
        high = low + 2 * room if axis.high is None else high
        low = low if low < high else high - 2 * room
    step = _round_step((high - low) / max(most, 1))
    if axis.low is None:
        low = math.floor(low / step + 1e-9) * step
    if axis.high is None:
        high = math.ceil(high / step - 1e-9) * step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return Scale(
        low, high, {n * step: number_label(n * step, step) for n in range(first, last + 1)}
    )


def number_label(value: float, step: float) -> str:
    """Return a tick's number as CloudWatch shortens it: `0.25`, `900`, `1.5k`, `20M`."""
    for unit, sign in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{_decimals(value / unit, step / unit)}{sign}"
    if value and abs(value) < 1e-4:
        return f"{value:.3g}"
    return _decimals(value, step)


def value_label(value: float) -> str:
    """Return a number in full, `1,234` or `12.5`; very large ones as `1.235e+18`."""
    if abs(value) >= 1e15 or (value and abs(value) < 1e-3):
        return f"{value:.4g}"
    text = f"{value:,.3f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


class _Sheet:
    """A figure on which to write and draw in pixels."""

    def __init__(self, canvas: FigureCanvasAgg, width: int, height: int) -> None:
        self.figure = canvas.figure
        self.renderer = canvas.get_renderer()  # type: ignore[no-untyped-call]
        self.width, self.height = width, height

    def text(
        self, x: float, y: float, text: str, style: tuple[float, str], align: str = "left"
    ) -> None:
        """Write a line of text, its middle at y; a style is (pixels, colour)."""
        size, color = style
        self.figure.text(
            x / self.width,
            1 - y / self.height,
            text,
            color=color,
            fontproperties=_font(size),
            horizontalalignment=align,
            verticalalignment="center_baseline",
            parse_math=False,
            path_effects=[withStroke(linewidth=2, foreground="white")],
        )

    def square(self, x: float, y: float, width: float, height: float, color: str) -> None:
        """Fill a rectangle, its middle at y."""
        corner = (x / self.width, 1 - (y + height / 2) / self.height)
        self.figure.add_artist(
            Rectangle(corner, width / self.width, height / self.height, facecolor=color)
        )

    def measure(self, text: str, size: float) -> float:
        """Return how wide a text is."""
        return float(
            self.renderer.get_text_width_height_descent(text, _font(size), ismath=False)[0]
        )

    def fitting(self, text: str, size: float, width: float) -> str:
        """Return the text on one line, cut off where it is wider."""
        text = " ".join(text.split())[:1000]
        if self.measure(text, size) <= width:
            return text
        while text and self.measure(f"{text}…", size) > width:
            text = text[: min(len(text) - 1, int(len(text) * 0.95))]
        return f"{text}…" if text else ""

    def axes(self, box: _Box) -> Axes:
        """Make axes that fill a box."""
        return self.figure.add_axes(
            (
                box.left / self.width,
                1 - box.bottom / self.height,
                (box.right - box.left) / self.width,
                (box.bottom - box.top) / self.height,
            )
        )


def _legend(sheet: _Sheet, box: _Box, lines: Sequence[Line], position: str) -> _Box:
    """Draw the legend and return the room that it leaves."""
    if position == "hidden" or not lines or box.bottom - box.top < 80:
        return box
    places: list[tuple[float, int, str, str]] = []  # x, row, text, color
    if position == "right":
        widest = (box.right - box.left) * 0.35 - 16
        entries = [(sheet.fitting(line.label, 12, widest), line.color) for line in lines]
        left = box.right - max(sheet.measure(text, 12) for text, _ in entries) - 16
        rows = int((box.bottom - box.top) // _ROW)
        places = [(left, row, text, color) for row, (text, color) in enumerate(entries[:rows])]
        box, top = _Box(box.left, box.top, left - 16, box.bottom), box.top + _ROW / 2
    else:
        x, row = box.left, 0
        for line in lines:
            text = sheet.fitting(line.label, 12, box.right - box.left - 16)
            width = 16 + sheet.measure(text, 12)
            if x > box.left and x + width > box.right:
                x, row = box.left, row + 1
            places.append((x, row, text, line.color))
            x += width + 18
        rows = min(row + 1, max(1, int((box.bottom - box.top) // 3 // _ROW)))
        bottom = box.bottom - rows * _ROW
        box, top = _Box(box.left, box.top, box.right, bottom - 6), bottom + _ROW / 2
    for x, row, text, color in places:
        if row < rows:
            sheet.square(x, top + row * _ROW, 10, 10, color)
            sheet.text(x + 16, top + row * _ROW, text, _LABEL)
    return box


def _graph(sheet: _Sheet, box: _Box, widget: Widget, series: Mapping[str, Series]) -> None:
    right = any(line.right for line in widget.lines if line.visible)
    sides = [(False, widget.left)] + ([(True, widget.right)] if right else [])
    top = box.top + 6
    if any(axis.label for _, axis in sides):
        for far, axis in sides:
            half = (box.right - box.left) / 2 - 4
            text = sheet.fitting(axis.label, 11, half)
            x = box.right if far else box.left
            sheet.text(x, box.top + 4, text, _SMALL, "right" if far else "left")
        top += 14
    bottom = box.bottom - 22
    if bottom - top < 16:
        return
    drawn = [(far, axis, *_side(widget, series, bottom - top, far=far)) for far, axis in sides]
    room = [max((sheet.measure(t, 11) for t in s.ticks.values()), default=0) for *_, s in drawn]
    left = box.left + room[0] + 8
    end = box.right - (room[1] + 8 if right else 6)
    if end - left < 16:
        return
    plot = _Box(left, top, end, bottom)
    first = None
    for far, _, stacks, fit in drawn:
        axes = sheet.axes(plot)
        first = first or axes
        _prepare(axes, widget, fit, far=far)
        for color, times, base, values in stacks:
            if widget.stacked:
                axes.fill_between(times, base, values, color=color, alpha=0.55, linewidth=0)
            marker = "o" if len(times) == 1 else ""
            axes.plot(times, values, color=color, linewidth=_LINE, marker=marker, markersize=4)
        _horizontal(sheet, axes, plot, fit, [m for m in widget.horizontal if m.right == far])
        for at, text in fit.ticks.items():
            y = plot.bottom - (at - fit.low) / (fit.high - fit.low) * (bottom - top)
            x = end + 8 if far else left - 8
            sheet.text(x, y, text, _SMALL, "left" if far else "right")
    if first:
        _vertical(sheet, first, plot, widget)
        _times(sheet, first, plot, widget)


_Stack = tuple[str, list[int], "np.ndarray", "np.ndarray"]


def _side(
    widget: Widget, series: Mapping[str, Series], height: float, *, far: bool
) -> tuple[list[_Stack], Scale]:
    """Return what to draw on one y axis, (colour, times, lower, upper edge), and its scale."""
    axis = widget.right if far else widget.left
    shown = [line for line in widget.lines if line.visible and line.right == far]
    points = {
        line.id: sorted(
            (at, value)
            for at, value in (series[line.id].points if line.id in series else {}).items()
            if widget.start <= at <= widget.end
        )
        for line in shown
    }
    every = sorted({at for line in shown for at, _ in points[line.id]})
    stacks: list[_Stack] = []
    base = np.zeros(len(every))
    for line in shown:
        times = [at for at, _ in points[line.id]]
        values = np.array([value for _, value in points[line.id]])
        if not times:
            continue
        if widget.stacked:
            # Between its points a series is a line; before and after them it adds nothing.
            upper = base + np.interp(every, times, values, left=0, right=0)
            stacks.append((line.color, every, base, upper))
            base = upper
        else:
            stacks.append((line.color, times, np.zeros(len(times)), values))
    edges = [float(value) for _, _, _, values in stacks for value in values]
    for mark in widget.horizontal:
        if mark.right == far:
            edges += [mark.value] + ([mark.end] if mark.end is not None else [])
    return stacks, scale(edges, axis, int(height // 50), from_zero=widget.stacked)


def _prepare(axes: Axes, widget: Widget, fit: Scale, *, far: bool) -> None:
    axes.set_xlim(widget.start, widget.end)
    axes.set_ylim(fit.low, fit.high)
    axes.patch.set_visible(False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_axisbelow(True)
    for name, spine in axes.spines.items():
        spine.set_visible(name == "bottom" and not far)
        spine.set_color(_GREY)
    if not far:
        for at in fit.ticks:
            axes.axhline(at, color=_GRID, linewidth=0.8, zorder=0)


def _horizontal(sheet: _Sheet, axes: Axes, plot: _Box, fit: Scale, marks: Sequence[Mark]) -> None:
    edges: list[tuple[float, str]] = []
    for mark in marks:
        other = {"above": fit.high, "below": fit.low}.get(mark.fill, mark.end)
        if other is not None:
            axes.axhspan(mark.value, other, color=mark.color, alpha=0.18, linewidth=0)
        edges.append((mark.value, mark.label))
        axes.axhline(mark.value, color=mark.color, linewidth=_LINE)
        if mark.end is not None:
            axes.axhline(mark.end, color=mark.color, linewidth=_LINE)
            edges.append((mark.end, mark.end_label))
    taken: list[float] = []
    for value, label in sorted(edges, reverse=True):
        if not label or not fit.low <= value <= fit.high:
            continue
        line = plot.bottom - (value - fit.low) / (fit.high - fit.low) * (plot.bottom - plot.top)
        # Above its line, unless that is another label's place or outside.
        y = line - 9
        if y - 6 < plot.top or any(abs(y - other) < 14 for other in taken):
            y = line + 9
        taken.append(y)
        text = sheet.fitting(label, 11, plot.right - plot.left - 8)
        sheet.text(plot.left + 4, y, text, _BESIDE)


def _vertical(sheet: _Sheet, axes: Axes, plot: _Box, widget: Widget) -> None:
    for mark in widget.vertical:
        ends = {"before": widget.start, "after": widget.end}
        other = ends.get(mark.fill, mark.end)
        if other is not None:
            axes.axvspan(mark.value, other, color=mark.color, alpha=0.18, linewidth=0)
        for at, label in ((mark.value, mark.label), (mark.end, mark.end_label)):
            if at is None or not widget.start <= at <= widget.end:
                continue
            axes.axvline(at, color=mark.color, linewidth=_LINE)
            x = plot.left + (at - widget.start) / (widget.end - widget.start) * (
                plot.right - plot.left
            )
            late = x > (plot.left + plot.right) / 2
            room = (x - plot.left if late else plot.right - x) - 8
            text = sheet.fitting(label, 11, room)
            align = "right" if late else "left"
            sheet.text(x - 4 if late else x + 4, plot.top + 7, text, _BESIDE, align)


def _times(sheet: _Sheet, axes: Axes, plot: _Box, widget: Widget) -> None:
    room = plot.right - plot.left
    for at, text in time_ticks(widget.start, widget.end, widget.offset, int(room // 64)):
        x = plot.left + (at - widget.start) / (widget.end - widget.start) * room
        half = sheet.measure(text, 11) / 2
        axes.plot(
            [at],
            [0],
            transform=axes.get_xaxis_transform(),
            marker=3,
            markersize=4,
            color=_GREY,
            clip_on=False,
        )
        x = min(max(x, half + 2), sheet.width - half - 2)
        sheet.text(x, plot.bottom + 13, text, _SMALL, "center")


def _numbers(sheet: _Sheet, box: _Box, lines: Sequence[Line], series: Mapping[str, Series]) -> None:
    """Write the latest value of each line, large, in cells of one size."""
    if not lines:
        return
    columns = max(1, min(len(lines), int((box.right - box.left) // 150)))
    rows = math.ceil(len(lines) / columns)
    width, height = (box.right - box.left) / columns, (box.bottom - box.top) / rows
    if height < 16 or width < 24:
        return
    for index, line in enumerate(lines):
        left = box.left + index % columns * width
        middle = box.top + (index // columns + 0.5) * height
        points = series[line.id].points if line.id in series else {}
        text = value_label(points[max(points)]) if points else "--"
        size = min(44.0, height * 0.45)
        size *= min(1.0, (width - 28) / max(sheet.measure(text, size), 1))
        sheet.square(left, middle, 4, height * 0.7, line.color)
        sheet.text(left + 12, middle - height * 0.12, text, (max(size, 4), _DARK))
        label = sheet.fitting(line.label, 12, width - 24)
        sheet.text(left + 12, middle + height * 0.25, label, _LABEL)


@functools.cache
def _font(pixels: float) -> FontProperties:
    return FontProperties(family=_FONTS, size=pixels * 72 / _DPI)


def _local(at: int, offset: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=at + offset)


def _round_step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    return next((n * power for n in (1, 2, 2.5, 5) if n * power >= least * (1 - 1e-9)), 10 * power)


def _decimals(value: float, step: float) -> str:
    digits = max(0, min(9, math.ceil(-math.log10(step) - 1e-9) + 1)) if step < 10 else 0
    text = f"{value:,.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text
