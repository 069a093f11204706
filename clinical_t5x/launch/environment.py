"""The surroundings of a run: its data home, T5X's data directories, its group of processes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

from etils import epath

from clinical_t5x.launch.flags import Flags
from clinical_t5x.storage import absolute

_DATA_HOME = "CLINICAL_T5X_DATA"


@contextlib.contextmanager
def data_home_of(
    data_dir: str | os.PathLike | None, tfds_data_dir: str | os.PathLike | None = None
) -> Iterator[str | None]:
    """Make a directory the data home inside the block, and yield where TFDS data sets lie if apart.

    The environment variable carries it, because threads of the input pipeline read it too.

    Args:
      data_dir: the data home; None keeps the one in force.
      tfds_data_dir: T5X's flag. A data home or its `tfds` folder stands for that data home; any
        other directory holds TFDS data sets only, and is yielded.
    """
    apart = None
    if tfds_data_dir is not None:
        given = os.fspath(tfds_data_dir).rstrip("/")
        home = _home_around(given)
        apart = given if home is None or data_dir is not None else None
        data_dir = data_dir if data_dir is not None else home
    before = os.environ.get(_DATA_HOME)
    if data_dir is not None:
        os.environ[_DATA_HOME] = os.fspath(absolute(data_dir))
    try:
        yield apart
    finally:
        if before is not None:
            os.environ[_DATA_HOME] = before
        else:
            os.environ.pop(_DATA_HOME, None)


def _home_around(tfds_data_dir: str) -> str | None:
    """The data home that a --tfds_data_dir means, or None when it is no part of one."""
    if (epath.Path(tfds_data_dir) / "tfds").is_dir():
        return tfds_data_dir
    folder, name = os.path.split(tfds_data_dir)
    return (folder or ".") if name == "tfds" else None


@contextlib.contextmanager
def seqio_directories(tfds_data_dir: str | None, cache_dirs: Sequence[str]) -> Iterator[None]:
    """Tell SeqIO where foreign data sets and task caches lie, inside the block."""
    if tfds_data_dir is None and not cache_dirs:
        yield
        return
    import seqio

    seqio.set_tfds_data_dir_override(tfds_data_dir)
    seqio.add_global_cache_dirs(list(cache_dirs))
    try:
        yield
    finally:
        seqio.set_tfds_data_dir_override(None)


def join_processes(flags: Flags) -> None:
    """Join the group of processes that the flags name, before JAX looks for devices."""
    if not flags.multiprocess_gpu and flags.coordinator_address is None:
        return
    import jax

    options = {
        "coordinator_address": flags.coordinator_address,
        "num_processes": flags.process_count,
        "process_id": flags.process_index,
        "initialization_timeout": flags.initialization_timeout,
    }
    given = {name: value for name, value in options.items() if value is not None}
    jax.distributed.initialize(**given)
