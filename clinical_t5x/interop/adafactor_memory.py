"""Adafactor's memory beside a checkpoint's parameters, under T5X's names.

For a parameter `encoder/layers_0/mlp/wo/kernel` T5X keeps four arrays: `.../m`, `.../v`,
`.../v_row` and `.../v_col`. A parameter whose two largest dims both reach `MIN_DIM_TO_FACTOR` has
row and column means of the second moment instead of the whole (`v`); what is not used is a single
zero.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from clinical_t5x.interop.source import TensorInfo

FIELDS = ("m", "v_row", "v_col", "v")
MIN_DIM_TO_FACTOR = 128


@dataclasses.dataclass(frozen=True)
class AdafactorMemory:
    """The memory of one optimizer, read array by array.

    Attributes:
      infos: shape and dtype of every array, by the parameter's T5X name and the field
        ("token_embedder/embedding/v_row").
      read: gives an array by that name.
      updates: how many updates it remembers.
    """

    infos: Mapping[str, TensorInfo]
    read: Callable[[str], np.ndarray]
    updates: int


def empty_memory(parameters: Mapping[str, TensorInfo]) -> AdafactorMemory:
    """The memory of an Adafactor with T5X's settings that has seen nothing."""
    infos = {}
    for name, info in parameters.items():
        for field, shape in _shapes(info.shape).items():
            infos[f"{name}/{field}"] = TensorInfo(shape, "float32")
    return AdafactorMemory(infos, lambda name: np.zeros(infos[name].shape, np.float32), 0)


def _shapes(shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    unused = (1,)
    by_size = sorted(range(len(shape)), key=lambda dim: shape[dim])
    if len(shape) < 2 or shape[by_size[-2]] < MIN_DIM_TO_FACTOR:
        return {"m": unused, "v_row": unused, "v_col": unused, "v": shape}
    minor, major = by_size[-2], by_size[-1]
    row = shape[:major] + shape[major + 1 :]
    column = shape[:minor] + shape[minor + 1 :]
    return {"m": unused, "v_row": row, "v_col": column, "v": unused}


def memory_of(
    infos: Mapping[str, TensorInfo],
    parameters: Mapping[str, TensorInfo],
    read: Callable[[str], np.ndarray],
    updates: int,
) -> AdafactorMemory | None:
    """The memory among arrays that lie beside parameters, or None where they are no Adafactor's.

    Args:
      infos: the arrays, by names as in `AdafactorMemory.infos`.
      parameters: the checkpoint's parameters.
      read: gives one of the arrays.
      updates: how many updates they remember.
    """
    if set(infos) != {f"{name}/{field}" for name in parameters for field in FIELDS}:
        return None
    for name, info in parameters.items():
        row, column, whole = (infos[f"{name}/{field}"].shape for field in FIELDS[1:])
        factored = whole == (1,) and len(row) == len(column) == len(info.shape) - 1
        if whole != info.shape and not factored:
            return None
    return AdafactorMemory(dict(infos), read, updates)
