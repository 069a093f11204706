"""The run that gin files describe, up to its train step, without data and without a state."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from clinical_t5x.console import UserError
from clinical_t5x.plan import stand_in

if TYPE_CHECKING:
    from clinical_t5x.launch.flags import Flags
    from clinical_t5x.partitioning import PjitPartitioner
    from clinical_t5x.training.config import DatasetConfig
    from clinical_t5x.training.trainer import Trainer


@dataclasses.dataclass(frozen=True)
class PlannedRun:
    """A training run as its gin files say.

    Attributes:
      model: with its optimizer; vocabularies may be stand-ins.
      partitioner: its wishes for the mesh, on no devices yet.
      trainer_cls: as gin configures it.
      data: the training data's configuration.
      features: a batch's features, as one row each.
      steps: updates that the run makes.
      hardware_rng: whether dropout takes the accelerator's random bits.
      notes: what was supposed, for the reader.
    """

    model: Any
    partitioner: PjitPartitioner
    trainer_cls: Callable[..., Trainer]
    data: DatasetConfig
    features: dict[str, Any]
    steps: int
    hardware_rng: bool
    notes: tuple[str, ...]

    @property
    def batch_size(self) -> int:
        """Rows of a global batch."""
        return self.data.batch_size

    @property
    def lengths(self) -> dict[str, int]:
        """Tokens of a row's inputs and targets."""
        return dict(self.data.task_feature_lengths)

    @property
    def input_tokens(self) -> int:
        """Positions of the encoder in all steps: what recipes count as tokens."""
        return self.steps * self.batch_size * self.lengths["inputs"]

    def with_config(self, **changes: Any) -> PlannedRun:
        """The same run with other switches of the network, such as `remat_policy`."""
        config = dataclasses.replace(self.model.config, **changes)
        return dataclasses.replace(self, model=self.model.with_config(config))

    def on(self, partitioner: PjitPartitioner) -> PlannedRun:
        """The same run on another mesh."""
        return dataclasses.replace(self, partitioner=partitioner)

    def trainer(self) -> Trainer:
        """The run's trainer on its partitioner's devices, without a state."""
        import jax

        from clinical_t5x.training import precompile, runtime

        make_key = functools.partial(
            runtime.random_key, 0, runtime.DROPOUT_STREAM, hardware=self.hardware_rng
        )
        return precompile.trainer_to_compile(
            self.model, self.partitioner, self.trainer_cls, jax.eval_shape(make_key)
        )

    def batch(self) -> dict[str, Any]:
        """The shapes of a batch, placed as the run would place it."""
        import jax

        self.partitioner.check_batch_size(self.batch_size)
        sharding = self.partitioner.batch_sharding

        def placed(row: Any) -> Any:
            shape = (self.batch_size, *row.shape[1:])
            return jax.ShapeDtypeStruct(shape, row.dtype, sharding=sharding)

        return {name: placed(row) for name, row in self.features.items()}


@contextlib.contextmanager
def planned_run(flags: Flags, platform: str) -> Iterator[PlannedRun]:
    """The run that the command line describes; gin stays configured inside the block.

    Args:
      flags: gin files, bindings, search paths, data home.
      platform: what it is planned for: "cpu", "gpu" or "tpu".

    Raises:
      UserError: a mistake in the configuration.
    """
    from clinical_t5x.launch import environment, preflight
    from clinical_t5x.launch.program import built_arguments, check_program

    asked = {
        "gin_files": flags.gin_files,
        "bindings": flags.gin_bindings,
        "search_paths": flags.gin_search_paths,
    }
    notes: list[str] = []
    with environment.data_home_of(flags.data_dir, flags.tfds_data_dir):
        missing = preflight.missing_vocabularies(
            check_program("train", **asked, needs_inputs=False)
        )
        if missing:
            notes.append(
                f"the vocabulary {', '.join(missing)} is not in the data home: a stand-in takes "
                "its place, which changes a few constants of the program and no size"
            )
        with (
            stand_in.vocabularies_named(missing),
            built_arguments("train", **asked, announce=notes.append, platform=platform) as given,
        ):
            yield _run(given, notes)


def _run(arguments: dict[str, Any], notes: list[str]) -> PlannedRun:
    data = arguments["train_dataset_cfg"]
    lengths = data.task_feature_lengths
    if not lengths or not {"inputs", "targets"} <= set(lengths):
        raise UserError(
            "a plan needs the lengths of a row: give TASK_FEATURE_LENGTHS, such as "
            "--gin.TASK_FEATURE_LENGTHS=\"{'inputs': 512, 'targets': 114}\""
        )
    if data.batch_size is None:
        raise UserError("BATCH_SIZE is None: a plan needs the number of rows of a batch")
    steps = arguments.get("relative_steps") or arguments["total_steps"]
    if _begins_elsewhere(arguments) and not arguments.get("relative_steps"):
        notes.append(
            "time is that of all TRAIN_STEPS; those that the first checkpoint counts are not made"
        )
    features, kind = row_features(data)
    notes.append(f"a row of the batch is {kind}")
    return PlannedRun(
        model=stand_in.without_remote_vocabularies(arguments["model"]),
        partitioner=copy.copy(arguments["partitioner"]),
        trainer_cls=arguments["trainer_cls"],
        data=data,
        features=features,
        steps=steps,
        hardware_rng=bool(arguments.get("use_hardware_rng")),
        notes=tuple(note.removeprefix("note: ") for note in notes),
    )


def _begins_elsewhere(arguments: dict[str, Any]) -> bool:
    checkpoints = arguments.get("checkpoint_cfg")
    restore = getattr(checkpoints, "restore", None)
    return bool(restore is not None and restore.paths)


def row_features(data: DatasetConfig) -> tuple[dict[str, Any], str]:
    """The features of a batch as one row of zeros, made by what makes real ones; and in words.

    Packed rows of examples have segments; rows cut from running text, which one segment fills,
    have none. Which of them a task gives is looked up in the task itself.
    """
    import numpy as np

    from clinical_t5x.data import packing

    sizes = (data.task_feature_lengths["inputs"], data.task_feature_lengths["targets"])
    features = packing.encoder_decoder_features(*(np.zeros((1, size), np.int32) for size in sizes))
    kind = "one example" if not data.pack else _kind_of_task(data)
    if kind in ("one example", "running text"):
        return features, kind
    return packing.as_one_segment(features), kind


def _kind_of_task(data: DatasetConfig) -> str:
    from clinical_t5x.data import materialise

    try:
        task = materialise.load_task(data.mixture_or_task_name, data.module)
    except UserError:
        return "packed examples (supposed: the task is not registered here)"
    if getattr(task, "tasks", None) is None and materialise.span_corruption_of(task) is not None:
        return "running text"
    return "packed examples"


def step_of(run: PlannedRun) -> Any:
    """The run's update, traced for its mesh and not yet compiled."""
    return run.trainer().lower(run.batch())


def platform_of(topologies: Sequence[Any]) -> str:
    """The one platform of some topologies.

    Raises:
      UserError: they have several, for which a run computes in different dtypes.
    """
    platforms = {topology.chip.platform for topology in topologies}
    if len(platforms) > 1:
        raise UserError(
            f"--topology names {' and '.join(sorted(platforms))}: plan for one kind at a time"
        )
    return platforms.pop()
