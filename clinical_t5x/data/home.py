"""Where the parts of the data home lie, and which data home the code at hand reads.

A SeqIO task names its data set and vocabulary once, when it is registered; where they lie is asked
at every use. `reading_from` chooses the data home for a block; outside of one it is
$CLINICAL_T5X_DATA or the default (`clinical_t5x.storage.data_home`).
"""

from __future__ import annotations

import contextlib
import contextvars
import os
from collections.abc import Iterator

from etils import epath

from clinical_t5x.storage import data_home

_chosen: contextvars.ContextVar[str | None] = contextvars.ContextVar("data home", default=None)


@contextlib.contextmanager
def reading_from(data_dir: str | os.PathLike | None) -> Iterator[epath.Path]:
    """Use `data_dir` (when given) as the data home inside the block, and yield the data home."""
    token = _chosen.set(os.fspath(data_dir) if data_dir else _chosen.get())
    try:
        yield current_home()
    finally:
        _chosen.reset(token)


def current_home() -> epath.Path:
    """The data home in use here."""
    return data_home(_chosen.get())


def corpus_directory(name: str, data_dir: str | os.PathLike | None = None) -> epath.Path:
    """Where the prepared corpus `name` lies."""
    return _home(data_dir) / "corpus" / name


def vocabulary_directory(name: str, data_dir: str | os.PathLike | None = None) -> epath.Path:
    """Where the vocabulary `name` lies."""
    return _home(data_dir) / "vocabularies" / name


def tfds_directory(data_dir: str | os.PathLike | None = None) -> epath.Path:
    """Where the TFDS data sets lie: what T5X calls `--tfds_data_dir`."""
    return _home(data_dir) / "tfds"


def token_store_directory(data_dir: str | os.PathLike | None = None) -> epath.Path:
    """Where the token stores lie."""
    return _home(data_dir) / "token_store"


def _home(data_dir: str | os.PathLike | None) -> epath.Path:
    return data_home(data_dir) if data_dir else current_home()
