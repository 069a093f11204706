"""The learning curve as a picture: a panel for each task, score against fraction on a log axis."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from clinical_t5x.evaluation.report.learning_curve import STD, LearningCurve, Line, Panel, Point
from clinical_t5x.evaluation.report.learning_curve_styles import PROMPTED, LineStyle, Styles
from clinical_t5x.evaluation.report.picture import Picture
from clinical_t5x.webpage import GREY, INK

_PANELS_A_ROW = 2
_PANEL_HEIGHT = 3.3  # inches
_LABEL_GAP = 0.062  # of the axis' height, at least between two labels
# Of the range of fractions, on its log axis: room left of the first and right of the last one, for
# the labels; and how far systems stand beside each other, so that intervals can be told apart.
_ROOM, _ROOM_FOR_LABELS, _DODGE, _WIDEST = 0.09, 0.58, 0.032, 0.1
_ROOM_IN_A_WIDE_PANEL = 0.22


def picture(curve: LearningCurve, words: str, caption: str, *, name: str = "curve") -> Picture:
    """The curve as a picture for a page and for files."""
    return Picture(name, _height(curve), lambda chart: _draw(chart.figure, curve), words, caption)


def picture_files(curve: LearningCurve) -> dict[str, bytes]:
    """The picture as files of its own, by ending: "svg" and "png" (200 dots per inch)."""
    return picture(curve, "", "").files()


def _height(curve: LearningCurve) -> float:
    return 0.2 + _PANEL_HEIGHT * -(-len(curve.panels) // _PANELS_A_ROW)


def _draw(figure: Any, curve: LearningCurve) -> None:
    """Draw all panels; where published lines are among them, the free place says how to read."""
    columns = min(_PANELS_A_ROW, len(curve.panels))
    rows = -(-len(curve.panels) // columns)
    places = figure.subplots(rows, columns, squeeze=False).ravel()
    styles = Styles.of(curve)
    room = _ROOM_FOR_LABELS if columns > 1 else _ROOM_IN_A_WIDE_PANEL
    for axes, panel in zip(places, curve.panels, strict=False):
        _draw_panel(axes, panel, styles, room)
    free = places[len(curve.panels) :]
    for axes in free:
        axes.set_axis_off()
    if styles.with_published:
        styles.write_key(figure, free[0] if len(free) else None)


def _draw_panel(axes: Any, panel: Panel, styles: Styles, room_for_labels: float) -> None:
    scale = _Scale.of(panel)
    _set_fractions(axes, panel, scale)
    labels = []
    for k, line in enumerate(panel.lines):
        place = k - (len(panel.lines) - 1) / 2
        label = _draw_line(axes, line, styles.of_line(line), place, scale)
        labels += [label] if styles.named_at_lines else []
    if panel.majority is not None:
        y = 100 * panel.majority
        axes.plot(scale.ends, [y, y], color=GREY, linestyle=":", linewidth=1.3)
        labels.append(_Label(y, "Majority", GREY))
    for reference in panel.references:
        y = 100 * reference.value
        axes.plot(scale.ends, [y, y], color=GREY, linestyle=PROMPTED, linewidth=1.1)
        labels.append(_Label(y, styles.reference_label(reference), GREY))
    axes.set_title(f"{panel.column.task}: {panel.column.heading}")
    axes.set_ylabel("per cent")
    axes.grid(axis="x", visible=False)
    _set_heights(axes, panel)
    begin, end = scale.ends
    axes.set_xlim(begin, end * scale.reach**room_for_labels)
    axes.spines["bottom"].set_bounds(begin, end)
    _write_labels(axes, labels, end)


@dataclasses.dataclass(frozen=True)
class _Scale:
    """The fractions of a panel, the length of its log axis, and the place of a system on it."""

    fractions: tuple[float, ...]
    reach: float
    dodge: float

    @classmethod
    def of(cls, panel: Panel) -> _Scale:
        found = sorted({point.fraction for line in panel.lines for point in line.points})
        dodge = min(_DODGE, _WIDEST / len(panel.lines))
        return cls(tuple(found), max(found[-1] / found[0], 10.0), dodge)

    @property
    def ends(self) -> tuple[float, float]:
        """Where the axis begins and ends; labels stand right of it."""
        room = self.reach**_ROOM
        return self.fractions[0] / room, self.fractions[-1] * room

    def beside(self, fraction: float, places: float) -> float:
        """Some places right of a fraction."""
        return fraction * self.reach ** (self.dodge * places)


def _set_fractions(axes: Any, panel: Panel, scale: _Scale) -> None:
    """Ticks at the fractions, with the number of training examples below where it is known."""
    axes.set_xscale("log")
    names = []
    for fraction in scale.fractions:
        count = panel.examples.get(fraction)
        names.append(f"{100 * fraction:g}" + (f"\n{count:,}" if count else ""))
    axes.set_xticks(scale.fractions, names, fontsize=7)
    axes.minorticks_off()
    known = any(panel.examples.get(fraction) for fraction in scale.fractions)
    axes.set_xlabel(
        "per cent of the training split" + (f"; its {panel.counted}" if known else ""), loc="left"
    )


@dataclasses.dataclass(frozen=True)
class _Label:
    """What is written beside the end of a line, at the height of its last point."""

    y: float
    text: str
    colour: str
    mark: str = ""
    filling: str = "white"


def _draw_line(axes: Any, line: Line, style: LineStyle, place: float, scale: _Scale) -> _Label:
    """Means with intervals, and each seed as a small hollow mark beside its mean."""
    places = [scale.beside(point.fraction, place) for point in line.points]
    for x, point in zip(places, line.points, strict=True):
        _draw_interval(axes, x, point, style)
        if len(point.by_seed) > 1:
            values = [100 * value for value in point.by_seed]
            beside = [scale.beside(x, 0.42 if place >= 0 else -0.42)] * len(values)
            axes.plot(
                beside, values, style.mark, color=style.colour, markersize=2.8, fillstyle="none",
                markeredgewidth=0.7, linestyle="none",
            )  # fmt: skip
    values = [100 * point.value for point in line.points]
    axes.plot(
        places, values, style.style, color=style.colour, marker=style.mark, markersize=5.5,
        markerfacecolor=style.filling, linewidth=1.6, zorder=3,
    )  # fmt: skip
    return _Label(values[-1], line.title, style.colour, style.mark, style.filling)


def _draw_interval(axes: Any, x: float, point: Point, style: LineStyle) -> None:
    """Intervals as broad bars; the spread of published points, which is none, as a thin line."""
    if point.low is not None and point.high is not None:
        width = 1.0 if point.method == STD else 2.2
        axes.plot(
            [x, x], [100 * point.low, 100 * point.high], color=style.colour, linewidth=width,
            alpha=0.45, solid_capstyle="butt",
        )  # fmt: skip


def _set_heights(axes: Any, panel: Panel) -> None:
    """The range of everything that is drawn, at least ten points, never below 0 or above 100."""
    shown = [100 * panel.majority] if panel.majority is not None else []
    shown += [100 * reference.value for reference in panel.references]
    for line in panel.lines:
        for point in line.points:
            bounds = [b for b in (point.low, point.high) if b is not None]
            shown += [100 * value for value in (*bounds, *point.by_seed, point.value)]
    low, high = min(shown), max(shown)
    room = max(0.06 * (high - low), (10 - (high - low)) / 2, 0.5)
    axes.set_ylim(max(-1.5, low - room), min(101.5, high + room))


def _write_labels(axes: Any, labels: Sequence[_Label], end: float) -> None:
    """Names at the lines' ends, moved apart where they would touch."""
    if not labels:
        return
    low, high = axes.get_ylim()
    gap = _LABEL_GAP * (high - low)
    heights: list[float] = []
    ordered = sorted(labels, key=lambda label: label.y)
    for label in ordered:
        heights.append(max(label.y, heights[-1] + gap) if heights else label.y)
    excess = heights[-1] - (high - gap / 2)
    if excess > 0:  # too many at the top: push down what is in the way
        for k in range(len(heights) - 1, -1, -1):
            ceiling = high - gap / 2 if k == len(heights) - 1 else heights[k + 1] - gap
            heights[k] = min(heights[k], ceiling)
    for label, y in zip(ordered, heights, strict=True):
        axes.plot(
            end, y, label.mark or "None", color=label.colour, markersize=4, clip_on=False,
            markerfacecolor=label.filling,
        )  # fmt: skip
        axes.annotate(
            label.text,
            (end, y),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5 if label.mark else 7.5,
            color=INK if label.mark else label.colour,
        )
