"""Which notes become documents, decided on their metadata; every note's fate has one reason."""

from __future__ import annotations

import polars as pl

from clinical_t5x.corpus.duplicates.drafts import superseded_drafts
from clinical_t5x.corpus.duplicates.exact import repeated_texts

KEPT = "kept"


class Selection:
    """The notes that are left, and the reasons of those that are not.

    Attributes:
        notes: metadata of all staged notes, with a column `fate`: "kept" or the reason.
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

    def drop_drafts(self) -> None:
        """The paper's rule, on MIMIC-III alone."""
        self.drop(
            superseded_drafts(self.kept.filter(pl.col("source") == "mimic-iii")),
            "earlier draft of a note",
        )

    def drop_repeats(self) -> None:
        """Exact repeats within a patient."""
        self.drop(repeated_texts(self.kept), "same text as a later note of the patient")

    def account(self) -> pl.DataFrame:
        """Notes and words by source and fate."""
        return (
            self.notes.group_by("source", "fate")
            .agg(notes=pl.len(), words=pl.col("num_words").sum())
            .sort("source", "fate")
        )
