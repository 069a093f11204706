"""Predictions on disk: one JSON line for each finished example, so that a killed run goes on.

The first line says what the predictions are of; a file of another task version, checkpoint or
decoding is refused or begun anew, never mixed. A line keeps the example's id, its metric components
and numbers about the generation. Text is kept only when asked for; label names are not note text
and are always kept.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Collection, Iterable, Mapping
from typing import IO, Any

import numpy as np
from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.storage import write_text_atomically

HEADER = "predictions_of"


class PredictionFile:
    """An append-only JSON-lines file of predictions by example id.

    What a kill left of a line is dropped, wherever it cut; so are lines of one id that contradict
    each other: those examples are predicted again.

    Args:
      path: the file; on a local disk it is appended to line by line, elsewhere (gs://) it is
        written when the block ends.
      header: what the predictions are of; must hold `task_version`.
      reuse: whether lines that are already there may count as finished; else they are dropped.
      ids: the ids of the split; None when they are not known.

    Attributes:
      finished: the lines that were already there, by example id.

    Raises:
      UserError: on entering, when the file is of another task version, holds ids that are not in
        the split, or is no prediction file at all; it is left as it is.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        header: Mapping[str, Any],
        *,
        reuse: bool = True,
        ids: Collection[str] | None = None,
    ):
        self.path = epath.Path(path)
        self._reuse = reuse
        self._header = json.loads(json.dumps(dict(header)))
        self._ids = None if ids is None else frozenset(ids)
        self.finished: dict[str, dict[str, Any]] = {}
        self._pending: list[str] = []
        self._file: IO[str] | None = None

    def __enter__(self) -> PredictionFile:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.finished = self._reusable_lines()
        lines = [{HEADER: self._header}, *self.finished.values()]
        # Rewritten once, so that a line that a kill cut in half is gone before any is added.
        write_text_atomically(self.path, "".join(map(_line, lines)))
        if "://" not in os.fspath(self.path):  # an object store cannot append
            # Line-buffered: a finished example outlives a kill right after it.
            self._file = open(os.fspath(self.path), "a", buffering=1, encoding="utf-8")
        return self

    def _reusable_lines(self) -> dict[str, dict[str, Any]]:
        if not self.path.exists():
            return {}
        found = _parse(self.path.read_bytes())
        if found.header is None:
            if found.is_a_beginning:
                return {}
            raise UserError(
                f"{self.path} is in the way: it is not a prediction file (its first line does not"
                f" say {HEADER!r}); remove it, or choose another output directory"
            )
        version = found.header.get("task_version")
        if version != self._header["task_version"]:
            raise UserError(
                f"{self.path} holds predictions of {version}, not of"
                f" {self._header['task_version']}; remove the file, or choose another output"
                " directory"
            )
        if not self._reuse or found.header != self._header:
            return {}
        _check_ids(self.path, found.lines, self._ids)
        return {name: line for name, line in found.lines.items() if name not in found.contradicted}

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
    path: str | os.PathLike,
    *,
    task_version: str | None = None,
    ids: Collection[str] | None = None,
) -> dict[str, dict[str, Any]]:
    """The lines of a prediction file by example id.

    Args:
      path: the file; one that is still written may end within a line, which is left out.
      task_version: what it must be of, if given.
      ids: the ids of the split, if given; the file may hold fewer, but no others.

    Raises:
      UserError: when the file is missing, empty, damaged, no prediction file, of another task
        version or split, or says two different things about one example.
    """
    return read_prediction_file(path, task_version=task_version, ids=ids)[1]


def read_prediction_file(
    path: str | os.PathLike,
    *,
    task_version: str | None = None,
    ids: Collection[str] | None = None,
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """What the predictions of a file are of, and its lines: as `read_predictions`."""
    path = epath.Path(path)
    if not path.exists():
        raise UserError(f"there is no prediction file {path}; run the evaluation that writes it")
    data = path.read_bytes()
    if not data.strip():
        raise UserError(f"{path} is empty; run the evaluation that writes it again")
    found = _parse(data)
    if found.header is None:
        raise UserError(f"{path} is not a prediction file: its first line does not say {HEADER!r}")
    version = found.header.get("task_version")
    if task_version is not None and version != task_version:
        raise UserError(
            f"{path} holds predictions of {version}, not of {task_version}; evaluate again"
        )
    if found.damaged:
        raise UserError(
            f"{path}, line {found.damaged[0]}: not a prediction"
            + (f" (and {len(found.damaged) - 1} more lines)" if len(found.damaged) > 1 else "")
            + "; evaluate again: what is whole will be kept"
        )
    if found.contradicted:
        raise UserError(
            f"{path} says different things about the same example ({len(found.contradicted)} ids,"
            f" the first is {min(found.contradicted)!r}): two evaluations wrote it at once;"
            " evaluate again: the others will be kept"
        )
    _check_ids(path, found.lines, None if ids is None else frozenset(ids))
    return found.header, found.lines


def _check_ids(path: epath.Path, found: Iterable[str], ids: frozenset[str] | None) -> None:
    foreign = sorted(set(found) - ids) if ids is not None else []
    if foreign:
        raise UserError(
            f"{path} holds {len(foreign)} predictions of examples that are not in the split (the"
            f" first is {foreign[0]!r}); it is of other data: remove the file and evaluate again"
        )


@dataclasses.dataclass(frozen=True)
class _Parsed:
    """What is in a file.

    Attributes:
      header: of the first line, or None when that is no header.
      lines: by example id, those of a contradicted id in the first reading.
      damaged: numbers of lines that are no predictions; not the last one, if it was cut short.
      contradicted: ids with lines that differ.
      is_a_beginning: whether there is nothing, or a part of a header.
    """

    header: dict[str, Any] | None
    lines: dict[str, dict[str, Any]]
    damaged: list[int]
    contradicted: set[str]
    is_a_beginning: bool


def _parse(data: bytes) -> _Parsed:
    """Read what is whole. Bytes: a kill may cut within a character, not only within a line."""
    raw = data.split(b"\n")
    unfinished = len(raw) if raw[-1] else 0  # the number of the last line when it does not end
    first = _object(raw[0])
    header = first.get(HEADER) if first is not None else None
    lines: dict[str, dict[str, Any]] = {}
    damaged, contradicted = [], set()
    for number, line in enumerate(raw[1:], start=2):
        if not line.strip():
            continue
        value = _object(line)
        name = None if value is None else value.get("id")
        if not isinstance(name, str):
            if number != unfinished:
                damaged.append(number)
        elif lines.setdefault(name, value) != value:
            contradicted.add(name)
    return _Parsed(
        header=header if isinstance(header, dict) else None,
        lines=lines,
        damaged=damaged,
        contradicted=contradicted,
        is_a_beginning=not data.strip() or (len(raw) == 1 and _could_be_header(data)),
    )


def _could_be_header(start: bytes) -> bool:
    whole = _line({HEADER: {}}).encode()[:-3]  # up to what the header says
    return whole.startswith(start) or start.startswith(whole)


def _object(line: bytes) -> dict[str, Any] | None:
    """The JSON object of a line, or None."""
    try:
        value = json.loads(line)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _line(value: Mapping[str, Any]) -> str:
    text = json.dumps(value, ensure_ascii=False, default=_plain_number) + "\n"
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair, which only an escape can write
        text = json.dumps(value, default=_plain_number) + "\n"
    return text


def _plain_number(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} does not belong into a prediction line")
