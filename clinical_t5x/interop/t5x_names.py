"""T5X's names for T5's parameters, and ours.

Unrolled, our tree has T5X's names. With `scan_layers` the layers of a stack share one array a
parameter: `encoder/layers_3/mlp/wo/kernel` there is entry 3 of `encoder/layers/mlp/wo/kernel` here.
Both directions go through a flat dict from T5X's name (parts joined by "/") to one array.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from clinical_t5x.interop.tensor_table import layer_span
from clinical_t5x.models.config import T5Config
from clinical_t5x.models.position import NUM_BUCKETS

_LAYER = re.compile(r"layers_(\d+)")
_NUMBER = re.compile(r"(?<=layers_)\d+|(?<=\.block\.)\d+")  # in our names, in Hugging Face's


def t5x_shapes(config: T5Config) -> dict[str, tuple[int, ...]]:
    """Name and shape of every parameter of T5X's network of this configuration, sorted by name."""
    shapes = {"token_embedder/embedding": (config.vocab_size, config.emb_dim)}
    for i in range(config.num_encoder_layers):
        prefix = f"encoder/layers_{i}"
        shapes |= _attention_shapes(config, f"{prefix}/attention")
        shapes |= _mlp_shapes(config, f"{prefix}/mlp")
        for norm in ("attention", "mlp"):
            shapes[f"{prefix}/pre_{norm}_layer_norm/scale"] = (config.emb_dim,)
    for i in range(config.num_decoder_layers):
        prefix = f"decoder/layers_{i}"
        shapes |= _attention_shapes(config, f"{prefix}/self_attention")
        shapes |= _attention_shapes(config, f"{prefix}/encoder_decoder_attention")
        shapes |= _mlp_shapes(config, f"{prefix}/mlp")
        for norm in ("self_attention", "cross_attention", "mlp"):
            shapes[f"{prefix}/pre_{norm}_layer_norm/scale"] = (config.emb_dim,)
    for stack in ("encoder", "decoder"):
        shapes[f"{stack}/relpos_bias/rel_embedding"] = (config.num_heads, NUM_BUCKETS)
        shapes[f"{stack}/{stack}_norm/scale"] = (config.emb_dim,)
    if not config.logits_via_embedding:
        shapes["decoder/logits_dense/kernel"] = (config.emb_dim, config.vocab_size)
    return dict(sorted(shapes.items()))


def _attention_shapes(config: T5Config, prefix: str) -> dict[str, tuple[int, ...]]:
    joined = config.num_heads * config.head_dim
    inward = {f"{prefix}/{name}/kernel": (config.emb_dim, joined) for name in ("query", "key")}
    return inward | {
        f"{prefix}/value/kernel": (config.emb_dim, joined),
        f"{prefix}/out/kernel": (joined, config.emb_dim),
    }


def _mlp_shapes(config: T5Config, prefix: str) -> dict[str, tuple[int, ...]]:
    return {
        f"{prefix}/{name}/kernel": (config.emb_dim, config.mlp_dim) for name in mlp_inputs(config)
    } | {f"{prefix}/wo/kernel": (config.mlp_dim, config.emb_dim)}


def mlp_inputs(config: T5Config) -> tuple[str, ...]:
    """Names of the MLP's input kernels: `wi`, or `wi_0`, `wi_1` when gated."""
    count = len(config.mlp_activations)
    return ("wi",) if count == 1 else tuple(f"wi_{i}" for i in range(count))


def our_path(name: str, config: T5Config) -> tuple[tuple[str, ...], int | None]:
    """Where T5X's parameter `name` is in our tree: the path, and the entry of a stacked array."""
    parts = name.split("/")
    if not config.scan_layers or len(parts) < 2:
        return tuple(parts), None
    layer = _LAYER.fullmatch(parts[1])
    if layer is None:
        return tuple(parts), None
    return (parts[0], "layers", *parts[2:]), int(layer[1])


def to_named(params: Mapping[str, Any], config: T5Config) -> dict[str, Any]:
    """Our parameters as a flat dict under T5X's names; stacked arrays are taken apart."""
    named = {}
    for name in t5x_shapes(config):
        path, layer = our_path(name, config)
        array = params
        for part in path:
            array = array[part]
        named[name] = array if layer is None else array[layer]
    return named


def from_named(named: Mapping[str, Any], config: T5Config) -> dict[str, Any]:
    """Our parameter tree out of arrays under T5X's names, as numpy arrays of their own dtype.

    Args:
      named: every parameter of the configuration, and nothing else.
      config: decides the names, and whether layers are stacked.

    Returns:
      The nested dict that the model takes.

    Raises:
      ValueError: listing missing and unknown names and shapes that differ.
    """
    check_named({name: np.shape(array) for name, array in named.items()}, t5x_shapes(config))
    stacks: dict[tuple[str, ...], dict[int, Any]] = {}
    tree: dict[str, Any] = {}
    for name in t5x_shapes(config):
        path, layer = our_path(name, config)
        if layer is None:
            put(tree, path, np.asarray(named[name]))
        else:
            stacks.setdefault(path, {})[layer] = named[name]
    for path, layers in stacks.items():
        put(tree, path, np.stack([np.asarray(layers[i]) for i in range(len(layers))]))
    return tree


def check_named(found: Mapping[str, tuple], wanted: Mapping[str, tuple]) -> None:
    """Raise a ValueError that lists every difference between two tables of names and shapes.

    Equal differences of several layers of a stack share a line.
    """
    problems = [f"missing: {name} {wanted[name]}" for name in wanted if name not in found]
    problems += [f"unknown: {name} {found[name]}" for name in found if name not in wanted]
    problems += [
        f"shape: {name} is {found[name]}, wanted {shape}"
        for name, shape in wanted.items()
        if name in found and tuple(found[name]) != tuple(shape)
    ]
    if problems:
        raise ValueError(
            f"{len(problems)} parameters do not fit the configuration:\n  "
            + "\n  ".join(_joined(problems))
        )


def _joined(problems: Iterable[str]) -> list[str]:
    layers: dict[str, list[int]] = {}
    for problem in problems:
        number = _NUMBER.search(problem)
        pattern = _NUMBER.sub("{}", problem, count=1) if number else problem
        layers.setdefault(pattern, []).append(int(number[0]) if number else 0)
    return [pattern.replace("{}", layer_span(numbers), 1) for pattern, numbers in layers.items()]


def put(tree: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    """Set an entry of a nested dict, making the dicts on the way to it."""
    for part in path[:-1]:
        tree = tree.setdefault(part, {})
    tree[path[-1]] = value
