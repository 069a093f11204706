"""A directory that several processes need and one of them makes, while the others wait.

Nobody has to know whether the others are on this machine or how many there are: whoever shares the
place of the directory shares its lease (clinical_t5x.data.lease).
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from typing import Any

from etils import epath

from clinical_t5x.console import Progress, UserError
from clinical_t5x.data import lease
from clinical_t5x.storage import (
    COMPLETE_MARK,
    completion,
    completion_mark,
    fingerprint,
    is_complete,
    partial_directory,
    stage_directory,
)

# How often those who wait look, and how long a holder may live without getting on.
_LOOK_SECONDS, _LOOK_SECONDS_REMOTE = 0.5, 5.0
PATIENCE_SECONDS = 1800.0

# Fills a directory; calls the function with the number of items done so far.
Write = Callable[[epath.Path, Callable[[int], None]], None]


def make_once(
    target: epath.Path,
    made_from: dict[str, Any],
    write: Write,
    *,
    what: str,
    total: int | None = None,
) -> bool:
    """See that `target` is there, complete: made here, or by another process that is at it.

    Args:
      target: a directory, or a place in a bucket.
      made_from: what it is made from, as for `storage.stage_directory`.
      write: fills a local directory, in whatever process gets to do it.
      what: what is made, for messages.
      total: how many items `write` has to do, if that is known.

    Returns:
      Whether this process made it.

    Raises:
      UserError: the process that makes it does not get on.
    """
    watch = lease.Watch(target)
    pause = _LOOK_SECONDS_REMOTE if lease.is_remote(target) else _LOOK_SECONDS
    with _Waiting(target, what) as waiting:
        while not is_complete(target, made_from):
            holder = watch.look()
            if holder is not None:
                waiting.show(holder)
                time.sleep(pause)
                continue
            held = lease.take(target, watch.number, total)
            if held is None:
                continue
            with held:
                _remove_parts(target, watch.dead)
                if _make(target, made_from, write, held):
                    return True
    return False


def _make(target: epath.Path, made_from: dict[str, Any], write: Write, held: lease.Lease) -> bool:
    """Make it, as the holder of the lease; False when another process did."""
    if is_complete(target, made_from):  # by the holder before, just now
        return False
    try:
        if lease.is_remote(target):
            _make_remote(target, made_from, lambda place: write(place, held.count))
        else:
            with stage_directory(target, made_from, keep=True) as partial:
                write(partial, held.count)
    except OSError:
        # After a long pause: who took over may have removed what lay here.
        if held.is_lost or is_complete(target, made_from):
            return False
        raise
    return True


def _make_remote(
    target: epath.Path, made_from: dict[str, Any], write: Callable[[epath.Path], None]
) -> None:
    """Made on this machine, then copied file by file; the mark, which makes it complete, last."""
    local = local_place(target, completion_mark(made_from))
    make_once(local, made_from, lambda place, _: write(place), what=f"copy of {target}")
    target.mkdir(parents=True, exist_ok=True)
    for file in local.iterdir():
        if file.name != COMPLETE_MARK:
            file.copy(target / file.name, overwrite=True)
    (target / COMPLETE_MARK).write_text((local / COMPLETE_MARK).read_text())


def local_copy(directory: epath.Path, cache: epath.Path | None = None) -> epath.Path:
    """A copy of a complete directory on this machine, made once: a bucket's file cannot be mapped.

    Args:
      directory: made by `make_once`, or any other completed stage.
      cache: where copies lie; default the machine's directory for temporary files.
    """
    mark = completion(directory)
    copy = local_place(directory, mark, cache)

    def write(partial: epath.Path, _: Callable[[int], None]) -> None:
        for file in directory.iterdir():
            if file.name != COMPLETE_MARK:
                file.copy(partial / file.name)

    made_from = (mark or {}).get("made_from")
    make_once(copy, made_from, write, what=f"copy of {directory}")
    return copy


def local_place(
    directory: epath.Path, mark: dict[str, Any] | None, cache: epath.Path | None = None
) -> epath.Path:
    """Where the local copy of a directory with this mark belongs."""
    cache = epath.Path(tempfile.gettempdir()) if cache is None else cache
    return cache / "clinical_t5x_token_store" / fingerprint([os.fspath(directory), mark])[:16]


def _remove_parts(target: epath.Path, dead: lease.Holder | None) -> None:
    """Remove what a holder left that died on another machine; this one's own are found anyway."""
    if dead is not None and not lease.is_remote(target):
        part = partial_directory(target, dead.process)
        if part.exists():
            part.rmtree()


class _Waiting:
    """Tells a person whom this process waits for, and loses patience with one that stands still.

    Use as a context manager; nothing is shown before there is somebody to wait for.
    """

    def __init__(self, target: epath.Path, what: str):
        self._target, self._what = target, what
        self._progress: Progress | None = None
        self._state: tuple[str, int] | None = None
        self._since, self._shown = 0.0, 0

    def __enter__(self) -> _Waiting:
        return self

    def show(self, holder: lease.Holder) -> None:
        """Show how far the holder is.

        Raises:
          UserError: it has not got on for half an hour.
        """
        state = (holder.owner, holder.done)
        if state != self._state:
            self._state, self._since = state, time.monotonic()
        if time.monotonic() - self._since > PATIENCE_SECONDS:
            raise UserError(
                f"{holder.machine} ({holder.process}) has been making the {self._what} and has not "
                f"got on for {PATIENCE_SECONDS / 60:.0f} minutes: end that process, and start "
                f"again; it holds {self._target.parent}/.{self._target.name}.lease-*"
            )
        if self._progress is None:
            text = f"waiting for {holder.machine} to make the {self._what}"
            self._progress = Progress(text, holder.total, unit="items").__enter__()
        self._progress.advance(max(holder.done - self._shown, 0))
        self._shown = holder.done

    def __exit__(self, *exc_info: object) -> None:
        if self._progress is not None:
            self._progress.__exit__(*exc_info)
