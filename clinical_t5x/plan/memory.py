"""What a device holds in a train step, by kind, and whether that fits."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from clinical_t5x.plan.compilation import Compiled
from clinical_t5x.plan.run import PlannedRun

if TYPE_CHECKING:
    from clinical_t5x.partitioning import Placement


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes on one device in a step.

    Attributes:
      parameters: float32.
      optimizer: the optimizer's memory.
      batch: the features of its rows.
      layout: what the compiler's layouts add to these three; 0 where it was not asked.
      temporaries: gradients, activations, buffers of collectives.
      outputs: results that do not take the place of an argument.
      code: the program.
    """

    parameters: int
    optimizer: int
    batch: int
    layout: int
    temporaries: int
    outputs: int
    code: int

    @property
    def total(self) -> int:
        """All of it; an upper bound, since not everything lives at the same time."""
        return sum(dataclasses.astuple(self))


@dataclasses.dataclass(frozen=True)
class State:
    """Every array that a run keeps, and where it lies.

    Attributes:
      parameters: one placement an array.
      optimizer: the same of the optimizer's memory.
      batch_bytes: of the features on one device.
    """

    parameters: tuple[Placement, ...]
    optimizer: tuple[Placement, ...]
    batch_bytes: int

    @property
    def parameter_bytes(self) -> int:
        """On one device."""
        return sum(placement.bytes_per_device for placement in self.parameters)

    @property
    def optimizer_bytes(self) -> int:
        """On one device."""
        return sum(placement.bytes_per_device for placement in self.optimizer)

    @property
    def replicated_bytes(self) -> int:
        """On one device, what splitting every array evenly over all devices would save."""
        return sum(placement.replicated_bytes for placement in (*self.parameters, *self.optimizer))


@dataclasses.dataclass(frozen=True)
class Shapes:
    """Every array that a run keeps, by shape and names of dims; the same on every mesh."""

    shapes: Any
    axes: Any


def shapes_of(run: PlannedRun) -> Shapes:
    """The arrays of a run's parameters and optimizer memory; nothing is computed."""
    import jax

    from clinical_t5x.training import state as states
    from clinical_t5x.training.optimizer import bind_optimizer

    model = run.model
    params = states.abstract_params(model)
    optimizer = bind_optimizer(
        model.optimizer_def, lambda step: 0.0, params, model.logical_axes(), first_step=0
    )
    shapes = jax.eval_shape(lambda tree: states.new_state(tree, optimizer), params)
    return Shapes(shapes, states.state_axes(model, optimizer, shapes))


def state_of(run: PlannedRun, known: Shapes | None = None) -> State:
    """Where the arrays of a run lie on its partitioner's mesh; nothing is compiled.

    Args:
      run: with its partitioner on devices, known or counted.
      known: the run's arrays, where they are known already.
    """
    known = known or shapes_of(run)
    partitioner = run.partitioner
    shapes, axes = known.shapes, known.axes
    return State(
        parameters=tuple(partitioner.placements(shapes.params, axes.params)),
        optimizer=tuple(partitioner.placements(shapes.opt_state, axes.opt_state)),
        batch_bytes=sum(map(_bytes, run.batch().values())) // partitioner.batch_shards,
    )


def compiled_memory(state: State, compiled: Compiled) -> Memory:
    """The compiler's figures, its arguments taken apart by kind."""
    parameters, optimizer, batch = state.parameter_bytes, state.optimizer_bytes, state.batch_bytes
    return Memory(
        parameters=parameters,
        optimizer=optimizer,
        batch=batch,
        layout=max(0, compiled.arguments - parameters - optimizer - batch),
        temporaries=compiled.temporaries,
        outputs=compiled.outputs,
        code=compiled.code,
    )


def _bytes(leaf: Any) -> int:
    import numpy as np

    return int(np.prod(leaf.shape)) * np.dtype(leaf.dtype).itemsize
