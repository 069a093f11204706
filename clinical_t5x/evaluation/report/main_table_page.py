"""The main table on a page: measured lines plain; published ones labelled, tinted, in italics."""

from __future__ import annotations

from clinical_t5x import webpage
from clinical_t5x.evaluation.registry.published import ERRATA
from clinical_t5x.evaluation.report.main_table import PUBLISHED, Entry, MainTable, TableLine, marker
from clinical_t5x.evaluation.report.table import Column
from clinical_t5x.evaluation.report.text import how_to_read, line_detail, spread_words
from clinical_t5x.evaluation.report.words import percent
from clinical_t5x.webpage import escape as _e

CSS = """
.scores td, .scores th { padding-right: .7rem; }
.scores .origin { text-align: left; white-space: normal; font-size: .82rem; color: var(--soft); }
.scores tr.published > * { background: #f4f4f4; }
.scores tr.published .number { font-style: italic; }
.scores tr { break-inside: avoid; }
.scores sup { line-height: 0; }
.scores .seeds { font-size: .72rem; }
.scores .many { white-space: normal; max-width: 6.6rem; margin-left: auto; }
.notes { font-size: .85rem; list-style: none; padding-left: 0; }
h3 { font-size: 1rem; font-weight: 500; margin: 1.4rem 0 .3rem; }
"""

_SEEDS_IN_A_LINE = 3
_LINES_ON_A_PAGE = 12  # of a table that is printed in one piece


def table(found: MainTable) -> str:
    """The table, how to read it, and its notes."""
    columns = found.columns
    tasks = list(dict.fromkeys(column.task for column in columns))
    first = "".join(
        f'<th scope="colgroup" colspan="{sum(c.task == task for c in columns)}">{_e(task)}</th>'
        for task in tasks
    )
    second = "".join(_heading(found, column) for column in columns)
    rows = "\n".join(_row(found, line) for line in found.lines)
    several = any(len(e.by_seed) > 1 for line in found.lines for e in line.entries.values())
    seeds = "Below intervals: each training seed. " if several else ""
    caption = f"Per cent; higher is better everywhere. {seeds}{' '.join(how_to_read(found))}"
    long = " long" if len(found.lines) > _LINES_ON_A_PAGE else ""
    notes = "".join(
        f'<li id="note-{marker(k)}"><sup>{marker(k)}</sup> {_e(note)}</li>'
        for k, note in enumerate(found.notes)
    )
    return (
        f'<div class="scroll"><table class="wide scores{long}"><caption>{_e(caption)}</caption>'
        '<thead><tr><td rowspan="2"></td>'
        f'<th rowspan="2" scope="col" class="origin">origin</th>{first}</tr>'
        f"<tr>{second}</tr></thead><tbody>\n{rows}\n</tbody></table></div>"
        + (f'<ul class="notes">{notes}</ul>' if notes else "")
    )


def _heading(found: MainTable, column: Column) -> str:
    """A metric's heading, and the paper's table that its published numbers are from."""
    source = found.source_of(column)
    below = f'<span class="detail">{_e(source)}</span>' if source else ""
    return f'<th scope="col">{_e(column.heading)}{below}</th>'


def _row(found: MainTable, line: TableLine) -> str:
    detail = line_detail(line)
    detail = f'<span class="detail">{_e(detail)}</span>' if detail else ""
    cells = "".join(
        f"<td>{_cell(found, line.entries.get(column))}</td>" for column in found.columns
    )
    return (
        f'<tr class="{line.origin}"><th scope="row">{_e(line.name)}{detail}</th>'
        f'<td class="origin">{_e(line.origin_words)}</td>{cells}</tr>'
    )


def _cell(found: MainTable, entry: Entry | None) -> str:
    if entry is None:
        return '<span class="detail">not evaluated</span>'
    marks = ", ".join(f'<a href="#note-{mark}">{mark}</a>' for mark in found.markers(entry))
    marks = f"<sup>{marks}</sup>" if marks else ""
    seeds = ""
    if len(entry.by_seed) > 1:
        each = ", ".join(percent(value) for value in entry.by_seed)
        many = " many" if len(entry.by_seed) > _SEEDS_IN_A_LINE else ""
        seeds = f'<span class="interval seeds{many}">{each}</span>'
    return (
        f'<span class="number">{percent(entry.value)}{marks}</span>'
        f'<span class="interval">{_e(spread_words(entry))}</span>{seeds}'
    )


def errata(found: MainTable) -> str:
    """Where the paper contradicts itself, when its numbers are shown."""
    if PUBLISHED not in found.origins:
        return ""
    items = "".join(f"<li>{_e(one.where)}: {_e(one.text)}</li>" for one in ERRATA)
    said = "<p>Numbers that these touch carry a note in the tables above.</p>"
    return webpage.section(
        "errata", "Where the paper contradicts itself", f"{said}<ul>{items}</ul>"
    )
