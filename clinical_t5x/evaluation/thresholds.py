"""Thresholds on disk: tuned on the validation split, used on others, never where they do not fit.

They lie with the evaluation that they were tuned in (`RUN/results/TASK-validation.../`) and say of
which predictor, task version and how many examples they are. Another checkpoint, other decoding or
another version of the task refuses them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.evaluation.results import evaluation_directory
from clinical_t5x.storage import is_complete, read_json

THRESHOLDS_FILE = "thresholds.json"
TUNING_SPLIT = "validation"


def document(
    thresholds: Mapping[str, float], *, made_from: Mapping[str, Any], n: int
) -> dict[str, Any]:
    """What THRESHOLDS_FILE says: the thresholds, and what they were tuned on.

    Args:
      thresholds: by name; infinite ones are kept as text, which JSON lacks numbers for.
      made_from: as an evaluation says it: `predictor`, `task`, `task_version`, `split`,
        `checkpoint`, `checkpoint_step`.
      n: questions or sentences that they were tuned on.
    """
    told = ("predictor", "task", "task_version", "split", "model", "checkpoint", "checkpoint_step")
    return {
        "thresholds": {
            name: value if math.isfinite(value) else repr(value)
            for name, value in thresholds.items()
        },
        "tuned_on": {**{name: made_from[name] for name in told}, "n": n},
    }


def find(
    run_directory: str | os.PathLike, task: str, step: int | None
) -> tuple[epath.Path, dict[str, Any]] | None:
    """The thresholds' file of a task and checkpoint step in a run directory, and what it says.

    None where the validation split was not evaluated with scores.
    """
    directory = evaluation_directory(run_directory, task, TUNING_SPLIT, step)
    path = directory / THRESHOLDS_FILE
    if not is_complete(directory) or not path.exists():
        return None
    return path, read_json(path)


def checked(
    path: epath.Path, found: Mapping[str, Any], made_from: Mapping[str, Any]
) -> dict[str, float]:
    """The thresholds by name, for the predictor and the task that `made_from` says.

    Raises:
      UserError: they were tuned with another checkpoint, decoding, task or version of it.
    """
    try:
        tuned_on, values = found["tuned_on"], found["thresholds"]
        thresholds = {name: float(value) for name, value in values.items()}
        told = {name: tuned_on[name] for name in ("predictor", "task_version", "split", "n")}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"{path} is damaged ({type(error).__name__}); evaluate {TUNING_SPLIT} again"
        ) from error
    again = f"evaluate the {TUNING_SPLIT} split of this one with with_scores first"
    if told["split"] != TUNING_SPLIT:
        raise UserError(
            f"{path} was tuned on {told['split']}; thresholds are tuned on {TUNING_SPLIT} only:"
            f" {again}"
        )
    if _whole(told["task_version"]) != _whole(made_from["task_version"]):
        raise UserError(
            f"{path} was tuned on {told['task_version']}, not on {made_from['task_version']};"
            f" {again}"
        )
    if told["predictor"] != made_from["predictor"]:
        raise UserError(
            f"{path} was tuned with another checkpoint or other decoding"
            f" ({tuned_on.get('checkpoint') or tuned_on.get('model')}, predictor"
            f" {str(told['predictor'])[:12]}; this one is {str(made_from['predictor'])[:12]});"
            f" {again}"
        )
    return thresholds


def _whole(task_version: str) -> str:
    """The version without the mark of a sample: thresholds of a sample fit the whole."""
    return task_version.split("/sample-")[0]
