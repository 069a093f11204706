"""Which notes become documents, decided on their metadata; every note's fate has one reason."""

from __future__ import annotations

import polars as pl

from clinical_t5x.corpus.combination import combination_sets
from clinical_t5x.corpus.duplicates.drafts import superseded_drafts
from clinical_t5x.corpus.duplicates.exact import repeated_texts

KEPT = "kept"
NOT_ASKED_FOR = "read only to know the benchmarks' patients"
REPEATED_ID = "id of an earlier row"
DRAFT = "earlier draft of a note"
REPEAT = "same text as a later note of the patient"


class Selection:
    """The notes that are left, and the reasons of those that are not.

    Attributes:
        notes: metadata of all usable notes, with a column `fate`: "kept" or a reason.
    """

    def __init__(self, notes: pl.DataFrame):
        self.notes = notes.with_columns(fate=pl.lit(KEPT))

    @property
    def kept(self) -> pl.DataFrame:
        """The notes that no rule has dropped so far."""
        return self.notes.filter(pl.col("fate") == KEPT)

    def drop(self, rows: pl.Series, reason: str) -> None:
        """Take the notes with these `row` numbers out, unless they are out already."""
        hit = pl.col("row").is_in(rows.implode()) & (pl.col("fate") == KEPT)
        fate = pl.when(hit).then(pl.lit(reason)).otherwise(pl.col("fate"))
        self.notes = self.notes.with_columns(fate=fate)

    def drop_where(self, condition: pl.Expr, reason: str) -> None:
        """Take the notes out for which an expression over the metadata holds."""
        self.drop(self.notes.filter(condition).get_column("row"), reason)

    def drop_repeated_ids(self) -> None:
        """Of rows with the same id, keep the first: documents are called by their ids."""
        repeated = ~pl.struct("source", "note_id").is_first_distinct()
        self.drop(self.notes.sort("row").filter(repeated).get_column("row"), REPEATED_ID)

    def drop_drafts(self) -> None:
        """The paper's rule, on MIMIC-III alone."""
        three = self.kept.filter(pl.col("source") == "mimic-iii")
        self.drop(superseded_drafts(three), DRAFT)

    def drop_repeats(self) -> None:
        """Exact repeats within a patient."""
        self.drop(repeated_texts(self.kept), REPEAT)

    def combine(self, carevue_patients: pl.Series) -> dict[str, int]:
        """Join MIMIC-III and MIMIC-IV; returns the notes in every set of the combination."""
        kept = self.kept
        counts = {}
        for name, (condition, reason) in combination_sets(carevue_patients).items():
            counts[name] = kept.filter(condition).height
            if reason:
                self.drop_where(condition, reason)
        return counts

    def drop_persons(self, persons: pl.Series, reason: str) -> dict[str, int]:
        """Take all notes of these persons out; returns persons and notes of the corpus removed."""
        of_persons = pl.col("person_id").is_in(persons.unique().implode())
        hit = self.kept.filter(of_persons)
        self.drop(hit.get_column("row"), reason)
        return {"persons": persons.n_unique(), "notes removed here": hit.height}

    def account(self) -> pl.DataFrame:
        """Notes and words by source and fate."""
        return (
            self.notes.group_by("source", "fate")
            .agg(notes=pl.len(), words=pl.col("num_words").sum())
            .sort("source", "fate")
        )
