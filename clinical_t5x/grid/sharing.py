"""Which run is next, when several processes or machines work on one grid.

Whoever shares the grid's directory shares its leases (clinical_t5x.data.lease): a run is begun by
whoever holds its lease, and taken over when the holder is dead. Nothing else is agreed upon, so
processes may come and go.
"""

from __future__ import annotations

import enum
import platform
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePath
from typing import Any

from clinical_t5x import console, storage
from clinical_t5x.console import UserError
from clinical_t5x.data import lease
from clinical_t5x.grid import records
from clinical_t5x.grid.cells import Cell
from clinical_t5x.grid.records import FAILURE_FILE, begun_from, failure_of
from clinical_t5x.grid.running import LeaseLostError

_LOOK_SECONDS = 2.0
_MESSAGE = 500  # characters of a reason


class State(enum.Enum):
    """What has become of a run."""

    DONE = "done"
    FAILED = "failed"
    RUNNING = "running"
    STOPPED = "stopped"
    WAITING = "waiting"


# Makes a run; told whether the lease was lost. Returns what the completion mark has as outcome.
Make = Callable[[Cell, Callable[[], bool]], dict[str, Any]]


def is_done(cell: Cell) -> bool:
    """Whether the run is finished."""
    return outcome_of(cell) is not None


def outcome_of(cell: Cell) -> dict[str, Any] | None:
    """What came out of a finished run; None of one that is not, or is of something else."""
    mark = records.completion(cell)
    if mark is None or not records.is_same(mark["made_from"], cell.made_from):
        return None
    return mark["outcome"]


def state_of(cell: Cell, watch: lease.Watch | None = None) -> tuple[State, lease.Holder | None]:
    """What has become of a run, and who is at it."""
    if is_done(cell):
        return State.DONE, None
    if failure_of(cell) is not None:
        return State.FAILED, None
    holder = (watch or lease.Watch(cell.directory)).look()
    if holder is not None:
        return State.RUNNING, holder
    return (State.STOPPED if begun_from(cell) else State.WAITING), None


def refuse_other_runs(cells: Iterable[Cell]) -> None:
    """Refuse a directory in which a run of the same name was begun from something else.

    Raises:
      UserError: naming what differs.
    """
    for cell in cells:
        before = begun_from(cell)
        if before is not None and not records.is_same(before, cell.made_from):
            raise UserError(
                f"{cell.directory} was begun with another {_difference(before, cell.made_from)};"
                " results of two recipes or inputs must not meet: take another --out, or remove"
                " that directory"
            )


def _difference(before: dict[str, Any], now: dict[str, Any], place: str = "") -> str:
    """The first setting in which two descriptions differ, with both values."""
    for name in [*before, *(name for name in now if name not in before)]:
        old, new = before.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict) and old != new:
            return _difference(old, new, f"{place}{name}.")
        if old != new:
            return f"{place}{name} ({old!r}, now {new!r})"
    return "description"


def forget_failures(cells: Iterable[Cell]) -> int:
    """Let failed runs be tried again; how many there were."""
    failed = [cell for cell in cells if failure_of(cell) is not None]
    for cell in failed:
        (cell.directory / FAILURE_FILE).unlink()
    return len(failed)


def work(cells: Sequence[Cell], make: Make) -> None:
    """Make every run that nobody else makes; wait for the others, and take over from the dead.

    Returns when every run is done or has failed.

    Raises:
      UserError: another process began a run of the same name from something else.
      console.Stopped, KeyboardInterrupt: as a run was stopped; the lease is given back.
    """
    watches = {cell.name: lease.Watch(cell.directory) for cell in cells}
    told: set[str] = set()
    while True:
        begun, left = 0, []
        for number, cell in enumerate(cells, 1):
            state, holder = state_of(cell, watches[cell.name])
            if state in (State.DONE, State.FAILED):
                continue
            if holder is not None:
                left.append((cell, holder))
                continue
            held = lease.take(cell.directory, watches[cell.name].number)
            if held is None:
                left.append((cell, None))
                continue
            with held:
                begun += _attempt(cell, make, held, f"[{number}/{len(cells)}]")
        if begun:
            continue  # one of them may have gone to another process in the meantime
        if not left:
            return
        _tell_who_is_waited_for(left, told)
        time.sleep(_LOOK_SECONDS)


def _attempt(cell: Cell, make: Make, held: lease.Lease, label: str) -> bool:
    """Make a run whose lease is held, unless the holder before just did; whether it was made."""
    if is_done(cell) or failure_of(cell) is not None:
        return False
    refuse_other_runs([cell])  # a process with other inputs may have begun it since we looked
    console.say(f"\n{label} {cell.title}")
    began = time.monotonic()
    try:
        outcome = make(cell, lambda: held.is_lost)
    except (console.Stopped, KeyboardInterrupt):
        raise
    except Exception as error:
        if held.is_lost or isinstance(error, LeaseLostError):
            console.say(f"{label} another process has taken {cell.name} over")
            return True
        _record_failure(cell, error)
        console.say(f"{label} FAILED: {failure_of(cell)['reason']}")
    else:
        scores = "  ".join(f"{name} {value:.4f}" for name, value in outcome["test"].items())
        console.say(f"{label} took {time.monotonic() - began:.0f} s; test: {scores}")
    return True


def _record_failure(cell: Cell, error: Exception) -> None:
    first = (str(error).strip().splitlines() or ["no message"])[0][:_MESSAGE]
    kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
    frames = traceback.extract_tb(error.__traceback__)
    place = next((f for f in reversed(frames) if "clinical_t5x" in f.filename), frames[-1])
    storage.write_json_atomically(
        cell.directory / FAILURE_FILE,
        {
            "reason": kind + first,
            "where": f"{PurePath(place.filename).name}:{place.lineno} in {place.name}",
            "machine": platform.node(),
            "made_from": cell.made_from,
        },
    )


def _tell_who_is_waited_for(left: Sequence[tuple[Cell, Any]], told: set[str]) -> None:
    for cell, holder in left:
        if holder is not None and holder.owner not in told:
            told.add(holder.owner)
            console.say(f"waiting: {holder.machine} ({holder.process}) is making {cell.name}")
