"""What only the data tell about a run: lengths, passes, steps; and what has to be there at all."""

from __future__ import annotations

import dataclasses
import importlib
import math
from collections.abc import Sequence
from typing import Any

from clinical_t5x.console import UserError
from clinical_t5x.grid.cells import Cell
from clinical_t5x.grid.description import Grid, Model
from clinical_t5x.grid.gin_files import Budget
from clinical_t5x.grid.recipes import Recipe
from clinical_t5x.launch.environment import data_home_of

_LENGTH_STEP = 8  # lengths are rounded up to its multiples
_PACKED_ROOM = 1.5  # target tokens of a packed row, in what its inputs need on average


@dataclasses.dataclass(frozen=True)
class TrainingData:
    """The training data of a run, counted.

    Attributes:
      examples: Examples of the fraction.
      rows: Rows that they fill.
      inputs_cut: Examples whose inputs are longer than the row.
    """

    examples: int
    rows: int
    inputs_cut: int


def register_tasks(cell: Cell) -> None:
    """Register the tasks of a run in this process, as its gin files do.

    Raises:
      UserError: no such module, or one whose `register` makes no subsets.
    """
    recipe = cell.recipe
    register = _register_of(recipe)
    if recipe.options:
        register(recipe.scored_name, **recipe.options)
    if cell.subset_seed is None:
        return
    try:
        register(
            cell.training_name,
            fraction=cell.fraction,
            subset_seed=cell.subset_seed,
            **recipe.options,
        )
    except TypeError as error:
        raise UserError(
            f"{recipe.module}.register cannot make a subset ({error}); it needs the parameters"
            " name, fraction and subset_seed, as tasks/mednli.py has them"
        ) from error


def _register_of(recipe: Recipe) -> Any:
    from clinical_t5x.data.materialise import load_task

    load_task(recipe.name, recipe.module)
    register = getattr(importlib.import_module(recipe.module), "register", None)
    if register is None:
        raise UserError(
            f"{recipe.module} has no function register, which makes subsets of {recipe.name}: see"
            " tasks/mednli.py"
        )
    return register


def measure(cell: Cell) -> tuple[Budget, TrainingData]:
    """The numbers of a run, its token stores written where they are missing.

    Raises:
      UserError: missing data, or a row that is too short for the longest target.
    """
    from clinical_t5x.data.loader import open_batches

    recipe = cell.recipe
    with data_home_of(cell.grid.data_dir):
        register_tasks(cell)
        lengths = _lengths(recipe)
        batches = open_batches(
            cell.training_name,
            split="train",
            feature_lengths=lengths,
            batch_size=recipe.batch_size,
            pack=recipe.pack,
            shuffle=True,
            seed=cell.seed,
            module=recipe.module,
        )
        validation = int(_store(recipe, "validation").manifest["items"])
    counts = batches.summary[cell.training_name]
    an_epoch = math.ceil(batches.rows_per_epoch / recipe.batch_size)
    steps = recipe.steps or max(1, round(recipe.epochs * an_epoch))
    period = steps // recipe.evaluations if recipe.evaluations else an_epoch
    sample = min(validation, recipe.validation_examples or validation)
    budget = Budget(
        steps=steps,
        evaluation_period=max(1, min(period, steps)),
        inputs=lengths["inputs"],
        targets=lengths["targets"],
        validation_batches=math.ceil(sample / recipe.eval_batch_size),
        first_step=first_step(cell.model),
    )
    found = TrainingData(
        examples=counts["examples"],
        rows=batches.rows_per_epoch,
        inputs_cut=counts["truncated"]["inputs"],
    )
    return budget, found


def _store(recipe: Recipe, split: str) -> Any:
    from clinical_t5x.data.loader import open_store

    return open_store(recipe.scored_name, split=split, module=recipe.module)


def _lengths(recipe: Recipe) -> dict[str, int]:
    """Tokens of a row, the same for every fraction: inputs as given, targets as long as need be."""
    stores = [_store(recipe, split) for split in ("train", "validation")]
    longest = max(_longest(store, "targets") for store in stores)
    if recipe.targets is not None and recipe.targets < longest:
        raise UserError(
            f"{recipe.task}: targets = {recipe.targets}, but the longest target of"
            f" {recipe.scored_name} has {longest} tokens: targets are never cut; leave the setting"
            f" out, or take {longest} or more"
        )
    if recipe.pack:
        inputs = recipe.inputs
        longest = max(longest, _targets_beside(inputs, stores[0]))
    else:
        inputs = _rounded(min(recipe.inputs, max(_longest(store, "inputs") for store in stores)))
    return {"inputs": inputs, "targets": recipe.targets or _rounded(longest)}


def _targets_beside(inputs: int, train: Any) -> int:
    """Target tokens of a row of several examples, so many that its inputs fill up first."""
    total = {name: found["tokens"] for name, found in train.manifest["features"].items()}
    return math.ceil(_PACKED_ROOM * inputs * total["targets"] / max(1, total["inputs"]))


def _longest(store: Any, feature: str) -> int:
    return int(store.manifest["features"][feature]["lengths"]["max"])


def _rounded(length: int) -> int:
    return -(-max(length, 1) // _LENGTH_STEP) * _LENGTH_STEP


def first_step(model: Model) -> int:
    """The step of the checkpoint that a model begins from; 0 where there is none."""
    if model.checkpoint is None:
        return 0
    from clinical_t5x.interop.recognise import open_checkpoint
    from clinical_t5x.interop.source import CheckpointError

    try:
        return open_checkpoint(model.checkpoint).step or 0
    except CheckpointError as error:
        raise UserError(f"model {model.name}: {error}") from error


def check_data_set(recipe: Recipe) -> None:
    """Refuse a task whose data set, of the version that it reads, is not there.

    Raises:
      UserError: with the command that makes it.
    """
    from clinical_t5x.data.materialise import load_task

    check = getattr(load_task(recipe.name, recipe.module).source, "check", None)
    if check is not None:  # other people's sources may have none
        check()


def check_inputs(grid: Grid, cells: Sequence[Cell]) -> None:
    """Refuse a grid that cannot begin: missing data, vocabulary or checkpoint, a wrong gin file.

    One run of each model and task is looked at.

    Raises:
      UserError: with the command that makes what is missing.
    """
    import tempfile
    from pathlib import Path

    from clinical_t5x.grid.gin_files import training_file
    from clinical_t5x.launch.program import check_program

    for recipe in {cell.recipe.task: cell.recipe for cell in cells}.values():
        with data_home_of(grid.data_dir):
            check_data_set(recipe)
    seen = set()
    with tempfile.TemporaryDirectory() as place:
        for cell in cells:
            if cell.model is None or (cell.model, cell.recipe.task) in seen:
                continue
            seen.add((cell.model, cell.recipe.task))
            path = Path(place) / "train.gin"
            budget = Budget(1, 1, cell.recipe.inputs, 1, 1, first_step(cell.model))
            path.write_text(training_file(cell, budget, cell.recipe.learning_rates[0]))
            check_program("train", gin_files=[str(path)], data_dir=grid.data_dir)
