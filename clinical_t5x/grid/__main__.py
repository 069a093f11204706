"""Many runs, one results store: `python -m clinical_t5x.grid --out DIR --model NAME=CHECKPOINT`.

Runs models x tasks x fractions of the training data x seeds, as far as they are not done yet, and
draws the low-resource curve. The same command goes on where it was stopped; typed on several
machines that share the directory, it divides the runs among them.
"""

from __future__ import annotations

import argparse
import fnmatch
import re
import shlex
from collections.abc import Sequence
from typing import Any

from clinical_t5x import console
from clinical_t5x.console import UserError
from clinical_t5x.grid.description import Grid, make_grid
from clinical_t5x.grid.recipes import PRESETS


def main(argv: Sequence[str]) -> int:
    """Make the grid's runs, or say what they are."""
    from clinical_t5x.grid import cells

    options = _parser().parse_args(argv)
    options.command = ["-m", "clinical_t5x.grid", *argv]
    grid = make_grid(
        options.out,
        _flags(options),
        file=options.grid,
        preset=options.preset,
        data_dir=options.data_dir,
    )
    everything = list(cells.cells_of(grid))
    chosen = _chosen(everything, options.only, options.shard)
    if options.dry_run or options.status:
        return _show(chosen, plan=options.dry_run, as_json=options.json)
    return _run(grid, everything, chosen, options)


def _run(grid: Grid, everything: Sequence[Any], chosen: Sequence[Any], options: Any) -> int:
    from clinical_t5x.grid import data, drawing, overview, running, sharing

    sharing.refuse_other_runs(chosen)
    if options.retry_failed:
        console.say(f"{sharing.forget_failures(chosen)} failed runs are tried again")
    todo = [cell for cell in chosen if not sharing.is_done(cell)]
    if todo:
        data.check_inputs(grid, todo)
        console.say(f"{len(chosen)} runs in {grid.out}, {len(chosen) - len(todo)} of them done")
        console.say(overview.estimate(chosen))

        def make(cell: Any, is_lost: Any) -> dict[str, Any]:
            return running.run_cell(cell, keep=options.keep_checkpoints, is_lost=is_lost)

        sharing.work(chosen, make)
    lines = [overview.run_line(cell) for cell in chosen]
    made = drawing.draw(grid, everything, command=shlex.join(["python", *options.command]))
    _finish(grid, lines, made, as_json=options.json)
    failed = any(line["state"] == sharing.State.FAILED.value for line in lines)
    return console.EXIT_FAILED if failed else console.EXIT_DONE


def _finish(
    grid: Grid, lines: Sequence[dict[str, Any]], made: Sequence[str], *, as_json: bool
) -> None:
    from clinical_t5x.grid import overview

    console.say(f"\n{overview.counted(lines)}; results in {grid.out}")
    for line in lines:
        if "reason" in line:
            console.say(f"  {line['run']} FAILED: {line['reason']} (--retry_failed tries it again)")
    if made:
        console.say(f"The curve: {made[0]} (also {', '.join(name for name in made[1:])})")
    console.say(f"Next: python -m clinical_t5x.report --runs {grid.out}")
    if as_json:
        console.say_json({"out": str(grid.out), "runs": list(lines), "curve": list(made)})


def _show(chosen: Sequence[Any], *, plan: bool, as_json: bool) -> int:
    """Print the runs; nothing is run."""
    from rich.console import Console

    from clinical_t5x.grid import overview

    lines = overview.plan_lines(chosen) if plan else [overview.run_line(cell) for cell in chosen]
    estimate = overview.estimate(chosen, roughly=plan)
    if as_json:
        console.say_json({"runs": lines, "estimate": estimate})
        return console.EXIT_DONE
    table = overview.plan_table(lines) if plan else overview.status_table(lines)
    Console(highlight=False, width=None if _is_terminal() else 160).print(table)
    console.say(estimate)
    return console.EXIT_DONE


def _is_terminal() -> bool:
    import sys

    return sys.stdout.isatty()


def _chosen(cells: Sequence[Any], only: str | None, shard: str | None) -> list[Any]:
    """The runs that this process is to make."""
    chosen = list(cells)
    if only is not None:
        patterns = only.split(",")
        chosen = [c for c in chosen if any(fnmatch.fnmatchcase(c.name, p) for p in patterns)]
        if not chosen:
            raise UserError(f"--only {only}: no run has such a name; --dry_run lists them")
    if shard is not None:
        found = re.fullmatch(r"(\d+)/(\d+)", shard)
        part, parts = (int(found[1]), int(found[2])) if found else (0, 0)
        if not 1 <= part <= parts:
            raise UserError(f"--shard {shard}: write i/n, such as 1/4, with i from 1 to n")
        chosen = chosen[part - 1 :: parts]
    return chosen


def _flags(options: argparse.Namespace) -> dict[str, Any]:
    """The flags as a grid's file would have them."""
    models = {}
    for given in options.model or ():
        name, equals, checkpoint = given.partition("=")
        if not equals:
            raise UserError(f"--model {given}: write NAME=CHECKPOINT, or NAME=none for scratch")
        if name in models:
            raise UserError(f"--model {name} is given twice")
        models[name] = checkpoint
    flags: dict[str, Any] = {
        "models": models or None,
        "model_gin": options.model_gin,
        "tasks": options.tasks and options.tasks.split(","),
        "fractions": _list("--fractions", options.fractions),
        "seeds": _list("--seeds", options.seeds),
        "subset_seed": options.subset_seed,
        "learning_rates": _list("--learning_rates", options.learning_rates),
        "steps": options.steps,
        "epochs": options.epochs,
        "batch_size": options.batch_size,
        "beams": options.beams,
    }
    for given in options.set or ():
        _set(flags, given)
    return flags


def _set(flags: dict[str, Any], given: str) -> None:
    """Apply one `--set [TASK.]NAME=VALUE`; the value is TOML."""
    import tomllib

    path, equals, text = given.partition("=")
    try:
        value = tomllib.loads(f"value = {text}")["value"] if equals else None
    except tomllib.TOMLDecodeError:
        value = text
    task, dot, name = path.partition(".")
    if not equals or (not name and dot):
        raise UserError(f"--set {given}: write NAME=VALUE or TASK.NAME=VALUE, such as clip.beams=5")
    if dot:
        flags[task] = {**(flags.get(task) or {}), name: value}
    else:
        flags[task] = value


def _list(flag: str, text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [_number(part) for part in text.split(",")]
    except ValueError:
        raise UserError(f"{flag} {text}: numbers with commas between, such as 0.01,0.1") from None


def _number(text: str) -> int | float:
    """A whole number exactly as it is written, and 1.0 as one."""
    try:
        return int(text)
    except ValueError:
        value = float(text)
        return int(value) if value.is_integer() else value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m clinical_t5x.grid",
        description="Fine-tune and score models x tasks x fractions x seeds, and draw the curve.",
        epilog="Presets: "
        + "; ".join(f"{name}: {preset.description}" for name, preset in PRESETS.items()),
    )
    add = parser.add_argument
    add("--out", required=True, metavar="DIR", help="the runs; also the results store")
    add("--grid", metavar="FILE", help="the grid's description in TOML or JSON")
    add("--preset", choices=PRESETS, help="recipes (default laptop)")
    add(
        "--model",
        action="append",
        metavar="NAME=CHECKPOINT",
        help="what fine-tuning begins from; none for random parameters; may be repeated",
    )
    add("--model_gin", metavar="FILE", help="gin file of the network")
    add("--tasks", metavar="A,B", help="mednli,radqa,clip or those of the file")
    add("--fractions", metavar="F,F", help="of the training split, such as 0.01,0.1,1")
    add("--seeds", metavar="N,N", help="of parameters, order and subset")
    add("--subset_seed", type=int, metavar="N", help="one subset for all seeds")
    add("--learning_rates", metavar="R,R", help="the best on validation is scored")
    add("--steps", type=int, metavar="N", help="updates of every run")
    add("--epochs", type=float, metavar="N", help="passes over the fraction, instead of steps")
    add("--batch_size", type=int, metavar="N", help="rows of a batch")
    add("--beams", type=int, metavar="N", help="of decoding")
    add("--set", action="append", metavar="[TASK.]NAME=VALUE", help="any other setting of a recipe")
    add("--data_dir", metavar="DIR", help="data home; default $CLINICAL_T5X_DATA")
    add("--only", metavar="PATTERN", help="runs by name: 'scratch-*', 'a-*,b-*'")
    add("--shard", metavar="i/n", help="the i-th of n parts of the runs")
    add("--dry_run", action="store_true", help="print the runs and stop")
    add("--status", action="store_true", help="print what is done, running, failed")
    add("--retry_failed", action="store_true", help="try failed runs again")
    add(
        "--keep_checkpoints",
        choices=("best", "none", "all"),
        default="best",
        help="of a finished run (%(default)s: the one that was scored)",
    )
    add("--json", action="store_true", help="end with a summary in JSON")
    return parser


if __name__ == "__main__":
    console.run_command(main)
