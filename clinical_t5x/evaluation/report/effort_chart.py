"""Score against FLOPs of pre-training as a picture: a panel a benchmark, every point named.

Marks are architectures, colours kinds of text, filled marks measured, hollow ones published. Names
stand at their points, so that neither colour nor mark has to be told apart.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from clinical_t5x.evaluation.report.effort import (
    BIOMEDICAL,
    CLINICAL,
    GENERAL,
    EffortPanel,
    EffortPoint,
    same_design,
)
from clinical_t5x.evaluation.report.label_places import Box, place_labels
from clinical_t5x.evaluation.report.picture import Picture
from clinical_t5x.evaluation.report.words import percent
from clinical_t5x.webpage import BLUE, GREY, INK, ORANGE, Chart

_MARKS = {"encoder-decoder": "o", "encoder": "s", "decoder": "^"}
_COLOURS = {GENERAL: GREY, BIOMEDICAL: ORANGE, CLINICAL: BLUE}
_KEY_TITLE = "architecture and pre-training"
_PANELS_A_ROW = 2
_PANEL_HEIGHT = 3.5  # inches
_NAME_SIZE = 7.0  # points
_GAP = 5.0  # points from a mark's middle to its name
_SLACK = 1.08  # names may be wider in the reader's typeface than in ours
_PIECE = 6.0  # points of a line that are looked at together
_LEADER = 2.0  # gaps between a name and its point from which on a line joins them


def picture(panels: Sequence[EffortPanel], *, name: str = "flops") -> Picture:
    """All panels as one picture."""
    rows = -(-len(panels) // _PANELS_A_ROW)
    parts = []
    for panel in panels:
        scores = [f"{p.name} {percent(p.entry.value)} at {p.flops:.1e}" for p in panel.points]
        parts.append(f"{panel.column.task} {panel.column.heading}: {', '.join(scores)}")
    words = "Scores in per cent against FLOPs of pre-training. " + ". ".join(parts) + "."
    return Picture(
        name, 0.1 + _PANEL_HEIGHT * rows, lambda chart: _draw(chart, panels), words, caption(panels)
    )


def caption(panels: Sequence[EffortPanel]) -> str:
    """What is drawn, and who is missing."""
    points = [point for panel in panels for point in panel.points]
    parts = [
        "Score against the FLOPs of pre-training, 6PT with the registry's parameters and tokens"
        " (the corrected ones), on a logarithmic axis. Thin lines join one design in several sizes."
    ]
    published = {point.is_published for point in points}
    if False in published:
        parts.append(
            "Filled marks were measured, with 95 % intervals, at the FLOPs of the registry's row"
            " that the run names."
        )
    if any(point.synthetic for point in points):
        parts.append(
            "On synthetic data a run may be of a tiny stand-in, which never saw so much text."
        )
    if True in published:
        parts.append(
            "Hollow marks are published numbers (Lehman et al. 2023) with one standard deviation"
            " over seeds."
        )
    if len(published) == 2:
        parts.append("A model's two marks are above each other and have one name.")
    if any(point.prompted for point in points):
        parts.append("Models marked * were prompted.")
    for panel in panels:
        if panel.left_out:
            parts.append(f"Not in {panel.column.task}: {', '.join(panel.left_out)}.")
    return " ".join(parts)


def _draw(chart: Chart, panels: Sequence[EffortPanel]) -> None:
    rows = -(-len(panels) // _PANELS_A_ROW)
    places = chart.figure.subplots(rows, _PANELS_A_ROW, squeeze=False).ravel()
    for axes, panel in zip(places, panels, strict=False):
        _draw_panel(axes, panel)
    handles = _key([point for panel in panels for point in panel.points])
    if len(panels) < len(places):
        places[-1].set_axis_off()
        places[-1].legend(handles=handles, loc="center left", title=_KEY_TITLE)
    else:
        chart.figure.legend(handles=handles, loc="outside upper left", ncols=4)
    # Names go where there is room once the panels have their places.
    chart.figure.draw_without_rendering()
    chart.figure.set_layout_engine("none")
    for axes, panel in zip(places, panels, strict=False):
        _write_names(axes, panel.points)


def _draw_panel(axes: Any, panel: EffortPanel) -> None:
    axes.set_xscale("log")
    for line in same_design(panel.points):
        axes.plot(
            [p.flops for p in line], [100 * p.entry.value for p in line], color=_colour(line[0]),
            linewidth=0.9, linestyle=":" if line[0].is_published else "-", zorder=1,
        )  # fmt: skip
    bounds = []
    for point in panel.points:
        low, high = _reach(point)
        bounds += [low, high]
        axes.plot([point.flops] * 2, [low, high], color=_colour(point), linewidth=1.2, alpha=0.6)
        axes.plot(
            point.flops, 100 * point.entry.value, _MARKS[point.architecture], markersize=5.5,
            color=_colour(point), markerfacecolor="white" if point.is_published else None, zorder=3,
        )  # fmt: skip
    axes.set_title(f"{panel.column.task}: {panel.column.heading}")
    axes.set_ylabel("per cent")
    axes.set_xlabel("FLOPs of pre-training", loc="left")
    flops = [point.flops for point in panel.points]
    # Room for names: on both sides, above and below.
    begin, end = min(flops) / 2.5, max(flops) * 2.5
    if end < 100 * begin:  # two decades at least, so that two of them are written
        begin, end = begin / 5, end * 5
    axes.set_xlim(begin, end)
    axes.xaxis.set_minor_formatter("")
    decades = range(math.ceil(math.log10(begin)), int(math.log10(end)) + 1)
    axes.set_xticks([10.0**k for k in decades], [f"10{_raised(k)}" for k in decades])
    room = max(0.12 * (max(bounds) - min(bounds)), 2.0)
    axes.set_ylim(min(bounds) - room, max(bounds) + room)


def _raised(exponent: int) -> str:
    return str(exponent).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _reach(point: EffortPoint) -> tuple[float, float]:
    """Ends of a point's bar in per cent: its interval, or a standard deviation up and down."""
    entry = point.entry
    if entry.low is not None and entry.high is not None:
        return 100 * entry.low, 100 * entry.high
    std = entry.std or 0.0
    return 100 * (entry.value - std), 100 * (entry.value + std)


def _colour(point: EffortPoint) -> str:
    return _COLOURS[point.text]


def _named(points: Sequence[EffortPoint]) -> list[EffortPoint]:
    """One point for each name: a measured and a published one of a model stand above each other."""
    first: dict[str, EffortPoint] = {}
    for point in points:
        first.setdefault(point.name, point)
    return list(first.values())


def _write_names(axes: Any, points: Sequence[EffortPoint]) -> None:
    """Write each name near its point, in points of print from the panel's lower left corner."""
    named = _named(points)
    others = [point for point in points if point not in named]
    names = [point.name + ("*" if point.prompted else "") for point in named]
    places = [_place(axes, point) for point in named]
    width, height = _in_points(axes, axes.transAxes.transform((1, 1)))
    boxes = place_labels(
        places,
        [_size(axes, name) for name in names],
        Box(2, 2, width - 2, height - 2),
        gap=_GAP,
        others=[_place(axes, point) for point in others],
        lines=_lines(axes, points),
    )
    for place, box, name in zip(places, boxes, names, strict=True):
        _write_name(axes, name, box)
        end = box.nearest(*place)
        if math.dist(place, end) > _LEADER * _GAP:
            _join(axes, place, end)


def _in_points(axes: Any, pixel: Any) -> tuple[float, float]:
    """A place of the canvas in points from the panel's lower left corner."""
    x, y = (pixel - axes.transAxes.transform((0, 0))) * 72.0 / axes.figure.dpi
    return float(x), float(y)


def _place(axes: Any, point: EffortPoint) -> tuple[float, float]:
    return _in_points(axes, axes.transData.transform((point.flops, 100 * point.entry.value)))


def _write_name(axes: Any, name: str, box: Box) -> None:
    middle = ((box.left + box.right) / 2, (box.bottom + box.top) / 2)
    ground = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.3}
    axes.annotate(
        name, middle, xycoords="axes points", ha="center", va="center", fontsize=_NAME_SIZE,
        color=INK, zorder=4, bbox=ground,
    ).set_in_layout(False)  # fmt: skip


def _join(axes: Any, place: tuple[float, float], end: tuple[float, float]) -> None:
    """A thin line from a point to its name."""
    style = {"arrowstyle": "-", "color": "#999999", "linewidth": 0.5, "shrinkA": 0, "shrinkB": 3}
    axes.annotate(
        "", place, xycoords="axes points", xytext=end, textcoords="axes points", arrowprops=style,
        zorder=2,
    ).set_in_layout(False)  # fmt: skip


def _size(axes: Any, name: str) -> tuple[float, float]:
    """Width and height of a name in points."""
    probe = axes.text(0, 0, name, fontsize=_NAME_SIZE)
    box = probe.get_window_extent()
    probe.remove()
    scale = 72.0 / axes.figure.dpi
    return _SLACK * scale * box.width, scale * box.height


def _lines(axes: Any, points: Sequence[EffortPoint]) -> list[Box]:
    """The points' bars and the lines between them, in small pieces."""
    ends = [((p.flops, _reach(p)[0]), (p.flops, _reach(p)[1])) for p in points]
    for line in same_design(points):
        ends += itertools.pairwise([(p.flops, 100 * p.entry.value) for p in line])
    pieces = []
    for begin, end in ends:
        (x0, y0), (x1, y1) = (_in_points(axes, axes.transData.transform(x)) for x in (begin, end))
        count = max(2, int(math.hypot(x1 - x0, y1 - y0) / _PIECE))
        for k in range(count + 1):
            x, y = x0 + (x1 - x0) * k / count, y0 + (y1 - y0) * k / count
            pieces.append(Box(x - 0.5, y - 0.5, x + 0.5, y + 0.5))
    return pieces


def _key(points: Sequence[EffortPoint]) -> list[Any]:
    """What marks, colours and fillings are, for a legend."""
    from matplotlib.lines import Line2D

    def mark(label: str, shape: str, colour: str, filling: str) -> Line2D:
        return Line2D(
            [], [], marker=shape, color=colour, markerfacecolor=filling, linestyle="none",
            markersize=5.5, label=label,
        )  # fmt: skip

    hollow = any(point.is_published for point in points)
    filling = "white" if hollow else INK
    handles = [
        mark(name, shape, INK, filling)
        for name, shape in _MARKS.items()
        if any(point.architecture == name for point in points)
    ]
    handles += [
        mark(f"{text} text", "D", colour, "white" if hollow else colour)
        for text, colour in _COLOURS.items()
        if any(point.text == text for point in points)
    ]
    origins = {point.origin for point in points}
    if len(origins) == 2:
        handles += [mark("measured", "o", INK, INK), mark("published", "o", INK, "white")]
    return handles
