"""The table and the differences as text: for a terminal, as Markdown, as CSV, as JSON.

Every form says of each line whether it was measured or published.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clinical_t5x.evaluation.report import cost_table
from clinical_t5x.evaluation.report.collect import ReportData
from clinical_t5x.evaluation.report.csv_rows import csv_of
from clinical_t5x.evaluation.report.main_table import (
    MEASURED,
    PAPER_NAME,
    PUBLISHED,
    Entry,
    MainTable,
    TableLine,
    marker,
)
from clinical_t5x.evaluation.report.significance import Matrix
from clinical_t5x.evaluation.report.table import COLUMNS, Column, DifferenceLine, fraction_note
from clinical_t5x.evaluation.report.words import counted, interval, p_value, percent, points


def spread_words(entry: Entry) -> str:
    """What follows a number: a published one's deviation, a measured one's interval."""
    if entry.source:
        return "one run" if entry.std is None else f"± {percent(entry.std)}"
    return interval(entry.low, entry.high)


def seeds_words(line: TableLine) -> str:
    """How many training seeds a measured line is of, where there are several."""
    counts = sorted({len(entry.by_seed) for entry in line.entries.values()} - {0})
    if counts in ([], [1]):
        return ""
    return f"{counts[0] if len(counts) == 1 else f'{counts[0]} to {counts[-1]}'} seeds"


def line_detail(line: TableLine) -> str:
    """What stands under a line's name: network or size, and seeds."""
    return ", ".join(part for part in (line.detail, seeds_words(line)) if part)


def units_note(data: ReportData) -> list[str]:
    """For each task: how many examples and units the measured numbers rest on."""
    lines: dict[str, str] = {}
    for row in data.rows:
        for column, cell in row.cells.items():
            lines[column.task] = (
                f"{column.task}: {counted(cell.n, 'example')} in {counted(cell.n_units, cell.unit)}"
            )
    return [lines[task] for task in dict.fromkeys(c.task for c in COLUMNS) if task in lines]


def how_to_read(table: MainTable) -> list[str]:
    """What the numbers of each kind of line are, and where published ones are printed."""
    found = []
    if MEASURED in table.origins:
        found.append("Measured: mean over training seeds, 95 % interval.")
    if PUBLISHED in table.origins:
        found.append(
            f"Published: {PAPER_NAME}, mean ± standard deviation over seeds, no interval;"
            f" {'; '.join(table.sources())}."
        )
    if table.is_apart:
        found.append(
            "Something was measured on synthetic data or on another part of a test split: it does"
            " not compare with the published numbers, and figures keep the two apart."
        )
    return found


def terminal_table(data: ReportData) -> Any:
    """The table and the differences as one rich renderable."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    columns = data.table.columns
    # As narrow as it may be: 80 columns hold names (folded), origins (whole) and five metrics.
    table = Table(
        title=f"Scores on the {data.split} split, per cent",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("", overflow="fold")
    table.add_column("origin", no_wrap=True)
    for column in columns:
        table.add_column(f"{column.task}\n{column.heading}", justify="right")
    for line in data.table.lines:
        cells = [_terminal_cell(data.table, line, column) for column in columns]
        name = Text(line.name)
        if detail := line_detail(line):
            name.append(f"\n{detail}", style="dim")
        table.add_row(name, line.origin_words.replace(" ", "\n"), *cells)
    parts: list[Any] = [table]
    if data.differences:
        parts += [Text(), _terminal_differences(data.differences)]
    if data.matrices:
        parts += [Text(), *(Text(matrix_summary(matrix)) for matrix in data.matrices)]
    says = [*how_to_read(data.table), *numbered_notes(data.table)]
    if data.rows:
        says.append("; ".join(units_note(data)))
    return Group(*parts, *(Text(said, style="dim") for said in says))


def _terminal_differences(lines: Sequence[DifferenceLine]) -> Any:
    from rich.table import Table

    title = f"{lines[0].first} minus {lines[0].second.lower()}, paired"
    table = Table(title=title, title_justify="left")
    for heading in ("", "points", "95% interval", "p", "p (Holm)"):
        table.add_column(heading, justify="left" if not heading else "right")
    for line in lines:
        table.add_row(*_difference_fields(line))
    return table


def _terminal_cell(table: MainTable, line: TableLine, column: Column) -> str:
    entry = line.entries.get(column)
    if entry is None:
        return ""
    spread = spread_words(entry).replace(" to ", "–")
    return f"{percent(entry.value)}{markers(table, entry)}\n{spread}"


def markers(table: MainTable, entry: Entry) -> str:
    """The letters of an entry's notes in brackets, with a space before."""
    found = table.markers(entry)
    return f" ({','.join(found)})" if found else ""


def numbered_notes(table: MainTable) -> list[str]:
    """The notes with their letters."""
    return [f"({marker(k)}) {note}" for k, note in enumerate(table.notes)]


def matrix_summary(matrix: Matrix) -> str:
    """One line about a significance matrix."""
    return (
        f"{matrix.title}: {matrix.clear} of {counted(len(matrix.pairs), 'pair')} of systems differ"
        " clearly (paired, Holm-corrected p below 0.05)."
    )


def _difference_fields(line: DifferenceLine) -> tuple[str, ...]:
    difference = line.difference
    return (
        line.title,
        points(difference.value),
        f"{points(difference.interval.low)} to {points(difference.interval.high)}",
        p_value(difference.p_value),
        p_value(line.p_holm),
    )


def markdown(data: ReportData) -> str:
    """The table, the differences, the matrices and the costs as Markdown."""
    lines = [f"Scores on the {data.split} split, per cent.", ""]
    if data.synthetic != "none":
        said = "**Synthetic data: these numbers say nothing about real notes.**"
        if PUBLISHED in data.table.origins:
            said = "**Measured on synthetic data: such numbers say nothing about real notes.**"
        lines[:0] = [said, ""]
    headings = [_markdown_heading(data.table, column) for column in data.table.columns]
    lines += _markdown_head(["system", "origin", *headings])
    for line in data.table.lines:
        detail = line_detail(line)
        name = f"{line.name} ({detail})" if detail else line.name
        cells = [_markdown_cell(data.table, line, column) for column in data.table.columns]
        lines.append(_markdown_row([name, line.origin_words, *cells]))
    says = [*how_to_read(data.table), *numbered_notes(data.table), *units_note(data)]
    lines += ["", *(f"- {said}" for said in says)]
    if data.differences:
        first, second = data.differences[0].first, data.differences[0].second
        lines += ["", f"{first} minus {second.lower()}, paired by unit, percentage points.", ""]
        lines += _markdown_head(["metric", "difference", "95 % interval", "p", "p (Holm)"])
        lines += [_markdown_row(_difference_fields(line)) for line in data.differences]
    for matrix in data.matrices:
        lines += _markdown_matrix(matrix)
    lines += _markdown_costs(data.costs)
    return "\n".join(lines) + "\n"


def _markdown_heading(table: MainTable, column: Column) -> str:
    source = table.source_of(column)
    return f"{column.task} {column.heading}" + (f" (published: {source})" if source else "")


def _markdown_head(headings: Sequence[str]) -> list[str]:
    return [_markdown_row(headings), "|---" * len(headings) + "|"]


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _markdown_cell(table: MainTable, line: TableLine, column: Column) -> str:
    entry = line.entries.get(column)
    if entry is None:
        return ""
    spread = spread_words(entry)
    return f"{percent(entry.value)} ({spread}){markers(table, entry)}"


def _markdown_matrix(matrix: Matrix) -> list[str]:
    """A matrix: row minus column in points, bold where clear; systems best first."""
    count = len(matrix.systems)
    lines = ["", f"{matrix_summary(matrix)} Row minus column, percentage points; bold: clear.", ""]
    lines += _markdown_head(["system", "score", *(str(k + 1) for k in range(1, count))])
    for k, system in enumerate(matrix.systems):
        cells = [f"{k + 1} {system.name}", percent(system.value)]
        for m in range(1, count):
            pair = matrix.pairs.get((k, m))
            shown = "" if pair is None else points(pair.difference.value)
            cells.append(f"**{shown}**" if pair is not None and pair.is_clear else shown)
        lines.append(_markdown_row(cells))
    return lines


def _markdown_costs(costs: cost_table.CostTable) -> list[str]:
    lines: list[str] = []
    if costs.lines:
        lines += ["", cost_table.EXPLANATION, "", *_markdown_head(cost_table.HEADINGS)]
        lines += [_markdown_row(cost_table.fields(costs, line)) for line in costs.lines]
        lines += ["", *(f"- {note}" for note in cost_table.notes(costs))]
    if costs.break_evens:
        lines += ["", cost_table.BREAK_EVEN_EXPLANATION, ""]
        lines += _markdown_head(cost_table.BREAK_EVEN_HEADINGS)
        lines += [_markdown_row(cost_table.break_even_fields(one)) for one in costs.break_evens]
    if costs.usage:
        lines += ["", "Measured while prompting:", ""]
        lines += [f"- {', '.join(cost_table.usage_fields(line))}" for line in costs.usage]
    return lines


CSV_FIELDS = (
    "kind", "origin", "system", "name", "model", "fraction", "task", "metric", "value", "std",
    "low", "high", "level", "method", "p_value", "p_holm", "seeds", "n", "n_units", "unit", "split",
    "test_part", "source", "notes", "synthetic",
)  # fmt: skip


def rows_as_dicts(data: ReportData) -> list[dict[str, Any]]:
    """Scores and differences, one flat dict each, fractions unrounded."""
    found = []
    for line in data.table.lines:
        for column, entry in line.entries.items():
            has_interval = entry.low is not None
            found.append(
                {
                    "kind": "score", "origin": line.origin, "system": line.key, "name": line.name,
                    "model": line.detail, "fraction": line.fraction, "task": column.family,
                    "metric": column.metric, "value": entry.value, "std": entry.std,
                    "low": entry.low, "high": entry.high, "level": 0.95 if has_interval else None,
                    "method": entry.method,
                    "seeds": len(entry.by_seed) or None, "n": entry.n, "n_units": entry.n_units,
                    "unit": entry.unit, "split": data.split, "test_part": entry.test_part,
                    "source": entry.source, "notes": " ".join(entry.notes),
                    "synthetic": line.synthetic,
                }
            )  # fmt: skip
    for line in data.differences:
        difference = line.difference
        found.append(
            {
                "kind": "difference", "origin": MEASURED, "system": "pretrained minus scratch",
                "name": f"{line.first} minus {line.second.lower()}{fraction_note(line.fraction)}",
                "model": line.model, "fraction": line.fraction, "task": line.column.family,
                "metric": line.column.metric, "value": difference.value,
                "low": difference.interval.low, "high": difference.interval.high, "level": 0.95,
                "method": difference.interval.method, "p_value": difference.p_value,
                "p_holm": line.p_holm, "seeds": min(line.seeds), "n_units": line.n_units,
                "unit": line.unit, "split": data.split, "synthetic": data.synthetic != "none",
            }
        )  # fmt: skip
    return found


def csv_text(data: ReportData) -> str:
    """Scores and differences as CSV, fractions unrounded."""
    return csv_of(CSV_FIELDS, rows_as_dicts(data))
