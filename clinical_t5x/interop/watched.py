"""A source that notes which of the tensors that pass through it hold NaN or infinity."""

from __future__ import annotations

from typing import Any

import numpy as np

from clinical_t5x.interop.source import TensorSource

_BLOCK_ENTRIES = 1 << 22


class Watched:
    """Another `TensorSource`, with every attribute of it.

    Attributes:
      not_finite: names of the tensors read so far that hold NaN or infinity.
      notes: the source's sentences for people; none where it has none.
    """

    def __init__(self, source: TensorSource):
        self._source = source
        self.not_finite: list[str] = []
        self.notes: list[str] = list(getattr(source, "notes", ()))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def read(self, name: str) -> np.ndarray:
        """The source's tensor."""
        array = self._source.read(name)
        if not _is_finite(array) and name not in self.not_finite:
            self.not_finite.append(name)
        return array


def _is_finite(array: np.ndarray) -> bool:
    rows = max(1, _BLOCK_ENTRIES * len(array) // max(1, array.size)) if array.ndim else 1
    if not array.ndim:
        return bool(np.isfinite(array))
    starts = range(0, len(array), rows)
    return all(np.isfinite(array[start : start + rows]).all() for start in starts)
