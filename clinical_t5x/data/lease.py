"""A lease: which process, on whatever machine, is making a directory that several need.

The lease is a small file beside the directory, so that it is shared by exactly those processes that
share the directory: hosts with a common file system or bucket have one, hosts with disks of their
own have one each. Its holder renews it all the while. Whoever sees it unchanged for a minute, by
their own clock, or finds the holder dead on their own machine, may take over: with a file of the
next number, which only one can create.

The lease saves work; it does not protect the directory. That is done by the way in which the
directory appears: whole, or not at all (clinical_t5x.storage).
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import platform
import threading
import time
import uuid
from typing import Any

from etils import epath

from clinical_t5x.storage import is_gone, process_name, write_text_atomically

BEAT_SECONDS = 5.0
EXPIRY_SECONDS = 60.0
# A bucket has no way to create an object only where there is none: write, wait, and read it back.
_SETTLING_SECONDS = 2.0


@dataclasses.dataclass(frozen=True)
class Holder:
    """Who holds a lease, as the file says.

    Attributes:
      owner: different for every lease that was ever taken.
      process: `storage.process_name` of the holder.
      machine: where it runs.
      beat: how often it renewed the lease.
      done: what it has done so far, in units of its own.
      total: of so many, if that is known.
      number: the number of the file.
    """

    owner: str
    process: str
    machine: str
    beat: int
    done: int
    total: int | None
    number: int


def is_remote(path: epath.Path) -> bool:
    """Whether a path is in a bucket."""
    return "://" in os.fspath(path)


class Watch:
    """Observes the lease of a directory, as one that would like to have it.

    Attributes:
      number: of the last lease seen; 0 for none.
      dead: its holder, when that is no longer alive.
    """

    def __init__(self, target: epath.Path):
        self._target = target
        self._seen: tuple[str, int] | None = None
        self._since = 0.0
        self.number = 0
        self.dead: Holder | None = None

    def look(self) -> Holder | None:
        """The holder; None when there is none, or none that is alive."""
        found = _read_last(self._target)
        self.number, self.dead = 0 if found is None else found.number, None
        if found is None:
            return None
        if (found.owner, found.beat) != self._seen:
            self._seen, self._since = (found.owner, found.beat), time.monotonic()
        silent = time.monotonic() - self._since
        self.dead = found if silent > EXPIRY_SECONDS or is_gone(found.process) else None
        return None if self.dead else found


class Lease:
    """A lease that this process holds, renewed by a thread; made by `take`.

    Use as a context manager; leaving it gives the lease back.
    """

    def __init__(self, target: epath.Path, number: int, total: int | None):
        self._target, self._number, self._total = target, number, total
        self._owner, self._beat, self._done = uuid.uuid4().hex, 0, 0
        self._path = _file(target, number)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)

    def count(self, done: int) -> None:
        """Let those who wait see progress."""
        self._done = done

    @property
    def is_lost(self) -> bool:
        """Whether another process took over, taking this one for dead."""
        last = _read_last(self._target)
        return last is not None and last.number > self._number

    def create(self) -> bool:
        """Create the file; False when another process was faster."""
        if is_remote(self._path):
            if self._path.exists():
                return False
            self._path.write_text(self._text())
            time.sleep(_SETTLING_SECONDS)
            holder = _read(self._path)
            return holder is not None and holder.owner == self._owner
        return _create_alone(self._path, self._text())

    def _text(self) -> str:
        said: dict[str, Any] = {
            "owner": self._owner,
            "process": process_name(),
            "machine": platform.node(),
            "beat": self._beat,
            "done": self._done,
            "total": self._total,
        }
        return json.dumps(said)

    def _renew(self) -> None:
        while not self._end.wait(BEAT_SECONDS):
            self._beat += 1
            # a disk that is full for a moment does not end the work itself
            with contextlib.suppress(OSError):
                if is_remote(self._path):
                    self._path.write_text(self._text())
                else:
                    write_text_atomically(self._path, self._text())

    def __enter__(self) -> Lease:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._end.set()
        self._thread.join()
        for number, path in _files(self._target):
            if number <= self._number:  # those of dead holders too
                path.unlink(missing_ok=True)


def take(target: epath.Path, after: int, total: int | None = None) -> Lease | None:
    """Take the lease of a directory; None when another process was faster.

    Args:
      target: the directory.
      after: the number of the last lease, whose holder is gone; 0 when there is none.
      total: what there is to do, for those who wait.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    lease = Lease(target, after + 1, total)
    return lease if lease.create() else None


def _file(target: epath.Path, number: int) -> epath.Path:
    return target.parent / f".{target.name}.lease-{number:06}"


def _files(target: epath.Path) -> list[tuple[int, epath.Path]]:
    """The lease's files with their numbers, in order."""
    start = f".{target.name}.lease-"
    found = [(path.name.removeprefix(start), path) for path in target.parent.glob(f"{start}*")]
    return sorted((int(end), path) for end, path in found if end.isdecimal())


def _read_last(target: epath.Path) -> Holder | None:
    for _, path in reversed(_files(target)):
        holder = _read(path)
        if holder is not None:
            return holder
    return None


def _read(path: epath.Path) -> Holder | None:
    """Who is written there; None when the file is just being given back."""
    try:
        text = path.read_text()
    except OSError:
        return None
    number = int(path.name.rpartition("-")[2])
    try:
        return Holder(**json.loads(text), number=number)
    except (ValueError, TypeError):  # damaged: it expires as it is
        return Holder(text, "unknown-0", "unknown", 0, 0, None, number)


def _create_alone(path: epath.Path, text: str) -> bool:
    """Create a file with its content in one step, if there is none; also over NFS."""
    draft = path.parent / f"{path.name}.{uuid.uuid4().hex}"
    draft.write_text(text)
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    except OSError:  # a file system without links
        return _create_without_links(path, text)
    finally:
        draft.unlink(missing_ok=True)
    return True


def _create_without_links(path: epath.Path, text: str) -> bool:
    try:
        with open(path, "x") as file:
            file.write(text)
    except FileExistsError:
        return False
    return True
