"""`precompile`: compile a run's update before the run, from shapes alone.

Nothing is trained and no parameters are made. What XLA compiled stays in JAX's persistent cache,
where the run itself finds it; MODEL_DIR gets the program before and after optimisation and where
its parts go, for people who look into such things.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from etils import epath

from clinical_t5x import console
from clinical_t5x.storage import write_text_atomically
from clinical_t5x.training import compiled_programs, runtime
from clinical_t5x.training.config import DatasetConfig
from clinical_t5x.training.sources import open_batches, open_configured
from clinical_t5x.training.vocabularies import check_vocabularies

if TYPE_CHECKING:
    import jax

    from clinical_t5x.partitioning import PjitPartitioner
    from clinical_t5x.training.request import TrainRequest
    from clinical_t5x.training.trainer import Trainer

BEFORE = "lowered_hlo_pre_optimization"
AFTER = "lowered_hlo_post_optimization"
ASSIGNMENT = "assignment"


def precompile(
    *,
    model: Any,
    train_dataset_cfg: DatasetConfig,
    partitioner: PjitPartitioner,
    model_dir: str,
    random_seed: int | None,
    get_dataset_fn: Callable[..., Any] | None = None,
    verify_matching_vocabs_fn: Any = None,
    trainer_cls: Callable[..., Trainer] | None = None,
) -> epath.Path:
    """Compile the update of a training run and write it down.

    The parameters are T5X's, and:

    Args:
      verify_matching_vocabs_fn: Ignored: vocabularies are compared by content.
      trainer_cls: The run's trainer. The learning rate is part of the compiled program: without
        the run's own, the default schedule is compiled, which the run cannot reuse.

    Returns:
      `model_dir`.

    Raises:
      UserError: missing data, or settings that do not fit each other.
    """
    if trainer_cls is None:
        trainer_cls = _trainer_with_default_schedule()
        console.say(
            "no trainer is bound: the default learning rate schedule is compiled; name the run's "
            "own gin files to compile the very program that it runs"
        )
    data = open_configured(get_dataset_fn or open_batches, train_dataset_cfg, random_seed or 0)
    compiled_programs.keep_compiled_programs()
    rng = runtime.random_key(random_seed or 0, runtime.DROPOUT_STREAM)
    trainer = trainer_to_compile(model, partitioner, trainer_cls, rng, model_dir)
    return _compile(trainer, data, train_dataset_cfg, epath.Path(model_dir).expanduser())


def precompile_run(request: TrainRequest) -> epath.Path:
    """Compile the update of the run that `train` was asked for.

    A run that begins from a checkpoint of step N compiles the learning rate from N on; here N is 0.

    Returns:
      MODEL_DIR.
    """
    data = open_configured(request.open_batches, request.train_data, request.seed)
    compiled_programs.keep_compiled_programs()
    rng = runtime.random_key(request.seed, runtime.DROPOUT_STREAM, hardware=request.hardware_rng)
    trainer = trainer_to_compile(
        request.model, request.partitioner, request.trainer_cls, rng, str(request.model_dir)
    )
    return _compile(trainer, data, request.train_data, request.model_dir)


def _trainer_with_default_schedule() -> Callable[..., Trainer]:
    from clinical_t5x.training.schedule import create_learning_rate_scheduler
    from clinical_t5x.training.trainer import Trainer

    return functools.partial(
        Trainer, learning_rate_fn=create_learning_rate_scheduler(), num_microbatches=None
    )


def trainer_to_compile(
    model: Any,
    partitioner: PjitPartitioner,
    trainer_cls: Callable[..., Trainer],
    rng: Any,
    summary_dir: str | None = None,
) -> Trainer:
    """The trainer of a run, without a state: it can be lowered and compiled.

    Args:
      model: As the run's.
      partitioner: The run's, or the same on devices that are only compiled for.
      trainer_cls: As gin configures it.
      rng: The run's dropout key; its shape is enough.
      summary_dir: MODEL_DIR, where there is one.
    """
    return trainer_cls(
        model=model,
        train_state=None,
        partitioner=partitioner,
        eval_names=(),
        summary_dir=summary_dir,
        train_state_axes=None,
        rng=rng,
    )


def _compile(
    trainer: Trainer, data: Any, config: DatasetConfig, directory: epath.Path
) -> epath.Path:
    check_vocabularies(
        trainer.model, getattr(data, "vocabularies", {}), config.mixture_or_task_name
    )
    partitioner, size = trainer.partitioner, config.batch_size
    partitioner.check_batch_size(size)
    batch = partitioner.place_batch(data.batch(0, partitioner.local_rows(size)), size)
    lowered = trainer.lower(batch)
    compiled = trainer.compile(batch)
    directory.mkdir(parents=True, exist_ok=True)
    texts = {
        BEFORE: lowered.as_text(),
        AFTER: compiled.as_text(),
        ASSIGNMENT: _assignment(trainer, batch),
    }
    for name, text in texts.items():
        write_text_atomically(directory / name, text)
    console.say(f"compiled in {trainer.compile_seconds:.1f} s; {_memory(compiled)}")
    console.say(f"{', '.join(texts)} are in {directory}")
    return directory


def _assignment(trainer: Trainer, batch: dict[str, jax.Array]) -> str:
    """Which device stands where in the mesh, and where every array of state and batch lies."""
    import jax

    mesh = trainer.partitioner.mesh
    lines = [f"mesh: {', '.join(f'{axis} {size}' for axis, size in mesh.shape.items())}"]
    for place in itertools.product(*map(range, mesh.devices.shape)):
        lines.append(f"{place}: {mesh.devices[place]}")
    leaves = jax.tree_util.tree_leaves_with_path((trainer.abstract_state, batch))
    for path, leaf in leaves:
        name = jax.tree_util.keystr(path[1:])
        lines.append(f"{name} {leaf.shape} {leaf.dtype} {leaf.sharding.spec}")
    return "\n".join(lines) + "\n"


def _memory(compiled: Any) -> str:
    """What XLA says that a step needs on each device."""
    found = compiled.memory_analysis()
    if found is None:
        return "the compiler does not say how much memory a step needs"
    arguments, temporary = found.argument_size_in_bytes, found.temp_size_in_bytes
    return (
        f"a device holds {arguments / 1e9:.2f} GB of state and batch, and {temporary / 1e9:.2f} GB "
        "while it computes a step"
    )
