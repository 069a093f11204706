"""The state of a training run, made in place on the devices that will hold it."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from clinical_t5x.partitioning import PjitPartitioner
from clinical_t5x.training.guard import NonFiniteLossError
from clinical_t5x.training.optimizer import BoundOptimizer


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """All that an update changes.

    Attributes:
      step: Updates made so far, int32 scalar.
      params: The model's parameters, float32.
      opt_state: The optimizer's memory.
    """

    step: jax.Array
    params: Any
    opt_state: Any


def new_state(params: Any, optimizer: BoundOptimizer, step: int = 0) -> TrainState:
    """A state whose optimizer remembers nothing; a pure function."""
    opt_state = optimizer.transformation.init(params)
    return TrainState(jnp.asarray(step, jnp.int32), params, opt_state)


def abstract_params(model: Any) -> Any:
    """Shapes and dtypes of the model's parameters; nothing is computed."""
    return jax.eval_shape(model.init_params, jax.random.key(0))


def abstract_state(model: Any, optimizer: BoundOptimizer, partitioner: PjitPartitioner) -> Any:
    """The state as ShapeDtypeStructs that carry their shardings."""
    shapes = jax.eval_shape(lambda params: new_state(params, optimizer), abstract_params(model))
    axes = state_axes(model, optimizer, shapes)
    return place_abstract(shapes, axes, partitioner)


def state_axes(model: Any, optimizer: BoundOptimizer, shapes: TrainState) -> TrainState:
    """Dim names of every array of the state."""
    return TrainState((), model.logical_axes(), optimizer.state_axes(shapes.opt_state))


def place_abstract(shapes: Any, axes: Any, partitioner: PjitPartitioner) -> Any:
    """Attach to every ShapeDtypeStruct the sharding that the rules give its dim names."""
    return jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        shapes,
        partitioner.shardings(shapes, axes),
    )


def shardings_of(abstract: Any) -> Any:
    """The tree of shardings of a tree of placed ShapeDtypeStructs."""
    return jax.tree.map(lambda leaf: leaf.sharding, abstract)


def init_state(
    model: Any, optimizer: BoundOptimizer, abstract: TrainState, rng: jax.Array
) -> TrainState:
    """A fresh state, every array born on the devices that `abstract` names."""

    params = model.init_params(rng, shardings_of(abstract.params))
    return state_from_params(params, optimizer, abstract, step=0)


def state_from_params(
    params: Any, optimizer: BoundOptimizer, abstract: TrainState, step: int
) -> TrainState:
    """A state around given parameters, with a new optimizer memory."""

    def build(params: Any) -> Any:
        return optimizer.transformation.init(params)

    opt_state = jax.jit(build, out_shardings=shardings_of(abstract.opt_state))(params)
    placed_step = jax.device_put(jnp.asarray(step, jnp.int32), abstract.step.sharding)
    return TrainState(placed_step, params, opt_state)


@jax.jit
def _is_finite(array: jax.Array) -> jax.Array:
    return jnp.all(jnp.isfinite(array))


def refuse_non_finite_params(state: TrainState) -> None:
    """Refuse to save parameters that would make every later loss NaN.

    A gradient may overflow where the loss did not: only the next loss would show it.

    Raises:
      NonFiniteLossError: naming the parameter.
    """
    for path, leaf in jax.tree_util.tree_leaves_with_path(state.params):
        # one program at a time, as for checksums
        if not bool(jax.device_get(_is_finite(leaf))):
            name = jax.tree_util.keystr(path, simple=True, separator="/")
            raise NonFiniteLossError(
                f"{name} is not finite after step {int(state.step)}, though the loss was: training "
                "stopped, the checkpoints before it are kept. Try a lower learning rate, or "
                "guard.LossGuard.policy = 'skip'"
            )
