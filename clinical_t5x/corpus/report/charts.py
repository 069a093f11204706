"""The page's charts as SVG text: bars with what was removed, and histograms of lengths."""

from __future__ import annotations

import dataclasses
import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from clinical_t5x.webpage import BLUE, INK, ORANGE, PALETTE, Chart

_LABEL_WIDTH = 34  # characters of a bar's name on a line
_HATCH = "/////"


@dataclasses.dataclass(frozen=True)
class Panel:
    """One measure of all bars: what is there, and what was removed from it."""

    title: str
    values: Sequence[int]
    removed: Sequence[int] = ()


def short(value: float) -> str:
    """A count as short as a label: 105.3 M, 4.51 M, 82,345, 7."""
    for size, unit in ((1e9, "G"), (1e6, "M")):
        if value >= size:
            return f"{value / size:.{1 if value >= 10 * size else 2}f} {unit}"
    return f"{value:,.0f}"


def bars(name: str, labels: Sequence[str], panels: Sequence[Panel]) -> str:
    """Horizontal bars, a panel for every measure side by side; numbers stand at their ends."""
    names = [_on_two_lines(label) for label in labels]
    legend = any(any(panel.removed) for panel in panels)
    height = 0.45 + 0.25 * legend + sum(0.24 + 0.1 * label.count("\n") for label in names)
    with Chart(name, height=height) as chart:
        shape = chart.figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, panel in zip(shape, panels, strict=True):
            _panel(axes, panel)
        shape[0].set_yticks(range(len(names)), names)
        shape[0].set_ylim(len(names) - 0.4, -0.6)
        if legend:
            first = next(k for k, panel in enumerate(panels) if any(panel.removed))
            chart.legend_above(shape[first], 2)
        return chart.svg()


def _panel(axes: Any, panel: Panel) -> None:
    places = range(len(panel.values))
    removed = panel.removed or [0] * len(panel.values)
    axes.barh(places, panel.values, height=0.62, color=BLUE, label="left")
    some = [place for place in places if removed[place]]
    if some:
        axes.barh(
            some, [removed[k] for k in some], left=[panel.values[k] for k in some], height=0.62,
            facecolor="#fbe9c6", edgecolor=ORANGE, hatch=_HATCH, linewidth=0.6,
            label="left out here",
        )  # fmt: skip
    for place, value, gone in zip(places, panel.values, removed, strict=True):
        axes.annotate(
            short(value), (value + gone, place), xytext=(4, 0), textcoords="offset points",
            va="center", fontsize=8,
        )  # fmt: skip
    longest = max((v + r for v, r in zip(panel.values, removed, strict=True)), default=0)
    # Room for the numbers at the ends of the bars.
    axes.set_xlim(0, 1.3 * max(longest, 1))
    axes.set_title(panel.title)
    axes.grid(visible=False)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)


def _on_two_lines(label: str) -> str:
    lines = textwrap.wrap(label, _LABEL_WIDTH, max_lines=2, placeholder=" …")
    return "\n".join(lines)


def length_chart(edges: Sequence[float], documents: Mapping[str, Sequence[int]]) -> str:
    """A histogram for every source, one below the other on the same axis of words."""
    positive = _without_zero(edges)
    with Chart("lengths", height=0.5 + 1.15 * len(documents)) as chart:
        shape = chart.figure.subplots(len(documents), 1, sharex=True, squeeze=False)[:, 0]
        for k, (axes, (source, counts)) in enumerate(zip(shape, documents.items(), strict=True)):
            colour = PALETTE[k % len(PALETTE)]
            axes.stairs(counts, positive, fill=True, facecolor=colour, alpha=0.35)
            axes.stairs(counts, positive, color=colour, linewidth=1.3)
            axes.set_title(source)
            axes.set_ylim(bottom=0)
            axes.yaxis.set_major_formatter(lambda value, _: short(value))
            axes.locator_params(axis="y", nbins=3)
            axes.grid(axis="x", visible=False)
        last = shape[-1]
        last.set_xscale("log")
        last.set_xlim(*_reach(positive, documents))
        last.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else "0")
        last.xaxis.set_minor_formatter(lambda *_: "")
        last.set_xlabel("words of a document")
        chart.figure.supylabel("documents", fontsize=9, color=INK)
        return chart.svg()


def _without_zero(edges: Sequence[float]) -> list[float]:
    """Edges for a logarithmic axis, on which 0 has no place."""
    if edges[0] > 0:
        return list(edges)
    return [min(0.5, edges[1] / 2), *edges[1:]]


def _reach(edges: Sequence[float], documents: Mapping[str, Sequence[int]]) -> tuple[float, float]:
    """The axis over all bins with documents, in whole decades, so that both ends have a label."""
    together = [sum(bins) for bins in zip(*documents.values(), strict=True)]
    filled = [k for k, count in enumerate(together) if count]
    low, high = edges[filled[0]], edges[filled[-1] + 1]
    return 10.0 ** math.floor(math.log10(low)), 10.0 ** math.ceil(math.log10(high))
