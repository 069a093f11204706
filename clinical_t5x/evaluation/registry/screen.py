"""The registry for a terminal of any width."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from clinical_t5x.evaluation.registry.published import (
    ERRATA,
    FRACTIONS,
    LOW_RESOURCE,
    PublishedNumber,
    numbers,
)
from clinical_t5x.evaluation.registry.row import (
    APPENDIX,
    GROUPS,
    PAPER,
    TODAY,
    ModelRow,
    TokenCounts,
)

GROUP_TITLES = {
    PAPER: "The paper's twelve",
    APPENDIX: "Four more of its appendix",
    TODAY: "Of today",
}
TASK_NAMES = {"mednli": "MedNLI", "radqa": "RadQA", "clip": "CLIP"}
METRIC_NAMES = {
    "accuracy": "accuracy",
    "exact_match": "EM",
    "f1": "F1",
    "micro_f1": "micro F1",
    "macro_f1": "macro F1",
}

NONE, UNKNOWN = "–", "?"

_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")

# From so many columns on there is room for what is said last.
_ROOM_FOR_USE = 92
_ROOM_FOR_STD = 90
_ROOM_FOR_SOURCE = 135
_ROOM_FOR_LICENCE = 155
_WIDTHS = {"source": 43, "licence": 22}  # 43: the longest Hugging Face id


def billions(count: float | None) -> str:
    """34000000000 as "34B", none as a dash, unknown as a question mark."""
    if count is None:
        return UNKNOWN
    return f"{count / 1e9:,.5g}B" if count else NONE


def size(parameters: int) -> str:
    """220000000 as "220M", 2700000000 as "2.7B"."""
    return f"{parameters / 1e9:.3g}B" if parameters >= 1e9 else f"{parameters / 1e6:.3g}M"


def plain_table() -> Any:
    """An empty table with a line under its head and two blanks between columns."""
    from rich import box
    from rich.table import Table

    return Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)


def overview(rows: Iterable[ModelRow], width: int) -> Any:
    """All rows as a table, group by group.

    Args:
      rows: What to show.
      width: Columns of the terminal.
    """
    table = plain_table()
    table.add_column("model", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("architecture", no_wrap=True)
    for kind in ("general", "biomed.", "clinical"):
        table.add_column(kind, justify="right", no_wrap=True)
    more = _columns_with_room(width)
    for heading in more:
        table.add_column(heading, max_width=_WIDTHS.get(heading))
    by_group = {group: [row for row in rows if row.group == group] for group in GROUPS}
    for group, of_group in by_group.items():
        if not of_group:
            continue
        table.add_row(f"[italic]{GROUP_TITLES[group]}[/italic]")
        for row in of_group:
            seen = (row.tokens.general, row.tokens.biomedical, row.tokens.clinical)
            table.add_row(
                f"  {row.key}",
                size(row.parameters),
                row.architecture,
                *map(billions, seen),
                *(getattr(row, name) for name in more),
            )
    return table


def _columns_with_room(width: int) -> list[str]:
    room = {"use": _ROOM_FOR_USE, "source": _ROOM_FOR_SOURCE, "licence": _ROOM_FOR_LICENCE}
    return [name for name, needed in room.items() if width >= needed]


def facts(row: ModelRow) -> list[tuple[str, str]]:
    """A row's fields as labels and texts, its command and notes left out."""
    return [
        ("key", row.key),
        ("group", GROUP_TITLES[row.group].lower()),
        ("architecture", f"{row.architecture}, {row.family}"),
        ("tokenizer", row.tokenizer),
        ("parameters", size(row.parameters)),
        ("from", row.source),
        ("licence", row.licence),
        ("use", row.use),
        ("tokens seen", _tokens(row.tokens)),
        ("different ones", _tokens(row.unique_tokens)),
    ]


def _tokens(tokens: TokenCounts) -> str:
    kinds = {
        "general": tokens.general,
        "biomedical": tokens.biomedical,
        "clinical": tokens.clinical,
    }
    if all(count is None for count in kinds.values()):
        return "not known"
    parts = [f"{billions(count)} {kind}" for kind, count in kinds.items() if count != 0]
    return ", ".join(parts)


def published_tables(row: ModelRow, width: int) -> tuple[list[Any], list[str]]:
    """What the paper printed of a model as tables, and the footnotes to them.

    Args:
      row: The model's.
      width: Columns of the terminal.
    """
    found = numbers(model=row.key)
    scarce = [number for number in found if number.kind == LOW_RESOURCE]
    footnotes: list[str] = []
    tables = [_score_table([n for n in found if n.kind != LOW_RESOURCE], footnotes)]
    if scarce:
        tables.append(_low_resource_table(scarce, footnotes, with_std=width >= _ROOM_FOR_STD))
    return (tables if found else []), footnotes


def _score_table(found: Sequence[PublishedNumber], footnotes: list[str]) -> Any:
    table = plain_table()
    for heading in ("printed in", "task", "metric", "of test"):
        table.add_column(heading, no_wrap=True)
    table.add_column("score", no_wrap=True)
    for number in found:
        table.add_row(
            number.source,
            TASK_NAMES[number.task],
            METRIC_NAMES[number.metric],
            f"{number.test_part:.0%}",
            score(number) + _footnote_mark(number, footnotes),
        )
    return table


def _low_resource_table(
    found: Sequence[PublishedNumber], footnotes: list[str], *, with_std: bool
) -> Any:
    """A line for each metric, a column for each part of the training split."""
    table = plain_table()
    for heading in ("of training", "", *(f"{fraction:.0%}" for fraction in FRACTIONS)):
        table.add_column(heading, no_wrap=True)
    lines: dict[tuple[str, str], list[str]] = {}
    for number in found:
        cells = lines.setdefault((TASK_NAMES[number.task], METRIC_NAMES[number.metric]), [])
        mark = _footnote_mark(number, footnotes)
        text = score(number) if with_std else f"{number.mean:.3f}"
        cells.append(text + mark)
    for (task, metric), cells in lines.items():
        table.add_row(task, metric, *cells)
    return table


def score(number: PublishedNumber) -> str:
    """As the paper prints it: mean and standard deviation."""
    std = "" if number.std is None else f"±{number.std:.3f}".replace("0.", ".")
    return f"{number.mean:.3f}{std}"


def _footnote_mark(number: PublishedNumber, footnotes: list[str]) -> str:
    """The mark of a number's footnote, which is added where it is not there yet."""
    if number.known_error is None:
        return ""
    text = ("WRONG: " if number.wrong else "") + number.known_error
    if text not in footnotes:
        footnotes.append(text)
    return superscript(footnotes.index(text) + 1)


def superscript(number: int) -> str:
    """A footnote's number, raised."""
    return str(number).translate(_SUPERSCRIPTS)


def errata_of(row: ModelRow) -> Sequence[str]:
    """The paper's contradictions that touch a model."""
    return [f"{erratum.where}: {erratum.text}" for erratum in ERRATA if row.key in erratum.models]
