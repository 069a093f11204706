"""The main table: measured systems and the paper's published numbers, each marked as what it is.

A line is either measured or published, never both, and no number is made of the two. Where a
measured system names a row of the registry, its line stands beside the published one.
"""

from __future__ import annotations

import dataclasses
import string
from collections.abc import Sequence

from clinical_t5x.evaluation.registry import MODELS, ModelRow
from clinical_t5x.evaluation.registry.published import MAIN, PublishedNumber, numbers
from clinical_t5x.evaluation.registry.row import APPENDIX, IN_CONTEXT, PAPER
from clinical_t5x.evaluation.report.table import COLUMNS, Cell, Column, Row, rank_of
from clinical_t5x.evaluation.report.words import counted

MEASURED, PUBLISHED = "measured", "published"
# What of the paper's models is shown: none, the twelve of its main tables, all sixteen.
NONE, MAIN_MODELS, ALL_MODELS = "none", "main", "all"
PAPER_NAME = "Lehman et al. 2023"

# What the paper scored of each test split, and which of a result's counts that is.
_TEST_SIZES = {"mednli": ("n", 1_422), "radqa": ("n", 614), "clip": ("n_units", 100)}


@dataclasses.dataclass(frozen=True)
class Entry:
    """One number of the table, on the metric's own scale (0 to 1).

    Attributes:
      value: Mean over training seeds.
      std: Over seeds; None for one.
      low, high: 95 % interval; None for published numbers, which have none.
      method: Of the interval; empty without one.
      by_seed: Value of each seed; empty for published numbers, whose seeds were not published.
      source: Table of the paper; empty for measured numbers.
      notes: What must be known to read it.
      n, n_units, unit: What it was measured on; None and empty for published numbers.
      test_part: Of the test split that was scored.
    """

    value: float
    std: float | None
    low: float | None = None
    high: float | None = None
    method: str = ""
    by_seed: tuple[float, ...] = ()
    source: str = ""
    notes: tuple[str, ...] = ()
    n: int | None = None
    n_units: int | None = None
    unit: str = ""
    test_part: float = 1.0


@dataclasses.dataclass(frozen=True)
class TableLine:
    """A line of the table.

    Attributes:
      origin: "measured" or "published".
      key: The initialisation of what was measured, or a key of the registry.
      name: What a reader calls it.
      detail: The network that was measured, or the published model's size.
      fraction: Of the training split; None for a published model that was prompted.
      synthetic: Whether it was measured on synthetic data.
      entries: Its numbers by column.
    """

    origin: str
    key: str
    name: str
    detail: str
    fraction: float | None
    synthetic: bool
    entries: dict[Column, Entry]

    @property
    def compares(self) -> bool:
        """Whether it was measured on what the paper measured, as far as sizes and data tell."""
        return self.origin == PUBLISHED or not (
            self.synthetic or any(entry.notes for entry in self.entries.values())
        )

    @property
    def origin_words(self) -> str:
        """The origin as a table says it."""
        return self.origin + (" (synthetic data)" if self.synthetic else "")


@dataclasses.dataclass(frozen=True)
class MainTable:
    """The lines in their order, and the notes of all entries in the order of their markers.

    Attributes:
      lines: Measured and published.
      notes: Different ones, each once.
    """

    lines: tuple[TableLine, ...]
    notes: tuple[str, ...]

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns that any line has."""
        return tuple(c for c in COLUMNS if any(c in line.entries for line in self.lines))

    @property
    def origins(self) -> set[str]:
        """Which kinds of lines there are."""
        return {line.origin for line in self.lines}

    @property
    def is_apart(self) -> bool:
        """Whether there are both kinds and something measured does not compare with the paper."""
        return len(self.origins) > 1 and not all(line.compares for line in self.lines)

    def parts(self) -> dict[str, MainTable]:
        """Lines that may share a figure, by the ending of the figure's name."""
        if not self.is_apart:
            return {"": self}
        return {
            ending: MainTable(tuple(x for x in self.lines if x.origin == origin), self.notes)
            for ending, origin in (("", MEASURED), ("_paper", PUBLISHED))
        }

    def markers(self, entry: Entry) -> tuple[str, ...]:
        """Letters of the entry's notes."""
        return tuple(marker(self.notes.index(note)) for note in entry.notes)

    def source_of(self, column: Column) -> str:
        """The paper's table that all published numbers of a column are from; empty for none."""
        found = {line.entries[column].source for line in self.lines if column in line.entries}
        return ", ".join(sorted(found - {""}))

    def sources(self) -> list[str]:
        """Which table of the paper each task's published numbers are from."""
        by_task: dict[str, list[str]] = {}
        for column in self.columns:
            if source := self.source_of(column):
                by_task.setdefault(column.task, []).append(source)
        return [f"{task}: {', '.join(dict.fromkeys(found))}" for task, found in by_task.items()]


def marker(index: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    letters = string.ascii_lowercase
    first, second = divmod(index, len(letters))
    return (letters[first - 1] if first else "") + letters[second]


def main_table(rows: Sequence[Row], published: str = NONE) -> MainTable:
    """Measured rows and the paper's.

    Lines of one model stand beside each other. Where anything was measured on synthetic data, or on
    another part of a test split, the published lines come after all measured ones.

    Args:
      rows: What was measured; several fractions of the training split are several lines.
      published: Which of the paper's models: "none", "main" or "all".
    """
    paper = published_lines(published)
    lines = [_measured_line(row, compared=bool(paper)) for row in rows] + paper
    apart = not all(line.compares for line in lines)

    def place(line: TableLine) -> tuple:
        is_paper = line.origin == PUBLISHED
        return (is_paper and apart, rank_of(line.key), is_paper)

    lines.sort(key=place)  # stable: measured rows of one rank keep their order
    notes = [note for line in lines for e in line.entries.values() for note in e.notes]
    return MainTable(tuple(lines), tuple(dict.fromkeys(notes)))


def published_models(published: str) -> list[ModelRow]:
    """The registry's rows that are wanted."""
    groups = {NONE: (), MAIN_MODELS: (PAPER,), ALL_MODELS: (PAPER, APPENDIX)}[published]
    return [row for row in MODELS.values() if row.group in groups]


def published_lines(published: str) -> list[TableLine]:
    """The paper's lines."""
    found = []
    for row in published_models(published):
        entries = {
            column: _published_entry(number)
            for number in numbers(model=row.key, kind=MAIN)
            for column in COLUMNS
            if (column.family, column.metric) == (number.task, number.metric)
        }
        prompted = row.use == IN_CONTEXT
        detail = size_words(row.parameters) + (", in-context" if prompted else "")
        fraction = None if prompted else 1.0
        found.append(TableLine(PUBLISHED, row.key, row.name, detail, fraction, False, entries))
    return found


def size_words(parameters: float) -> str:
    """Parameters as tables give them: 220M, 2.7B, 11B."""
    if parameters >= 1e9:
        return f"{parameters / 1e9:.3g}B"
    return f"{parameters / 1e6:.3g}M"


def _published_entry(number: PublishedNumber) -> Entry:
    notes = [] if number.known_error is None else [sentence(number.known_error)]
    if number.test_part != 1.0:
        notes.insert(0, f"Scored on {100 * number.test_part:g} % of the test split.")
    return Entry(
        number.mean,
        number.std,
        source=number.source,
        notes=tuple(notes),
        test_part=number.test_part,
    )


def sentence(text: str) -> str:
    """Words with a capital letter and a full stop; nothing stays nothing."""
    if not text:
        return ""
    return text[0].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _measured_line(row: Row, *, compared: bool) -> TableLine:
    synthetic = any(e.results[0].synthetic for found in row.evaluations.values() for e in found)
    entries = {
        column: _measured_entry(column, cell, compared=compared and not synthetic)
        for column, cell in row.cells.items()
    }
    return TableLine(
        origin=MEASURED,
        key=row.initialisation,
        name=row.title,
        detail=row.model,
        fraction=row.fraction,
        synthetic=synthetic,
        entries=entries,
    )


def is_papers_size(family: str, n: int, n_units: int) -> bool:
    """Whether so many examples in so many units are the test split that the paper scored."""
    count, wanted = _TEST_SIZES[family]
    return {"n": n, "n_units": n_units}[count] == wanted


def _measured_entry(column: Column, cell: Cell, *, compared: bool) -> Entry:
    notes = ()
    if compared and not is_papers_size(column.family, cell.n, cell.n_units):
        count, wanted = _TEST_SIZES[column.family]
        what = {"n": "example", "n_units": cell.unit}[count]
        notes = (
            f"Measured on {counted(getattr(cell, count), what)} of {column.task}; the paper's test"
            f" split has {wanted:,}: not comparable with the published numbers.",
        )
    return Entry(
        cell.value,
        cell.std,
        low=cell.low,
        high=cell.high,
        method="" if cell.low is None else cell.method,
        by_seed=cell.by_seed,
        notes=notes,
        n=cell.n,
        n_units=cell.n_units,
        unit=cell.unit,
    )
