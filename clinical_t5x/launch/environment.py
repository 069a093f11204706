"""The surroundings of a run: its data home, T5X's data directories, its group of processes."""

from __future__ import annotations

import contextlib
import difflib
import os
from collections.abc import Iterator, Sequence
from typing import Any

from etils import epath

from clinical_t5x.console import UserError
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


def set_jax_options(options: Sequence[tuple[str, str]]) -> None:
    """Set JAX's options from its own flags, `--jax_NAME=VALUE`.

    Raises:
      UserError: JAX has no such option, or it takes no such value.
    """
    if not options:
        return
    import jax

    known = jax.config.values
    for name, text in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            advice = f"did you mean --{near[0]}?" if near else "JAX's documentation lists them"
            raise UserError(f"--{name}: JAX has no such option; {advice}")
        try:
            jax.config.update(name, _like(known[name], text))
        except (ValueError, TypeError) as error:
            raise UserError(f"--{name}={text}: {error}") from None


def _like(current: Any, text: str) -> Any:
    """A flag's text as the type that the option has now."""
    if isinstance(current, bool):
        if text.lower() not in ("true", "false", "1", "0"):
            raise ValueError("true or false")
        return text.lower() in ("true", "1")
    if isinstance(current, int | float):
        return type(current)(text)
    return text
