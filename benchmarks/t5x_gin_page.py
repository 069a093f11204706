"""The page of the docs about T5X's gin files, written by t5x_gin_files.py."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def page(
    outcomes: Sequence[Any], recipes: Mapping[str, str] | None, checkout: Path, steps: int
) -> str:
    """The page of the docs: what was done, with what, and a table of all files.

    Args:
      outcomes: of `t5x_gin_files.Bench`, one a file.
      recipes: what Google's T5X said about our recipes, or None.
      checkout: of T5X.
      steps: of each training run.
    """
    commit = subprocess.run(
        ["git", "-C", str(checkout), "log", "-1", "--format=%h (%cs)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    lines = [
        "# Google T5X's gin files here",
        "",
        f"Written on {datetime.now(UTC):%Y-%m-%d} by `python benchmarks/t5x_gin_files.py --t5x "
        f"CHECKOUT --write docs/t5x_gin_files.md`, with google-research/t5x at {commit}. The files "
        "are Google's, unmodified, read where they lie.",
        "",
        "- **read**: every name, parameter and macro means something; checked without an import.",
        "- **built**: gin made every object of the program: the model with the shapes of its "
        "parameters, and where the file trains, the optimizer with its memory, the schedule, the "
        "mesh. The figures are parameters / numbers in the optimizer's memory.",
        f"- **run**: the program did its work to the end; training for {steps} steps at the size "
        "of T5X's `tiny` models, on the task of `benchmarks/toy_task.py`.",
        "- **supplied**: macros that the files require; for the model files, those of "
        "`configs/runs/pretrain.gin`. Besides them every file got a byte "
        "vocabulary in place of the one in Google's bucket, and the name of a task in place of one "
        "of `t5.data.mixtures`: a package that cannot be installed beside current libraries, which "
        "T5X itself needs for these files as well.",
        "- `base_wmt_eval.gin` binds no partitioner, at which T5X itself stops too: it got one. Files "
        "with `num_partitions = 2` ran on one CPU device, which takes the model whole and says so.",
        "",
        "| file | read with | read | built | run | supplied |",
        "|---|---|---|---|---|---|",
    ]
    for outcome in outcomes:
        case = outcome.case
        others = ", ".join(_short(name) for name in case.files if name != case.file) or "-"
        supplied = ", ".join(outcome.supplied) if case.is_recipe else ""
        lines.append(
            f"| {_short(case.file)} | {others} | {outcome.read} | {outcome.built} | "
            f"{outcome.run or '-'} | {supplied or '-'} |"
        )
    lines += ["", "## What these files bind that means nothing here", ""]
    notes = dict.fromkeys(note for o in outcomes for note in o.note.split("; ") if note)
    lines += [f"- {note}" for note in notes if "nothing uses the macro" not in note]
    if recipes is not None:
        good = sum(not problem for problem in recipes.values())
        lines += [
            "",
            "## This project's recipes under Google's T5X",
            "",
            f"{good} of the {len(recipes)} files in gin/ are read by Google's T5X with the files "
            "of their documented commands.",
        ]
        lines += [f"- {name}: {problem}" for name, problem in recipes.items() if problem]
    return "\n".join(lines) + "\n"


def _short(file: str) -> str:
    return f"`{file.removeprefix('t5x/')}`"
