"""Trees in which the layers of a stack may share one array, read and written layer by layer.

`encoder/layers/mlp/wo/kernel` `[L, ...]` holds what is called `encoder/layers_0/mlp/wo/kernel` to
`encoder/layers_<L-1>/...` where layers are apart. Names here are always those.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import numpy as np

from clinical_t5x.interop.checksum import checksum, layer_checksum
from clinical_t5x.interop.orbax_files import OrbaxTree, OrbaxTreeWriter
from clinical_t5x.interop.source import CheckpointError, TensorInfo

_STACK = re.compile(r"(?:^|(?<=/))(encoder|decoder)/layers/")

_SMALL_BYTES = 16 << 20
_SMALL_HELD = 8

# Where an array lies: the path in the tree, and the layer of a stacked one.
Place = tuple[str, int | None]


class StackedTree:
    """The arrays of an Orbax tree, one layer at a time, compared with their checksums.

    Args:
      tree: the tree as stored.
      sums: checksums by stored path; arrays without are not compared.
      prefix: of the stored paths to take, left out of the names.
      leave_out: stored paths, without the prefix, that are no arrays of the network.

    Attributes:
      infos: every array by its name with layers apart; stack by stack.
      stacked: whether any is part of a stack.
    """

    def __init__(
        self,
        tree: OrbaxTree,
        sums: Mapping[str, int],
        *,
        prefix: str = "",
        leave_out: Collection[str] = (),
    ):
        self._tree, self._sums = tree, sums
        self._places: dict[str, Place] = {}
        self.infos: dict[str, TensorInfo] = {}
        for path, info in tree.infos.items():
            name = path.removeprefix(prefix)
            if path.startswith(prefix) and name not in leave_out:
                self._add(name, path, info)
        self.stacked = any(layer is not None for _, layer in self._places.values())
        self._held: dict[str, np.ndarray] = {}  # stacks that could only be read whole
        self._seen: dict[str, dict[int, int]] = {}  # sums of the layers read so far

    def _add(self, name: str, path: str, info: TensorInfo) -> None:
        if not _STACK.search(name):
            self._places[name], self.infos[name] = (path, None), info
            return
        if not info.shape:
            raise CheckpointError(f"{self._tree.directory}: {path} has no layers")
        for layer in range(info.shape[0]):
            one = _STACK.sub(rf"\1/layers_{layer}/", name, count=1)
            self._places[one] = (path, layer)
            self.infos[one] = TensorInfo(info.shape[1:], info.dtype)

    def read(self, name: str) -> np.ndarray:
        """One array, or one layer of a stacked one.

        Raises:
          CheckpointError: it is damaged.
        """
        path, layer = self._places[name]
        if layer is None:
            array = self._tree.read(path)
            self._compare(path, _sum(array))
            return array
        if path in self._held:
            return self._held[path][layer]
        if self._tree.layer_is_apart(path):
            array = self._tree.read(path, layer)
            self._compare_layers(path, layer, array)
            return array
        self._make_room(path)
        stack = self._tree.read(path)
        self._compare(path, _sum(stack))
        self._held[path] = stack
        return stack[layer]

    def _make_room(self, path: str) -> None:
        """Let go of held stacks: one large one is kept at a time, and few small ones beside it."""
        small = _is_small(self._tree.infos[path])
        for held in [held for held in self._held if _is_small(self._tree.infos[held]) == small]:
            if not small or len(self._held) > _SMALL_HELD:
                del self._held[held]

    def _compare_layers(self, path: str, layer: int, array: np.ndarray) -> None:
        layers = self._tree.infos[path].shape[0]
        seen = self._seen.setdefault(path, {})
        seen[layer] = layer_checksum(_widened(array), layer, layers)
        if len(seen) == layers:
            self._compare(path, sum(seen.values()) % 2**32)

    def _compare(self, path: str, found: int) -> None:
        if self._sums.get(path, found) != found:
            raise CheckpointError(
                f"{self._tree.directory} is damaged: {path} is not what was saved"
            )


def write_stacked(
    directory: Any,
    infos: Mapping[str, TensorInfo],
    place: Callable[[str], Place],
    arrays: Iterable[tuple[str, np.ndarray]],
) -> dict[str, int]:
    """Write arrays given layer by layer into a tree whose arrays may be stacks.

    Args:
      directory: of the tree; is made.
      infos: every array by its name with layers apart.
      place: where the array of a name lies.
      arrays: names and arrays, each once, in any order; they are cast to the dtype in `infos`.

    Returns:
      The checksum of every stored array, by its path.
    """
    places = {name: place(name) for name in infos}
    stored = _stored(infos, places)
    stacks = {path for path, layer in places.values() if layer is not None}
    sums = dict.fromkeys(stored, 0)
    with OrbaxTreeWriter(directory, stored, stacks) as writer:
        for name, array in arrays:
            path, layer = places[name]
            array = np.asarray(array, stored[path].numpy_dtype, order="C")
            writer.write(path, array, layer)
            if layer is None:
                sums[path] = _sum(array)
            else:
                part = layer_checksum(_widened(array), layer, stored[path].shape[0])
                sums[path] = (sums[path] + part) % 2**32
    return sums


def _stored(infos: Mapping[str, TensorInfo], places: Mapping[str, Place]) -> dict[str, TensorInfo]:
    """The stored arrays; layers of different dtypes are stored in float32, which holds them all."""
    layers: dict[str, list[TensorInfo]] = {}
    stored = {}
    for name, (path, layer) in places.items():
        if layer is None:
            stored[path] = infos[name]
        else:
            layers.setdefault(path, []).append(infos[name])
    for path, found in layers.items():
        dtypes = {info.dtype for info in found}
        dtype = dtypes.pop() if len(dtypes) == 1 else "float32"
        stored[path] = TensorInfo((len(found), *found[0].shape), dtype)
    return stored


def _is_small(info: TensorInfo) -> bool:
    return info.size * info.numpy_dtype.itemsize <= _SMALL_BYTES


def _sum(array: np.ndarray) -> int:
    return checksum(_widened(array))


def _widened(array: np.ndarray) -> np.ndarray:
    """Half-precision numbers as float32, in which training holds and sums them."""
    return array.astype(np.float32) if array.dtype.itemsize == 2 else array
