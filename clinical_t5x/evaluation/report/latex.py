r"""The main table and the cost table as LaTeX: needs `\usepackage{booktabs}` and nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence

from clinical_t5x.evaluation.report import cost_table
from clinical_t5x.evaluation.report.collect import ReportData
from clinical_t5x.evaluation.report.main_table import Entry, MainTable, TableLine
from clinical_t5x.evaluation.report.text import how_to_read, line_detail, numbered_notes, units_note
from clinical_t5x.evaluation.report.words import percent

_NEEDS = r"% In the preamble: \usepackage{booktabs}"
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "[": "{[}",  # after a line break it would be an option
    "]": "{]}",
}


def escape(text: str) -> str:
    """Text as LaTeX prints it."""
    return "".join(_SPECIAL.get(character, character) for character in text)


def main_table_text(data: ReportData) -> str:
    """The main table: a line a system, its origin in the second column."""
    table = data.table
    columns = table.columns
    tasks = list(dict.fromkeys(column.task for column in columns))
    spans = [sum(column.task == task for column in columns) for task in tasks]
    above = " & ".join(
        rf"\multicolumn{{{span}}}{{c}}{{{escape(task)}}}"
        for task, span in zip(tasks, spans, strict=True)
    )
    headings = " & ".join(escape(column.heading) for column in columns)
    rows = [_row(table, line) for line in table.lines]
    says = [*how_to_read(table), "; ".join(units_note(data))]
    said = " ".join(_sentence(words) for words in says if words)
    caption = f"Scores on the {data.split} split, per cent. {said}"
    if data.synthetic != "none":
        caption = f"Measured on synthetic data. {caption}"
    return _document(
        [
            _NEEDS,
            r"\begin{table*}[t]",
            r"\centering",
            rf"\caption{{{escape(caption)}}}",
            r"\label{tab:scores}",
            r"\smallskip",
            r"\footnotesize",
            r"\setlength{\tabcolsep}{3pt}",
            rf"\begin{{tabular}}{{ll{'r' * len(columns)}}}",
            r"\toprule",
            rf"& & {above} \\",
            _rules(spans),
            rf"System & Origin & {headings} \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            *_notes(numbered_notes(table)),
            r"\end{table*}",
        ]
    )


def _document(lines: Sequence[str]) -> str:
    return "\n".join(line for line in lines if line) + "\n"


def _sentence(text: str) -> str:
    return text if text.endswith(".") else text + "."


def _rules(spans: Sequence[int]) -> str:
    """A rule under each task's columns; two columns stand before them."""
    rules, begin = [], 3
    for span in spans:
        rules.append(rf"\cmidrule(lr){{{begin}-{begin + span - 1}}}")
        begin += span
    return " ".join(rules)


def _row(table: MainTable, line: TableLine) -> str:
    detail = line_detail(line)
    name = escape(line.name) + (rf" {{\scriptsize {escape(detail)}}}" if detail else "")
    cells = [
        _cell(table, line.entries[column]) if column in line.entries else ""
        for column in table.columns
    ]
    return " & ".join([name, escape(line.origin_words), *cells]) + r" \\"


def _cell(table: MainTable, entry: Entry) -> str:
    if entry.source:
        spread = "" if entry.std is None else rf"$\pm${percent(entry.std)}"
    elif entry.low is None or entry.high is None:
        spread = "no interval"
    else:
        spread = f"{percent(entry.low)}--{percent(entry.high)}"
    marks = ",".join(table.markers(entry))
    shown = percent(entry.value) + (rf"\textsuperscript{{{marks}}}" if marks else "")
    return shown + (rf" {{\scriptsize {spread}}}" if spread else "")


def _notes(notes: Sequence[str]) -> list[str]:
    if not notes:
        return []
    text = " ".join(escape(note) for note in notes)
    return [r"\par\smallskip", rf"\parbox{{\linewidth}}{{\scriptsize {text}}}"]


def cost_table_text(costs: cost_table.CostTable) -> str:
    """The cost table, and break-evens below."""
    parts = _tabular(
        cost_table.HEADINGS, [cost_table.fields(costs, line) for line in costs.lines], left=1
    )
    caption = cost_table.EXPLANATION
    if costs.break_evens:
        caption += " Below: " + cost_table.BREAK_EVEN_EXPLANATION
        rows = [cost_table.break_even_fields(line) for line in costs.break_evens]
        parts += [r"\par\medskip", *_tabular(cost_table.BREAK_EVEN_HEADINGS, rows, left=2)]
    return _document(
        [
            _NEEDS,
            r"\begin{table*}[t]",
            r"\centering",
            rf"\caption{{{escape(caption)}}}",
            r"\label{tab:costs}",
            r"\smallskip",
            r"\footnotesize",
            *parts,
            *_notes(cost_table.notes(costs)),
            r"\end{table*}",
        ]
    )


def _tabular(headings: Sequence[str], rows: Sequence[Sequence[str]], *, left: int) -> list[str]:
    """A plain table; so many columns from the left are text."""
    return [
        rf"\begin{{tabular}}{{{'l' * left}{'r' * (len(headings) - left)}}}",
        r"\toprule",
        " & ".join(map(escape, headings)) + r" \\",
        r"\midrule",
        *(" & ".join(_scientific(escape(cell)) for cell in row) + r" \\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]


def _scientific(cell: str) -> str:
    """4.5e19 as a product with a power of ten."""
    return re.sub(r"^(\d\.\d)e(\d+)", r"$\1\\cdot10^{\2}$", cell)
