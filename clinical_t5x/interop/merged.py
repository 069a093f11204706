"""Low-rank adapters of a checkpoint as part of its kernels: other libraries know of no adapters."""

from __future__ import annotations

from typing import Any

import numpy as np

from clinical_t5x.interop.source import CheckpointError, TensorInfo
from clinical_t5x.models import lora
from clinical_t5x.models.config import T5Config


def has_adapters(tensors: Any) -> bool:
    """Whether any of the tensors is an adapter."""
    return any(_is_adapter(name) for name in tensors.infos)


class MergedAdapters:
    """Tensors by T5X's names without their adapters, each of which is added to its kernel.

    Args:
      tensors: with `infos` and `read`, as a `TensorSource` has them.
      config: the adapted network's, which says how strong the adapters are.

    Attributes:
      infos: of the kernels and all else.

    Raises:
      CheckpointError: the configuration names no adapters, or an adapter is incomplete.
    """

    def __init__(self, tensors: Any, config: T5Config):
        self._tensors, self._config = tensors, config
        infos = tensors.infos
        self.infos: dict[str, TensorInfo] = {
            name: info for name, info in infos.items() if not _is_adapter(name)
        }
        self._adapted = {_part(name, "kernel") for name in infos if _is_adapter(name)}
        for kernel in self._adapted:
            self._check(kernel)

    def _check(self, kernel: str) -> None:
        rank, infos = self._config.lora_rank, self._tensors.infos
        shape = infos[kernel].shape if kernel in infos else (0, 0)
        wanted = {lora.A: (shape[0], rank), lora.B: (rank, shape[-1])}
        for name, expected in wanted.items():
            found = infos.get(_part(kernel, name))
            if not rank or found is None or found.shape != expected:
                raise CheckpointError(
                    f"the adapter of {kernel} {shape} does not fit: {name} is"
                    f" {'absent' if found is None else found.shape}, lora_rank {rank}"
                )

    def read(self, name: str) -> np.ndarray:
        """One tensor; a kernel with what its adapter adds to it, in the kernel's dtype."""
        array = self._tensors.read(name)
        if name not in self._adapted:
            return array
        a, b = (
            self._tensors.read(_part(name, part)).astype(np.float32) for part in (lora.A, lora.B)
        )
        added = lora.scale(self._config) * (a @ b)
        return (array.astype(np.float32) + added).astype(array.dtype)


def _is_adapter(name: str) -> bool:
    return name.rpartition("/")[2] in (lora.A, lora.B)


def _part(name: str, part: str) -> str:
    """The tensor called `part` beside the one called `name`."""
    return f"{name.rpartition('/')[0]}/{part}"
