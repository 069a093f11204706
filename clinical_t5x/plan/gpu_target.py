"""GPUs as XLA's compiler wants them described when none is there.

What the CUDA driver reports of each (`cudaGetDeviceProperties`), in the text form of XLA's
`GpuTargetConfigProto`. Nothing is tuned by trial without a GPU: memory and collectives are those of
a run, kernels may be others.
"""

from __future__ import annotations

import dataclasses

_KIB, _MIB = 2**10, 2**20


@dataclasses.dataclass(frozen=True)
class _Gpu:
    """Properties of one kind; shared memory of a multiprocessor and of a block that asks for it."""

    name: str
    capability: tuple[int, int]
    multiprocessors: int
    lanes: int
    shared: int
    shared_of_block: int
    bandwidth: float
    cache: int
    clock: float
    memory: int


_HOPPER = ((9, 0), 132, 128, 228 * _KIB, 227 * _KIB)
_AMPERE = ((8, 0), 108, 64, 164 * _KIB, 163 * _KIB)

_GPUS = {
    "h200": _Gpu("NVIDIA H200", *_HOPPER, 4.8e12, 50 * _MIB, 1.98, 143_771 * _MIB),
    "h100": _Gpu("NVIDIA H100 80GB HBM3", *_HOPPER, 3.35e12, 50 * _MIB, 1.98, 81_559 * _MIB),
    "a100-80gb": _Gpu("NVIDIA A100-SXM4-80GB", *_AMPERE, 2.039e12, 40 * _MIB, 1.41, 81_920 * _MIB),
    "a100-40gb": _Gpu("NVIDIA A100-SXM4-40GB", *_AMPERE, 1.555e12, 40 * _MIB, 1.41, 40_960 * _MIB),
}

_TEXT = """gpu_device_info {{
  cuda_compute_capability {{ major: {major} minor: {minor} feature_extension: {extension} }}
  core_count: {multiprocessors}
  fpus_per_core: {lanes}
  shared_memory_per_core: {shared}
  shared_memory_per_block: 49152
  shared_memory_per_block_optin: {shared_of_block}
  memory_bandwidth: {bandwidth}
  l2_cache_size: {cache}
  clock_rate_ghz: {clock}
  device_memory_size: {memory}
  threads_per_block_limit: 1024
  threads_per_warp: 32
  threads_per_core_limit: 2048
  registers_per_core_limit: 65536
  registers_per_block_limit: 65536
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  thread_dim_limit_x: 1024
  thread_dim_limit_y: 1024
  thread_dim_limit_z: 64
  name: "{name}"
}}
platform_name: "CUDA"
device_description_str: "{name}"
"""


def target_config(chip: str) -> str | None:
    """The description of a GPU for `get_topology_desc`; None for those that are not described."""
    gpu = _GPUS.get(chip)
    if gpu is None:
        return None
    major, minor = gpu.capability
    values = dataclasses.asdict(gpu) | {
        "major": major,
        "minor": minor,
        "bandwidth": int(gpu.bandwidth),
        "extension": "ACCELERATED_FEATURES" if major == 9 else "NONE",
    }
    return _TEXT.format(**values)
