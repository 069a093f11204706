"""Which notes become documents, decided on their metadata; every note's fate has one reason."""

from __future__ import annotations

import numpy as np
import polars as pl

from clinical_t5x.corpus.combination import COVERED_BY_IV, combination_sets
from clinical_t5x.corpus.duplicates import drafts, exact
from clinical_t5x.corpus.metadata import StagedMetadata
from clinical_t5x.corpus.words import mixed, repeated

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


class Selection:
    """The notes that are left, and the reasons of those that are not.

    Attributes:
        staged: the metadata of all usable notes, in order of their rows.
        rows: the `row` number of every note, ascending.
        persons: the person of every note (keys).
        fates: for every note, the index of its fate in `reasons` (0: kept).
        reasons: "kept" and all reasons given so far.
    """

    def __init__(self, staged: StagedMetadata, persons: pl.Series):
        self.staged = staged
        self.persons = persons
        self.fates = np.zeros(len(staged), np.uint8)
        self.reasons = [KEPT]
        self.rows = staged.read("row").to_series().to_numpy()

    @property
    def is_kept(self) -> np.ndarray:
        """Which notes no rule has dropped so far."""
        return self.fates == 0

    def kept(self, *columns: str) -> pl.DataFrame:
        """Some columns (person among them, if named) of the notes that are left so far."""
        kept = self.is_kept
        found = self.staged.read(*(name for name in columns if name != "person"), among=kept)
        if "person" in columns:
            found = found.with_columns(person=self.persons.filter(pl.Series(kept)))
        return found

    def drop(self, rows: pl.Series, reason: str) -> None:
        """Take the notes with these `row` numbers out, unless they are out already."""
        hit = np.zeros(len(self.fates), bool)
        hit[np.searchsorted(self.rows, rows.to_numpy())] = True
        self._drop(hit, reason)

    def drop_where(self, condition: pl.Expr, reason: str) -> int:
        """Take the notes out for which an expression over staged columns holds; tells how many."""
        return self._drop(self._values(condition), reason)

    def _values(self, of_note: pl.Expr) -> np.ndarray:
        """An expression over staged columns, for every note."""
        columns = dict.fromkeys(of_note.meta.root_names())
        pieces = self.staged.read_pieces(*columns)
        return np.concatenate([part.select(of_note).to_series().to_numpy() for _, part in pieces])

    def _drop(self, hit: np.ndarray, reason: str) -> int:
        if reason not in self.reasons:
            self.reasons.append(reason)
        hit = hit & self.is_kept
        self.fates[hit] = self.reasons.index(reason)
        return int(hit.sum())

    def drop_repeated_ids(self) -> None:
        """Of rows with the same id, keep the first: documents are called by their ids."""
        names = self.staged.read("source", "note")
        sources = names.get_column("source").to_physical().to_numpy()
        keys = names.get_column("note").to_numpy() ^ mixed(sources)
        places = np.flatnonzero(repeated(keys))
        places = places[np.argsort(keys[places], kind="stable")]
        keys = keys[places]
        hit = np.zeros(len(self.fates), bool)
        hit[places[1:][keys[1:] == keys[:-1]]] = True
        self._drop(hit, REPEATED_ID)

    def drop_drafts(self) -> None:
        """The paper's rule, on MIMIC-III alone."""
        among = self.is_kept & self._values(pl.col("source") == "mimic-iii")
        groups = self.staged.read(*drafts.GROUP, among=among).hash_rows()
        among[among] = repeated(groups.to_numpy())
        three = self.staged.read(*drafts.COLUMNS, among=among)
        self.drop(drafts.superseded_drafts(three), DRAFT)

    def drop_repeats(self) -> None:
        """Exact repeats, of the patient and of others."""
        among = self.is_kept
        among[among] = repeated(self.kept("text_hash").to_series().to_numpy())
        of_patient, of_others = exact.repeated_texts(self.staged.read(*exact.COLUMNS, among=among))
        self.drop(of_patient, REPEAT)
        self.drop(of_others, REPEAT_OF_OTHER)

    def combine(self, carevue_patients: pl.Series) -> dict[str, int]:
        """Join MIMIC-III and MIMIC-IV; returns the notes in every set of the combination."""
        kept, sets = self.is_kept, combination_sets(carevue_patients)
        in_sets = [condition.cast(pl.UInt8) for condition, _ in sets.values()]
        # No note is in two sets: the sum has one term, the number of its set.
        places = self._values(pl.sum_horizontal(n * found for n, found in enumerate(in_sets)))
        for place, (_, reason) in enumerate(sets.values()):
            if reason:
                self._drop(places == place, reason)
        return dict(zip(sets, np.bincount(places[kept], minlength=len(sets)).tolist(), strict=True))

    def drop_persons(self, persons: pl.Series, reason: str) -> dict[str, int]:
        """Take all notes of these persons out; returns persons and notes of the corpus removed."""
        dropped = self._drop(self.persons.is_in(persons.unique().implode()).to_numpy(), reason)
        return {"persons": persons.n_unique(), "notes removed here": dropped}

    def fate_of(self, rows: pl.Series) -> pl.Series:
        """What became of the notes with these `row` numbers."""
        places = np.searchsorted(self.rows, rows.to_numpy())
        return pl.Series("reason", np.array(self.reasons, object)[self.fates[places]], pl.String)

    def account(self) -> pl.DataFrame:
        """Notes and words by source and fate."""
        counted = [
            part.with_columns(code=pl.Series(self.fates[place]))
            .group_by(pl.col("source").cast(pl.String), pl.col("code").cast(pl.UInt32))
            .agg(notes=pl.len(), words=pl.col("num_words").sum().cast(pl.Int64))
            for (_, part), (_, place) in zip(
                self.staged.read_pieces("source", "num_words"), self.staged.pieces, strict=True
            )
        ]
        reasons = pl.DataFrame({"fate": self.reasons}).with_row_index("code")
        return (
            pl.concat(counted)
            .group_by("source", "code")
            .agg(pl.col("notes").sum(), pl.col("words").sum())
            .join(reasons, on="code")
            .select("source", "fate", "notes", "words")
            .sort("source", "fate")
        )
