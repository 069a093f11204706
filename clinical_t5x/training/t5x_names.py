"""T5X's names for what is done in another way here, so that its gin files may refer to them.

Writers of checkpoints only say here which checkpoints stay. Optimizers that a gin file makes itself
are refused with the reason.
"""

from __future__ import annotations

from typing import Any, NoReturn

from clinical_t5x.console import UserError
from clinical_t5x.training.retention import Keeping


def _refuse(name: str, reason: str) -> NoReturn:
    raise UserError(f"{name} makes nothing here: {reason}")


class Checkpointer:
    """T5X's older way to write checkpoints: the latest are kept."""

    def __init__(
        self,
        train_state: Any,
        partitioner: Any,
        checkpoints_dir: str,
        dataset_iterator: Any = None,
        *,
        keep: int | None = None,
        save_dtype: Any = "float32",
        restore_dtype: Any = None,
        keep_dataset_checkpoints: int | None = None,
    ):
        self._keep = keep

    def keeping(self, keep: int | None) -> Keeping | None:
        """What it says beyond `SaveCheckpointConfig.keep`: nothing unless that is not set."""
        return None if self._keep is None or keep is not None else Keeping(latest=self._keep)


class OrbaxCheckpointManagerInterface:
    """T5X's way to Orbax: the latest are kept, or the best by a metric."""

    def __init__(
        self,
        directory: str,
        train_state: Any,
        partitioner: Any,
        dataset_iterator: Any = None,
        save_dtype: Any = None,
        restore_dtype: Any = None,
        keep: int | None = None,
        period: int | None = 1,
        checkpoint_steps: Any = None,
        keep_dataset_checkpoints: int | None = None,
        force_keep_period: int | None = None,
        metric_name_to_monitor: str | None = None,
        metric_mode: str = "max",
        keep_checkpoints_without_metrics: bool = True,
    ):
        self._keep, self._period = keep, force_keep_period
        self._metric, self._mode = metric_name_to_monitor, metric_mode
        self._without_metric = keep_checkpoints_without_metrics

    def keeping(self, keep: int | None) -> Keeping | None:
        """What it says beyond `SaveCheckpointConfig.keep`, None for nothing."""
        keep = self._keep if keep is None else keep
        if self._metric is None:
            said = self._period is not None or self._keep is not None
            return Keeping(latest=keep, period=self._period) if said else None
        return _keeping_best(keep, self._metric, self._mode, self._period, self._without_metric)


class SaveBestCheckpointer:
    """T5X's checkpoints that are kept by a metric."""

    def __init__(
        self,
        train_state: Any,
        partitioner: Any,
        checkpoints_dir: str,
        dataset_iterator: Any = None,
        *,
        keep: int | None = None,
        save_dtype: Any = "float32",
        restore_dtype: Any = None,
        metric_name_to_monitor: str = "train/accuracy",
        metric_mode: str = "max",
        keep_checkpoints_without_metrics: bool = True,
        force_keep_period: int | None = None,
        keep_dataset_checkpoints: int | None = None,
    ):
        self._keep, self._period = keep, force_keep_period
        self._metric, self._mode = metric_name_to_monitor, metric_mode
        self._without_metric = keep_checkpoints_without_metrics

    def keeping(self, keep: int | None) -> Keeping:
        """The `keep` best by the metric, and the newest, from which a run goes on."""
        keep = self._keep if keep is None else keep
        return _keeping_best(keep, self._metric, self._mode, self._period, self._without_metric)


def _keeping_best(
    keep: int | None, metric: str, mode: str, period: int | None, without_metric: bool
) -> Keeping:
    latest = None if keep is None else 1
    return Keeping(latest, keep or 1, metric, mode, period, without_metric)


OPTIMIZERS_REASON = (
    "optimizers are Optax transformations and adafactor.Adafactor; give OPTIMIZER one of them, or "
    "@optimizers.chain() of several"
)


class OptimizerDef:
    """T5X's base of optimizer definitions."""

    def __init__(self, hyper_params: Any):
        _refuse("optimizers.OptimizerDef", OPTIMIZERS_REASON)


class OptimizerState:
    """T5X's optimizer memory."""

    def __init__(self, step: Any, param_states: Any):
        _refuse("optimizers.OptimizerState", OPTIMIZERS_REASON)


class Optimizer:
    """T5X's optimizer with its memory and parameters."""

    def __init__(self, optimizer_def: Any, state: Any, target: Any):
        _refuse("optimizers.Optimizer", OPTIMIZERS_REASON)


class MultiOptimizer:
    """T5X's optimizers for parts of the parameters."""

    def __init__(self, traversals_and_optimizers: Any):
        _refuse("optimizers.MultiOptimizer", OPTIMIZERS_REASON)


class OptaxStatePartitionRules:
    """T5X's table of how Optax states are sharded."""

    def __init__(self) -> None:
        _refuse(
            "optimizers.OptaxStatePartitionRules",
            "an optimizer's memory is sharded as the parameters are, by their shapes",
        )
