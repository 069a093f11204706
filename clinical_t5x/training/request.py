"""What `train` was asked for, checked, in one object."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.training.config import (
    DatasetConfig,
    RestoreCheckpointConfig,
    SaveCheckpointConfig,
)
from clinical_t5x.training.profile_window import ProfileWindow
from clinical_t5x.training.settings import check_count

if TYPE_CHECKING:
    from clinical_t5x.partitioning import PjitPartitioner
    from clinical_t5x.training.trainer import Trainer

# Of a network's configuration: how it is computed, not what.
_SAME_RESULTS = {"scan_layers", "remat_policy", "attention_implementation", "logits_mebibytes"}


def checked_model_dir(named: Any) -> epath.Path:
    """Where a run writes.

    Raises:
      UserError: nothing is named.
    """
    if not named:
        raise UserError(f"MODEL_DIR = {named!r}: name the run's directory")
    return epath.Path(named).expanduser()


@dataclasses.dataclass(frozen=True)
class TrainRequest:
    """A training run as its configuration describes it; see `train.train` for the parameters.

    Attributes:
      eval_data: None where no held-out loss is wanted.
      infer_data: None where no decoded evaluation is wanted.
      eval_period: 0 for none.
      open_batches: As `clinical_t5x.data.loader.open_batches`.
      profile: Steps to be profiled.
      trackers: As `trackers.tracker_names` gives them.
    """

    model: Any
    model_dir: epath.Path
    partitioner: PjitPartitioner
    trainer_cls: Callable[..., Trainer]
    train_data: DatasetConfig
    eval_data: DatasetConfig | None
    infer_data: DatasetConfig | None
    save: SaveCheckpointConfig | None
    restore: RestoreCheckpointConfig | None
    total_steps: int
    relative_steps: int | None
    eval_steps: int
    eval_period: int
    stats_period: int
    evaluate_first: bool
    seed: int
    hardware_rng: bool
    actions: tuple[Any, ...]
    evaluator_cls: Any
    open_batches: Callable[..., Any]
    profile: ProfileWindow | None = None
    trackers: tuple[str, ...] = ()
    with_scores: bool = False

    def __post_init__(self):
        relative = self.relative_steps is not None
        check_count("TRAIN_STEPS", self.total_steps, least=0, optional=relative)
        check_count("TRAIN_STEPS_RELATIVE", self.relative_steps)
        for name, value in (
            ("EVAL_STEPS", self.eval_steps),
            ("EVAL_PERIOD", self.eval_period),
            ("train.stats_period", self.stats_period),
            ("RANDOM_SEED", self.seed),
        ):
            check_count(name, value, least=0, optional=False)

    @property
    def data_seed(self) -> int:
        """Seed of the order of training examples."""
        return self.seed if self.train_data.seed is None else self.train_data.seed

    def numbers(self) -> dict[str, Any]:
        """What describes the run to people who compare it with others; no paths."""
        return {
            "task": self.train_data.mixture_or_task_name,
            "batch_size": self.train_data.batch_size,
            "total_steps": self.total_steps,
            "seed": self.seed,
            **self._configuration(),
        }

    def _configuration(self) -> dict[str, Any]:
        """The network's, adapters included; a model of someone's own may have none."""
        config = getattr(self.model, "config", None)
        return dataclasses.asdict(config) if dataclasses.is_dataclass(config) else {}

    def identity(self) -> dict[str, Any]:
        """What must be asked again for a finished run to count as this one."""
        configuration = self._configuration().items()
        return {
            "task": self.train_data.mixture_or_task_name,
            "model": {name: value for name, value in configuration if name not in _SAME_RESULTS},
            "batch_size": self.train_data.batch_size,
            "seed": self.seed,
            "data_seed": self.data_seed,
            "total_steps": self.total_steps,
            "relative_steps": self.relative_steps,
        }
