"""One run at a time in a MODEL_DIR: two would delete each other's saves."""

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

    The operating system gives the lock back however the process ends, so that the next run never
    waits. Buckets have no such locks, nor have some network file systems: there nothing is held.

    Args:
      model_dir: where the run writes.
      first: whether this is the process that writes; the run's others hold nothing.

    Raises:
      UserError: another process trains there, or the directory cannot be made.
    """
    locked = first and "://" not in str(model_dir)
    try:
        model_dir.mkdir(parents=True, exist_ok=True)
        file = open(model_dir / LOCK, "w") if locked else None  # noqa: SIM115 (closed below)
    except OSError as error:
        raise UserError(
            f"MODEL_DIR {model_dir} cannot be written to ({error.strerror}); choose another one"
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
                f"another process is training in {model_dir}; wait for it, end it, or choose "
                "another MODEL_DIR"
            ) from error
        except OSError:
            pass  # a file system without locks
        yield
