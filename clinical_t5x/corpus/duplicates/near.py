"""Near-duplicates: notes most of whose shingles stand in a later note (MinHash and LSH).

A note is dropped when a later note is as similar as the threshold or more; so the latest of a chain
of copies stays. Candidates are notes whose signatures agree in all lanes of a band; no pair counts
before all lanes were compared, nor, where those leave it open, before the notes themselves were.
Signatures are read lane by lane, so that memory holds one lane of all notes at a time, never all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from clinical_t5x.corpus.duplicates.signatures import LANES
from clinical_t5x.corpus.words import distinct, mixed

THRESHOLD = 0.8
_RECALL = 0.99
# How many later members of its bucket a note is compared with, apart from the bucket's latest.
_NEXT = 3

# An estimate is further than so many standard errors from the truth once in four hundred times.
_STANDARD_ERRORS = 3

ReadLane = Callable[[int], np.ndarray]
# Notes of pairs -> their similarities.
Compare = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class NearCopies:
    """Pairs of notes that are near-duplicates.

    Attributes:
        earlier: indices of the notes that have a later copy; later: the copy of each. One pair for
            every pair found, sorted by earlier.
        similarity: the Jaccard similarity of each pair; an estimate if far from the threshold.
        compared: how many candidate pairs there were.
        open: of those, how many their signatures could not decide.
    """

    earlier: np.ndarray
    later: np.ndarray
    similarity: np.ndarray
    compared: int
    open: int


def rows_of_a_band(threshold: float) -> int:
    """Lanes of a band: as many as still find 99 % of the pairs that are just as similar."""
    fits = [
        rows for rows in range(1, 17) if 1 - (1 - threshold**rows) ** (LANES // rows) >= _RECALL
    ]
    return max(fits, default=1)


def near_copies(
    read_lane: ReadLane, order: np.ndarray, threshold: float, compare: Compare
) -> NearCopies:
    """Find the pairs of notes that are near-duplicates.

    Args:
        read_lane: gives a lane of all N notes, uint16.
        order: indices of the notes, the earliest first (length N).
        threshold: Jaccard similarity of the notes' shingles, above 0 and up to 1.
        compare: gives the similarity of pairs of notes (indices) that are close to the threshold.
    """
    rows = rows_of_a_band(threshold)
    pairs = np.zeros(0, np.uint64)
    for band in range(LANES // rows):
        found = _candidates(_band_keys(read_lane, band * rows, rows)[order])
        pairs = distinct(np.concatenate([pairs, found]))
    first = order[(pairs >> np.uint64(32)).astype(np.int64)]
    second = order[(pairs & np.uint64(0xFFFFFFFF)).astype(np.int64)]
    equal = np.zeros(len(pairs), np.uint8)
    for lane in range(LANES):
        values = read_lane(lane)
        equal += values[first] == values[second]
    similarity = equal.astype(np.float32) / LANES
    margin = _STANDARD_ERRORS * np.sqrt(threshold * (1 - threshold) / LANES)
    is_open = np.abs(similarity - threshold) <= margin + 1e-6
    similarity[is_open] = compare(first[is_open], second[is_open])
    similar = similarity >= threshold - 1e-6
    return NearCopies(
        first[similar], second[similar], similarity[similar], len(pairs), int(is_open.sum())
    )


def _band_keys(read_lane: ReadLane, first: int, rows: int) -> np.ndarray:
    """A hash of some lanes of every note."""
    keys: np.ndarray | None = None
    for lane in range(first, first + rows):
        values = read_lane(lane).astype(np.uint64)
        keys = mixed(values if keys is None else keys ^ values)
    return keys


def _candidates(keys: np.ndarray) -> np.ndarray:
    """Pairs of places (earlier << 32 | later) with the same key, each with its next few.

    Args:
        keys: one for every note, in order of time.
    """
    # Half of a key and the place in one number: sorting those is much faster than sorting places by
    # keys, and the few pairs that only half a key brings together are told apart by their lanes.
    half = np.uint64(0xFFFFFFFF)
    packed = (keys & ~half) | np.arange(len(keys), dtype=np.uint64)
    packed.sort()
    places, ordered = packed & half, packed >> np.uint64(32)
    changes = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    last = np.repeat(
        np.append(changes, len(keys)) - 1, np.diff(np.concatenate([[0], changes, [len(keys)]]))
    )
    found = []
    for step in range(1, _NEXT + 1):
        here = np.flatnonzero(np.arange(len(keys)) + step <= last)
        found.append((places[here] << np.uint64(32)) | places[here + step])
    far = np.flatnonzero(np.arange(len(keys)) + _NEXT < last)
    found.append((places[far] << np.uint64(32)) | places[last[far]])
    return np.concatenate(found)
