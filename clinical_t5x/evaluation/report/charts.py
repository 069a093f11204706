"""Scores with intervals and paired differences as pictures; and the style of each system."""

from __future__ import annotations

from typing import Any

from clinical_t5x.evaluation.report.collect import ReportData
from clinical_t5x.evaluation.report.main_table import (
    MEASURED,
    PAPER_NAME,
    PUBLISHED,
    Entry,
    MainTable,
    TableLine,
)
from clinical_t5x.evaluation.report.picture import Picture
from clinical_t5x.evaluation.report.words import percent, points
from clinical_t5x.webpage import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, SKY, VERMILION, Chart

_ROW = 0.23  # inches
_APART = 0.16  # of a row, from its middle to one of two lines in it

# By initialisation: colour, mark, line style.
STYLES = {
    "majority": (GREY, "D", ":"),
    "scratch": (VERMILION, "s", "--"),
    "pretrained": (BLUE, "o", "-"),
}
OTHERS = (
    (GREEN, "^", "-."),
    (PURPLE, "v", "--"),
    (SKY, "P", ":"),
    (ORANGE, "X", "-"),
    (INK, "*", "-."),
    (GREEN, "D", "--"),
    (PURPLE, "H", ":"),
    (SKY, "p", "-"),
    (ORANGE, "<", "-."),
)


def style_of(initialisation: str, index: int) -> tuple[str, str, str]:
    """Colour, mark and line style of a system; `index` tells apart those without their own."""
    return STYLES.get(initialisation, OTHERS[index % len(OTHERS)])


def score_picture(table: MainTable, *, name: str = "scores") -> Picture:
    """A panel for each metric, a line for each system: its score with interval or spread."""
    parts = []
    for line in table.lines:
        numbers = ", ".join(
            f"{column.task} {column.heading} {percent(entry.value)}"
            for column, entry in line.entries.items()
        )
        parts.append(f"{line.name} ({line.origin}): {numbers}")
    words = "Dot chart of the scores in per cent. " + ". ".join(parts) + "."
    height = 0.75 + _ROW * len(_by_label(table)) + (0.25 if len(table.origins) > 1 else 0)
    return Picture(
        name, height, lambda chart: _draw_scores(chart, table), words, _score_caption(table)
    )


def _score_caption(table: MainTable) -> str:
    kinds = []
    if MEASURED in table.origins:
        kinds.append("filled marks were measured, their bars are 95 % intervals")
    if PUBLISHED in table.origins:
        kinds.append(
            f"hollow marks are published ({PAPER_NAME}), their bars reach one standard deviation"
            " over seeds up and down"
        )
    left_out = any(e.test_part != 1.0 for line in table.lines for e in line.entries.values())
    said = f"The same scores in per cent: {'; '.join(kinds)}. Axes do not begin at 0."
    return said + (" Scores on a part of the test split are not drawn." if left_out else "")


def _draw_scores(chart: Chart, table: MainTable) -> None:
    columns, by_label = table.columns, _by_label(table)
    panels = chart.figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    for axes, column in zip(panels, columns, strict=True):
        for y, lines in enumerate(by_label.values()):
            for k, line in enumerate(lines):
                entry = line.entries.get(column)
                if entry is not None and entry.test_part == 1.0:
                    _draw_score(axes, y + _APART * (2 * k - len(lines) + 1), line, entry)
        axes.set_title(f"{column.task}\n{column.heading}", fontsize=8.5)
        axes.tick_params(axis="x", labelsize=7.5)
        axes.margins(x=0.12)
    panels[0].set_yticks(range(len(by_label)), list(by_label), fontsize=8)
    panels[0].set_ylim(len(by_label) - 0.4, -0.6)
    if len(table.origins) > 1:
        _write_origins(chart)


def _draw_score(axes: Any, y: float, line: TableLine, entry: Entry) -> None:
    low, high = spread(entry)
    hollow = line.origin == PUBLISHED
    colour = GREY if line.key == "majority" else INK if hollow else BLUE
    axes.plot(
        [100 * low, 100 * high], [y, y], color=colour, linewidth=1.0 if hollow else 2.2, alpha=0.55
    )
    axes.plot(
        100 * entry.value, y, "o", color=colour, markersize=4.5,
        markerfacecolor="white" if hollow else colour,
    )  # fmt: skip


def spread(entry: Entry) -> tuple[float, float]:
    """Ends of an entry's bar: its interval, or a standard deviation up and down, or nothing."""
    if entry.low is not None and entry.high is not None:
        return entry.low, entry.high
    std = (entry.std or 0.0) if entry.source else 0.0
    return entry.value - std, entry.value + std


def _by_label(table: MainTable) -> dict[str, list[TableLine]]:
    """Lines by what stands beside them: a measured and a published line of one model share it."""
    found: dict[str, list[TableLine]] = {}
    for line in table.lines:
        found.setdefault(_line_label(line, table), []).append(line)
    return found


def _line_label(line: TableLine, table: MainTable) -> str:
    """A line's name; its network too where two measured lines share the name."""
    alike = [o for o in table.lines if (o.name, o.origin) == (line.name, line.origin)]
    return f"{line.name} ({line.detail})" if len(alike) > 1 and line.detail else line.name


def _write_origins(chart: Chart) -> None:
    from matplotlib.lines import Line2D

    style = {"marker": "o", "markersize": 4.5, "linestyle": "none"}
    handles = [
        Line2D([], [], color=BLUE, label="measured", **style),
        Line2D(
            [], [], color=INK, markerfacecolor="white", label=f"published ({PAPER_NAME})", **style
        ),
    ]
    chart.figure.legend(handles=handles, loc="outside upper left", ncols=2)


def difference_picture(data: ReportData) -> Picture:
    """Paired differences in percentage points with their intervals."""
    words = "Paired differences in percentage points. " + ". ".join(
        f"{line.title} {points(line.difference.value)}, interval"
        f" {points(line.difference.interval.low)} to {points(line.difference.interval.high)}"
        for line in data.differences
    )
    height = 0.75 + 0.3 * len(data.differences)
    caption = "Differences with 95 % intervals."
    return Picture(
        "differences", height, lambda chart: _draw_differences(chart, data), words, caption
    )


def _draw_differences(chart: Chart, data: ReportData) -> None:
    """Differences and a line at 0."""
    lines = data.differences
    several = len({line.model for line in lines}) > 1
    axes = chart.figure.subplots()
    colour, mark, _ = STYLES["pretrained"]
    for y, line in enumerate(lines):
        low, high = line.difference.interval.low, line.difference.interval.high
        axes.plot([100 * low, 100 * high], [y, y], color=colour, linewidth=2.2, alpha=0.55)
        axes.plot(100 * line.difference.value, y, mark, color=colour, markersize=5.5)
    names = [line.title + (f", {line.model}" if several else "") for line in lines]
    axes.axvline(0, color=INK, linewidth=0.9)
    axes.set_yticks(range(len(lines)), names)
    axes.set_ylim(len(lines) - 0.5, -0.5)
    reach = max(abs(bound) for bound in axes.get_xlim())
    low, high = axes.get_xlim()
    # 0 always lies well inside, so that its side is seen at once.
    axes.set_xlim(min(low, -0.25 * reach), max(high, 0.25 * reach))
    axes.set_xlabel(f"percentage points; right of 0: {lines[0].first.lower()} is better")
    axes.grid(axis="y", visible=False)
