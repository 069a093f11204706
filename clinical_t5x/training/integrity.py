"""Reading a checkpoint's parts, and telling a whole one from a damaged one or one of another run.

Every process of a run reads its own part of the arrays; what one of them cannot read counts as
damaged for all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.training import hosts

_SHOWN = 5
_SHOWN_DIGITS = 12  # of a hash

# What must agree for a run to go on bit for bit, and the setting that restores the agreement.
_POSITION_CURES = {
    "seed": "RANDOM_SEED",
    "data_seed": "train/utils.DatasetConfig.seed",
    "global_batch_size": "BATCH_SIZE",
    "manifest_hash": "the data or its options (task, feature lengths, packing, vocabulary)",
}

Part = TypeVar("Part")


class DamagedCheckpointError(Exception):
    """A checkpoint that cannot be read, or whose arrays are not those that were saved."""


def read_position(path: epath.Path) -> dict[str, Any]:
    """The position that was saved with a checkpoint.

    Raises:
      DamagedCheckpointError: when it is missing or unreadable.
    """

    def read() -> dict[str, Any]:
        try:
            # not through a Checkpointer, whose barrier a process that fails would never reach
            position = ocp.JsonCheckpointHandler().restore(path / "position")
        except Exception as error:
            raise DamagedCheckpointError(
                f"checkpoint {path} is unreadable (no position)"
            ) from error
        if not {"step", "checksums"} <= set(position or ()):
            raise DamagedCheckpointError(f"checkpoint {path} is unreadable (position incomplete)")
        return position

    return _on_every_host(path, read)


def read_tree(path: epath.Path, item: str, abstract: Any, expected: Mapping[str, int]) -> Any:
    """Restore one item onto the shardings of `abstract` and compare checksums.

    Args:
      path: The checkpoint.
      item: 'params' or 'optimizer'.
      abstract: Shapes and shardings; any mesh will do.
      expected: Checksums by name; empty compares none.

    Raises:
      DamagedCheckpointError: when it cannot be read, or its arrays are not those that were saved.
      UserError: when it belongs to another model.
    """

    def shapes() -> Any:
        return ocp.PyTreeCheckpointHandler().metadata(path / item).tree

    def arrays() -> Any:
        return ocp.PyTreeCheckpointHandler().restore(
            path / item,
            args=ocp.args.PyTreeRestore(
                item=abstract,
                restore_args=ocp.checkpoint_utils.construct_restore_args(abstract),
            ),
        )

    def readable(read: Callable[[], Part]) -> Part:
        try:
            return read()
        except Exception as error:
            raise DamagedCheckpointError(f"checkpoint {path} is unreadable ({item})") from error

    _refuse_other_shapes(path, _on_every_host(path, lambda: readable(shapes)), abstract)
    tree = _on_every_host(path, lambda: readable(arrays))
    found = checksums(tree) if expected else {}
    wrong = [name for name, value in expected.items() if found.get(name) != value]
    if wrong:
        raise DamagedCheckpointError(f"checkpoint {path} is damaged ({item}: {wrong[0]})")
    return tree


def _on_every_host(path: epath.Path, read: Callable[[], Part]) -> Part:
    """What `read` returns, unless it failed on some process: then the error, on all."""
    problem: DamagedCheckpointError | None = None
    part = None
    try:
        part = read()
    except DamagedCheckpointError as error:
        problem = error
    if hosts.any_host(problem is not None):
        raise problem or DamagedCheckpointError(f"checkpoint {path} is unreadable on another host")
    return part


def refuse_other_position(
    path: epath.Path, found: Mapping[str, Any], wanted: Mapping[str, Any]
) -> None:
    """Refuse to go on from a checkpoint of other data, seeds or batch size, in one line.

    What the checkpoint does not tell is not compared: it was converted from a layout without a
    position.
    """
    for key, cure in _POSITION_CURES.items():
        if key in wanted and key in found and found[key] != wanted[key]:
            there, here = (str(value)[:_SHOWN_DIGITS] for value in (found[key], wanted[key]))
            raise UserError(
                f"{path} was made with {key} = {there}, this run has {key} = {here}: restore "
                f"{cure}, or choose another MODEL_DIR"
            )


@jax.jit
def _leaf_checksum(array: jax.Array) -> jax.Array:
    """A sum of bits weighted by position, modulo 2**32: exact, so the same on every mesh."""
    width = {1: jnp.uint8, 2: jnp.uint16, 4: jnp.uint32}[array.dtype.itemsize]
    bits = jax.lax.bitcast_convert_type(array, width).astype(jnp.uint32)
    weights = jnp.uint32(1)
    for dim, size in enumerate(array.shape):
        place = jax.lax.broadcasted_iota(jnp.uint32, array.shape, dim)
        weights = weights * jnp.uint32(2 * size + 1) + place
    return jnp.sum(bits * (2 * weights + 1), dtype=jnp.uint32)


def checksums(tree: Any) -> dict[str, int]:
    """A 32-bit checksum of every array, by name."""
    # One program at a time: on pretended CPU devices, sums over devices that are under way at once
    # can take all threads and wait for each other for ever.
    return {
        _name(path): int(jax.device_get(_leaf_checksum(leaf)))
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def _refuse_other_shapes(path: epath.Path, saved: Any, abstract: Any) -> None:
    """Name the tensors in which a checkpoint and the configured model differ."""
    there = {_name(key): tuple(leaf.shape) for key, leaf in _named_leaves(saved)}
    here = {_name(key): tuple(leaf.shape) for key, leaf in _named_leaves(abstract)}
    differences = [
        f"{name} {there.get(name, 'absent')} in the checkpoint, {here.get(name, 'absent')} in "
        "the model"
        for name in sorted({*there, *here})
        if there.get(name) != here.get(name)
    ]
    if differences:
        more = f" and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
        raise UserError(
            f"{path} is of another model: {'; '.join(differences[:_SHOWN])}{more}. Take the "
            "model's own configuration, or another checkpoint or MODEL_DIR"
        )


def _named_leaves(tree: Any) -> list[tuple[Any, Any]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree, is_leaf=lambda leaf: hasattr(leaf, "shape"))
    return [(path, leaf) for path, leaf in leaves if hasattr(leaf, "shape")]


def _name(path: Sequence[Any]) -> str:
    return "/".join(
        str(getattr(key, "key", getattr(key, "name", getattr(key, "idx", key)))) for key in path
    )
