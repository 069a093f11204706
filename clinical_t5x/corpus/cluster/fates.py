"""Which notes are left after exact de-duplication, decided by grouping them on many machines.

The rules are those of `selection.Selection`, said once more for one group of notes at a time; tests
and `prepare --staged` hold the two to each other. Only numbers, sources and categories travel, no
text. The numbers that stand for strings are those of `keys`: all machines of a job need one version
of polars.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import apache_beam as beam
import polars as pl

from clinical_t5x.corpus import staging
from clinical_t5x.corpus.combination import combination_sets
from clinical_t5x.corpus.selection import DRAFT, REPEAT, REPEAT_OF_OTHER, REPEATED_ID

_NO_SET = -1
# The sets of the combination, and why their notes are left out ("": they are not).
SETS = {
    name: reason for name, (_, reason) in combination_sets(pl.Series([], dtype=pl.UInt64)).items()
}


class Note(NamedTuple):
    """What is known of a note when its fate is decided; numbers as in `metadata.COLUMNS`.

    Attributes:
        combination: which of `SETS` it is in; -1 where nothing is combined.
    """

    row: int
    source: str
    category: str
    note: int
    patient: int
    author: int
    charttime: int
    charted: int
    stored: int
    text_hash: int
    combination: int


# A coder of fields, so that no note is pickled.
beam.coders.registry.register_coder(Note, beam.coders.RowCoder)

Dropped = tuple[str, tuple[int, str]]  # piece, (row, reason)
# The notes of a group -> those to drop, with the reason.
Rule = Callable[[list[Note]], Iterable[tuple[Note, str]]]


def notes_of(staged: pl.DataFrame, carevue_patients: list[int] | None) -> Iterator[Note]:
    """The notes of a staged batch.

    Args:
        staged: its table of the part "notes".
        carevue_patients: the CareVue subset's patients (keys, signed), when notes are combined.
    """
    in_set = pl.lit(_NO_SET)
    if carevue_patients is not None:
        patients = pl.Series(carevue_patients, dtype=pl.Int64).reinterpret(signed=False)
        for index, (condition, _) in enumerate(combination_sets(patients).values()):
            in_set = pl.when(condition).then(pl.lit(index)).otherwise(in_set)
    # Coders know signed integers only; equal stays equal.
    signed = pl.selectors.unsigned_integer().cast(pl.UInt64).reinterpret(signed=True)
    table = staged.with_columns(in_set.alias("combination")).with_columns(signed)
    return map(Note._make, table.select(Note._fields).iter_rows())


def set_of(note: Note) -> str:
    """The name of the set of the combination that a note is in."""
    return list(SETS)[note.combination]


def reason_of_set(note: Note) -> str | None:
    """Why a note is left out when MIMIC-III and MIMIC-IV are combined, or None."""
    return None if note.combination == _NO_SET else SETS[set_of(note)] or None


def first_of_its_id(notes: list[Note]) -> Iterator[tuple[Note, str]]:
    """Of notes of one source with one id, all but the first."""
    first = min(note.row for note in notes)
    return ((note, REPEATED_ID) for note in notes if note.row != first)


def may_be_draft(note: Note) -> bool:
    """Whether the rule for re-saved drafts concerns a note."""
    return note.source == "mimic-iii" and note.charttime != 0 and note.author != 0


def earlier_drafts(notes: list[Note]) -> Iterator[tuple[Note, str]]:
    """Of notes with one CHARTTIME, SUBJECT_ID, CATEGORY and CGID, all but the last saved one.

    None of them if a STORETIME is missing (see `duplicates.drafts`).
    """
    last = max(notes, key=lambda note: (note.stored, note.row))
    if all(note.stored for note in notes):
        yield from ((note, DRAFT) for note in notes if note.row != last.row)


def repeats(notes: list[Note]) -> Iterator[tuple[Note, str]]:
    """Of notes with one text, all but the latest (see `duplicates.exact`)."""
    last_of: dict[int, Note] = {}
    for note in sorted(notes, key=lambda note: (note.charted, note.stored, note.row)):
        last_of[note.patient] = last = note
    for note in notes:
        if note.row != last_of[note.patient].row:
            yield note, REPEAT
        elif note.row != last.row:
            yield note, REPEAT_OF_OTHER


class Without(beam.PTransform):
    """Takes the notes out that a rule finds among those with the same key.

    Gives a pair: the notes that are left, and those that are not (`Dropped`).

    Args:
        key: what notes are compared on, as a tuple.
        rule: what is dropped of a group.
        concerns: which notes the rule is about; all by default.
    """

    def __init__(
        self,
        key: Callable[[Note], tuple],
        rule: Rule,
        concerns: Callable[[Note], bool] | None = None,
    ):
        super().__init__()
        self._key, self._rule, self._concerns = key, rule, concerns

    def expand(self, notes: beam.PCollection) -> tuple[beam.PCollection, beam.PCollection]:
        """Part a collection of notes."""
        concerned, concerns, key = notes, self._concerns, self._key
        if concerns is not None:
            concerned = notes | "Concerned" >> beam.Filter(concerns)
        left, dropped = (
            concerned
            | beam.Map(lambda note: (key(note), note)).with_output_types(tuple[tuple, Note])
            | beam.GroupByKey()
            | beam.Values()
            | _judge(self._rule)
        )
        if concerns is not None:
            others = notes | "Others" >> beam.Filter(lambda note: not concerns(note))
            left = (left, others) | beam.Flatten()
        return left, dropped


class WithoutEach(beam.PTransform):
    """Takes the notes out for which a function gives a reason; gives a pair as `Without` does."""

    def __init__(self, reason_of: Callable[[Note], str | None]):
        super().__init__()
        self._reason_of = reason_of

    def expand(self, notes: beam.PCollection) -> tuple[beam.PCollection, beam.PCollection]:
        """Part a collection of notes."""
        reason_of = self._reason_of

        def rule(group: list[Note]) -> list[tuple[Note, str]]:
            return [(note, reason) for note in group if (reason := reason_of(note))]

        groups = notes | beam.Map(lambda note: [note]).with_output_types(list[Note])
        return groups | _judge(rule)


def _judge(rule: Rule) -> beam.ParDo:
    return beam.ParDo(_Judge(rule)).with_output_types(Note).with_outputs("dropped", main="left")


class _Judge(beam.DoFn):
    """Parts groups of notes by a rule."""

    def __init__(self, rule: Rule):
        super().__init__()
        self._rule = rule

    def process(self, group: Iterable[Note]) -> Iterator[Note | beam.pvalue.TaggedOutput]:
        notes = list(group)
        reasons = {note.row: reason for note, reason in self._rule(notes)}
        for note in notes:
            if note.row not in reasons:
                yield note
            else:
                dropped = (staging.piece_of(note.row), (note.row, reasons[note.row]))
                yield beam.pvalue.TaggedOutput("dropped", dropped)
