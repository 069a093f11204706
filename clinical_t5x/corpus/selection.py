"""Which notes become documents, decided on their metadata; every note's fate has one reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from clinical_t5x.corpus.combination import COVERED_BY_IV, combination_sets
from clinical_t5x.corpus.duplicates import drafts, exact
from clinical_t5x.corpus.words import mixed

KEPT = "kept"
NOT_ASKED_FOR = "read only to know the benchmarks' patients"
REPEATED_ID = "id of an earlier row"
DRAFT = "earlier draft of a note"
REPEAT, REPEAT_OF_OTHER = (
    "same text as a later note of the patient", "same text as another patient's note",
)  # fmt: skip
NEAR_COPY, NEAR_COPY_OF_OTHER = (
    "near copy of a later note of the patient", "near copy of another patient's note",
)  # fmt: skip
TEST_TEXT = "holds n-grams of a test split"
PERSON_OF = "person of "

# The stages that an account names, in order, and which reasons are theirs.
STAGES = (
    ("asked for", (NOT_ASKED_FOR, REPEATED_ID)),
    ("re-saved drafts", (DRAFT,)),
    ("combination", (COVERED_BY_IV,)),
    ("exact duplicates", (REPEAT, REPEAT_OF_OTHER)),
    ("near-duplicates", (NEAR_COPY, NEAR_COPY_OF_OTHER)),
    ("benchmark persons", (PERSON_OF,)),
    ("benchmark n-grams", (TEST_TEXT,)),
)

# The columns of staged metadata that decisions are made on; all but the first two are numbers.
COLUMNS = (
    "source", "category", "row", "note", "patient", "author", "charttime", "charted", "stored",
    "text_hash", "num_words", "shard",
)  # fmt: skip


def read_metadata(directory: Path) -> pl.DataFrame:
    """The metadata of all staged notes, in order of their rows: `COLUMNS` and no other string."""
    parts = [
        pl.read_parquet(path, columns=list(COLUMNS), glob=False).with_columns(
            pl.col("source", "category").cast(pl.Categorical)
        )
        for path in sorted(directory.glob("*.parquet"))
    ]
    return pl.concat(parts)  # in pieces: one piece would need all of it twice for a moment


class Selection:
    """The notes that are left, and the reasons of those that are not.

    Attributes:
        notes: metadata of all usable notes: `COLUMNS` and person, in order of their rows.
        fates: for every note, the index of its fate in `reasons` (0: kept).
        reasons: "kept" and all reasons given so far.
    """

    def __init__(self, notes: pl.DataFrame):
        self.notes = notes
        self.fates = np.zeros(notes.height, np.uint8)
        self.reasons = [KEPT]
        self._rows = notes.get_column("row").to_numpy()

    def kept(self, *columns: str) -> pl.DataFrame:
        """Some columns (by default all) of the notes that no rule has dropped so far."""
        return self.notes.select(columns or pl.all()).filter(pl.Series(self.fates == 0))

    def forget(self, *columns: str) -> None:
        """Free the memory of columns that no later rule asks for."""
        self.notes = self.notes.drop(columns)

    def drop(self, rows: pl.Series, reason: str) -> None:
        """Take the notes with these `row` numbers out, unless they are out already."""
        hit = np.zeros(len(self.fates), bool)
        hit[np.searchsorted(self._rows, rows.to_numpy())] = True
        self._drop(hit, reason)

    def drop_where(self, condition: pl.Expr, reason: str) -> int:
        """Take the notes out for which an expression over the metadata holds; returns how many."""
        return self._drop(self.notes.select(condition).to_series().to_numpy(), reason)

    def _drop(self, hit: np.ndarray, reason: str) -> int:
        if reason not in self.reasons:
            self.reasons.append(reason)
        hit = hit & (self.fates == 0)
        self.fates[hit] = self.reasons.index(reason)
        return int(hit.sum())

    def drop_repeated_ids(self) -> None:
        """Of rows with the same id, keep the first: documents are called by their ids."""
        sources = self.notes.get_column("source").to_physical().to_numpy()
        keys = self.notes.get_column("note").to_numpy() ^ mixed(sources)
        order = np.argsort(keys, kind="stable")
        repeated = np.zeros(len(keys), bool)
        repeated[order[1:][keys[order[1:]] == keys[order[:-1]]]] = True
        self._drop(repeated, REPEATED_ID)

    def drop_drafts(self) -> None:
        """The paper's rule, on MIMIC-III alone."""
        three = self.kept("source", *drafts.COLUMNS).filter(pl.col("source") == "mimic-iii")
        self.drop(drafts.superseded_drafts(three), DRAFT)

    def drop_repeats(self) -> None:
        """Exact repeats, of the patient and of others."""
        of_patient, of_others = exact.repeated_texts(self.kept(*exact.COLUMNS))
        self.drop(of_patient, REPEAT)
        self.drop(of_others, REPEAT_OF_OTHER)

    def combine(self, carevue_patients: pl.Series) -> dict[str, int]:
        """Join MIMIC-III and MIMIC-IV; returns the notes in every set of the combination."""
        kept = self.kept("source", "category", "patient")
        counts = {}
        for name, (condition, reason) in combination_sets(carevue_patients).items():
            counts[name] = kept.filter(condition).height
            if reason:
                self.drop_where(condition, reason)
        return counts

    def drop_persons(self, persons: pl.Series, reason: str) -> dict[str, int]:
        """Take all notes of these persons out; returns persons and notes of the corpus removed."""
        dropped = self.drop_where(pl.col("person").is_in(persons.unique().implode()), reason)
        return {"persons": persons.n_unique(), "notes removed here": dropped}

    def fate_of(self, rows: pl.Series) -> pl.Series:
        """What became of the notes with these `row` numbers."""
        places = np.searchsorted(self._rows, rows.to_numpy())
        return pl.Series("reason", np.array(self.reasons, object)[self.fates[places]], pl.String)

    def account(self) -> pl.DataFrame:
        """Notes and words by source and fate."""
        reasons = pl.DataFrame({"fate": self.reasons}).with_row_index("code")
        return (
            self.notes.select("source", "num_words", code=pl.Series(self.fates))
            .group_by("source", "code")
            .agg(notes=pl.len(), words=pl.col("num_words").sum().cast(pl.Int64))
            .with_columns(pl.col("source").cast(pl.String), pl.col("code").cast(pl.UInt32))
            .join(reasons, on="code")
            .select("source", "fate", "notes", "words")
            .sort("source", "fate")
        )
