"""The devices of a topology as a compiler knows them, without the hardware."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from collections.abc import Sequence
from typing import Any

from clinical_t5x.plan.topology import Topology

# libtpu looks for a TPU and its metadata server, and for a lock that another process may hold.
_TPU_ENVIRONMENT = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_ACCELERATOR_TYPE": "v4-8",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "TPU_MIN_LOG_LEVEL": "3",
    "TPU_STDERR_LOG_LEVEL": "3",
}
_CUDA_PLUGINS = ("jax_cuda13_plugin", "jax_cuda12_plugin")


class NoCompilerError(Exception):
    """There is no compiler for a topology here; the message says why and what would help."""


def prepare_process(topologies: Sequence[Topology]) -> None:
    """Set what JAX and libtpu read when they start; to be called before JAX is imported.

    A plan never touches an accelerator of its own machine, which another run may be using.
    """
    os.environ["JAX_PLATFORMS"] = "cpu"
    for name, value in _TPU_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    pretended = [topology.devices for topology in topologies if topology.chip.platform == "cpu"]
    flag = "--xla_force_host_platform_device_count"
    flags = os.environ.get("XLA_FLAGS", "")
    if pretended and flag not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {flag}={max(pretended)}".strip()


def compiler_devices(topology: Topology) -> list[Any]:
    """The devices of a topology; programs can be compiled for them, and not run.

    Raises:
      NoCompilerError: the compiler is not installed, or refuses the topology.
    """
    find = {"tpu": _tpu_devices, "gpu": _gpu_devices, "cpu": _cpu_devices}
    devices = find[topology.chip.platform](topology)
    if len(devices) != topology.devices:
        raise NoCompilerError(
            f"the compiler makes {len(devices)} devices of {topology.name}, not {topology.devices}"
        )
    return devices


def compiler_version(topology: Topology) -> dict[str, str]:
    """The versions on which a compiled program depends."""
    packages = ["jax", "jaxlib"]
    packages += ["libtpu"] if topology.chip.platform == "tpu" else []
    packages += list(_CUDA_PLUGINS) if topology.chip.platform == "gpu" else []
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _tpu_devices(topology: Topology) -> list[Any]:
    if importlib.util.find_spec("libtpu") is None:
        raise NoCompilerError(
            "libtpu, the compiler for TPUs, is not installed (pip install -e '.[tpu]'; it runs on "
            "any Linux machine)"
        )
    from jax.experimental import topologies

    chip, shape = topology.chip, topology.shape
    options: dict[str, Any] = {}
    if chip.name == "v4":
        options["chip_config_name"] = "megacore"  # two cores as one device, as on a TPU VM
    if topology.slices > 1:
        options["num_slices"] = topology.slices
    bounds = [min(host, size) for host, size in zip(chip.host, shape, strict=True)]
    if any(size % host for host, size in zip(chip.host, shape, strict=True)):
        options["chips_per_host_bounds"] = (*bounds, 1)[:3]
    name = f"{chip.name}:{'x'.join(map(str, shape))}"
    try:
        return list(topologies.get_topology_desc(name, platform="tpu", **options).devices)
    except Exception as error:  # whatever libtpu raises means the same here
        raise NoCompilerError(f"libtpu refuses {name}: {_first_line(error)}") from error


def _gpu_devices(topology: Topology) -> list[Any]:
    from clinical_t5x.plan import gpu_target

    plugin = next((name for name in _CUDA_PLUGINS if importlib.util.find_spec(name)), None)
    if plugin is None:
        raise NoCompilerError(
            "JAX's CUDA plugin, the compiler for GPUs, is not installed (pip install -e '.[gpu]'; "
            "no GPU is needed to compile)"
        )
    target = gpu_target.target_config(topology.chip.name)
    if target is None:
        raise NoCompilerError(f"no description of {topology.chip.name} for the compiler")
    from jax.experimental import topologies

    hosts, gpus = topology.shape
    try:
        description = topologies.get_topology_desc(
            platform="cuda",
            topology_name="",
            target_config=target,
            topology=f"{topology.slices}x{hosts}x{gpus}",
        )
    except Exception as error:  # whatever the plugin raises means the same here
        raise NoCompilerError(f"the CUDA compiler refuses: {_first_line(error)}") from error
    return list(description.devices)


def _cpu_devices(topology: Topology) -> list[Any]:
    import jax

    devices = jax.devices("cpu")
    if len(devices) < topology.devices:
        raise NoCompilerError(
            f"JAX has {len(devices)} CPU devices here; XLA_FLAGS="
            f"--xla_force_host_platform_device_count={topology.devices} makes more"
        )
    return devices[: topology.devices]


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
