"""What a step needs, estimated without a compiler.

Parameters, optimizer memory and batch are exact. What the backward pass keeps is read from the
program itself: JAX differentiates it on shapes alone and says which arrays it would keep, which is
right for every remat policy and every way of computing attention and loss. How a compiler reuses
memory is supposed: gradients live as long as everything that is kept, and beside it one layer as
it is without remat.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import TYPE_CHECKING, Any

from clinical_t5x.plan.memory import Memory, State
from clinical_t5x.plan.run import PlannedRun

if TYPE_CHECKING:
    import jax

# Part of a device's memory that an estimate may fill to count as fitting: beside libtpu's compiler
# estimates were up to 14 % too low (docs/planning.md).
SAFE_SHARE = 0.85


@dataclasses.dataclass(frozen=True)
class KeptPerRow:
    """What the backward pass keeps of one row of the batch, in bytes.

    Attributes:
      whole: arrays that the tensor axis does not split.
      split: arrays that it splits (heads, MLP, logits).
      layer: what one layer of each stack would keep without remat; it is there while its part of
        the backward pass is computed.
    """

    whole: int
    split: int
    layer: int


def estimated_memory(run: PlannedRun, state: State, kept: KeptPerRow) -> Memory:
    """Bytes on one device, estimated.

    Args:
      run: with its partitioner on devices, known or counted.
      state: where its arrays lie.
      kept: of this run; the same on every mesh.
    """
    mesh = run.partitioner.mesh.shape
    rows = max(1, run.batch_size // run.partitioner.batch_shards)
    activations = rows * (kept.whole + (kept.split + kept.layer) // mesh["tensor"])
    return Memory(
        parameters=state.parameter_bytes,
        optimizer=state.optimizer_bytes,
        batch=state.batch_bytes,
        layout=0,
        temporaries=state.parameter_bytes + activations + _largest_gathered(state, mesh),
        outputs=0,
        code=0,
    )


def kept_per_row(run: PlannedRun, plain: KeptPerRow | None = None) -> KeptPerRow:
    """What the backward pass keeps of one row, read from the derivative of the run's loss.

    Args:
      run: with the remat policy in question.
      plain: the same of this run without remat, where it is known already.
    """
    config = run.model.config
    split_dims = {config.mlp_dim, config.num_heads, config.vocab_size}
    if config.num_heads * config.head_dim != config.emb_dim:
        split_dims.add(config.num_heads * config.head_dim)
    sizes = {True: 0, False: 0}
    for leaf in _residuals_of_a_row(run):
        # the first dim counts layers or rows
        sizes[bool(split_dims.intersection(leaf.shape[1:]))] += _bytes(leaf)
    whole, split = sizes[False], sizes[True]
    if config.remat_policy == "none":
        return KeptPerRow(whole, split, layer=0)
    plain = plain or kept_per_row(run.with_config(remat_policy="none"))
    layers = max(config.num_encoder_layers, config.num_decoder_layers)
    # kept arrays and their gradients
    return KeptPerRow(whole, split, layer=2 * (plain.whole + plain.split) // layers)


def _residuals_of_a_row(run: PlannedRun) -> list[jax.ShapeDtypeStruct]:
    """Arrays that the backward pass keeps for one row, those made of parameters left out.

    They are found at one row and at two: what is made of parameters does not grow with the rows.
    """
    one, two = _residuals(run, 1), _residuals(run, 2)
    return [small for small, large in zip(one, two, strict=True) if small.shape != large.shape]


def _residuals(run: PlannedRun, rows: int) -> list[jax.ShapeDtypeStruct]:
    import jax

    model = run.model.with_config(dataclasses.replace(run.model.config, scan_layers=True))
    batch = {
        name: jax.ShapeDtypeStruct((rows, *row.shape[1:]), row.dtype)
        for name, row in run.features.items()
    }

    def backward(params: Any, batch: Any, key: Any) -> Any:
        return jax.vjp(lambda params: model.loss_fn(params, batch, key)[0], params)[1]

    key = jax.eval_shape(functools.partial(jax.random.key, 0))
    return jax.tree.leaves(jax.eval_shape(backward, model.abstract_params(), batch, key))


def _largest_gathered(state: State, mesh: Any) -> int:
    """The largest array that devices put together from the parts that each keeps."""
    if mesh["fsdp"] == 1:
        return 0
    return max(_layer_bytes(placement) for placement in state.parameters) // mesh["tensor"]


def _layer_bytes(placement: Any) -> int:
    sizes = zip(placement.logical, placement.shape, strict=True)
    return 4 * math.prod(size for name, size in sizes if name != "layers")


def _bytes(leaf: Any) -> int:
    return math.prod(leaf.shape) * leaf.dtype.itemsize
