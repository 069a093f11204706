"""One update, and one evaluation, as jitted functions of sharded arrays.

Losses and metrics are sums over tokens, never means, so that a batch may be cut into microbatches
or over devices and give the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import NamedSharding, PartitionSpec

from clinical_t5x.console import UserError
from clinical_t5x.models import lora, losses
from clinical_t5x.models.activations import activation_constraint
from clinical_t5x.partitioning import BATCH_AXES, PjitPartitioner
from clinical_t5x.training import hosts
from clinical_t5x.training.guard import GuardMemory, LossGuard
from clinical_t5x.training.optimizer import BoundOptimizer
from clinical_t5x.training.state import TrainState, shardings_of

Batch = Mapping[str, jax.Array]
Metrics = dict[str, jax.Array]


def make_train_step(
    model: Any,
    optimizer: BoundOptimizer,
    partitioner: PjitPartitioner,
    abstract_state: TrainState,
    *,
    num_microbatches: int | None = None,
) -> Callable[[TrainState, Batch, jax.Array], tuple[TrainState, Metrics]]:
    """The jitted update `(state, batch, key) -> (state, metric sums)`; the state is donated.

    Dropout takes its key from `key` and the step alone, so that it does not depend on the mesh or
    on how often the run was resumed.
    """
    update = _update_fn(model, optimizer, partitioner, abstract_state, num_microbatches or 1)
    shardings = shardings_of(abstract_state)

    def train_step(state: TrainState, batch: Batch, key: jax.Array) -> tuple[TrainState, Metrics]:
        made = update(state, batch, key)
        return made.state, made.metrics | _stop_requests(batch)

    return jax.jit(train_step, donate_argnums=0, out_shardings=(shardings, partitioner.replicated))


def make_guarded_step(
    model: Any,
    optimizer: BoundOptimizer,
    partitioner: PjitPartitioner,
    abstract_state: TrainState,
    guard: LossGuard,
    *,
    num_microbatches: int | None = None,
) -> Callable[[TrainState, GuardMemory, Batch, jax.Array], tuple[TrainState, GuardMemory, Metrics]]:
    """As `make_train_step`, with a guard that leaves the update of a bad batch out.

    The jitted `(state, memory, batch, key) -> (state, memory, metric sums)`. After a bad batch the
    state is as before but for its step, and the metric sums are zero but for the guard's.
    """
    update = _update_fn(model, optimizer, partitioner, abstract_state, num_microbatches or 1)
    shardings = shardings_of(abstract_state)

    def train_step(
        state: TrainState, memory: GuardMemory, batch: Batch, key: jax.Array
    ) -> tuple[TrainState, GuardMemory, Metrics]:
        made = update(state, batch, key)
        loss = made.metrics["loss"] / jnp.maximum(made.metrics["num_targets"], 1.0)
        finite = jnp.isfinite(sum(jnp.sum(leaf) for leaf in jax.tree.leaves(made.changes)))
        verdict, memory = guard.judge(memory, loss, optax.tree.norm(made.gradient), finite)

        def unless_bad(new: jax.Array, old: jax.Array) -> jax.Array:
            return jnp.where(verdict.bad, old, new)

        params = jax.tree.map(unless_bad, made.state.params, state.params)
        opt_state = jax.tree.map(unless_bad, made.state.opt_state, state.opt_state)
        metrics = {
            name: unless_bad(value, jnp.zeros_like(value)) for name, value in made.metrics.items()
        }
        kept = TrainState(made.state.step, params, opt_state)
        return kept, memory, metrics | verdict.metrics() | _stop_requests(batch)

    replicated = partitioner.replicated
    outputs = (shardings, replicated, replicated)
    return jax.jit(train_step, donate_argnums=(0, 1), out_shardings=outputs)


def _stop_requests(batch: Batch) -> Metrics:
    """How many devices' hosts were asked to stop: rides along, so that all hear of it at once."""
    if hosts.STOP not in batch:
        return {}
    return {hosts.STOP: jnp.sum(batch[hosts.STOP])}


class _Made(NamedTuple):
    """An update that was computed, and what it came from."""

    state: TrainState
    metrics: Metrics
    gradient: Any
    changes: Any


def _update_fn(
    model: Any,
    optimizer: BoundOptimizer,
    partitioner: PjitPartitioner,
    abstract_state: TrainState,
    num_microbatches: int,
) -> Callable[[TrainState, Batch, jax.Array], _Made]:
    """The update as a pure function, to be jitted."""
    gradient = _gradient_fn(model, partitioner, num_microbatches)
    shardings = shardings_of(abstract_state)

    def update(state: TrainState, batch: Batch, key: jax.Array) -> _Made:
        batch = {name: feature for name, feature in batch.items() if name != hosts.STOP}
        dropout_rng = jax.random.fold_in(key, state.step)
        trained, kept = lora.split(state.params)
        with activation_constraint(partitioner.constrain):
            grads, metrics = gradient(trained, kept, batch, dropout_rng)
        # the reduction over replicas ends where each parameter lives
        grads = jax.lax.with_sharding_constraint(grads, lora.split(shardings.params)[0])
        updates, opt_state = optimizer.transformation.update(grads, state.opt_state, state.params)
        params = lora.join(optax.apply_updates(trained, updates), kept)
        if "encoder_input_tokens" in batch:
            metrics["num_inputs"] = jnp.sum(batch["encoder_input_tokens"] > 0, dtype=jnp.float32)
        return _Made(TrainState(state.step + 1, params, opt_state), metrics, grads, updates)

    return update


def make_eval_step(model: Any, partitioner: PjitPartitioner) -> Callable[[Any, Batch], Metrics]:
    """The jitted `(params, batch) -> metric sums`, without dropout."""

    def eval_step(params: Any, batch: Batch) -> Metrics:
        with activation_constraint(partitioner.constrain):
            return model.loss_fn(params, batch, None)[1]

    return jax.jit(eval_step, out_shardings=partitioner.replicated)


def _gradient_fn(model: Any, partitioner: PjitPartitioner, num_microbatches: int) -> Callable:
    """`(trained, kept, batch, rng) -> (gradient of the summed loss, metric sums)`.

    `trained` and `kept` are what `lora.split` makes of the parameters.
    """

    def loss(trained: Any, kept: Any, batch: Batch, rng: jax.Array) -> tuple[jax.Array, Metrics]:
        return model.loss_fn(lora.join(trained, kept), batch, rng)

    one_batch = jax.grad(loss, has_aux=True)
    if num_microbatches == 1:
        return one_batch

    def accumulated(trained: Any, kept: Any, batch: Batch, rng: jax.Array) -> tuple[Any, Metrics]:
        parts = _microbatches(batch, num_microbatches, partitioner)
        first = jax.tree.map(lambda part: part[0], parts)
        shapes = jax.eval_shape(one_batch, trained, kept, first, rng)
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        share = _share_fn(model, batch)

        def add(total: Any, numbered: tuple[jax.Array, Batch]) -> tuple[Any, None]:
            index, part = numbered
            grads, metrics = one_batch(trained, kept, part, jax.random.fold_in(rng, index))
            grads = jax.tree.map(lambda grad: grad * share(part), grads)
            return jax.tree.map(jnp.add, total, (grads, metrics)), None

        return jax.lax.scan(add, zeros, (jnp.arange(num_microbatches), parts))[0]

    return accumulated


def _share_fn(model: Any, batch: Batch) -> Callable[[Batch], jax.Array | float]:
    """From a microbatch to what its loss counts in the loss of the whole batch.

    A loss that is divided by a number, or not at all, adds up. One that is divided by something
    counted in the batch, such as its target tokens, was divided by the microbatch's count.
    """
    factor = getattr(model, "loss_normalizing_factor", None)
    if factor is None or isinstance(factor, int | float):
        return lambda part: 1.0
    whole = losses.normalizing_factor_and_weights(factor, batch)[0]
    return lambda part: losses.normalizing_factor_and_weights(factor, part)[0] / whole


def _microbatches(batch: Batch, count: int, partitioner: PjitPartitioner) -> Batch:
    """[batch, ...] to [count, batch / count, ...]: rows i, i + count, ... form microbatch i.

    Taken with a stride, every device keeps its own rows and no row moves.
    """
    sharding = NamedSharding(partitioner.mesh, PartitionSpec(None, BATCH_AXES))

    def split(feature: jax.Array) -> jax.Array:
        rows = feature.shape[0]
        if rows % (count * partitioner.batch_shards):
            raise UserError(
                f"trainer.Trainer.num_microbatches = {count} does not divide BATCH_SIZE = {rows} "
                f"over {partitioner.batch_shards} batch shards"
            )
        parts = feature.reshape(rows // count, count, *feature.shape[1:]).swapaxes(0, 1)
        return jax.lax.with_sharding_constraint(parts, sharding)

    return {name: split(feature) for name, feature in batch.items()}
