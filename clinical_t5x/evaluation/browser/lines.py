"""Which prediction files a run has, what they are of, and whether they hold texts to show."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.evaluation.predictions import read_prediction_file
from clinical_t5x.evaluation.results import RESULTS_FILE, walk_runs
from clinical_t5x.storage import read_json

_TEXTS = ("text", "target", "input")


@dataclasses.dataclass(frozen=True)
class Predictions:
    """The predictions of one system on one split, with their texts.

    Attributes:
      path: the file.
      header: what they are of.
      lines: by example id.
      synthetic: True or False as the results beside them say; None when there are no results yet.
    """

    path: epath.Path
    header: Mapping[str, Any]
    lines: Mapping[str, Mapping[str, Any]]
    synthetic: bool | None

    @property
    def name(self) -> str:
        """Task, split and step, as files about them are called."""
        return self.path.name.removesuffix(".jsonl")


def find_predictions(
    run: str | os.PathLike,
    *,
    task: str | None = None,
    split: str | None = None,
    step: int | None = None,
) -> list[Predictions]:
    """The predictions in and below a run directory, those that are asked for.

    Raises:
      UserError: when there are none, when nothing matches, or when they were written without text.
    """
    files = [
        path
        for directory in walk_runs([run])
        if (directory / "predictions").is_dir()
        for path in sorted((directory / "predictions").iterdir(), key=os.fspath)
        if path.name.endswith(".jsonl") and not path.name.startswith(".")
    ]
    if not files:
        raise UserError(
            f"{run} holds no predictions; evaluate with --with_text first: python -m t5x.eval"
        )
    wanted = {"task": task, "split": split, "checkpoint_step": step}
    wanted = {name: value for name, value in wanted.items() if value is not None}
    found, others = [], []
    for path in files:
        header, lines = read_prediction_file(path)
        if all(header.get(name) == value for name, value in wanted.items()):
            found.append((path, header, lines))
        else:
            others.append(path.name.removesuffix(".jsonl"))
    if not found:
        asked = ", ".join(f"{name} {value}" for name, value in wanted.items())
        raise UserError(f"{run} holds no predictions of {asked}; it holds {', '.join(others)}")
    for path, header, lines in found:
        _check_texts(path, header, lines)
    return [Predictions(path, header, lines, _is_synthetic(path)) for path, header, lines in found]


def _check_texts(
    path: epath.Path, header: Mapping[str, Any], lines: Mapping[str, Mapping[str, Any]]
) -> None:
    if header.get("with_text") is not True:
        raise UserError(
            f"{path} was written without text, and there is nothing to look at; evaluate again with"
            " --with_text. Such predictions, and the page made of them, are note text: keep both"
            " where the data may be"
        )
    if not lines:
        raise UserError(f"{path} holds no prediction yet; run the evaluation that writes it again")
    for name, line in lines.items():
        missing = [field for field in (*_TEXTS, "components") if field not in line]
        if missing:
            raise UserError(
                f"{path}: the line of {name!r} has no {' and no '.join(missing)}, although the file"
                " says that it was written with text; remove the file and evaluate again"
            )


def _is_synthetic(path: epath.Path) -> bool | None:
    """Whether the results of the same name say that the data are synthetic."""
    results = path.parent.parent / "results" / path.name.removesuffix(".jsonl") / RESULTS_FILE
    if not results.exists():
        return None
    try:
        flags = [result["synthetic"] for result in read_json(results)["results"]]
    except (KeyError, TypeError, ValueError):
        return None
    return bool(flags) and all(flag is True for flag in flags)
