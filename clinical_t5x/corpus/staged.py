"""Where a preparation keeps what it has staged, so that a killed one goes on where it was."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
from etils import epath

from clinical_t5x import storage
from clinical_t5x.console import UserError

_MADE_FROM = "made_from.json"


@contextlib.contextmanager
def staging_directory(corpus: epath.Path, made_from: dict[str, Any]) -> Iterator[Path]:
    """A directory beside the corpus that outlives a killed process, and nothing else.

    It is emptied first when it was made from something else, and removed when all went well or
    when the error is one that another run would meet again. Beside a corpus in a bucket it is a
    temporary one: pieces are written and read in ways that only a local disk has.

    Args:
        corpus: where the corpus will be.
        made_from: what decides the staged pieces (JSON).

    Raises:
        UserError: another process prepares the same corpus at this moment.
    """
    if "://" in os.fspath(corpus):
        with tempfile.TemporaryDirectory(prefix="staged-") as name:
            yield Path(name)
        return
    directory = _directory_of(corpus)
    directory.parent.mkdir(parents=True, exist_ok=True)
    with _locked(directory, corpus):
        wanted = storage.fingerprint(made_from)
        if _fingerprint_in(directory) != wanted:
            _remove(directory)
            directory.mkdir()
            storage.write_json_atomically(directory / _MADE_FROM, {"fingerprint": wanted})
        try:
            yield directory
        except (KeyboardInterrupt, OSError):
            raise  # what is staged is good: the next run goes on from it
        except BaseException:
            with contextlib.suppress(OSError):
                _remove(directory)
            raise
        _remove(directory)


def scan_pieces(directory: Path) -> pl.LazyFrame:
    """The tables of all batches in a staged subdirectory (whose path may hold `*`, `?` or `[`)."""
    return pl.scan_parquet(sorted(directory.glob("*.parquet")), glob=False)


@contextlib.contextmanager
def system_errors() -> Iterator[None]:
    """Raise what polars reports of the system (a full disk, say) as the OSError that it is."""
    try:
        yield
    except pl.exceptions.PolarsError as error:
        number = re.search(r"\(os error (\d+)\)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1]))) from error


def remove_leftovers(corpus: epath.Path) -> None:
    """Remove what was staged for a corpus that is there: its process was killed at the very end."""
    if "://" in os.fspath(corpus) or not _directory_of(corpus).exists():
        return
    with contextlib.suppress(UserError), _locked(_directory_of(corpus), corpus):
        _remove(_directory_of(corpus))


def _directory_of(corpus: epath.Path) -> Path:
    return Path(corpus.parent) / f".{corpus.name}.staged"


def _fingerprint_in(directory: Path) -> str | None:
    try:
        return storage.read_json(directory / _MADE_FROM)["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remove(directory: Path) -> None:
    """Remove a directory; what says that it is of use goes first, lest a part of it be used."""
    (directory / _MADE_FROM).unlink(missing_ok=True)
    if directory.exists():
        shutil.rmtree(directory)


@contextlib.contextmanager
def _locked(directory: Path, corpus: epath.Path) -> Iterator[None]:
    """Hold a lock that the system lets go when the process ends, however it ends."""
    lock = directory.parent / f"{directory.name}.lock"
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = os.path.samestat(os.fstat(file.fileno()), lock.stat())
        except (BlockingIOError, FileNotFoundError):
            held = False
        if not held:  # or it was removed between opening and locking it, by a process that ended
            raise UserError(
                f"another process is preparing {corpus} at this moment; wait for it, or choose "
                "another --name"
            )
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)
