"""A checkpoint whose embedding has rows for tokens that were added to its vocabulary.

The new tokens' rows, of which T5's embedding has 28 unused below its 32,128, become the mean of the
rows of the pieces that the token's text was cut into before: what the model read there so far. The
columns of an untied output matrix likewise. Rows that no token has, when the embedding must grow,
get the mean of all pieces' rows, so that they never outweigh the others. Nothing else changes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from clinical_t5x.interop.source import CheckpointError, TensorInfo, TensorSource
from clinical_t5x.models.config import T5Config

_MULTIPLE = 128  # rows of an embedding, for whole tiles on a TPU

_EMBEDDING = "token_embedder/embedding"  # [vocabulary, width]
_OUTPUT = "decoder/logits_dense/kernel"  # [width, vocabulary]


class ExtendedSource:
    """A `TensorSource` with rows for added tokens; the rest is the source's own.

    Args:
      source: the checkpoint as it is.
      base_size: ids of the vocabulary that it was trained with, sentinels included; the added
        tokens' ids follow.
      former_pieces: for each added token the ids that its text had before; for none, the mean of
        all.
      sentinels: how many of the first `base_size` ids, the last of them, are sentinels: they are no
        part of the mean of all.

    Attributes:
      notes: the source's sentences for people, and one on what is added.

    Raises:
      CheckpointError: the checkpoint has fewer rows than the vocabulary it is said to have.
    """

    def __init__(
        self,
        source: TensorSource,
        base_size: int,
        former_pieces: Sequence[Sequence[int]],
        sentinels: int = 100,
    ):
        rows = source.config.vocab_size
        if rows < base_size:
            raise CheckpointError(
                f"{source.path} has an embedding of {rows:,} rows; the vocabulary that was extended"
                f" has {base_size:,} ids: this is not its checkpoint"
            )
        self._source = source
        self._base_size, self._pieces = base_size, base_size - sentinels
        self._former = [np.asarray(ids, dtype=np.int64) for ids in former_pieces]
        needed = base_size + len(self._former)
        self._rows = rows if needed <= rows else -(-needed // _MULTIPLE) * _MULTIPLE
        grown = "" if self._rows == rows else f"; the embedding grows from {rows:,} rows"
        added = f"rows {base_size:,} to {needed - 1:,} of {self._rows:,} are for new tokens{grown}"
        self.notes: list[str] = [*getattr(source, "notes", ()), added]
        self.config: T5Config = dataclasses.replace(source.config, vocab_size=self._rows)
        self.kind, self.path, self.step = source.kind, source.path, source.step
        self.infos: Mapping[str, TensorInfo] = {
            name: self._info(name, info) for name, info in source.infos.items()
        }

    def _info(self, name: str, info: TensorInfo) -> TensorInfo:
        if name == _EMBEDDING:
            return TensorInfo((self._rows, info.shape[1]), info.dtype)
        if name == _OUTPUT:
            return TensorInfo((info.shape[0], self._rows), info.dtype)
        return info

    def read(self, name: str) -> np.ndarray:
        """The tensor, in the source's dtype."""
        array = self._source.read(name)
        if name == _EMBEDDING:
            return self._extended(array)
        if name == _OUTPUT:
            return np.ascontiguousarray(self._extended(array.T).T)
        return array

    def _extended(self, rows: np.ndarray) -> np.ndarray:
        """[rows, width] with the added tokens' rows, and as many rows in all as are needed."""
        mean_of_all = rows[: self._pieces].mean(axis=0, dtype=np.float64)
        extended = np.empty((self._rows, rows.shape[1]), rows.dtype)
        extended[: len(rows)] = rows
        extended[len(rows) :] = mean_of_all.astype(rows.dtype)
        for token, ids in enumerate(self._former, self._base_size):
            mean = rows[ids].mean(axis=0, dtype=np.float64) if len(ids) else mean_of_all
            extended[token] = mean.astype(rows.dtype)
        return extended
