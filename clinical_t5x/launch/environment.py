"""The surroundings of a run: its data home, T5X's data directories, its group of processes."""

from __future__ import annotations

import contextlib
import difflib
import os
import platform
from collections.abc import Iterator, Sequence
from typing import Any

from etils import epath

from clinical_t5x import console
from clinical_t5x.console import UserError
from clinical_t5x.launch import processes
from clinical_t5x.launch.flags import Flags
from clinical_t5x.launch.processes import Group
from clinical_t5x.launch.roll_call import Member, call_roll, split_address
from clinical_t5x.storage import absolute

_DATA_HOME = "CLINICAL_T5X_DATA"

_GATHERING_SECONDS = 300.0
_LEAST_STARTING_SECONDS = 60
_FEW_MACHINES = 4


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


def find_group(flags: Flags) -> Group | None:
    """The group of processes that this one belongs to, and from here on its place in the terminal.

    None for a process on its own, which pays a few look-ups of environment variables.

    Raises:
      UserError: part of the flags is missing, or they do not fit together.
    """
    platforms = [value for name, value in flags.jax_options if name == "jax_platforms"]
    overriding = {"JAX_PLATFORMS": platforms[-1]} if platforms else {}
    group = processes.find_group(flags, os.environ | overriding)
    if group is not None:
        console.speak_as(console.Host(group.index, group.count, platform.node()))
    return group


def join_processes(group: Group | None, timeout: float | None = None) -> None:
    """Meet the other processes, and start JAX with them, before it looks for devices.

    Args:
      group: what `find_group` found; None joins nobody.
      timeout: seconds to wait for the others; 300 by default.

    Raises:
      UserError: somebody is missing after that time; the message says who.
    """
    if group is None:
        return
    timeout = _GATHERING_SECONDS if timeout is None else timeout
    member = Member(group.index, group.count, platform.node())
    machines = call_roll(member, group.coordinator, timeout=timeout, places=group.places)
    _reach_directly(group.coordinator)
    import jax

    jax.distributed.initialize(
        coordinator_address=group.coordinator,
        num_processes=group.count,
        process_id=group.index,
        local_device_ids=group.local_device_ids,
        cluster_detection_method="deactivate",  # whoever is to be detected has been
        initialization_timeout=max(int(timeout), _LEAST_STARTING_SECONDS),
    )
    console.say(f"{group.count} processes ({group.found_by}) on {_named(machines)}")


def _reach_directly(address: str) -> None:
    """Keep the connection to the coordinator away from web proxies, which gRPC would take."""
    if any(name.lower() in ("http_proxy", "https_proxy", "grpc_proxy") for name in os.environ):
        host = split_address(address)[0]
        for name in ("no_proxy", "no_grpc_proxy"):
            known = os.environ.get(name)
            if name == "no_proxy" or known is not None:
                os.environ[name] = f"{known},{host}" if known else host


def _named(machines: Sequence[str]) -> str:
    """The machines, each once: all of a few, the ends of many."""
    names = list(dict.fromkeys(machines))
    if len(names) <= _FEW_MACHINES:
        return ", ".join(names)
    return f"{len(names)} machines, {names[0]} to {names[-1]}"


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
