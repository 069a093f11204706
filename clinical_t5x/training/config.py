"""What a run is told about its data and its checkpoints: T5X's names, fields and defaults.

Fields that steer parts of T5X that do not exist here are accepted, so that its gin files load;
clinical_t5x/launch/accepted.py has the reason of each, which a run tells when one is bound.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from clinical_t5x.console import UserError
from clinical_t5x.training.retention import Keeping, checked_keeping, default_mode
from clinical_t5x.training.settings import check_count


@dataclasses.dataclass
class DatasetConfig:
    """Which examples, how many at a time, and in what order.

    Attributes:
      mixture_or_task_name: A registered SeqIO task.
      task_feature_lengths: Tokens a feature, {'inputs': 512, 'targets': 114}; None measures.
      split: 'train', 'validation' or 'test'.
      batch_size: Rows of the global batch.
      shuffle: Whether the order is shuffled, anew every epoch.
      seed: Of the order; None takes the run's RANDOM_SEED.
      use_cached: Ignored: the token store is this project's cache.
      pack: Whether several examples share a row.
      use_custom_packing_ops: Ignored: packing is done once, in the token store.
      module: The Python module that registers the task.
      use_memory_cache: Ignored: token stores are memory-mapped.
      trim_output_features: Ignored: features are trimmed to their lengths.
      runtime_preprocessors: Not supported; must be None.
      num_prefetch_threads: Ignored: one thread keeps ahead of the step.
      num_workers: Ignored, as `num_prefetch_threads`.
    """

    mixture_or_task_name: str
    task_feature_lengths: Mapping[str, int] | None
    split: str
    batch_size: int
    shuffle: bool
    seed: int | None
    use_cached: bool = False
    pack: bool = False
    use_custom_packing_ops: bool = False
    module: str | None = None
    use_memory_cache: bool = True
    trim_output_features: bool = True
    runtime_preprocessors: Any = None
    num_prefetch_threads: int | None = None
    num_workers: int = 0

    def __post_init__(self):
        if self.runtime_preprocessors is not None:
            raise UserError(
                "DatasetConfig.runtime_preprocessors is not supported: put the preprocessors into "
                f"the task {self.mixture_or_task_name!r}"
            )
        check_count("BATCH_SIZE", self.batch_size)
        check_count("DatasetConfig.seed", self.seed, least=0)
        self._check_lengths()

    def _check_lengths(self) -> None:
        lengths = self.task_feature_lengths
        if lengths is None:
            return
        if not isinstance(lengths, Mapping):
            raise UserError(f"TASK_FEATURE_LENGTHS = {lengths!r}: must be {{'inputs': 512, ...}}")
        for feature, length in lengths.items():
            check_count(f"TASK_FEATURE_LENGTHS[{feature!r}]", length)


@dataclasses.dataclass
class SaveCheckpointConfig:
    """When checkpoints are written and how many are kept.

    Attributes:
      dtype: Of the saved parameters: 'float32' or 'bfloat16'. Only float32 resumes exactly.
      period: Steps between checkpoints; None writes only the last.
      checkpoint_steps: Further steps to save at.
      keep: How many of the latest stay; None keeps all.
      keep_dataset_checkpoints: Ignored: the position in the data is part of every checkpoint.
      save_dataset: Ignored, as `keep_dataset_checkpoints`.
      checkpointer_cls: `checkpoints.SaveBestCheckpointer` keeps `keep` best instead of latest.
      state_transformation_fns: Not supported; must be empty.
      checkpoint_manager_cls: `checkpoints.OrbaxCheckpointManagerInterface` with a
        `metric_name_to_monitor`, as `checkpointer_cls`.
      best_metric: The best by it stay beside the latest: 'eval/TASK/loss',
        'inference_eval/TASK/METRIC' or 'train/METRIC'. Not T5X's, as the following.
      best_mode: 'min' or 'max': which is better; None: 'min' for losses, else 'max'.
      keep_best: How many of the best.
      keep_period: Checkpoints at multiples of it stay for good.
    """

    dtype: str = "float32"
    period: int | None = None
    checkpoint_steps: Sequence[int] | None = None
    keep: int | None = None
    keep_dataset_checkpoints: int | None = None
    save_dataset: bool = False
    checkpointer_cls: Any = None
    state_transformation_fns: Sequence[Callable] = ()
    checkpoint_manager_cls: Any = None
    best_metric: str | None = None
    best_mode: str | None = None
    keep_best: int = 1
    keep_period: int | None = None

    def __post_init__(self):
        _check_dtype("SaveCheckpointConfig", self.dtype)
        _refuse_transformations("SaveCheckpointConfig", self.state_transformation_fns)
        for name in ("keep", "keep_period"):
            check_count(f"SaveCheckpointConfig.{name}", getattr(self, name))
        check_count("SaveCheckpointConfig.keep_best", self.keep_best, optional=False)
        check_count("SaveCheckpointConfig.period", self.period, least=0)
        self._check_steps()

    def _check_steps(self) -> None:
        steps = self.checkpoint_steps
        if steps is not None and not isinstance(steps, Sequence):
            raise UserError(
                f"SaveCheckpointConfig.checkpoint_steps = {steps!r}: must be a list of steps"
            )
        for step in steps or ():
            check_count("a step of SaveCheckpointConfig.checkpoint_steps", step, least=0)

    def keeping(self) -> Keeping:
        """Which checkpoints stay, as this configuration or the T5X class that it names says.

        Raises:
          UserError: when what is said makes no sense.
        """
        for given in (self.checkpoint_manager_cls, self.checkpointer_cls):
            found = _keeping_of(given, self.keep)
            if found is not None and self.best_metric is None:
                return checked_keeping(found)
        return checked_keeping(
            Keeping(
                latest=self.keep,
                best=self.keep_best if self.best_metric else 0,
                metric=self.best_metric,
                mode=self.best_mode or default_mode(self.best_metric or ""),
                period=self.keep_period,
            )
        )


@dataclasses.dataclass
class RestoreCheckpointConfig:
    """Which checkpoint a run begins from.

    Attributes:
      path: A checkpoint directory, or a MODEL_DIR with `mode` 'latest' or 'best'; a list tries each
        in turn; empty means none.
      mode: 'specific' (path is a checkpoint), 'latest' (the newest in path), 'best' (the best by
        the metric that the run in path watched; not T5X's), 'all' (eval: each).
      assignment_map: Not supported; must be None.
      strict: Ignored: names and shapes must always match.
      fallback_to_scratch: Begin from random parameters where there is no checkpoint.
      dtype: Parameters are cast to it; None keeps what was saved.
      restore_dataset: Ignored: a resumed run continues its data by itself.
      checkpointer_cls: Ignored: the format is recognised.
      state_transformation_fns: Not supported; must be empty.
      checkpoint_manager_cls: Ignored, as `checkpointer_cls`.
    """

    path: str | Sequence[str]
    mode: str = "latest"
    assignment_map: Any = None
    strict: bool = True
    fallback_to_scratch: bool = False
    dtype: str | None = None
    restore_dataset: bool = False
    checkpointer_cls: Any = None
    state_transformation_fns: Sequence[Callable] = ()
    checkpoint_manager_cls: Any = None

    def __post_init__(self):
        if self.mode not in ("specific", "latest", "best", "all"):
            raise UserError(
                f"RestoreCheckpointConfig.mode = {self.mode!r}: choose specific, latest, best or "
                "all"
            )
        if self.dtype is not None:
            _check_dtype("RestoreCheckpointConfig", self.dtype)
        if self.assignment_map is not None:
            raise UserError("RestoreCheckpointConfig.assignment_map is not supported")
        _refuse_transformations("RestoreCheckpointConfig", self.state_transformation_fns)

    @property
    def paths(self) -> list[str]:
        """The paths, none when there is nothing to restore."""
        if not self.path:
            return []
        return [self.path] if isinstance(self.path, str) else [str(path) for path in self.path]


@dataclasses.dataclass
class CheckpointConfig:
    """How a run saves, and what it begins from.

    Attributes:
      save: None writes no checkpoints.
      restore: None begins from scratch, unless MODEL_DIR holds a checkpoint.
    """

    save: SaveCheckpointConfig | None = None
    restore: RestoreCheckpointConfig | None = None


def _keeping_of(checkpointer_cls: Any, keep: int | None) -> Keeping | None:
    """What one of T5X's classes, with what gin binds to it, says about keeping checkpoints.

    Raises:
      UserError: when the class is someone's own.
    """
    if checkpointer_cls is None:
        return None
    made = checkpointer_cls(None, None, None)
    if not hasattr(made, "keeping"):
        raise UserError(
            f"{type(made).__name__} cannot write checkpoints here: Orbax does; bind "
            "checkpoints.SaveBestCheckpointer or nothing"
        )
    return made.keeping(keep)


def _check_dtype(where: str, dtype: Any) -> None:
    if str(dtype) not in ("float32", "bfloat16"):
        raise UserError(f"{where}.dtype = {dtype!r}: choose 'float32' or 'bfloat16'")


def _refuse_transformations(where: str, functions: Sequence[Callable]) -> None:
    if functions:
        raise UserError(
            f"{where}.state_transformation_fns is not supported: convert the checkpoint first "
            "(python -m clinical_t5x.convert)"
        )
