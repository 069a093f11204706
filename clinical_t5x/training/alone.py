"""One process at a time in a MODEL_DIR, or with a file: two would delete each other's work."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator

from etils import epath

from clinical_t5x.console import UserError

LOCK = ".lock"


@contextlib.contextmanager
def alone_in(model_dir: epath.Path, *, first: bool) -> Iterator[None]:
    """Make MODEL_DIR, and let the process that writes hold its lock while the run lasts.

    Args:
      model_dir: where the run writes.
      first: whether this is the process that writes; the run's others hold nothing.

    Raises:
      UserError: another process trains there, or the directory cannot be made.
    """
    with alone_with(model_dir / LOCK, "MODEL_DIR", f"training in {model_dir}", hold=first):
        yield


@contextlib.contextmanager
def alone_with(lock: epath.Path, setting: str, doing: str, *, hold: bool = True) -> Iterator[None]:
    """Make a directory and hold the lock file in it inside the block.

    The operating system gives the lock back however the process ends, so that the next one never
    waits. Buckets have no such locks, nor have some network file systems: there nothing is held.

    Args:
      lock: the file.
      setting: what users call the directory.
      doing: what another process that holds it is doing.
      hold: False only makes the directory.

    Raises:
      UserError: another process holds it, or the directory cannot be made.
    """
    directory = lock.parent
    held = hold and "://" not in str(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        file = open(lock, "w") if held else None  # noqa: SIM115 (closed below)
    except OSError as error:
        raise UserError(
            f"{setting} {directory} cannot be written to ({error.strerror}); choose another one"
        ) from error
    if file is None:
        yield
        return
    with file:
        try:
            # Of the process, not of the open file: a child that outlives it holds nothing.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            raise UserError(
                f"another process is {doing}; wait for it, end it, or choose another {setting}"
            ) from error
        except OSError:
            pass  # a file system without locks
        yield
