"""The chips that a plan knows: memory, links, and the slices that can be rented."""

from __future__ import annotations

import dataclasses
import math
import os

_GIB = 2**30
_MIB = 2**20

# JAX takes this part of a GPU's memory unless XLA_PYTHON_CLIENT_MEM_FRACTION says otherwise.
_GPU_FRACTION = 0.75


@dataclasses.dataclass(frozen=True)
class Chip:
    """One kind of accelerator.

    Attributes:
      name: as a topology names it, such as "v5e".
      platform: "tpu", "gpu" or "cpu".
      device_kind: what JAX calls its devices.
      memory: bytes that a program may use on one device; 0 where no limit is known.
      link: bytes a second that one chip can send over the links to its neighbours; for ordering
        meshes by speed, never for times.
      devices: JAX devices of one chip.
      shapes: slices that can be rented, in chips, smallest first; for GPUs (hosts, GPUs a host).
      host: chips of one host, in the dims of `shapes`.
      cloud: how Google Cloud's accelerator types begin.
      cloud_counts: what the number in such a type counts, "cores" or "chips"; empty where Cloud
        has no such types.
    """

    name: str
    platform: str
    device_kind: str
    memory: int
    link: float
    devices: int = 1
    shapes: tuple[tuple[int, ...], ...] = ()
    host: tuple[int, ...] = ()
    cloud: tuple[str, ...] = ()
    cloud_counts: str = ""

    def shape_of(self, chips: int) -> tuple[int, ...] | None:
        """The slice of so many chips that can be rented, or None."""
        return next((shape for shape in self.shapes if math.prod(shape) == chips), None)


_FLAT = ((1, 1), (2, 2), (2, 4), (4, 4), (4, 8), (8, 8), (8, 16), (16, 16))
_CUBES = (
    (2, 2, 1), (2, 2, 2), (2, 2, 4), (2, 4, 4), (4, 4, 4), (4, 4, 8), (4, 8, 8), (8, 8, 8),
    (8, 8, 16), (8, 16, 16),
)  # fmt: skip
_V2 = ((2, 2), (4, 4), (8, 8), (8, 16), (16, 16))
_V3 = (*_V2, (16, 32), (32, 32))


def _tpu(name, kind, gib, gigabits, devices, shapes, counts, *cloud) -> Chip:
    host = (2, 2, 1)[: len(shapes[0])]
    link = gigabits * 1e9 / 8
    types = (name, *cloud) if counts else ()
    return Chip(
        name, "tpu", kind, int(gib * _GIB), link, devices, shapes, host, types, counts or ""
    )


# Memory is the limit that libtpu 0.0.42's compiler enforces, read from its messages: a little less
# than the chip has. Links: cloud.google.com/tpu/docs/v2, .../v3, v4, v5e, v5p, v6e, tpu7x.
_TPUS = (
    _tpu("v2", "TPU v2", 7.48, 496, 2, _V2, "cores"),
    _tpu("v3", "TPU v3", 15.48, 656, 2, _V3, "cores"),
    _tpu("v4", "TPU v4", 30.75, 2400, 1, _CUBES, "cores"),
    _tpu("v5e", "TPU v5 lite", 15.75, 1600, 1, _FLAT, "chips", "v5litepod"),
    _tpu("v5p", "TPU v5", 95.74, 4800, 1, _CUBES, "cores"),
    _tpu("v6e", "TPU v6 lite", 31.25, 3200, 1, _FLAT, "chips"),
    _tpu("tpu7x", "TPU7x", 94.75, 4800, 2, _CUBES, None),
)

_ONE_HOST = ((1, 1), (1, 2), (1, 4), (1, 8))
_HOSTS = (*_ONE_HOST, (2, 8), (4, 8), (8, 8), (16, 8), (32, 8))


def _gpu(name, kind, mebibytes, gigabytes_a_second, shapes=_HOSTS) -> Chip:
    fraction = float(os.environ.get("XLA_PYTHON_CLIENT_MEM_FRACTION") or _GPU_FRACTION)
    memory = int(mebibytes * _MIB * fraction)
    return Chip(name, "gpu", kind, memory, gigabytes_a_second * 1e9, 1, shapes)


# Memory as nvidia-smi reports it; links: NVLink in one direction, or PCIe where there is none.
_GPUS = (
    _gpu("h200", "NVIDIA H200", 143_771, 450),
    _gpu("h100", "NVIDIA H100 80GB HBM3", 81_559, 450),
    _gpu("a100-80gb", "NVIDIA A100-SXM4-80GB", 81_920, 300),
    _gpu("a100-40gb", "NVIDIA A100-SXM4-40GB", 40_960, 300),
    _gpu("v100", "Tesla V100-SXM2-16GB", 16_160, 150, _ONE_HOST),
    _gpu("l4", "NVIDIA L4", 23_034, 32, _ONE_HOST),
    _gpu("t4", "Tesla T4", 15_360, 16, _ONE_HOST),
)

_CPU = Chip("cpu", "cpu", "cpu", 0, 10e9, 1, tuple((1, n) for n in (1, 2, 4, 8, 16, 32, 64)))

CHIPS = {chip.name: chip for chip in (*_TPUS, *_GPUS, _CPU)}

# Other names of the same chips.
SYNONYMS = {
    "v5litepod": "v5e",
    "v5lite": "v5e",
    "v5": "v5p",
    "trillium": "v6e",
    "v7x": "tpu7x",
    "ironwood": "tpu7x",
    "a100": "a100-40gb",
}
