"""What the processes of one run must decide alike.

A decision that each host took for itself (a checkpoint that only one of them cannot read, a signal
that only one of them got) would leave the others waiting in a collective for ever. With one process
everything here returns at once, without touching a device.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

# Name of the requests to stop among a batch's features and among a step's metric sums.
STOP = "stop_requests"

_MOST_NUMBERS = 256


def is_first() -> bool:
    """Whether this is the process that writes what one process writes."""
    return jax.process_index() == 0


def any_host(flag: bool) -> bool:
    """Whether `flag` holds on any process; every process must ask, at the same point."""
    if jax.process_count() == 1:
        return flag
    from jax.experimental import multihost_utils

    return bool(multihost_utils.process_allgather(np.int32(flag)).any())


def as_first_sees(numbers: Sequence[int]) -> list[int]:
    """The first process's numbers, on every process; at most the last 256 of them.

    A listing of a directory that another process is changing, or that a network file system
    remembers, need not be the same everywhere.
    """
    if jax.process_count() == 1:
        return list(numbers)
    from jax.experimental import multihost_utils

    kept = list(numbers)[-_MOST_NUMBERS:]
    padded = np.full(_MOST_NUMBERS, -1, np.int32)
    padded[: len(kept)] = kept
    return [int(number) for number in multihost_utils.broadcast_one_to_all(padded) if number >= 0]


def stop_flags(mesh: Mesh, asked: bool) -> jax.Array:
    """One number a device, 1 where the device's host was asked to stop: int32 [devices]."""
    sharding = NamedSharding(mesh, PartitionSpec(mesh.axis_names))
    return jax.make_array_from_callback(
        (mesh.size,), sharding, lambda part: np.full(mesh.size, asked, np.int32)[part]
    )


def meet(name: str) -> None:
    """Wait until every process is here."""
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)


def preemption_is_due(step: int) -> bool:
    """Whether the cluster announced that a host will be taken away, and all are to save now.

    JAX's preemption service agrees between the processes on one step; it must be asked after every
    step. Without a group of processes, or with the service turned off, the answer is no.
    """
    if jax.process_count() == 1:
        return False
    from jax.experimental import multihost_utils

    try:
        return multihost_utils.reached_preemption_sync_point(step)
    except RuntimeError:  # turned off: --jax_enable_preemption_service=false
        return False
