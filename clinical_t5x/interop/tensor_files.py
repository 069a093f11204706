"""Files of named tensors: what the readers of each format have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import ml_dtypes
import numpy as np
from etils import epath

from clinical_t5x.interop.source import CheckpointError, TensorInfo

# Every dtype that weights may have, by the name that TensorInfo has for it.
WEIGHT_DTYPES = {
    "float32": np.dtype(np.float32),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "float16": np.dtype(np.float16),
}


class TensorFile(Protocol):
    """One file of tensors under its own names, read tensor by tensor.

    Attributes:
      path: of the file, for people.
      infos: shape and dtype of every tensor, as stored.
    """

    path: str
    infos: Mapping[str, TensorInfo]

    def read(self, name: str) -> np.ndarray:
        """The whole tensor as stored.

        Raises:
          CheckpointError: the file is damaged, or the tensor is no float of 16 or 32 bits.
        """
        ...

    def is_same_memory(self, name: str, other: str) -> bool:
        """Whether the file keeps both names' numbers in one place, so that they must be equal."""
        ...


def weight_dtype(path: object, name: str, dtype: str) -> np.dtype:
    """The numpy dtype of a weight; CheckpointError for what weights cannot be."""
    if dtype not in WEIGHT_DTYPES:
        raise CheckpointError(f"{path}: {name} is {dtype}; weights are {', '.join(WEIGHT_DTYPES)}")
    return WEIGHT_DTYPES[dtype]


def read_range(path: epath.Path, start: int, length: int) -> bytes:
    """`length` bytes of a file from `start` on; CheckpointError when it ends before."""
    with path.open("rb") as file:
        file.seek(start)
        data = file.read(length)
    if len(data) != length:
        raise CheckpointError(f"{path} is truncated: it ends within a tensor; fetch it again")
    return data


def file_size(path: epath.Path) -> int:
    """Size of a file in bytes."""
    return path.stat().length
