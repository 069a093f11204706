"""`evaluate`: the metrics of one or several checkpoints on a task, into the results store."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from etils import epath

from clinical_t5x import console, storage
from clinical_t5x.training.config import DatasetConfig, RestoreCheckpointConfig
from clinical_t5x.training.sources import open_evaluator
from clinical_t5x.training.vocabularies import check_vocabularies

if TYPE_CHECKING:
    from clinical_t5x.evaluation.results import Evaluation
    from clinical_t5x.partitioning import PjitPartitioner


def evaluate(
    *,
    model: Any,
    dataset_cfg: DatasetConfig,
    restore_checkpoint_cfg: RestoreCheckpointConfig,
    partitioner: PjitPartitioner,
    output_dir: str,
    inference_evaluator_cls: Any = None,
    training_evaluator_cls: Any = None,
    summarize_config_fn: Callable[[str, Any, int], None] | None = None,
    train_state_initializer_cls: Any = None,
    train_eval_get_dataset_fn: Any = None,
    fallback_init_rng: int | None = None,
    use_orbax: bool = True,
    with_text: bool = False,
    with_scores: bool = False,
    thresholds: str | None = None,
    model_name: str | None = None,
    initialisation: str | None = None,
    fraction: float | None = None,
    subset_seed: int | None = None,
) -> list[Evaluation]:
    """Decode a split with every checkpoint that is named, and score the answers.

    Predictions are kept as they come, so that a stopped evaluation goes on where it was, and a
    finished one is only read. The parameters are T5X's, and:

    Args:
      restore_checkpoint_cfg: 'specific' (a checkpoint), 'latest' or 'best' (of a MODEL_DIR), 'all'
        (each).
      output_dir: Gets config.gin, results/, predictions/ and inference_eval/.
      training_evaluator_cls: Ignored, as are the state initializer, get_dataset and use_orbax.
      fallback_init_rng: Ignored: a missing checkpoint is an error, never random parameters.
      with_text: Keep inputs, targets and answers in the predictions: note text.
      with_scores: Also score answers by likelihood: probabilities of labels and of "no answer",
        their calibration, and metrics at thresholds that the validation split chose.
      thresholds: Run directory with an evaluation of the validation split `with_scores`; default:
        `output_dir`.
      model_name: Name in results; default: kind and size.
      initialisation: Row of a report, 'scratch' or 'pretrained'; default: what the checkpoint says.
      fraction: Of the training split, that the checkpoint was trained on; only said in results;
        default: what the checkpoint says, else 1.
      subset_seed: Which subset of that size it was; goes with `fraction`.

    Returns:
      The evaluations, a checkpoint's tasks in order.

    Raises:
      UserError: missing data or checkpoints, or a checkpoint of another model.
    """
    with console.interrupt_on_sigterm():
        evaluator = open_evaluator(
            inference_evaluator_cls,
            dataset_cfg,
            output_dir,
            with_text=with_text,
            with_scores=with_scores,
            thresholds=thresholds,
        )

        for task, vocabularies in evaluator.vocabularies.items():
            check_vocabularies(model, vocabularies, task)

        from clinical_t5x.evaluation.predictor import ModelPredictor
        from clinical_t5x.training import checkpoints, compiled_programs, validation

        compiled_programs.keep_compiled_programs()
        found: list[Evaluation] = []
        for given in checkpoints.paths_to_restore(restore_checkpoint_cfg):
            params, step, path = checkpoints.restore_params_and_path(
                given,
                model,
                partitioner,
                mode=restore_checkpoint_cfg.mode,
                dtype=restore_checkpoint_cfg.dtype,
            )
            if summarize_config_fn is not None:
                epath.Path(output_dir).mkdir(parents=True, exist_ok=True)
                summarize_config_fn(str(output_dir), None, step)
            saved = checkpoints.provenance(path)
            part = validation.part_of_training(saved.get("subset"))
            if fraction is not None:
                part = {"fraction": fraction, "subset_seed": subset_seed}
            found += _evaluate_one(
                evaluator,
                ModelPredictor(
                    model, params, batch_size=dataset_cfg.batch_size, partitioner=partitioner
                ),
                {
                    "model": model_name or validation.describe_model(model),
                    "initialisation": initialisation or saved.get("initialisation", "unknown"),
                    "seed": saved.get("seed"),
                    "checkpoint": str(path),
                    "checkpoint_step": step,
                    "config_hash": _config_hash(output_dir),
                    **part,
                },
            )
    return found


def _evaluate_one(evaluator: Any, predictor: Any, provenance: dict[str, Any]) -> list[Evaluation]:
    from clinical_t5x.evaluation.results import Provenance

    evaluations = evaluator.evaluate(predictor, Provenance(**provenance))
    for task, evaluation in evaluations.items():
        shown = "  ".join(f"{name} {value:.4f}" for name, value in evaluation.headline().items())
        console.say(f"{task} at step {provenance['checkpoint_step']:,}: {shown}")
    return list(evaluations.values())


def _config_hash(output_dir: str) -> str:
    path = epath.Path(output_dir) / "config.gin"
    return storage.sha256_file(path) if path.exists() else ""
