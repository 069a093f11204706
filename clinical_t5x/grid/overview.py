"""What a person sees of a grid: its runs with steps and states, and how long the rest may take."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from clinical_t5x.grid.cells import Cell
from clinical_t5x.grid.estimate import rough_seconds
from clinical_t5x.grid.records import failure_of
from clinical_t5x.grid.sharing import State, outcome_of, state_of


def run_line(cell: Cell) -> dict[str, Any]:
    """One run as flat values: what it is, its state, and what came out or went wrong."""
    state, holder = state_of(cell)
    line: dict[str, Any] = {
        "run": cell.name,
        "task": cell.recipe.task,
        "model": "majority" if cell.model is None else cell.model.name,
        "fraction": cell.fraction,
        "seed": cell.seed,
        "state": state.value,
    }
    if state is State.DONE:
        outcome = outcome_of(cell)
        line |= {name: outcome[name] for name in ("steps", "learning_rate") if name in outcome}
        line |= {"seconds": outcome["seconds"]["all"], "test": outcome["test"]}
    elif state is State.FAILED:
        line["reason"] = failure_of(cell)["reason"]
    elif holder is not None:
        line["by"] = f"{holder.machine} ({holder.process})"
    return line


def counted(lines: Sequence[Mapping[str, Any]]) -> str:
    """How many runs are in which state."""
    counts = Counter(line["state"] for line in lines)
    parts = [f"{counts[state.value]} {state.value}" for state in State if counts[state.value]]
    return f"{len(lines)} runs: {', '.join(parts)}"


def status_table(lines: Sequence[Mapping[str, Any]]) -> Any:
    """Every run with its state as a table for a terminal."""
    from rich.table import Table

    table = Table(title=counted(lines), title_justify="left")
    for heading, justify in (
        ("run", "left"),
        ("state", "left"),
        ("", "left"),
        ("seconds", "right"),
    ):
        table.add_column(heading, justify=justify)
    for line in lines:
        if "test" in line:
            said = ", ".join(f"{name} {100 * value:.1f}" for name, value in line["test"].items())
        else:
            said = line.get("reason") or line.get("by") or ""
        seconds = f"{line['seconds']:.0f}" if "seconds" in line else ""
        table.add_row(line["run"], line["state"], said, seconds)
    return table


def plan_lines(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Every run with what it will do, as far as that is known before its data are cut."""
    return [_plan_line(cell) for cell in cells]


def _plan_line(cell: Cell) -> dict[str, Any]:
    recipe = cell.recipe
    line = {**run_line(cell), "scored_on": recipe.scored_name}
    if cell.model is None:
        return line
    trainings = len(recipe.learning_rates)
    length = {"steps": recipe.steps} if recipe.steps else {"epochs": recipe.epochs}
    return {
        **line,
        **length,
        "trainings": trainings,
        "trained_on": cell.training_name,
        "batch_size": recipe.batch_size,
        "from": cell.model.checkpoint or "random parameters",
    }


def plan_table(lines: Sequence[Mapping[str, Any]]) -> Any:
    """What would be run, as a table for a terminal."""
    from rich.table import Table

    table = Table(title=counted(lines), title_justify="left")
    for heading in ("run", "trained on", "length", "from", "state"):
        table.add_column(heading)
    for line in lines:
        length = ""
        if "trainings" in line:
            times = f"{line['trainings']} x " if line["trainings"] > 1 else ""
            unit = "steps" if "steps" in line else "epochs"
            length = f"{times}{line[unit]:,g} {unit} of {line['batch_size']}"
        table.add_row(
            line["run"],
            line.get("trained_on", ""),
            length,
            str(line.get("from", "")),
            line["state"],
        )
    return table


def estimate(cells: Sequence[Cell], *, roughly: bool = False) -> str:
    """How long what is left may take, from the runs of the same tasks that are done.

    Args:
      cells: The runs.
      roughly: Where none of a task is done yet, count operations instead; this starts JAX.
    """
    left = [cell for cell in cells if state_of(cell)[0] in (State.WAITING, State.STOPPED)]
    if not left:
        return "nothing is left to do"
    known: dict[tuple[str, bool], list[float]] = {}
    for cell in cells:
        outcome = outcome_of(cell)
        if outcome is not None:
            known.setdefault(_kind(cell), []).append(outcome["seconds"]["all"])
    seconds = sum(statistics.fmean(known[_kind(cell)]) for cell in left if _kind(cell) in known)
    unknown = [cell for cell in left if _kind(cell) not in known and cell.model is not None]
    begin = f"{len(left)} run{'s' if len(left) > 1 else ''} left: "
    if not unknown:
        return f"{begin}about {_duration(seconds)} in one process, going by the runs that are done"
    guessed = rough_seconds(unknown) if roughly else None
    if guessed is None:
        return f"{begin}the first of each task will tell how long"
    return (
        f"{begin}in one process very roughly {_duration(seconds + guessed)}, going by counted"
        " operations and the speed of this machine now; the first of each task will tell better"
    )


def _kind(cell: Cell) -> tuple[str, bool]:
    return cell.recipe.task, cell.model is None


def _duration(seconds: float) -> str:
    if seconds < 5400:
        return f"{max(1, round(seconds / 60))} minutes"
    return f"{seconds / 3600:.0f} hours"
