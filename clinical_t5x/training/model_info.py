"""model-info.txt: every array of a run, its shape, where it lies, and how many bytes that takes."""

from __future__ import annotations

import math
from typing import Any

from etils import epath

from clinical_t5x.partitioning import PjitPartitioner, Placement
from clinical_t5x.storage import write_text_atomically
from clinical_t5x.training.state import TrainState

FILE = "model-info.txt"


def count_parameters(abstract_params: Any) -> int:
    """How many numbers a model has."""
    import jax

    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(abstract_params))


def write_model_info(
    directory: Any, abstract: TrainState, axes: TrainState, partitioner: PjitPartitioner
) -> None:
    """Write the table of parameters and optimizer state to `directory`/model-info.txt."""
    mesh = ", ".join(f"{name}={size}" for name, size in partitioner.mesh.shape.items())
    parameters = partitioner.placements(abstract.params, axes.params)
    memory = partitioner.placements(abstract.opt_state, axes.opt_state)
    lines = [f"Mesh: {mesh}", *_section("Parameter", parameters)]
    lines += _section("Optimizer state", memory)
    write_text_atomically(epath.Path(directory) / FILE, "\n".join(lines) + "\n")


def _section(title: str, placements: list[Placement]) -> list[str]:
    lines = [_line(title, placement) for placement in placements]
    numbers = sum(math.prod(placement.shape) for placement in placements)
    per_device = sum(placement.bytes_per_device for placement in placements)
    return [
        "",
        *lines,
        f"Total: {numbers:,} numbers, {per_device:,} bytes on each device",
    ]


def _line(title: str, placement: Placement) -> str:
    dims = ", ".join(
        f"{name}={size}" for name, size in zip(placement.logical, placement.shape, strict=True)
    )
    spec = ", ".join(str(axis) for axis in placement.spec)
    why = f"  ({'; '.join(placement.fallbacks)})" if placement.fallbacks else ""
    held = f"bytes {placement.bytes_per_device}"
    if placement.replicated_bytes:
        held += f", {placement.replicated_bytes} of them replicated"
    return (
        f"{title} {placement.name}  size {math.prod(placement.shape)}  shape ({dims})  "
        f"spec ({spec})  {held}{why}"
    )
