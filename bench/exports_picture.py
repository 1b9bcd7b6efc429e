"""The picture of the README: rows a second as bars, readable on light and on dark."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

OURS, OTHERS, INK = "#2da44e", "#8c959f", "#768390"


def draw(path: Path, title: str, bars: Sequence[tuple[str, float, bool]]) -> None:
    """Write an SVG without a background: a bar for each (name, rows a second, whether it is ours).

    Its letters are outlines: it looks the same wherever it is shown.
    """
    ordered = sorted(bars, key=lambda bar: bar[1])
    speeds = [speed for _, speed, _ in ordered]
    figure = Figure(figsize=(8, 0.4 * len(bars) + 0.6), layout="tight")
    axes = figure.add_subplot()
    drawn = axes.barh(
        [name for name, _, _ in ordered],
        speeds,
        color=[OURS if ours else OTHERS for _, _, ours in ordered],
    )
    axes.bar_label(drawn, [f" {speed / 1000:,.0f} k" for speed in speeds], color=INK)
    axes.set_title(title, color=INK, loc="left", fontsize=11)
    axes.set_xlim(0, max(speeds) * 1.12)
    axes.xaxis.set_visible(False)
    axes.tick_params(colors=INK, length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    with mpl.rc_context({"svg.hashsalt": "exports"}):
        figure.savefig(path, format="svg", transparent=True, metadata={"Date": None})
