"""Optimizers: Adafactor as T5 uses it, AdamW, and any optax transformation.

All are bound to a model by `bind_optimizer`: it gives the optax transformation, and the logical
axis names of the optimizer's state, so that the state is sharded by the same table of rules as
the parameters.

Adafactor works a layer at a time: a parameter that is stacked over layers (dim name 'layers', as
scanned models have it) is updated under `vmap`, so that scanned and unrolled models get the same
numbers. Source: Shazeer and Stern, "Adafactor" (arXiv 1804.04235), algorithms 4 to 6.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from clinical_t5x.console import UserError
from clinical_t5x.models import lora
from clinical_t5x.training.schedule import LearningRateFn

STACKED = "layers"
_SINGLETON = "singleton"


@dataclasses.dataclass(frozen=True)
class BoundOptimizer:
    """An optimizer that knows its parameters.

    Attributes:
      transformation: optax: `init(params)`, `update(grads, state, params)`. With adapters it takes
        all parameters, but gradients, updates and state are those of the adapters alone.
      state_axes: From the abstract optimizer state to the same tree of dim names.
    """

    transformation: optax.GradientTransformation
    state_axes: Callable[[Any], Any]


def bind_optimizer(
    optimizer: Any,
    learning_rate_fn: LearningRateFn,
    abstract_params: Any,
    logical_axes: Any,
    *,
    first_step: int = 0,
) -> BoundOptimizer:
    """Bind an optimizer definition to parameters.

    Args:
      optimizer: `Adafactor`, `AdamW`, `chain(...)`, or an optax transformation, which then owns
        its learning rate.
      learning_rate_fn: The run's schedule, from the step.
      abstract_params: The parameters' shapes.
      logical_axes: Their dim names.
      first_step: The model's step at which the optimizer's memory begins.

    Raises:
      UserError: when `optimizer` is none of these, or would begin before its `step_offset`.
    """
    optimizer = _counting_from(first_step, optimizer)
    trained, kept = lora.split(abstract_params)
    axes = lora.split(logical_axes)[0]
    if hasattr(optimizer, "build"):
        inner = (_absolute_steps(optimizer) if kept else optimizer).build(learning_rate_fn, axes)
    elif hasattr(optimizer, "init") and hasattr(optimizer, "update"):
        inner = optimizer
    else:
        raise UserError(
            f"OPTIMIZER = {optimizer!r} is no optimizer: give @adafactor.Adafactor() or an optax "
            "transformation"
        )

    def init(params: Any) -> Any:
        return inner.init(lora.split(params)[0])

    def update(grads: Any, state: Any, params: Any) -> tuple[Any, Any]:
        return inner.update(grads, state, lora.split(params)[0])

    return BoundOptimizer(
        optax.GradientTransformation(init, update),
        lambda state: _state_axes(state, trained, axes),
    )


def _counting_from(first_step: int, optimizer: Any) -> Any:
    """The optimizer with its `step_offset`, a step of the model, as one of its own updates.

    Raises:
      UserError: the offset lies after the first step: T5's formula has no value there.
    """
    if isinstance(optimizer, Chain):
        parts = (_counting_from(first_step, part) for part in optimizer.transformations)
        return Chain(tuple(parts))
    if not isinstance(optimizer, Adafactor) or not optimizer.step_offset:
        return optimizer
    if optimizer.step_offset > first_step:
        raise UserError(
            f"adafactor.Adafactor.step_offset = {optimizer.step_offset}, but the run begins at "
            f"step {first_step}: set it to the step of the checkpoint that the run begins from, or "
            "to 0"
        )
    return dataclasses.replace(optimizer, step_offset=optimizer.step_offset - first_step)


def _absolute_steps(optimizer: Any) -> Any:
    """The optimizer without steps relative to a parameter's size: half of an adapter is zero."""
    if isinstance(optimizer, Adafactor):
        return dataclasses.replace(optimizer, multiply_by_parameter_scale=False)
    if isinstance(optimizer, Chain):
        return Chain(tuple(_absolute_steps(part) for part in optimizer.transformations))
    return optimizer


class AdafactorState(NamedTuple):
    """Adafactor's memory; each field but `count` is a tree like the parameters.

    Factored arrays keep `v_row`, `v_col`, others `v`; what is not used is a single zero (one a
    layer in stacked parameters).
    """

    count: jax.Array
    m: Any
    v_row: Any
    v_col: Any
    v: Any


class _Moments(NamedTuple):
    m: jax.Array
    v_row: jax.Array
    v_col: jax.Array
    v: jax.Array


@dataclasses.dataclass(frozen=True)
class Adafactor:
    """T5's optimizer, with T5X's parameters.

    Attributes:
      learning_rate: Used where the run gives no schedule.
      factored: Keep row and column means of the second moment instead of the whole.
      multiply_by_parameter_scale: Relative step sizes: the update is scaled by the parameter's
        root mean square, at least `epsilon2`, at most `max_parameter_scale`. Never for low-rank
        adapters, of which half begin at zero and would stay there.
      beta1: Momentum; None keeps none.
      decay_rate: The second moment decays by 1 - t ** -decay_rate at update t = 1, 2, ...
      step_offset: Where not 0, t is the model's step less this, plus 1: as in T5X, where a run
        that goes on from a checkpoint is given its step. At 0 it is the optimizer's own count.
      clipping_threshold: The update's root mean square is clipped to it.
      weight_decay_rate: Part of the parameter taken off at each update.
      min_dim_size_to_factor: Arrays are factored over their two largest dims when both reach it.
      epsilon1: Added to the squared gradient.
      epsilon2: Smallest parameter scale.
      dtype_momentum: Of the stored momentum.
      factor_map: Accepted for T5X's sake: there it speaks of arrays with more than two dims, and
        no layer here has any.
      logical_factor_rules: As `factor_map`.
      weight_decay_rate_lr_exponent: The decay is multiplied by learning_rate ** exponent.
      global_norm_clip_threshold: Clips the global norm of the gradient first.
      max_parameter_scale: See `multiply_by_parameter_scale`.
      skip_nan_updates: Elements that would become NaN keep their value.
    """

    learning_rate: float | None = None
    factored: bool = True
    multiply_by_parameter_scale: bool = True
    beta1: float | None = None
    decay_rate: float = 0.8
    step_offset: int = 0
    clipping_threshold: float | None = 1.0
    weight_decay_rate: float | None = None
    min_dim_size_to_factor: int = 128
    epsilon1: float = 1e-30
    epsilon2: float = 1e-3
    dtype_momentum: Any = jnp.float32
    factor_map: Any = None
    logical_factor_rules: Any = None
    weight_decay_rate_lr_exponent: float | None = None
    global_norm_clip_threshold: float | None = None
    max_parameter_scale: float | None = None
    skip_nan_updates: bool = False

    def build(
        self, learning_rate_fn: LearningRateFn | None, logical_axes: Any
    ) -> optax.GradientTransformation:
        """The optax transformation; `logical_axes` says which arrays are stacked over layers."""
        schedule = learning_rate_fn or _constant_rate(self.learning_rate)

        def init(params: Any) -> AdafactorState:
            moments = _map_layers(self._zero_moments, logical_axes, params)
            return AdafactorState(jnp.zeros((), jnp.int32), *_unzip(_Moments, moments, params))

        def update(grads: Any, state: AdafactorState, params: Any) -> tuple[Any, AdafactorState]:
            grads = _clip_global_norm(grads, self.global_norm_clip_threshold)
            rate = schedule(state.count)

            def one_layer(param, grad, m, v_row, v_col, v):
                return self._update(param, grad, _Moments(m, v_row, v_col, v), state.count, rate)

            results = _map_layers(one_layer, logical_axes, params, grads, *state[1:])
            updates, *moments = _unzip(tuple, results, params)
            return updates, AdafactorState(state.count + 1, *moments)

        return optax.GradientTransformation(init, update)

    def factored_dims(self, shape: Sequence[int]) -> tuple[int, int] | None:
        """(second largest dim, largest dim) of one layer's array, or None when not factored."""
        if not self.factored or len(shape) < 2:
            return None
        by_size = sorted(range(len(shape)), key=lambda dim: shape[dim])
        if shape[by_size[-2]] < self.min_dim_size_to_factor:
            return None
        return by_size[-2], by_size[-1]

    def _zero_moments(self, param: jax.Array) -> _Moments:
        unused = jnp.zeros((1,), jnp.float32)
        m = unused if self.beta1 is None else jnp.zeros(param.shape, self.dtype_momentum)
        dims = self.factored_dims(param.shape)
        if dims is None:
            return _Moments(m, unused, unused, jnp.zeros(param.shape, jnp.float32))
        minor, major = dims
        return _Moments(
            m,
            jnp.zeros(_without(param.shape, major), jnp.float32),
            jnp.zeros(_without(param.shape, minor), jnp.float32),
            unused,
        )

    def _update(
        self, param: jax.Array, grad: jax.Array, moments: _Moments, count: jax.Array, rate: Any
    ) -> tuple[jax.Array, ...]:
        """One array of one layer: (what to add to it, m, v_row, v_col, v)."""
        grad = grad.astype(jnp.float32)
        keep = 1.0 - (count - self.step_offset + 1.0) ** -self.decay_rate
        direction, new = self._precondition(grad, moments, keep)
        if self.clipping_threshold is not None:
            direction /= jnp.maximum(1.0, _rms(direction) / self.clipping_threshold)
        step = rate * self._parameter_scale(param) * direction
        if self.beta1 is not None:
            step = self.beta1 * moments.m + (1.0 - self.beta1) * step
            new = new._replace(m=step.astype(self.dtype_momentum))
        decay = self._weight_decay(rate)
        change = -step if decay is None else -step - decay * param
        if self.skip_nan_updates:
            change = jnp.where(jnp.isnan(change), 0.0, change)
            new = _Moments(
                *(jnp.where(jnp.isnan(n), o, n) for n, o in zip(new, moments, strict=True))
            )
        return change.astype(param.dtype), *new

    def _precondition(
        self, grad: jax.Array, moments: _Moments, keep: jax.Array
    ) -> tuple[jax.Array, _Moments]:
        """The gradient over the root of its (factored) second moment."""
        squared = grad * grad + self.epsilon1
        dims = self.factored_dims(grad.shape)
        if dims is None:
            v = keep * moments.v + (1.0 - keep) * squared
            return grad * v**-0.5, moments._replace(v=v)
        minor, major = dims
        v_row = keep * moments.v_row + (1.0 - keep) * jnp.mean(squared, axis=major)
        v_col = keep * moments.v_col + (1.0 - keep) * jnp.mean(squared, axis=minor)
        minor_in_row = minor - (minor > major)
        row = (v_row / jnp.mean(v_row, axis=minor_in_row, keepdims=True)) ** -0.5
        col = v_col**-0.5
        scaled = grad * jnp.expand_dims(row, major) * jnp.expand_dims(col, minor)
        return scaled, moments._replace(v_row=v_row, v_col=v_col)

    def _parameter_scale(self, param: jax.Array) -> jax.Array | float:
        if not self.multiply_by_parameter_scale:
            return 1.0
        scale = jnp.maximum(_rms(param.astype(jnp.float32)), self.epsilon2)
        if self.max_parameter_scale is not None:
            scale = jnp.minimum(scale, self.max_parameter_scale)
        return scale

    def _weight_decay(self, rate: jax.Array) -> jax.Array | float | None:
        if not self.weight_decay_rate_lr_exponent:
            return self.weight_decay_rate
        return (self.weight_decay_rate or 1.0) * rate**self.weight_decay_rate_lr_exponent


def standard_logical_factor_rules() -> Mapping[str, str]:
    """T5X's table of how dims are factored, by name.

    T5X reads it for arrays with more than two dims; a layer here has none, so that it is only
    accepted.
    """
    column = ("vocab", "mlp", "heads", "kv", "joined_kv")
    none = ("relpos_buckets", "layers", "stack")
    rules = {"embed": "row"}
    return rules | dict.fromkeys(column, "column") | dict.fromkeys(none, "none")


@dataclasses.dataclass(frozen=True)
class AdamW:
    """AdamW (decoupled weight decay), with the run's schedule unless `learning_rate` is given.

    Attributes:
      learning_rate: A number or schedule of its own; None takes the run's.
      b1: Decay of the first moment.
      b2: Decay of the second moment.
      eps: Added to the root of the second moment.
      weight_decay: Times the learning rate; vectors (norm scales) are left out.
      global_norm_clip_threshold: Clips the global norm of the gradient first.
    """

    learning_rate: float | LearningRateFn | None = None
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.01
    global_norm_clip_threshold: float | None = 1.0

    def build(
        self, learning_rate_fn: LearningRateFn | None, logical_axes: Any
    ) -> optax.GradientTransformation:
        """The optax transformation."""
        rate = learning_rate_fn if self.learning_rate is None else self.learning_rate

        def is_matrix(params: Any) -> Any:
            return jax.tree.map(
                lambda _, names: sum(name != STACKED for name in names) >= 2, params, logical_axes
            )

        adamw = optax.adamw(
            rate, self.b1, self.b2, self.eps, weight_decay=self.weight_decay, mask=is_matrix
        )
        if self.global_norm_clip_threshold is None:
            return adamw
        return optax.chain(optax.clip_by_global_norm(self.global_norm_clip_threshold), adamw)


@dataclasses.dataclass(frozen=True)
class Chain:
    """Several optimizer parts, one after the other."""

    transformations: Sequence[Any]

    def build(
        self, learning_rate_fn: LearningRateFn | None, logical_axes: Any
    ) -> optax.GradientTransformation:
        """The optax transformation."""
        parts = [
            part.build(learning_rate_fn, logical_axes) if hasattr(part, "build") else part
            for part in self.transformations
        ]
        return optax.chain(*parts)


def chain(transformations: Sequence[Any]) -> Chain:
    """Optax transformations applied in turn (T5X: `optimizers.chain`)."""
    return Chain(tuple(transformations))


@dataclasses.dataclass(frozen=True)
class OptaxWrapper:
    """An Optax transformation under T5X's name for a wrapped one; it needs no wrapping here."""

    optax_optimizer: Any

    def build(
        self, learning_rate_fn: LearningRateFn | None, logical_axes: Any
    ) -> optax.GradientTransformation:
        """The optax transformation, with its own learning rate."""
        return self.optax_optimizer


def wrap_optax_optimizer(optax_optimizer: Callable[..., Any]) -> Callable[..., OptaxWrapper]:
    """A maker of wrapped transformations from a maker of transformations (T5X's name)."""

    @functools.wraps(optax_optimizer)
    def make(*args: Any, **kwargs: Any) -> OptaxWrapper:
        return OptaxWrapper(optax_optimizer(*args, **kwargs))

    return make


def _constant_rate(learning_rate: float | None) -> LearningRateFn:
    if learning_rate is None:
        raise UserError(
            "the optimizer has no learning rate: bind trainer.Trainer.learning_rate_fn or "
            "Adafactor.learning_rate"
        )
    return lambda step: jnp.float32(learning_rate)


def _clip_global_norm(grads: Any, threshold: float | None) -> Any:
    if threshold is None:
        return grads
    norm = jnp.sqrt(sum(jnp.sum(jnp.square(grad)) for grad in jax.tree.leaves(grads)))
    scale = jnp.minimum(1.0, threshold / jnp.maximum(norm, 1e-30))
    return jax.tree.map(lambda grad: grad * scale, grads)


def _rms(array: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.mean(array * array))


def _without(items: Sequence[Any], position: int) -> tuple[Any, ...]:
    return (*items[:position], *items[position + 1 :])


def _map_layers(function: Callable, logical_axes: Any, params: Any, *rest: Any) -> list[Any]:
    """Apply `function` to every array, a layer at a time where arrays are stacked over layers."""
    structure = jax.tree.structure(params)
    names = structure.flatten_up_to(logical_axes)
    columns = [structure.flatten_up_to(tree) for tree in (params, *rest)]
    results = []
    for dims, *arrays in zip(names, *columns, strict=True):
        if STACKED not in dims:
            results.append(function(*arrays))
            continue
        if dims[0] != STACKED:
            raise ValueError(f"the layers' dim must be the first, not {dims}")
        results.append(jax.vmap(function)(*arrays))
    return results


def _unzip(kind: Callable, results: list[Any], params: Any) -> list[Any]:
    """From one tuple an array to one tree a field."""
    structure = jax.tree.structure(params)
    return [jax.tree.unflatten(structure, column) for column in zip(*results, strict=True)]


def _state_axes(state: Any, abstract_params: Any, logical_axes: Any) -> Any:
    """Dim names for an optimizer's state: what lies under a parameter's path takes its names.

    Row and column means have lost one dim; which one follows from the field's name. Everything
    else (counts, placeholders) is named so that no rule applies to it.
    """
    params = {
        _keys(path): (leaf.shape, names)
        for (path, leaf), names in zip(
            jax.tree_util.tree_leaves_with_path(abstract_params),
            jax.tree.structure(abstract_params).flatten_up_to(logical_axes),
            strict=True,
        )
    }

    def name_dims(path: tuple[Any, ...], leaf: Any) -> tuple[str, ...]:
        keys = _keys(path)
        for start in range(len(keys)):
            if keys[start:] in params:
                return _names_of(leaf.shape, *params[keys[start:]], field=keys[start - 1 : start])
        return (_SINGLETON,) * len(leaf.shape)

    return jax.tree_util.tree_map_with_path(name_dims, state)


def _names_of(
    shape: tuple[int, ...], param_shape: tuple[int, ...], names: tuple[str, ...], field: Any
) -> tuple[str, ...]:
    if shape == param_shape:
        return names
    if len(shape) == len(param_shape) - 1 and field in (("v_row",), ("v_col",)):
        # A mean over one dim. In a square matrix v_row averages over the last, v_col the first.
        dims = range(len(names)) if field == ("v_col",) else reversed(range(len(names)))
        for dropped in dims:
            if names[dropped] != STACKED and _without(param_shape, dropped) == shape:
                return _without(names, dropped)
    return (_SINGLETON,) * len(shape)


def _keys(path: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(
        str(getattr(key, "key", getattr(key, "name", getattr(key, "idx", key)))) for key in path
    )
