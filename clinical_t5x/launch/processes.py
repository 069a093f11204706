"""Which group of processes this one belongs to: from the command line, Cloud TPU, Slurm, Open MPI.

Looked up from environment variables, and on a Cloud TPU machine from its metadata server; without
JAX, so that a mistake is said at once. A process on its own belongs to no group.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Mapping

from clinical_t5x.console import UserError
from clinical_t5x.launch import tpu_hosts
from clinical_t5x.launch.flags import Flags
from clinical_t5x.launch.roll_call import split_address

# Where launchers name no port, one of the last 4,096: a job's number decides, as in JAX.
_FIRST_PORT, _PORTS = 65535 - 2**12 + 1, 2**12


@dataclasses.dataclass(frozen=True)
class Group:
    """The processes of a run, and which of them this is.

    Attributes:
      coordinator: HOST:PORT of process 0.
      count: how many processes there are.
      index: the number of this one.
      found_by: who said so, in words.
      local_device_ids: the devices of this machine that are this process's; None for all.
      places: machines of the others by number, as far as they are known.
    """

    coordinator: str
    count: int
    index: int
    found_by: str
    local_device_ids: tuple[int, ...] | None = None
    places: Mapping[int, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class _Launched:
    """What a launcher says; a coordinator of None must be named on the command line."""

    by: str
    coordinator: str | None
    count: int
    index: int
    local_device_ids: tuple[int, ...] | None = None
    places: Mapping[int, str] = dataclasses.field(default_factory=dict)


def find_group(flags: Flags, environment: Mapping[str, str]) -> Group | None:
    """The group that the flags or the surroundings name; None for a process on its own.

    Flags win over the surroundings, which fill in what they leave out. `--process_count=1` is the
    way to run alone in whatever surroundings.

    Args:
      flags: the command line.
      environment: the environment variables.

    Raises:
      UserError: a part of the flags is missing, or their values do not fit together.
    """
    if flags.process_count == 1 and flags.process_index in (None, 0):
        return None
    address = flags.coordinator_address or environment.get("JAX_COORDINATOR_ADDRESS")
    named = (address, flags.process_count, flags.process_index)
    launched = None if None not in named else _launched(environment)
    if launched is not None and launched.count == 1 and named == (None, None, None):
        return None
    if launched is None and named == (None, None, None) and not flags.multiprocess_gpu:
        return None
    return _checked(_merged(flags, address, launched))


def _launched(environment: Mapping[str, str]) -> _Launched | None:
    return _by_cloud_tpu(environment) or _by_slurm(environment) or _by_open_mpi(environment)


def _merged(flags: Flags, address: str | None, launched: _Launched | None) -> Group:
    """The group, flags first.

    Raises:
      UserError: something is said by nobody.
    """
    values = {
        "--coordinator_address": address,
        "--process_count": flags.process_count,
        "--process_index": flags.process_index,
    }
    if launched is not None:
        found = (launched.coordinator, launched.count, launched.index)
        for name, value in zip(values, found, strict=True):
            values[name] = value if values[name] is None else values[name]
    missing = [name for name, value in values.items() if value is None]
    if missing:
        given = [name for name in values if name not in missing]
        if flags.multiprocess_gpu:
            given.append("--multiprocess_gpu")
        asked = f"{' and '.join(given)} given" if launched is None else f"found {launched.by}"
        raise UserError(
            f"{asked}, but {' and '.join(missing)} missing: give all of --coordinator_address="
            "HOST:PORT (of process 0), --process_count and --process_index, or start the command "
            "with srun or mpirun, or on every host of a TPU pod; leave them all out to run alone"
        )
    coordinator, count, index = values.values()
    return Group(
        coordinator,
        count,
        index,
        "the command line" if launched is None else launched.by,
        None if launched is None else launched.local_device_ids,
        {} if launched is None else launched.places,
    )


def _checked(group: Group) -> Group:
    split_address(group.coordinator)
    if group.count < 1 or not 0 <= group.index < group.count:
        raise UserError(
            f"--process_index={group.index} with --process_count={group.count}: numbers go from 0 "
            f"to {max(group.count - 1, 0)}"
        )
    return group


def _by_cloud_tpu(environment: Mapping[str, str]) -> _Launched | None:
    pod = tpu_hosts.find(environment)
    if pod is None:
        return None
    port = environment.get("JAX_COORDINATOR_PORT", tpu_hosts.COORDINATOR_PORT)
    return _Launched(
        "Cloud TPU" if pod.slices == 1 else f"Cloud TPU, {pod.slices} slices",
        f"{_bracketed(pod.coordinator)}:{port}",
        pod.count,
        pod.index,
        None,
        pod.places,
    )


def _by_slurm(environment: Mapping[str, str]) -> _Launched | None:
    """The tasks of a job step, as `srun` started them.

    A batch script's own body is no job step, and stays alone.
    """
    needed = ("SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_PROCID", "SLURM_LOCALID")
    count = environment.get("SLURM_STEP_NUM_TASKS", environment.get("SLURM_NTASKS"))
    if count is None or any(name not in environment for name in needed):
        return None
    nodes = _node_names(environment["SLURM_STEP_NODELIST"])
    node = int(environment.get("SLURM_NODEID", 0))
    tasks = _tasks_of_nodes(environment.get("SLURM_STEP_TASKS_PER_NODE", ""))
    here = tasks[node] if node < len(tasks) else 1
    port = environment.get("JAX_COORDINATOR_PORT") or _port_of(int(environment["SLURM_JOB_ID"]))
    # Tasks are dealt out in blocks by default; with another distribution nobody is named.
    blocks = [name for name, number in zip(nodes, tasks, strict=False) for _ in range(number)]
    return _Launched(
        "Slurm",
        f"{nodes[0]}:{port}",
        int(count),
        int(environment["SLURM_PROCID"]),
        _own_devices(int(environment["SLURM_LOCALID"]), here, environment),
        dict(enumerate(blocks)) if len(blocks) == int(count) else {},
    )


def _by_open_mpi(environment: Mapping[str, str]) -> _Launched | None:
    names = ("SIZE", "RANK", "LOCAL_RANK", "LOCAL_SIZE")
    said = [environment.get(f"OMPI_COMM_WORLD_{name}") for name in names]
    if None in said:
        return None
    count, index, local_index, here = map(int, said)
    uri = environment.get("OMPI_MCA_orte_hnp_uri", "")
    launcher = re.search(r"tcp://(.+?)[,:]|tcp6://\[(.+?)[,\]]", uri)
    if here == count:
        host = "127.0.0.1"
    else:
        host = next((part for part in launcher.groups() if part), None) if launcher else None
    job = uri.partition(".")[0]
    if job.isdecimal():
        number = int(job) // 2**12  # Open MPI's numbers of jobs are multiples of 2**12
    else:
        space = environment.get("PMIX_NAMESPACE", "")
        number = int.from_bytes(hashlib.sha256(space.encode()).digest()[:2])
    port = environment.get("JAX_COORDINATOR_PORT") or _port_of(number)
    return _Launched(
        "Open MPI",
        None if host is None else f"{_bracketed(host)}:{port}",
        count,
        index,
        _own_devices(local_index, here, environment),
    )


def _own_devices(
    local_index: int, here: int, environment: Mapping[str, str]
) -> tuple[int, ...] | None:
    """One device for each process where several share a machine; all of them for one alone.

    A launcher that shows every process its own devices only has already shared them out.
    """
    if here == 1 or "JAX_LOCAL_DEVICE_IDS" in environment:
        return None
    visible = environment.get("CUDA_VISIBLE_DEVICES", environment.get("ROCR_VISIBLE_DEVICES"))
    if visible is not None and len([part for part in visible.split(",") if part]) < here:
        return None
    return (local_index,)


def _node_names(nodes: str) -> list[str]:
    """Machines of a Slurm node list: `a[01-03,7],b` gives a01, a02, a03, a7, b."""
    names = []
    for prefix, inside, suffix in re.findall(r"([^,\[\]]+)(?:\[([^\]]*)\])?([^,\[\]]*)", nodes):
        for part in inside.split(",") if inside else [""]:
            first, dash, last = part.partition("-")
            numbers = range(int(first), int(last) + 1) if dash else [part]
            names += [f"{prefix}{str(n).zfill(len(first))}{suffix}" for n in numbers]
    return names


def _tasks_of_nodes(text: str) -> list[int]:
    """Tasks on each node from Slurm's `2(x3),1`."""
    found = re.findall(r"(\d+)(?:\(x(\d+)\))?", text)
    return [int(tasks) for tasks, times in found for _ in range(int(times or 1))]


def _port_of(job: int) -> int:
    return job % _PORTS + _FIRST_PORT


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
