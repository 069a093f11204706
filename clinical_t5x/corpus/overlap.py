"""N-grams of the benchmarks in the notes as they are read: what is boiler-plate, what gives away.

While notes are staged, every n-gram that a benchmark has too is set aside with the note it stands
in. Afterwards an n-gram that many patients have is boiler-plate, and a note with a rarer one of a
test split holds a piece of the test.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import polars as pl

from clinical_t5x.corpus import staged_parts
from clinical_t5x.corpus.words import HashSet, Words, distinct, words_of

GRAM_WORDS = (8, 13)  # ascending
DECIDING_WORDS = 13
BOILERPLATE_PATIENTS = 20
DECIDING_SPLIT = "test"
_PARTS = 32  # n-grams are counted a part at a time, to hold few of them

Texts = Mapping[str, Mapping[str, list[str]]]  # benchmark -> split -> texts
Hits = pl.DataFrame  # n-grams of a benchmark in notes


class BenchmarkGrams:
    """The n-grams of some benchmarks.

    Attributes:
        tables: size -> the distinct n-grams of all splits.
    """

    def __init__(self, benchmarks: Texts):
        found: dict[tuple[str, str, int], tuple[np.ndarray, np.ndarray]] = {}
        for benchmark, splits in benchmarks.items():
            for split, texts in splits.items():
                words = words_of(pl.Series("text", texts, dtype=pl.String))
                for size in GRAM_WORDS:
                    hashes, _, of_text = words.grams(size)
                    found[benchmark, split, size] = hashes, of_text
        self.tables = {
            size: HashSet(_joined(hashes for key, (hashes, _) in found.items() if key[2] == size))
            for size in GRAM_WORDS
        }
        self._of_split = {
            key: (self.tables[key[2]].find(hashes)[1], of_text)
            for key, (hashes, of_text) in found.items()
        }

    def grams(self, benchmark: str, split: str, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Indices into `tables[size].hashes` of a split's n-grams, and the text of each."""
        return self._of_split[benchmark, split, size]

    def of_split(self, split: str, size: int) -> np.ndarray:
        """Distinct indices of the n-grams that any benchmark has in a split."""
        found = [
            self.grams(*key[:2], size)[0] for key in self._of_split if key[1:] == (split, size)
        ]
        return distinct(np.concatenate([np.zeros(0, np.int64), *found]))

    def find(self, words: Words) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """The benchmarks' n-grams that stand in texts.

        Returns:
            size -> grams, indices into `tables[size].hashes`; and texts, the text of each.
        """
        shortest, *longer = GRAM_WORDS
        positions, texts, grams = self.tables[shortest].find_grams(words, shortest)
        found = {shortest: (grams, texts)}
        # A longer n-gram of a benchmark begins with a short one of it.
        ends = words.starts[texts + 1]
        for size in longer:
            fits = np.flatnonzero(positions + size <= ends)
            places, grams = self.tables[size].find(words.runs(positions[fits], size))
            found[size] = grams, texts[fits[places]]
        return found


def _joined(arrays: Iterable[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros(0, np.uint64), *arrays])


@dataclasses.dataclass(frozen=True)
class RawCounts:
    """How many patients of the raw data have an n-gram.

    Attributes:
        patients: size -> counts, one for every n-gram of `BenchmarkGrams.tables[size]`.
    """

    patients: dict[int, np.ndarray]

    def boilerplate(self, size: int) -> np.ndarray:
        """Which n-grams at least `BOILERPLATE_PATIENTS` patients have."""
        return self.patients[size] >= BOILERPLATE_PATIENTS


def hits_of(notes: pl.DataFrame, words: Words, benchmarks: BenchmarkGrams) -> dict[int, Hits]:
    """The benchmarks' n-grams in some notes: by size, columns gram and patient.

    For n-grams of `DECIDING_WORDS` words also the row; of others it matters which patients have
    them, not where.
    """
    found = {}
    for size, (grams, texts) in benchmarks.find(words).items():
        columns = ("patient", "row") if size == DECIDING_WORDS else ("patient",)
        found[size] = notes.select(columns)[texts].select(
            pl.Series("gram", grams.astype(np.uint32)), *columns
        )
    return found


def write_hits(hits: Hits, directory: Path, size: int, piece: str, *, compress: bool) -> None:
    """Write the hits of a batch, parted by their n-grams."""
    parted = hits.with_columns(part=pl.col("gram") % _PARTS)
    path = directory / f"{size:02}-{piece}{staged_parts.SUFFIX}"
    staged_parts.write(parted, path, "part", _PARTS, compress=compress)


def _read_hits(directory: Path, size: int, part: int) -> Iterator[Hits]:
    for path in sorted(directory.glob(f"{size:02}-*{staged_parts.SUFFIX}")):
        yield staged_parts.read_part(path, part)


def count_patients(directory: Path, benchmarks: BenchmarkGrams) -> RawCounts:
    """Count the patients of every n-gram from the staged hits."""
    counts = {}
    for size, table in benchmarks.tables.items():
        counts[size] = np.zeros(len(table), np.uint32)
        for part in range(_PARTS):
            hits = [hits.select("gram", "patient") for hits in _read_hits(directory, size, part)]
            if not hits:
                break
            of_part = pl.concat(hits).unique().group_by("gram").len()
            counts[size][of_part.get_column("gram").to_numpy()] = of_part.get_column("len")
    return RawCounts(counts)


def rows_with_test_text(directory: Path, benchmarks: BenchmarkGrams, raw: RawCounts) -> pl.Series:
    """Rows of the notes that hold a test split's n-gram (13 words) beyond boiler-plate."""
    of_test = benchmarks.of_split(DECIDING_SPLIT, DECIDING_WORDS)
    telling = np.zeros(len(benchmarks.tables[DECIDING_WORDS]), bool)
    telling[of_test] = ~raw.boilerplate(DECIDING_WORDS)[of_test]
    rows = [np.zeros(0, np.uint64)]
    for part in range(_PARTS):
        for hits in _read_hits(directory, DECIDING_WORDS, part):
            grams = hits.get_column("gram").to_numpy()
            rows.append(hits.get_column("row").to_numpy()[telling[grams]])
    return pl.Series("row", distinct(np.concatenate(rows)))
