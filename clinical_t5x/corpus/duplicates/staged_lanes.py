"""Signatures on disk: one file for every staged batch, lane after lane."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from clinical_t5x.corpus.duplicates.signatures import LANES


def write_lanes(path: Path, signatures: np.ndarray) -> None:
    """Write the signatures of a batch (uint16 of shape (LANES, D)) without a header."""
    path.write_bytes(np.ascontiguousarray(signatures).data)  # its errors are the system's


class StagedLanes:
    """The signatures of some of the staged notes, read a lane at a time.

    Args:
        directory: the files that `write_lanes` wrote.
        pieces: for every file its name, how many notes it has, and which of them are wanted
            (ascending indices).
    """

    def __init__(self, directory: Path, pieces: list[tuple[str, int, np.ndarray]]):
        self._pieces = [(directory / name, count, wanted) for name, count, wanted in pieces]
        for path, count, _ in self._pieces:
            if path.stat().st_size != 2 * LANES * count:
                raise AssertionError(f"{path.name} does not hold the signatures of {count} notes")

    def read(self, lane: int) -> np.ndarray:
        """A lane of all wanted notes: uint16, in the order of the files."""
        parts = [np.zeros(0, np.uint16)]
        for path, count, wanted in self._pieces:
            parts.append(np.fromfile(path, np.uint16, count, offset=2 * lane * count)[wanted])
        return np.concatenate(parts)
