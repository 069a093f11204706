"""The metadata of all staged notes, a column at a time.

Rules ask for few columns each, and most of them for the notes that earlier rules left: so columns
are read when a rule wants them and given up after it, and no note costs memory for all of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq

# What decisions are made on; all but the first two are numbers.
COLUMNS = (
    "source", "category", "row", "note", "patient", "author", "charttime", "charted", "stored",
    "text_hash", "num_words", "shard",
)  # fmt: skip
_REPEATED = ("source", "category")  # strings


class StagedMetadata:
    """The notes of all staged batches, in order of their rows.

    Attributes:
        pieces: for every batch its name and where its notes are among all.
    """

    def __init__(self, directory: Path):
        paths = sorted(directory.glob("*.parquet"))
        heights = [pq.read_metadata(path).num_rows for path in paths]
        stops = list(itertools.accumulate(heights))
        self._paths = paths
        self.pieces = [
            (path.stem, slice(stop - height, stop))
            for path, height, stop in zip(paths, heights, stops, strict=True)
        ]

    def __len__(self) -> int:
        return self.pieces[-1][1].stop if self.pieces else 0

    def read(self, *columns: str, among: np.ndarray | None = None) -> pl.DataFrame:
        """Some columns of the notes.

        Args:
            columns: names, of `COLUMNS` or of others that staging wrote.
            among: which notes to read (booleans, one for every note); all by default.
        """
        # In pieces: one piece would need all of it twice for a moment.
        return pl.concat(part for _, part in self.read_pieces(*columns, among=among))

    def read_pieces(
        self, *columns: str, among: np.ndarray | None = None
    ) -> Iterator[tuple[str, pl.DataFrame]]:
        """The same, batch by batch with its name."""
        repeated = [name for name in columns if name in _REPEATED]
        for path, (name, place) in zip(self._paths, self.pieces, strict=True):
            part = pl.read_parquet(path, columns=list(columns), glob=False)
            part = part.with_columns(pl.col(repeated).cast(pl.Categorical))
            yield name, part if among is None else part.filter(pl.Series(among[place]))
