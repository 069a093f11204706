"""How similar pairs of notes are, exactly: their shingles are read once more and compared.

Signatures only estimate similarity. Near the threshold that is not enough, and the notes of the
pairs there are few: their sets of shingles are put into a file, and pairs are compared from it some
at a time, so that memory holds a few thousand sets.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import polars as pl

from clinical_t5x.corpus import kernels, staged_parts, threads
from clinical_t5x.corpus.duplicates.signatures import SHINGLE_WORDS
from clinical_t5x.corpus.words import LETTERS_AND_DIGITS, distinct, words_of

_PAIRS_AT_A_TIME = 10_000
_WORKERS = 2  # each holds a batch of texts

# A file of staged texts, and rows of it (ascending).
Piece = tuple[Path, np.ndarray]


def similarities(
    pieces: Sequence[Piece], first: np.ndarray, second: np.ndarray, scratch: Path
) -> np.ndarray:
    """Jaccard similarities of the shingles of pairs of notes.

    Args:
        pieces: all notes that pairs name, in order.
        first, second: the notes of each pair, by their place in that order (int64, length P).
        scratch: a directory for a file of some kilobytes a note, removed afterwards.

    Returns:
        float32 (P).
    """
    with tempfile.NamedTemporaryFile(dir=scratch, prefix="shingles-") as file:
        starts = np.concatenate([[0], np.cumsum(_write_sets(pieces, file))])
        file.flush()
        found = [np.zeros(0, np.float32)]
        for begin in range(0, len(first), _PAIRS_AT_A_TIME):
            some = slice(begin, begin + _PAIRS_AT_A_TIME)
            # Mapped anew each time: pages that were read would stay.
            members = np.asarray(np.memmap(file.name, np.uint32, "r"))
            found.append(kernels.jaccard(members, starts, first[some], second[some]))
            del members
    return np.concatenate(found)


def named(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The notes that pairs name, ascending, and the places of each pair's two among them."""
    notes = distinct(np.concatenate([first, second]))
    return notes, np.searchsorted(notes, first), np.searchsorted(notes, second)


def _write_sets(pieces: Sequence[Piece], file: BinaryIO) -> np.ndarray:
    """Write the shingles of all notes; returns how many each has."""
    counts = [np.zeros(0, np.int64)]
    for shingles, of_notes in threads.in_order(_sets_of, pieces, _WORKERS):
        file.write(shingles.tobytes())
        counts.append(of_notes)
    return np.concatenate(counts)


def _sets_of(piece: Piece) -> tuple[np.ndarray, np.ndarray]:
    path, rows = piece
    with path.open("rb") as file:
        notes = staged_parts.read(file, ["row", "text"])
    texts = notes.filter(pl.col("row").is_in(pl.Series(rows).implode())).sort("row")
    if len(texts) != len(rows):
        raise AssertionError(f"{path.name} does not hold the texts of {len(rows)} notes")
    words = words_of(texts.get_column("text"), LETTERS_AND_DIGITS)
    return kernels.shingle_sets(words.hashes, words.starts, SHINGLE_WORDS)
