"""T5X's names for what is done in another way here, so that its gin files may refer to them.

A gin file that says `checkpointer_cls = @checkpoints.Checkpointer` says nothing that this project
would do differently; one that makes such an object itself is refused with the reason.
"""

from __future__ import annotations

from typing import Any, NoReturn

from clinical_t5x.console import UserError


def _refuse(name: str, reason: str) -> NoReturn:
    raise UserError(f"{name} makes nothing here: {reason}")


CHECKPOINTS_REASON = "Orbax writes all checkpoints, and every layout is recognised when read"


class Checkpointer:
    """T5X's older way to write checkpoints."""

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
        _refuse("checkpoints.Checkpointer", CHECKPOINTS_REASON)


class OrbaxCheckpointManagerInterface:
    """T5X's way to Orbax."""

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
        _refuse("checkpoints.OrbaxCheckpointManagerInterface", CHECKPOINTS_REASON)


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
        _refuse("checkpoints.SaveBestCheckpointer", "the latest checkpoints are kept, not the best")


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
