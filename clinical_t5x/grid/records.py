"""What a run's directory says of the run: begun from what, failed why, done with what outcome."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from etils import epath

from clinical_t5x import storage
from clinical_t5x.console import UserError
from clinical_t5x.grid.cells import Cell

RUN_FILE = "run.json"
FAILURE_FILE = "failure.json"


def begun_from(cell: Cell) -> dict[str, Any] | None:
    """What the run in this place was begun from; None where there is none.

    Raises:
      UserError: the file that says so is damaged.
    """
    found = _read(cell, RUN_FILE, "made_from")
    return None if found is None else found["made_from"]


def completion(cell: Cell) -> dict[str, Any] | None:
    """The completion mark of the run in this place: `made_from` and `outcome`; None: not done.

    Raises:
      UserError: it is damaged.
    """
    return _read(cell, storage.COMPLETE_MARK, "made_from", "outcome")


def failure_of(cell: Cell) -> dict[str, Any] | None:
    """Why the run failed; None when it did not.

    A damaged file still says that it failed, and trying again removes it.
    """
    path = cell.directory / FAILURE_FILE
    try:
        found = _json_object(path)
    except ValueError:
        found = {}
    if found is None or isinstance(found.get("reason"), str):
        return found
    return {**found, "reason": f"nobody knows why: {path} is damaged"}


def is_same(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether what a run was made from is what it would be made from now.

    Runs of earlier releases recorded the places of their inputs and not the contents. They are
    compared by what they recorded, as then: refusing them all would cost days of training for a
    change that hardly any of them saw.
    """
    comparable = {name: value for name, value in now.items() if name != "contents"}
    return before == (now if "contents" in before else comparable)


def _read(cell: Cell, name: str, *parts: str) -> dict[str, Any] | None:
    """A file of a run's directory that holds at least the given objects; None: no such file."""
    path = cell.directory / name
    try:
        found = _json_object(path)
    except ValueError:
        found = {}
    if found is not None and not all(isinstance(found.get(part), dict) for part in parts):
        raise UserError(
            f"{path} is damaged; remove that run's directory, {cell.directory}, and the run is"
            " made again"
        )
    return found


def _json_object(path: epath.Path) -> dict[str, Any] | None:
    """A file's JSON object; None when there is no file.

    Raises:
      ValueError: it holds something else.
    """
    try:
        found = storage.read_json(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not isinstance(found, dict):
        raise ValueError(f"{path} holds no JSON object")
    return found
