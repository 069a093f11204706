"""The gin files of a run: what the grid does is what `python -m t5x.train` does with them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from clinical_t5x.grid.cells import Cell
from clinical_t5x.grid.recipes import RISE_AND_FALL

_EVALUATOR = "inference_evaluator.InferenceEvaluator"
SAMPLE_SEED = 42  # of the samples of validation and test: the same for every run


@dataclasses.dataclass(frozen=True)
class Budget:
    """A run's numbers that only its data tell.

    Attributes:
      steps: Updates.
      evaluation_period: Updates between two evaluations on validation.
      inputs, targets: Tokens of a row.
      validation_batches: Batches of a held-out loss.
      first_step: Of the checkpoint that the run begins from: schedules count from step 0.
    """

    steps: int
    evaluation_period: int
    inputs: int
    targets: int
    validation_batches: int
    first_step: int


def training_file(cell: Cell, budget: Budget, rate: float) -> str:
    """The gin file of a run's training with one learning rate."""
    recipe, model = cell.recipe, cell.model
    decodes = recipe.metric != "loss"
    values: dict[str, Any] = {
        "MODEL_DIR": str(cell.model_dir(rate)),
        "INITIAL_CHECKPOINT_PATH": model.checkpoint or [],
        "MIXTURE_OR_TASK_MODULE": recipe.module,
        "MIXTURE_OR_TASK_NAME": recipe.scored_name,
        "TASK_FEATURE_LENGTHS": {"inputs": budget.inputs, "targets": budget.targets},
        "RANDOM_SEED": cell.seed,
        "BATCH_SIZE": recipe.batch_size,
        "TRAIN_STEPS": budget.steps,
        "EVAL_PERIOD": budget.evaluation_period,
        "EVAL_STEPS": budget.validation_batches,
        "train_script.train.stats_period": max(1, budget.steps // 10),
        "train/utils.DatasetConfig.pack": recipe.pack,
        "utils.SaveCheckpointConfig.period": budget.evaluation_period,
        "utils.SaveCheckpointConfig.keep": 1,
        "utils.SaveCheckpointConfig.best_metric": recipe.watched,
        "utils.SaveCheckpointConfig.best_mode": "min" if recipe.lower_is_better else "max",
        "models.EncoderDecoderModel.predict_batch_with_aux.num_decodes": recipe.beams,
    }
    if decodes:
        values["infer_eval/utils.DatasetConfig.batch_size"] = recipe.eval_batch_size
        values["train_script.train.train_eval_dataset_cfg"] = None
        values[f"{_EVALUATOR}.num_examples"] = recipe.validation_examples
        values[f"{_EVALUATOR}.seed"] = SAMPLE_SEED
    else:
        values["train_eval/utils.DatasetConfig.batch_size"] = recipe.eval_batch_size
        values["train_script.train.infer_eval_dataset_cfg"] = None
    values |= _schedule(budget, recipe.schedule, rate)
    raw = {
        **_references(cell),
        "train_script.train.inference_evaluator_cls": f"@{_EVALUATOR}",
    }
    if recipe.patience is not None:
        raw["train_script.train.actions"] = "{'INFER_EVAL': [@actions.EarlyStoppingAction()]}"
        values |= {
            "actions.EarlyStoppingAction.metric": (recipe.scored_name, recipe.metric),
            "actions.EarlyStoppingAction.mode": "min" if recipe.lower_is_better else "max",
            "actions.EarlyStoppingAction.patience": recipe.patience,
        }
    imports = ["__main__ as train_script", "clinical_t5x.training.actions"]
    return _file(cell, "train", [cell.grid.model_gin, recipe.train_gin], imports, values, raw)


def _references(cell: Cell) -> dict[str, str]:
    """Bindings that register the tasks of the run: the part that is trained on, and the whole."""
    recipe, found = cell.recipe, {}
    places = {"train/utils.DatasetConfig.mixture_or_task_name": ("training", cell.training_name)}
    if recipe.options:
        places["MIXTURE_OR_TASK_NAME"] = ("scoring", recipe.scored_name)
    for place, (scope, name) in places.items():
        if name == recipe.name:
            continue
        register = f"{scope}/{recipe.module}.register"
        found[place] = f"@{register}()"
        found[f"{register}.name"] = repr(name)
        for option, value in recipe.options.items():
            found[f"{register}.{option}"] = repr(value)
        if scope == "training" and cell.subset_seed is not None:
            found[f"{register}.fraction"] = repr(cell.fraction)
            found[f"{register}.subset_seed"] = repr(cell.subset_seed)
    return found


def _schedule(budget: Budget, schedule: str, rate: float) -> dict[str, Any]:
    scheduler = "utils.create_learning_rate_scheduler"
    if schedule != RISE_AND_FALL:
        return {f"{scheduler}.factors": "constant", f"{scheduler}.base_learning_rate": rate}
    warmup = max(1, budget.steps // 16)
    return {
        f"{scheduler}.factors": "constant * linear_warmup * cosine_decay",
        f"{scheduler}.base_learning_rate": rate,
        f"{scheduler}.warmup_steps": warmup,
        f"{scheduler}.steps_per_cycle": max(1, budget.steps - warmup + 1),
        f"{scheduler}.step_offset": budget.first_step,
    }


def evaluation_file(cell: Cell, rate: float) -> str:
    """The gin file that scores the test split with the checkpoint that is best on validation."""
    recipe = cell.recipe
    values: dict[str, Any] = {
        "CHECKPOINT_PATH": str(cell.model_dir(rate)),
        "EVAL_OUTPUT_DIR": str(cell.test_dir),
        "MIXTURE_OR_TASK_MODULE": recipe.module,
        "MIXTURE_OR_TASK_NAME": recipe.scored_name,
        "utils.RestoreCheckpointConfig.mode": "best",
        "utils.DatasetConfig.batch_size": recipe.eval_batch_size,
        "models.EncoderDecoderModel.predict_batch_with_aux.num_decodes": recipe.beams,
        "eval_script.evaluate.initialisation": cell.model.name,
        "eval_script.evaluate.fraction": cell.fraction,
        "eval_script.evaluate.subset_seed": cell.subset_seed,
        f"{_EVALUATOR}.num_units": recipe.test_units,
        f"{_EVALUATOR}.seed": SAMPLE_SEED,
    }
    raw = {"eval_script.evaluate.inference_evaluator_cls": f"@{_EVALUATOR}"}
    if recipe.options:
        register = f"scoring/{recipe.module}.register"
        raw["MIXTURE_OR_TASK_NAME"] = f"@{register}()"
        raw[f"{register}.name"] = repr(recipe.scored_name)
        raw |= {f"{register}.{option}": repr(v) for option, v in recipe.options.items()}
    includes = [cell.grid.model_gin, recipe.eval_gin]
    return _file(cell, "eval", includes, ["__main__ as eval_script"], values, raw)


def _file(
    cell: Cell,
    verb: str,
    includes: Iterable[str],
    imports: Iterable[str],
    values: Mapping[str, Any],
    raw: Mapping[str, str],
) -> str:
    """A gin file; `raw` values are gin already, and go before `values` of the same name."""
    modules = ["t5x import models", "t5x import utils"]
    modules += ["clinical_t5x.evaluation import inference_evaluator"]
    lines = [
        f"# {cell.title}",
        f"# Written by python -m clinical_t5x.grid; python -m t5x.{verb} --gin_file=THIS_FILE does",
        "# the same by hand, from the same working directory.",
        "",
        "from __gin__ import dynamic_registration",
        "",
        *(_import(name) for name in imports),
        f"import {cell.recipe.module}",
        *(f"from {name}" for name in modules),
        "",
        *(f"include {name!r}" for name in includes),
        "",
        *(f"{name} = {value!r}" for name, value in values.items() if name not in raw),
        *(f"{name} = {value}" for name, value in raw.items()),
    ]
    return "\n".join(lines) + "\n"


def _import(name: str) -> str:
    package, _, module = name.rpartition(".")
    return f"from {package} import {module}" if package else f"import {name}"
