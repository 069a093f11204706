"""Predictions on disk: one JSON line for each finished example, so that a killed run goes on.

The first line says what the predictions are of; a file of another task version, checkpoint or
decoding is refused or begun anew, never mixed. A line keeps the example's id, its metric components
and numbers about the generation. Text is kept only when asked for; label names are not note text
and are always kept.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import IO, Any

import numpy as np
from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.storage import write_text_atomically

HEADER = "predictions_of"


class PredictionFile:
    """An append-only JSON-lines file of predictions by example id.

    Args:
      path: the file; on a local disk it is appended to line by line, elsewhere (gs://) it is
        written when the block ends.
      header: what the predictions are of; must hold `task_version`.
      reuse: whether lines that are already there may count as finished; else they are dropped.

    Attributes:
      finished: the lines that were already there, by example id.
    """

    def __init__(self, path: str | os.PathLike, header: Mapping[str, Any], *, reuse: bool = True):
        self.path = epath.Path(path)
        self._reuse = reuse
        self._header = json.loads(json.dumps(dict(header)))
        self.finished: dict[str, dict[str, Any]] = {}
        self._pending: list[str] = []
        self._file: IO[str] | None = None

    def __enter__(self) -> PredictionFile:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lines = self._reusable_lines()
        self.finished = {line["id"]: line for line in lines[1:]}
        text = "".join(_line(line) for line in [{HEADER: self._header}, *lines[1:]])
        # Rewritten once, so that a line that a kill cut in half is gone before any is added.
        write_text_atomically(self.path, text)
        if "://" not in os.fspath(self.path):  # an object store cannot append
            # Line-buffered: a finished example outlives a kill right after it.
            self._file = open(os.fspath(self.path), "a", buffering=1, encoding="utf-8")
        return self

    def _reusable_lines(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        lines = _whole_lines(self.path.read_text())
        header = lines[0].get(HEADER) if lines else None
        if header is None:
            return []
        if header.get("task_version") != self._header["task_version"]:
            raise UserError(
                f"{self.path} holds predictions of {header.get('task_version')}, not of"
                f" {self._header['task_version']}; remove the file, or choose another output"
                " directory"
            )
        return lines if self._reuse and header == self._header else []

    def add(self, line: Mapping[str, Any]) -> None:
        """Add the line of one example."""
        text = _line(line)
        if self._file is None:
            self._pending.append(text)
        else:
            self._file.write(text)

    def __exit__(self, *exc_info: object) -> None:
        if self._file is not None:
            self._file.close()
        elif self._pending:
            write_text_atomically(self.path, self.path.read_text() + "".join(self._pending))


def read_predictions(
    path: str | os.PathLike, *, task_version: str | None = None
) -> dict[str, dict[str, Any]]:
    """The lines of a prediction file by example id.

    Raises:
      UserError: when the file is missing, no prediction file, or of another task version.
    """
    path = epath.Path(path)
    if not path.exists():
        raise UserError(f"there is no prediction file {path}; run the evaluation that writes it")
    lines = _whole_lines(path.read_text())
    if not lines or HEADER not in lines[0]:
        raise UserError(f"{path} is not a prediction file: its first line does not say {HEADER!r}")
    found = lines[0][HEADER].get("task_version")
    if task_version is not None and found != task_version:
        raise UserError(
            f"{path} holds predictions of {found}, not of {task_version}; evaluate again"
        )
    return {line["id"]: line for line in lines[1:]}


def _whole_lines(text: str) -> list[dict[str, Any]]:
    """The JSON objects of a file whose last line may have been cut short by a kill."""
    lines = []
    for line in text.split("\n"):  # splitlines would also split at U+2028 inside a text
        if not line:
            continue
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return lines


def _line(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, default=_plain_number) + "\n"


def _plain_number(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} does not belong into a prediction line")
