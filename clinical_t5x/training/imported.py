"""Checkpoints of any layout as a model's parameters, placed where the mesh wants them.

Tensors come one at a time: on the host there is never more than one tensor, or one stack of layers,
beside what is placed already.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np

from clinical_t5x.console import UserError
from clinical_t5x.interop import t5x_names
from clinical_t5x.interop.recognise import open_checkpoint
from clinical_t5x.interop.source import CheckpointError, TensorSource
from clinical_t5x.models.config import T5Config
from clinical_t5x.partitioning import PjitPartitioner
from clinical_t5x.training import adapters
from clinical_t5x.training.vocabularies import refuse_other_vocabulary

_SHOWN = 5
# What shapes do not show, and the names that people set it by.
_UNSEEN = {
    "mlp_activations": "network.T5Config.mlp_activations",
    "logits_via_embedding": "network.T5Config.logits_via_embedding",
}


def import_params(path: Any, model: Any, partitioner: PjitPartitioner) -> tuple[Any, int]:
    """Parameters out of a checkpoint of whatever layout, and the step they are from.

    Args:
      path: of one checkpoint; see `recognise.open_checkpoint`.
      model: its configuration decides names and shapes; adapters that it has begin anew.
      partitioner: says where the parameters go.

    Returns:
      The float32 parameters, and the step; 0 where the layout has none.

    Raises:
      UserError: the checkpoint cannot be read, or is of another model.
    """
    if not hasattr(model, "config"):
        raise UserError(f"{path}: only our own checkpoints can be read for {type(model).__name__}")
    plain = adapters.base(model)
    try:
        source = open_checkpoint(path)
        refuse_other_network(source, plain.config)
        refuse_other_vocabulary(source.path, getattr(source, "position", {}), model)
        params = place(source, plain, partitioner)
    except CheckpointError as error:
        raise UserError(str(error)) from error
    params = adapters.with_new(params, model, partitioner, jax.random.key(0))
    return params, source.step or 0


def refuse_other_network(source: TensorSource, config: T5Config) -> None:
    """Compare a checkpoint with a configuration.

    Raises:
      UserError: naming what differs: parameters, shapes, and what the source says of the network.
    """
    wanted = t5x_names.t5x_shapes(config)
    found = {name: info.shape for name, info in source.infos.items()}
    differences = [
        f"{name} {found.get(name, 'absent')} in the checkpoint, {wanted.get(name, 'absent')} in "
        "the model"
        for name in [*wanted, *(name for name in found if name not in wanted)]
        if found.get(name) != wanted.get(name)
    ]
    assumed = getattr(source, "assumed", ())
    for field, name in _UNSEEN.items():
        there, here = getattr(source.config, field), getattr(config, field)
        if there != here and field not in assumed:
            differences.append(f"{name} {there} in the checkpoint, {here} in the model")
    if differences:
        more = f" and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
        raise UserError(
            f"{source.path} is of another model: {'; '.join(differences[:_SHOWN])}{more}. Take "
            "the model's own configuration, or another checkpoint"
        )


def refuse_other_functions(path: Any, position: Mapping[str, Any], model: Any) -> None:
    """Compare what shapes do not show with what one of our checkpoints says of its network.

    Raises:
      UserError: naming what differs.
    """
    saved, config = position.get("config") or {}, getattr(model, "config", None)
    for field, name in _UNSEEN.items():
        if config is None or field not in saved:
            continue
        there, here = saved[field], getattr(config, field)
        there = tuple(there) if isinstance(there, list) else there
        if there != here:
            raise UserError(
                f"{path} is of another model: {name} {there} in the checkpoint, {here} in the "
                "model. Take the model's own configuration, or another checkpoint"
            )


def place(source: TensorSource, model: Any, partitioner: PjitPartitioner) -> Any:
    """A source's tensors as the model's parameters, each sharded as the rules say."""
    abstract = adapters.placed(model, partitioner)
    params: dict[str, Any] = {}
    for path, names in _in_order(source, model.config):
        leaf = abstract
        for key in path:
            leaf = leaf[key]
        t5x_names.put(params, path, _placed_array(source, names, leaf))
    return params


def _in_order(
    source: TensorSource, config: T5Config
) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Paths of our tree with the tensors they are made of; stack by stack where layers share."""
    parts: dict[tuple[str, ...], dict[int | None, str]] = {}
    for name in source.infos:  # the cheapest order
        path, layer = t5x_names.our_path(name, config)
        parts.setdefault(path, {})[layer] = name
    for path, layers in parts.items():
        yield path, [layers[layer] for layer in sorted(layers, key=lambda layer: layer or 0)]


def _placed_array(source: TensorSource, names: list[str], leaf: jax.ShapeDtypeStruct) -> jax.Array:
    """One of our arrays, out of one tensor, or of one a layer."""
    indices = leaf.sharding.addressable_devices_indices_map(leaf.shape)
    stacked = len(leaf.shape) > len(source.infos[names[0]].shape)
    shards = {_key(index, leaf.shape): index for index in indices.values()}
    if not stacked:
        array = source.read(names[0]).astype(leaf.dtype, copy=False)
        parts = {key: array[index] for key, index in shards.items()}
    else:
        parts = {key: np.empty([b - a for a, b in key], leaf.dtype) for key in shards}
        for layer, name in enumerate(names):
            array = source.read(name)
            for key, index in shards.items():
                first, last = key[0]
                if first <= layer < last:
                    parts[key][layer - first] = array[index[1:]]
    return jax.make_array_from_callback(
        leaf.shape, leaf.sharding, lambda index: parts[_key(index, leaf.shape)]
    )


def _key(index: tuple[slice, ...], shape: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """Begin and end of a shard in every dim."""
    return tuple(part.indices(size)[:2] for part, size in zip(index, shape, strict=True))
