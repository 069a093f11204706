"""Evaluations in the course of training: the held-out loss, and decoded answers."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Mapping
from typing import Any

import jax

from clinical_t5x.console import Progress
from clinical_t5x.training.loop import Evaluation
from clinical_t5x.training.metric_log import per_token
from clinical_t5x.training.model_info import count_parameters
from clinical_t5x.training.request import TrainRequest
from clinical_t5x.training.state import abstract_params
from clinical_t5x.training.trainer import Trainer


def held_out_loss(batches: Any, task: str, batch_size: int, steps: int) -> Evaluation:
    """The loss on the same held-out batches every time.

    Args:
      batches: The held-out data, not shuffled.
      task: Its name, for the log.
      batch_size: Rows of a batch.
      steps: At most so many batches, and at most one pass over the data.
    """

    def evaluate(trainer: Trainer, step: int) -> Mapping[str, Mapping[str, float]]:
        partitioner = trainer.partitioner
        rows = partitioner.local_rows(batch_size)
        total: collections.Counter[str] = collections.Counter()
        under_way: collections.deque[Mapping[str, jax.Array]] = collections.deque()

        def add_oldest() -> None:
            part = jax.device_get(under_way.popleft())
            total.update({name: float(value) for name, value in part.items()})

        with Progress(f"held-out loss at step {step:,}", steps, unit="batch") as progress:
            for features in itertools.islice(batches.one_pass(rows), steps):
                placed = partitioner.place_batch(features, batch_size)
                under_way.append(trainer.eval_step(placed))
                if len(under_way) > 1:  # the device works on one while the host prepares the next
                    add_oldest()
                    progress.advance()
            while under_way:
                add_oldest()
                progress.advance()
        return {f"eval/{task}": per_token(total)}

    return evaluate


def decoded_evaluation(
    evaluator: Any, request: TrainRequest, provenance: Mapping[str, Any]
) -> Evaluation:
    """The tasks' own metrics on decoded answers.

    Args:
      evaluator: An `InferenceEvaluator`; it also writes predictions and results to MODEL_DIR.
      request: The run.
      provenance: What results say about the run: `initialisation`, `seed`.
    """
    from clinical_t5x.evaluation.predictor import ModelPredictor
    from clinical_t5x.evaluation.results import Provenance

    name = describe_model(request.model)

    def evaluate(trainer: Trainer, step: int) -> Mapping[str, Mapping[str, float]]:
        predictor = ModelPredictor(
            trainer.model,
            trainer.train_state.params,
            batch_size=request.infer_data.batch_size,
            partitioner=trainer.partitioner,
        )
        source = Provenance(
            model=name,
            checkpoint=str(request.model_dir / f"checkpoint_{step}"),
            checkpoint_step=step,
            **provenance,
        )
        return {
            f"inference_eval/{task}": {
                **found.headline(),  # first: the screen shows the first few
                **{result.metric: result.value for result in found.results},
            }
            for task, found in evaluator.evaluate(predictor, source).items()
        }

    return evaluate


def part_of_training(subset: Mapping[str, Any] | None) -> dict[str, Any]:
    """What results say about the part of the training split that a model saw.

    Args:
      subset: as a checkpoint's position has it; None for the whole split.
    """
    if subset is None or subset["fraction"] == 1.0:
        return {}
    return {"fraction": subset["fraction"], "subset_seed": subset["seed"]}


def describe_model(model: Any) -> str:
    """A model's name for results: its kind and number of parameters."""
    count = count_parameters(abstract_params(model))
    return f"T5 {count / 1e6:.1f}M"
