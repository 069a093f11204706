"""One run: train with every learning rate, choose on validation, score the test split once.

Each part finds by itself what an earlier process finished: `train` goes on from its newest
checkpoint, `eval` after the last whole prediction. The test split is opened only when the choice
has been made and written down.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

from etils import epath

from clinical_t5x import console, storage
from clinical_t5x.grid import data, gin_files
from clinical_t5x.grid.cells import Cell
from clinical_t5x.grid.records import RUN_FILE
from clinical_t5x.launch.environment import data_home_of
from clinical_t5x.training.retention import BEST_FILE
from clinical_t5x.training.settings import rate_name

KEEP_BEST, KEEP_NONE, KEEP_ALL = "best", "none", "all"


class LeaseLostError(Exception):
    """Another process took this run over, taking this one for dead."""


def begin(cell: Cell) -> None:
    """Write down what the run is, before anything of it exists."""
    storage.write_json_atomically(cell.directory / RUN_FILE, {"made_from": cell.made_from})


def run_cell(
    cell: Cell, *, keep: str = KEEP_BEST, is_lost: Callable[[], bool] = lambda: False
) -> dict[str, Any]:
    """Make one run, going on where an earlier process stopped.

    Args:
      cell: Which.
      keep: Which checkpoints stay when it is done: the best of the chosen rate, none, or all.
      is_lost: Whether another process has taken the run over.

    Returns:
      What came out, as the completion mark has it: `outcome`.

    Raises:
      UserError, console.Stopped, LeaseLostError: as its parts end.
    """
    began = time.monotonic()
    begin(cell)
    outcome = _score_majority(cell) if cell.model is None else _train_and_score(cell, is_lost)
    outcome["seconds"] = {**outcome.get("seconds", {}), "all": _since(began)}
    if is_lost():
        raise LeaseLostError(cell.name)
    mark = {**storage.completion_mark(cell.made_from), "outcome": outcome}
    storage.write_json_atomically(cell.directory / storage.COMPLETE_MARK, mark)
    if cell.model is not None:
        remove_checkpoints(cell, outcome["learning_rate"], keep)
    return outcome


def _train_and_score(cell: Cell, is_lost: Callable[[], bool]) -> dict[str, Any]:
    marks = [time.monotonic()]
    budget, counted = data.measure(cell)
    marks.append(time.monotonic())
    for rate in cell.recipe.learning_rates:
        _train(cell, budget, rate)
        if is_lost():
            raise LeaseLostError(cell.name)
    marks.append(time.monotonic())
    choice = choose(cell)
    console.say(_choice_line(cell, choice))
    storage.write_json_atomically(
        cell.directory / RUN_FILE, {"made_from": cell.made_from, "choice": choice}
    )
    evaluations = _score(cell, choice["learning_rate"])
    marks.append(time.monotonic())
    parts = zip(("data", "train", "test"), marks[1:], marks, strict=False)
    return {
        **choice,
        "steps": budget.steps,
        "lengths": {"inputs": budget.inputs, "targets": budget.targets},
        "training_data": dataclasses.asdict(counted),
        "test": evaluations,
        "seconds": {name: round(end - begin, 1) for name, end, begin in parts},
    }


def _train(cell: Cell, budget: gin_files.Budget, rate: float) -> None:
    text = gin_files.training_file(cell, budget, rate)
    _run_program("train", cell, cell.directory / f"train_rate_{rate_name(rate)}.gin", text)


def _score(cell: Cell, rate: float) -> dict[str, float]:
    text = gin_files.evaluation_file(cell, rate)
    evaluations = _run_program("eval", cell, cell.directory / "test.gin", text)
    return {name: value for found in evaluations for name, value in found.headline().items()}


def _run_program(verb: str, cell: Cell, path: epath.Path, text: str) -> Any:
    """Run a gin program inside this process, so that JAX starts once."""
    from clinical_t5x.launch.program import run_program

    storage.write_text_atomically(path, text)
    return run_program(verb, gin_files=[str(path)], data_dir=cell.grid.data_dir)


def choose(cell: Cell) -> dict[str, Any]:
    """The learning rate and the checkpoint that are best on validation, and all that were tried.

    Of equals the first rate and the earlier checkpoint are taken.

    Raises:
      UserError: no rate has a checkpoint that was evaluated.
    """
    recipe = cell.recipe
    tried = {}
    for rate in recipe.learning_rates:
        path = cell.model_dir(rate) / BEST_FILE
        found = storage.read_json(path)["checkpoints"] if path.exists() else []
        tried[rate_name(rate)] = found[0] if found else None
    sign = -1 if recipe.lower_is_better else 1
    known = {rate: best for rate, best in tried.items() if best is not None}
    if not known:
        raise console.UserError(
            f"{cell.name} has no checkpoint with a finite {recipe.watched}: see metrics.jsonl in"
            f" the directories below {cell.directory}"
        )
    best = max(known, key=lambda rate: sign * known[rate]["value"])
    rate = next(rate for rate in recipe.learning_rates if rate_name(rate) == best)
    return {
        "learning_rate": rate,
        "step": known[best]["step"],
        "validation": {"metric": recipe.watched, "value": known[best]["value"]},
        "tried": tried,
    }


def _choice_line(cell: Cell, choice: dict[str, Any]) -> str:
    tried = len(cell.recipe.learning_rates)
    of = f"learning rate {choice['learning_rate']:g}" + (f" of {tried}" if tried > 1 else "")
    value = choice["validation"]["value"]
    return (
        f"best on validation: {of}, step {choice['step']:,} ({cell.recipe.metric} {value:.4f});"
        " now the test split, once"
    )


def _score_majority(cell: Cell) -> dict[str, Any]:
    """Score the baseline on the very examples that the models are scored on."""
    from clinical_t5x.data.loader import open_examples
    from clinical_t5x.data.materialise import load_task
    from clinical_t5x.evaluation.evaluator import TaskSpec
    from clinical_t5x.evaluation.inference_evaluator import random_units
    from clinical_t5x.evaluation.majority import evaluate_majority

    recipe = cell.recipe
    with data_home_of(cell.grid.data_dir):
        data.register_tasks(cell)
        task = TaskSpec.of(load_task(recipe.scored_name, recipe.module))
        train = open_examples(recipe.scored_name, split="train", module=recipe.module)
        test = open_examples(recipe.scored_name, split="test", module=recipe.module)
        if recipe.test_units is not None:
            test = random_units(test, recipe.test_units, gin_files.SAMPLE_SEED)
        found = evaluate_majority(task, train, test, split="test", output_dir=cell.test_dir)
    return {"test": found.headline()}


def remove_checkpoints(cell: Cell, chosen: float, keep: str) -> None:
    """Remove the checkpoints that need not stay."""
    if keep == KEEP_ALL:
        return
    for rate in cell.recipe.learning_rates:
        directory = cell.model_dir(rate)
        best = storage.read_json(directory / BEST_FILE)["checkpoints"]
        stays = f"checkpoint_{best[0]['step']}" if best and rate == chosen else None
        for path in directory.glob("checkpoint_*"):
            if keep == KEEP_NONE or path.name != stays:
                path.rmtree()


def _since(began: float) -> float:
    return round(time.monotonic() - began, 1)
