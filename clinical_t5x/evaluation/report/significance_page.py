"""The significance matrices as tables of a page, and as pictures.

Systems are numbered, best first; a cell says by how many percentage points the row is better than
the column, and the corrected p-value. Clear differences are bold on a tinted ground: neither colour
nor ink alone says it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clinical_t5x import webpage
from clinical_t5x.evaluation.report.picture import Picture
from clinical_t5x.evaluation.report.significance import LEVEL, Matrix, Pair
from clinical_t5x.evaluation.report.words import counted, p_value, percent, points
from clinical_t5x.webpage import BLUE, GRID, INK, Chart
from clinical_t5x.webpage import escape as _e

CSS = """
.matrix { font-size: .8rem; min-width: 34rem; }
.matrix td, .matrix thead th + th { width: 3.1rem; }
.matrix th, .matrix td { padding: .28rem .35rem; text-align: center; }
.matrix thead th { padding-bottom: .2rem; }
.matrix tbody th { text-align: left; }
.matrix .clear { background: #dcebf5; font-weight: 700; }
.matrix .p { display: block; font-size: .7rem; font-weight: 400; }
@media print { .matrix .clear { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""

_TINT = "#cfe3f1"
_NAMES = 1.9  # inches for the names of rows
_HEAD = 0.52  # inches above the cells
_LONGEST_NAME = 30  # letters of a name in a picture
_MOST_TALL, _MOST_WIDE = 0.42, 0.8  # inches of a cell
_WIDTH = webpage.CHART_WIDTH


def section(matrices: Sequence[Matrix]) -> str:
    """All matrices; empty when there is nothing to compare."""
    if not matrices:
        return ""
    said = (
        "<p>Systems are numbered from the best. A cell says by how many percentage points the row"
        " is better than the column, with the p-value below, corrected by Holm over all pairs of"
        f" its table. <strong>Bold on a tinted ground</strong>: below {LEVEL:g}. Differences are on"
        " the same examples; a difference that is not clear may still be there.</p>"
    )
    tables = "\n".join(_table(matrix) for matrix in matrices)
    return webpage.section("significance", "Which systems differ", said, tables)


def _table(matrix: Matrix) -> str:
    numbers = range(1, len(matrix.systems))
    head = "".join(f'<th scope="col">{k + 1}</th>' for k in numbers)
    rows = "\n".join(_row(matrix, k) for k in range(len(matrix.systems)))
    return (
        f'<div class="scroll"><table class="matrix"><caption>{_e(caption(matrix))}</caption>'
        f'<thead><tr><th scope="col"></th><th scope="col">score</th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _row(matrix: Matrix, better: int) -> str:
    system = matrix.systems[better]
    cells = "".join(_cell(matrix, better, worse) for worse in range(1, len(matrix.systems)))
    name = _e(system_name(matrix, better))
    return f'<tr><th scope="row">{name}</th><td>{percent(system.value)}</td>{cells}</tr>'


def _cell(matrix: Matrix, better: int, worse: int) -> str:
    pair = matrix.pairs.get((better, worse))
    if pair is None:
        return "<td></td>"
    kind = ' class="clear"' if pair.is_clear else ""
    return (
        f"<td{kind}>{points(pair.difference.value)}"
        f'<span class="p">{_e(p_value(pair.p_holm))}</span></td>'
    )


def system_name(matrix: Matrix, index: int) -> str:
    """A system's number and name; its network too where the name alone is not enough."""
    system = matrix.systems[index]
    alike = sum(other.name == system.name for other in matrix.systems) > 1
    return f"{index + 1} {system.name}" + (f" ({system.model})" if alike and system.model else "")


def shortened(name: str) -> str:
    """A name that a picture has room for."""
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


def caption(matrix: Matrix) -> str:
    """What the matrix shows."""
    return (
        f"{matrix.title}: row minus column, percentage points, and p after Holm's correction for"
        f" {counted(len(matrix.pairs), 'comparison')}; {matrix.clear} below {LEVEL:g}. Paired over"
        f" {counted(matrix.n_units, matrix.unit)}."
    )


def picture(matrix: Matrix) -> Picture:
    """The matrix as a picture of a page's width."""
    height = _cell_size(matrix)[1] * len(matrix.systems) + _HEAD + 0.08
    clear = [
        f"{matrix.systems[p.better].name} over {matrix.systems[p.worse].name}"
        f" {points(p.difference.value)}"
        for p in matrix.pairs.values()
        if p.is_clear
    ]
    words = f"Matrix of differences. Clear ones: {'; '.join(clear) or 'none'}."
    return Picture(
        f"significance_{matrix.name}",
        height,
        lambda chart: _draw(chart, matrix),
        words,
        caption(matrix),
    )


def _cell_size(matrix: Matrix) -> tuple[float, float]:
    """Width and height of a cell in inches."""
    columns = len(matrix.systems)  # the scores take the first
    width = min(_MOST_WIDE, (_WIDTH - _NAMES - 0.1) / columns)
    return width, min(_MOST_TALL, max(0.26, 0.8 * width))


def _draw(chart: Chart, matrix: Matrix) -> None:
    count = len(matrix.systems)
    wide, tall = _cell_size(matrix)
    size = min(8.0, 15.0 * wide)  # points; a cell holds five digits
    chart.figure.set_layout_engine("none")
    height = chart.figure.get_size_inches()[1]
    _write_head(chart.figure, matrix, 1 - 0.18 / height)
    axes = chart.figure.add_axes(
        (_NAMES / _WIDTH, 0.08 / height, wide * count / _WIDTH, tall * count / height)
    )
    axes.set_xlim(-0.5, count - 0.5)
    axes.set_ylim(count - 0.5, -0.5)
    axes.axis("off")
    middle = {"ha": "center", "va": "center", "fontsize": size, "color": INK}
    for k, system in enumerate(matrix.systems):
        name = shortened(system_name(matrix, k))
        axes.text(-0.62, k, name, ha="right", va="center", fontsize=min(8.5, size + 1), color=INK)
        axes.text(0, k, percent(system.value), **middle)
        axes.text(k, -0.62, str(k + 1) if k else "score", **middle)
    for pair in matrix.pairs.values():
        _draw_pair(axes, pair, size)
    axes.plot([0.5, 0.5], [-0.5, count - 0.5], color=BLUE, linewidth=0.8)


def _write_head(figure: Any, matrix: Matrix, y: float) -> None:
    """The title, and how to read a cell."""
    how = (
        "row minus column in percentage points; below: p, Holm-corrected over"
        f" {counted(len(matrix.pairs), 'pair')}; bold and tinted: p < {LEVEL:g}"
    )
    figure.text(0.05 / _WIDTH, y, matrix.title, fontweight="bold", fontsize=9.5)
    figure.text(_NAMES / _WIDTH, y, how, fontsize=7, color=INK)


def _draw_pair(axes: Any, pair: Pair, size: float) -> None:
    """A cell: the difference above, the corrected p-value below."""
    from matplotlib.patches import Rectangle

    corner = (pair.worse - 0.5, pair.better - 0.5)
    face = _TINT if pair.is_clear else "white"
    axes.add_patch(Rectangle(corner, 1, 1, facecolor=face, edgecolor=GRID, linewidth=0.6))
    middle = {"ha": "center", "va": "center", "color": INK if pair.is_clear else "#555555"}
    weight = "bold" if pair.is_clear else "normal"
    value = points(pair.difference.value)
    axes.text(pair.worse, pair.better - 0.2, value, fontsize=size, weight=weight, **middle)
    corrected = p_value(pair.p_holm).replace(" ", "")
    axes.text(pair.worse, pair.better + 0.24, corrected, fontsize=0.85 * size, **middle)
