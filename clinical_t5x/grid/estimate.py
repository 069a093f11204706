"""How long a grid may take before any of its runs is done: counted operations over measured speed.

Training is counted exactly (models/flops), decoding as a forward pass over inputs and targets. The
speed is that of a matrix product of this machine, here and now, of which a small model reaches
about half. It is an order of magnitude; the first finished run of each task replaces it.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clinical_t5x.data.home import tfds_directory
from clinical_t5x.grid.cells import Cell
from clinical_t5x.grid.data import first_step
from clinical_t5x.grid.gin_files import Budget, training_file
from clinical_t5x.grid.recipes import Recipe
from clinical_t5x.storage import read_json

_REACHED = 0.5  # of a matrix product's speed
_TARGETS = 64  # tokens of a row, where nothing says how long targets are
_PRODUCT = 1024


def rough_seconds(cells: Sequence[Cell]) -> float | None:
    """Seconds of the given runs in one process; None where the data do not say how many steps."""
    if any(operations(cell, 1.0, 1.0) is None for cell in cells if cell.model):
        return None
    with_models = [cell for cell in cells if cell.model is not None]
    if not with_models:
        return 0.0
    config = _network(with_models[0])
    total = 0.0
    for recipe in {cell.recipe.task: cell.recipe for cell in with_models}.values():
        trained, decoded = _of_a_row(config, recipe)
        mine = [cell for cell in with_models if cell.recipe.task == recipe.task]
        total += sum(operations(cell, trained, decoded) for cell in mine)
    return total / (_REACHED * _speed())


def operations(cell: Cell, trained: float, decoded: float) -> float | None:
    """Operations of one run, from those of a trained row and of a decoded one; None: no data."""
    recipe = cell.recipe
    sizes = split_sizes(recipe.task, cell.grid.data_dir)
    if not sizes:
        return None
    an_epoch = math.ceil(cell.fraction * sizes["train"] / recipe.batch_size)
    steps = recipe.steps or max(1, round(recipe.epochs * an_epoch))
    evaluations = recipe.evaluations or math.ceil(steps / an_epoch)
    scored = evaluations * min(recipe.validation_examples or math.inf, sizes["validation"])
    updates = steps * recipe.batch_size * len(recipe.learning_rates)
    return updates * trained + (scored * len(recipe.learning_rates) + sizes["test"]) * decoded


def split_sizes(task: str, data_dir: str | None) -> dict[str, int]:
    """Examples of a benchmark's splits, as its data set says; nothing where there is none."""
    for path in sorted(tfds_directory(data_dir).glob(f"{task}/*/dataset_info.json")):
        splits = read_json(path).get("splits", [])
        return {split["name"]: sum(map(int, split["shardLengths"])) for split in splits}
    return {}


def _of_a_row(config: Any, recipe: Recipe) -> tuple[float, float]:
    """Operations of training on a row, and of decoding one."""
    from clinical_t5x.models.flops import step_flops

    counted = step_flops(
        config,
        batch_size=1,
        inputs_length=recipe.inputs,
        targets_length=recipe.targets or _TARGETS,
    )
    return counted.hardware, counted.forward * recipe.beams


def _network(cell: Cell) -> Any:
    from clinical_t5x.launch.program import built_arguments

    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "train.gin"
        budget = Budget(1, 1, cell.recipe.inputs, 1, 1, first_step(cell.model))
        path.write_text(training_file(cell, budget, cell.recipe.learning_rates[0]))
        grid = cell.grid
        with built_arguments("train", gin_files=[str(path)], data_dir=grid.data_dir) as arguments:
            return arguments["model"].config


def _speed() -> float:
    """Operations a second of a matrix product on the default device."""
    import jax
    import jax.numpy as jnp

    matrix = jnp.ones((_PRODUCT, _PRODUCT), jnp.float32)
    product = jax.jit(jnp.dot)
    product(matrix, matrix).block_until_ready()
    began, rounds = time.monotonic(), 0
    while time.monotonic() - began < 0.3:
        product(matrix, matrix).block_until_ready()
        rounds += 1
    return 2 * _PRODUCT**3 * rounds / (time.monotonic() - began)
