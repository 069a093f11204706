"""Files that are whole or absent: atomic writes, completed stages, hashes, the data home.

A stage writes into a hidden sibling directory and is renamed into place when it is done, with a
`_COMPLETE.json` inside that names what it was made from. A directory without that file is never
taken for a result, whatever killed the process that wrote it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from etils import epath

COMPLETE_MARK = "_COMPLETE.json"

# What another machine left in a shared directory is taken for abandoned after this long.
_ABANDONED_SECONDS = 24 * 3600.0


def data_home(override: str | os.PathLike | None = None) -> epath.Path:
    """The data home: `override`, else $CLINICAL_T5X_DATA, else ~/clinical_t5x_data."""
    chosen = override or os.environ.get("CLINICAL_T5X_DATA") or "~/clinical_t5x_data"
    return epath.Path(chosen).expanduser()


def absolute(path: str | os.PathLike) -> epath.Path:
    """A path as absolute, `~` expanded; a bucket's (`gs://...`) is so already."""
    text = os.fspath(path)
    return epath.Path(text if "://" in text else os.path.abspath(os.path.expanduser(text)))


def fingerprint(value: Any) -> str:
    """SHA-256 of a JSON-serialisable value in canonical form (keys sorted): 64 hex digits."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_file(path: str | os.PathLike) -> str:
    """SHA-256 of a file's bytes, read in blocks: 64 hex digits."""
    digest = hashlib.sha256()
    with epath.Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_text_atomically(path: str | os.PathLike, text: str) -> None:
    """Write `text` so that a reader sees the old content or the new, never a part."""
    path = epath.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.parent / f".{path.name}.partial-{process_name()}"
    with partial.open("w") as file:
        file.write(text)
        _flush_to_disk(file)
    partial.replace(path)


def write_json_atomically(path: str | os.PathLike, value: Any) -> None:
    """Write `value` as indented JSON with a final newline, atomically."""
    write_text_atomically(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: str | os.PathLike) -> Any:
    """Read a JSON file."""
    return json.loads(epath.Path(path).read_text())


def completion(directory: str | os.PathLike) -> dict[str, Any] | None:
    """What the completed stage in `directory` was made from, or None when it is not complete."""
    mark = epath.Path(directory) / COMPLETE_MARK
    try:
        return json.loads(mark.read_text())
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return None


def is_complete(directory: str | os.PathLike, made_from: dict[str, Any] | None = None) -> bool:
    """Whether `directory` holds a completed stage, made from exactly `made_from` when given."""
    found = completion(directory)
    if found is None:
        return False
    return made_from is None or found.get("fingerprint") == fingerprint(made_from)


def completion_mark(made_from: dict[str, Any] | None) -> dict[str, Any]:
    """What marks a stage as complete."""
    return {"fingerprint": fingerprint(made_from or {}), "made_from": made_from or {}}


@contextlib.contextmanager
def stage_directory(
    directory: str | os.PathLike, made_from: dict[str, Any] | None = None, *, keep: bool = False
) -> Iterator[epath.Path]:
    """Yield a hidden directory to fill; on success it replaces `directory`, marked complete.

    On an error nothing changes at `directory`; parts left behind by a killed process are removed at
    the next attempt.

    Args:
      directory: what is made.
      made_from: any JSON-serialisable description of the stage's inputs and options; it is kept in
        the mark and compared by `is_complete`.
      keep: leave a `directory` alone that another process completed from the same in the meantime;
        it may be in use.
    """
    target = epath.Path(directory)
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(target)
    partial = partial_directory(target, process_name())
    partial.mkdir(parents=True)
    try:
        yield partial
        write_json_atomically(partial / COMPLETE_MARK, completion_mark(made_from))
        if keep:
            _rename_unless_complete(partial, target, made_from)
        else:
            _remove_stage(target)
            partial.rename(target)
        _sync_directory(target.parent)
    except BaseException:
        if partial.exists():
            partial.rmtree()
        raise


@contextlib.contextmanager
def whole_directory(
    directory: str | os.PathLike, *, overwrite: bool = False
) -> Iterator[epath.Path]:
    """Yield a hidden directory to fill; on success it becomes `directory`, with nothing added.

    On an error, or when the process is killed, `directory` is as it was before; parts left behind
    by a killed process are removed at the next attempt.

    Args:
      directory: what is made.
      overwrite: replace what is there.

    Raises:
      FileExistsError: `directory` exists and is not to be replaced.
    """
    target = epath.Path(directory)
    if target.exists() and not overwrite:
        raise FileExistsError(f"{target} exists")
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(target)
    partial = partial_directory(target, process_name())
    partial.mkdir(parents=True)
    try:
        yield partial
        old = partial_directory(target, f"{process_name()}-old")
        if target.exists():  # moved away before it is removed: a part of it never bears the name
            target.rename(old)
        partial.rename(target)
        _sync_directory(target.parent)
        if old.exists():
            _remove(old)
    except BaseException:
        if partial.exists():
            partial.rmtree()
        raise


def _remove(path: epath.Path) -> None:
    path.rmtree() if path.is_dir() else path.unlink()


def _remove_stage(target: epath.Path) -> None:
    """Remove a stage's directory; the mark goes first, so that a part never looks complete."""
    if target.exists():
        (target / COMPLETE_MARK).unlink(missing_ok=True)
        target.rmtree()


def _rename_unless_complete(
    partial: epath.Path, target: epath.Path, made_from: dict[str, Any] | None
) -> None:
    """Rename in one step, which fails where another process was first with the whole stage."""
    try:
        partial.rename(target)
    except OSError:
        if is_complete(target, made_from):
            partial.rmtree()
            return
        _remove_stage(target)  # of something else, or a part that was copied here
        partial.rename(target)


def process_name() -> str:
    """This process as others on this machine, and on those that share its files, tell it apart."""
    return f"{_machine()}-{os.getpid()}"


def partial_directory(target: epath.Path, process: str) -> epath.Path:
    """Where a process prepares what will be `target`."""
    return target.parent / f".{target.name}.partial-{process}"


def is_gone(process: str) -> bool:
    """Whether that process (`process_name`) of this machine has ended; others' count as there."""
    machine, _, number = process.rpartition("-")
    return machine in ("", _machine()) and not _is_running(number)


def _machine() -> str:
    """The machine, and which of its spaces of process numbers: containers have their own."""
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return re.sub(r"[^\w.]+", "_", f"{platform.node()}.{''.join(re.findall('[0-9]+', space))}")


def _remove_leftovers(target: epath.Path) -> None:
    """Remove what killed processes left beside `target`; a living one keeps its directory."""
    start = f".{target.name}.partial-"
    for leftover in target.parent.glob(f"{start}*"):
        owner = leftover.name[len(start) :].removesuffix("-old")
        if owner == process_name() or is_gone(owner) or _is_abandoned(leftover):
            _remove(leftover)


def _is_abandoned(path: epath.Path) -> bool:
    """Whether nothing was written there for a day."""
    places = [path, *path.iterdir()] if path.is_dir() else [path]
    try:
        return max(place.stat().mtime for place in places) < time.time() - _ABANDONED_SECONDS
    except OSError:  # its owner is just finishing
        return False


def _is_running(process_id: str) -> bool:
    try:
        os.kill(int(process_id), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True


def free_bytes(path: str | os.PathLike) -> int:
    """Free disk space at `path` (or at its first existing parent), in bytes."""
    place = Path(path).absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def _flush_to_disk(file: Any) -> None:
    file.flush()
    with contextlib.suppress(OSError, AttributeError, ValueError):
        os.fsync(file.fileno())


def _sync_directory(path: epath.Path) -> None:
    """Make the rename durable on a local file system; object stores need nothing."""
    with contextlib.suppress(OSError):
        descriptor = os.open(os.fspath(path), os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
