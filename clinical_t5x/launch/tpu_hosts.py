"""The hosts of a Cloud TPU pod, one slice or several: who they are and which one this is.

Kubernetes says it in environment variables; on a TPU VM the machine's metadata server does. A
machine that has neither is asked nothing, so that it waits for nothing.
"""

from __future__ import annotations

import dataclasses
import glob
import importlib.util
import re
import time
from collections.abc import Mapping

# JAX's coordinator listens here on Cloud TPU; the port is open between the hosts of a pod.
COORDINATOR_PORT = "8482"

_TRIES, _BETWEEN_TRIES, _PATIENCE = 4, 1.0, 5.0


@dataclasses.dataclass(frozen=True)
class Pod:
    """The hosts of a pod.

    Attributes:
      coordinator: machine of the first host.
      count: hosts in all slices together.
      index: number of this one; slices follow one another.
      slices: how many slices there are.
      places: machines by number, of this slice's hosts.
    """

    coordinator: str
    count: int
    index: int
    slices: int
    places: dict[int, str]


def find(environment: Mapping[str, str]) -> Pod | None:
    """The pod that this machine belongs to; None elsewhere, and where JAX is to use no TPU.

    Raises:
      RuntimeError: the metadata server of a TPU VM gives no answer that can be used.
    """
    platforms = environment.get("JAX_PLATFORMS", "")
    if platforms and "tpu" not in platforms.lower().split(","):
        return None
    hosts = environment.get("TPU_PROCESS_ADDRESSES") or environment.get("TPU_WORKER_HOSTNAMES")
    worker = environment.get("TPU_WORKER_ID")
    if hosts and worker:
        return _pod(hosts.split(","), int(worker), environment)
    if "TPU_SKIP_MDS_QUERY" in environment or not _has_chips():
        return None
    return _from_metadata(environment)


def _has_chips() -> bool:
    """Whether TPU chips and their driver are here: a look at /dev, no more."""
    if importlib.util.find_spec("libtpu") is None:
        return False
    return bool(glob.glob("/dev/accel[0-9]*") or glob.glob("/dev/vfio/[0-9]*"))


def _from_metadata(environment: Mapping[str, str]) -> Pod | None:
    server = environment.get("GCE_METADATA_IP", "metadata.google.internal")
    worker = _attribute(server, "agent-worker-number")
    endpoints = _attribute(server, "worker-network-endpoints")
    if worker is None or endpoints is None:
        return None  # chips, but no Cloud TPU VM
    settings = dict(_settings(_attribute(server, "tpu-env") or ""))
    hosts = [_machine_of(endpoint) for endpoint in endpoints.split(",")]
    return _pod(hosts, int(worker), {**settings, **environment})


def _pod(hosts: list[str], worker: int, settings: Mapping[str, str]) -> Pod:
    """A pod of slices that are alike.

    The first host of the first slice coordinates, which is where MEGASCALE_COORDINATOR_ADDRESS
    points.
    """
    hosts = [_without_port(host.strip()) for host in hosts]
    slices = int(settings.get("MEGASCALE_NUM_SLICES") or 1)
    number = int(settings.get("MEGASCALE_SLICE_ID") or 0)
    first = number * len(hosts)
    named = settings.get("MEGASCALE_COORDINATOR_ADDRESS")
    return Pod(
        coordinator=_without_port(named) if named else hosts[0],
        count=slices * len(hosts),
        index=first + worker,
        slices=slices,
        places={first + i: host for i, host in enumerate(hosts)},
    )


def _attribute(server: str, name: str) -> str | None:
    """An attribute of this machine; None when it has none or there is no such server."""
    import urllib.error
    import urllib.request

    request = urllib.request.Request(
        f"http://{server}/computeMetadata/v1/instance/attributes/{name}",
        headers={"Metadata-Flavor": "Google"},
    )
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for attempt in range(_TRIES):
        try:
            with direct.open(request, timeout=_PATIENCE) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            problem = error
        except OSError as error:  # no such name, no such server
            problem = error
        if attempt < _TRIES - 1:
            time.sleep(_BETWEEN_TRIES)
    if isinstance(problem, urllib.error.HTTPError):
        raise RuntimeError(f"the metadata server {server} does not tell {name}: {problem}")
    return None


def _settings(text: str) -> list[tuple[str, str]]:
    """Names and values of lines such as `MEGASCALE_NUM_SLICES: '2'`."""
    return re.findall(r"^\s*(\w+)\s*:\s*'?(.*?)'?\s*$", text, re.MULTILINE)


def _machine_of(endpoint: str) -> str:
    """The machine of a worker: a plain name, or the last part of `name:id:address`."""
    return endpoint.strip().split(":")[-1]


def _without_port(address: str) -> str:
    host, colon, port = address.rpartition(":")
    return (
        host.strip("[]")
        if colon and port.isdecimal() and (":" not in host or "]" in host)
        else address.strip("[]")
    )
