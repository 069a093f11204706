"""A checkpoint's tensors as rows for people: equal layers of a stack share a row."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from clinical_t5x.interop.source import TensorInfo

_LAYER = re.compile(r"(?<=layers_)\d+")


@dataclasses.dataclass(frozen=True)
class Row:
    """One or several tensors of one shape and dtype.

    Attributes:
      name: T5X's; with several, the layers as "layers_0-11".
      shape: of each, as T5X has it.
      dtype: of each.
      count: how many tensors.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    count: int

    @property
    def parameters(self) -> int:
        """Entries of all the row's tensors."""
        return TensorInfo(self.shape, self.dtype).size * self.count


def rows(infos: Mapping[str, TensorInfo], *, every: bool = False) -> list[Row]:
    """The table of a checkpoint, sorted by name and layer.

    Args:
      infos: shape and dtype by T5X's unrolled names.
      every: a row for each tensor.
    """
    groups: dict[tuple[str, TensorInfo], list[int]] = {}
    for name, info in infos.items():
        layer = _LAYER.search(name)
        pattern = _LAYER.sub("{}", name) if layer and not every else name
        groups.setdefault((pattern, info), []).append(int(layer[0]) if layer else 0)
    found = [
        Row(pattern.replace("{}", layer_span(layers)), info.shape, info.dtype, len(layers))
        for (pattern, info), layers in groups.items()
    ]
    return sorted(found, key=lambda row: _natural(row.name))


def layer_span(layers: list[int]) -> str:
    """Layers as text: "0-11", or "0-2,5" where some are missing."""
    spans: list[list[int]] = []
    for layer in sorted(layers):
        if spans and layer == spans[-1][1] + 1:
            spans[-1][1] = layer
        else:
            spans.append([layer, layer])
    return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in spans)


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts layer 2 before layer 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
