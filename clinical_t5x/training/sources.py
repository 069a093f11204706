"""Opening what a DatasetConfig names: batches to train on, examples to evaluate.

Everything here runs before JAX compiles anything, so that missing data is said at once. The data
and evaluation packages are imported when they are needed: they may bring TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from etils import epath

from clinical_t5x import console
from clinical_t5x.console import UserError
from clinical_t5x.data.lengths import truncation_lines
from clinical_t5x.training.config import DatasetConfig


def open_batches(task_name: str, **options: Any) -> Any:
    """`clinical_t5x.data.loader.open_batches`."""
    from clinical_t5x.data import loader

    return loader.open_batches(task_name, **options)


def open_configured(opener: Callable[..., Any], config: DatasetConfig, seed: int) -> Any:
    """Open the batches that a DatasetConfig means; its seed defaults to the run's.

    Says in how many examples the feature lengths cut something, where they do.

    Raises:
      UserError: when it has no batch size.
    """
    if config.batch_size is None:
        raise UserError("BATCH_SIZE is None: training needs a number of examples")
    opened = opener(
        config.mixture_or_task_name,
        split=config.split,
        feature_lengths=config.task_feature_lengths,
        batch_size=config.batch_size,
        pack=config.pack,
        shuffle=config.shuffle,
        seed=seed if config.seed is None else config.seed,
        module=config.module,
    )
    summary = getattr(opened, "summary", {})  # a user's own opener may not have one
    for line in truncation_lines(summary, config.task_feature_lengths or {}, config.split):
        console.say(line)
    return opened


def open_evaluator(
    evaluator_cls: Any, config: DatasetConfig, output_dir: Any, **options: Any
) -> Any:
    """The evaluator of the tasks that a DatasetConfig means.

    Args:
      evaluator_cls: As gin gives it; None takes this project's.
      config: Its batch size is used by the predictor, not here.
      output_dir: Results, predictions and inference_eval/ go there.
      options: More of its parameters: `with_text`, `with_scores`, `thresholds`; what is false or
        None is left out, so that a gin file may say it instead.
    """
    from clinical_t5x.evaluation.inference_evaluator import evaluator_factory

    return evaluator_factory(evaluator_cls)(
        config.mixture_or_task_name,
        eval_split=config.split,
        sequence_length=config.task_feature_lengths,
        log_dir=epath.Path(output_dir) / "inference_eval",
        module=config.module,
        **{name: value for name, value in options.items() if value},
    )


def open_examples(config: DatasetConfig) -> Any:
    """Every example of the split that a DatasetConfig means, once, in order."""
    from clinical_t5x.data import loader

    return loader.open_examples(
        config.mixture_or_task_name,
        split=config.split,
        feature_lengths=config.task_feature_lengths,
        module=config.module,
    )
