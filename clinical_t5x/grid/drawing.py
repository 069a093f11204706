"""The grid's low-resource curve: drawn from the results of its finished runs, whenever asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clinical_t5x.console import UserError, say
from clinical_t5x.grid.cells import Cell
from clinical_t5x.grid.description import Grid
from clinical_t5x.grid.sharing import is_done, outcome_of
from clinical_t5x.storage import write_text_atomically

NAME = "curve"


def draw(grid: Grid, cells: Sequence[Cell], *, command: str = "") -> list[str]:
    """Write curve.html, curve.svg, curve.png and curve.csv from what is done.

    Args:
      grid: Where they go.
      cells: All runs of the grid; those that are not done are left out, and counted on the page.
      command: How it was asked for, to be printed on the page.

    Returns:
      Names of the files, none when there is nothing to draw yet.
    """
    from clinical_t5x.evaluation.report import learning_curve, learning_curve_page
    from clinical_t5x.evaluation.report.learning_curve_chart import picture_files
    from clinical_t5x.evaluation.results import find_evaluations

    done = [cell for cell in cells if is_done(cell)]
    if not any(cell.model is not None for cell in done):
        return []
    evaluations = find_evaluations([cell.test_dir for cell in done])
    families = _own_families(done)
    try:
        curve = learning_curve.learning_curve(
            evaluations, examples=_examples(evaluations, done), families=families
        )
    except UserError as error:
        say(f"no curve: {error}")
        return []
    missing = len(cells) - len(done)
    notes = [f"{missing} of {len(cells)} runs are not done: not in this page."] if missing else []
    html = learning_curve_page.page(curve, command=command, notes=notes)
    files = [grid.out / f"{NAME}.{ending}" for ending in ("html", "svg", "png", "csv")]
    write_text_atomically(files[0], html)
    pictures = picture_files(curve)
    for path in files[1:3]:
        path.write_bytes(pictures[path.suffix[1:]])
    write_text_atomically(files[3], learning_curve.csv_text(curve))
    return [str(path) for path in files]


def _examples(evaluations: Sequence[Any], done: Sequence[Cell]) -> dict[tuple[str, float], int]:
    """Training examples by metric family and fraction: the mean over seeds, whose subsets differ
    by a unit or two."""
    family_of = {e.results[0].task: next(iter(e.sums), "") for e in evaluations}
    counts: dict[tuple[str, float], list[int]] = {}
    for cell in done:
        if cell.model is not None:
            key = (family_of.get(cell.recipe.scored_name, ""), cell.fraction)
            counts.setdefault(key, []).append(outcome_of(cell)["training_data"]["examples"])
    return {key: round(sum(found) / len(found)) for key, found in counts.items()}


def _own_families(done: Sequence[Cell]) -> dict[str, Any]:
    """Metric families of tasks that are not this project's, which only their modules know."""
    from clinical_t5x.grid.recipes import KNOWN_TASKS

    found = {}
    for recipe in {cell.recipe.task: cell.recipe for cell in done}.values():
        if recipe.task not in KNOWN_TASKS:
            from clinical_t5x.data.materialise import load_task
            from clinical_t5x.evaluation.evaluator import TaskSpec

            task = TaskSpec.of(load_task(recipe.name, recipe.module))
            found |= {family.name: family for family in task.families}
    return found
