"""The table and the differences as text: for a terminal, as Markdown, as CSV, as JSON."""

from __future__ import annotations

import csv
import io
from typing import Any

from clinical_t5x.evaluation.report.collect import ReportData
from clinical_t5x.evaluation.report.table import COLUMNS, Cell, DifferenceLine


def percent(value: float) -> str:
    """A fraction in per cent with one decimal."""
    return f"{100 * value:.1f}"


def interval(low: float | None, high: float | None) -> str:
    """An interval in per cent."""
    if low is None or high is None:
        return "no interval"
    return f"{percent(low)} to {percent(high)}"


def points(value: float) -> str:
    """A difference in percentage points, signed."""
    return f"{100 * value:+.1f}"


def p_value(value: float) -> str:
    """A p-value as one reports it."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def units_note(data: ReportData) -> list[str]:
    """For each task: how many examples and units the numbers rest on."""
    lines: dict[str, str] = {}
    for row in data.rows:
        for column, cell in row.cells.items():
            lines[column.task] = (
                f"{column.task}: {counted(cell.n, 'example')} in {counted(cell.n_units, cell.unit)}"
            )
    return [lines[task] for task in dict.fromkeys(c.task for c in COLUMNS) if task in lines]


def counted(count: int, noun: str) -> str:
    """A number and what it counts, in the plural unless it is one."""
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{count:,} {noun if count == 1 else plural}"


def terminal_table(data: ReportData) -> Any:
    """The table and the differences as one rich renderable."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"Scores on the {data.split} split (95% interval)", title_justify="left")
    table.add_column("")
    for column in COLUMNS:
        table.add_column(f"{column.task}\n{column.heading}", justify="right")
    for row in data.rows:
        cells = [_terminal_cell(row.cells.get(column)) for column in COLUMNS]
        table.add_row(_row_name(row.title, row.model), *cells)
    parts: list[Any] = [table]
    if data.differences:
        difference = data.differences[0]
        title = f"{difference.first} minus {difference.second.lower()}, paired"
        second = Table(title=title, title_justify="left")
        for heading in ("", "points", "95% interval", "p", "p (Holm)"):
            second.add_column(heading, justify="left" if not heading else "right")
        for line in data.differences:
            second.add_row(*_difference_fields(line))
        parts += [Text(), second]
    parts.append(Text("; ".join(units_note(data)), style="dim"))
    return Group(*parts)


def _row_name(title: str, model: str) -> str:
    return f"{title}\n{model}" if model else title


def _terminal_cell(cell: Cell | None) -> str:
    return "" if cell is None else f"{percent(cell.value)}\n{interval(cell.low, cell.high)}"


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
    """The table and the differences as Markdown."""
    lines = [f"Scores on the {data.split} split, per cent with 95 % interval.", ""]
    if data.synthetic != "none":
        lines[:0] = ["**Synthetic data: these numbers say nothing about real notes.**", ""]
    lines.append("| system | " + " | ".join(f"{c.task} {c.heading}" for c in COLUMNS) + " |")
    lines.append("|---" * (len(COLUMNS) + 1) + "|")
    for row in data.rows:
        name = f"{row.title} ({row.model})" if row.model else row.title
        cells = [_markdown_cell(row.cells.get(column)) for column in COLUMNS]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    if data.differences:
        first, second = data.differences[0].first, data.differences[0].second
        lines += ["", f"{first} minus {second.lower()}, paired by unit, percentage points.", ""]
        lines += ["| metric | difference | 95 % interval | p | p (Holm) |", "|---|---|---|---|---|"]
        lines += ["| " + " | ".join(_difference_fields(line)) + " |" for line in data.differences]
    lines += ["", *(f"- {note}" for note in units_note(data))]
    return "\n".join(lines) + "\n"


def _markdown_cell(cell: Cell | None) -> str:
    return "" if cell is None else f"{percent(cell.value)} ({interval(cell.low, cell.high)})"


CSV_FIELDS = (
    "kind", "system", "model", "fraction", "task", "metric", "value", "low", "high", "level",
    "method", "p_value", "p_holm", "seeds", "n", "n_units", "unit", "split", "synthetic",
)  # fmt: skip


def rows_as_dicts(data: ReportData) -> list[dict[str, Any]]:
    """Scores and differences, one flat dict each, fractions unrounded."""
    found = []
    shared = {"level": 0.95, "split": data.split, "synthetic": data.synthetic}
    for row in data.rows:
        for column, cell in row.cells.items():
            found.append(
                {
                    "kind": "score", "system": row.initialisation, "model": row.model,
                    "fraction": row.fraction, "task": column.family, "metric": column.metric,
                    "value": cell.value, "low": cell.low, "high": cell.high, "method": cell.method,
                    "seeds": len(cell.by_seed), "n": cell.n, "n_units": cell.n_units,
                    "unit": cell.unit, **shared,
                }
            )  # fmt: skip
    for line in data.differences:
        difference = line.difference
        found.append(
            {
                "kind": "difference", "system": "pretrained minus scratch", "model": line.model,
                "fraction": line.fraction, "task": line.column.family, "metric": line.column.metric,
                "value": difference.value, "low": difference.interval.low,
                "high": difference.interval.high, "method": "paired bootstrap",
                "p_value": difference.p_value, "p_holm": line.p_holm, "seeds": min(line.seeds),
                "n_units": line.n_units, "unit": line.unit, **shared,
            }
        )  # fmt: skip
    return found


def csv_text(data: ReportData) -> str:
    """Scores and differences as CSV, fractions unrounded."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, CSV_FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows_as_dicts(data))
    return buffer.getvalue()
