"""Names of hardware: `v5e:4x4`, `2xv5p:4x4x4`, `h100:8`, `cpu:8`, and Google Cloud's `v4-16`."""

from __future__ import annotations

import dataclasses
import difflib
import math
import re

from clinical_t5x.console import UserError
from clinical_t5x.plan.chips import CHIPS, SYNONYMS, Chip

_NAME = re.compile(r"(?:(\d+)x(?=[a-z]))?([a-z][a-z0-9-]*)(?::(\d+(?:x\d+)*))?")
_CLOUD = re.compile(r"(?:(\d+)x(?=[a-z]))?([a-z]+\d+[a-z]*)-(\d+)")
_EXAMPLES = "v5e:4x4, v4:2x2x2, 2xv5p:4x4x4 (two slices), h100:8, h100:2x8 (hosts x GPUs), cpu:8"


@dataclasses.dataclass(frozen=True)
class Topology:
    """Some chips and how they are joined.

    Attributes:
      chip: their kind.
      shape: chips of one slice along its dims; for GPUs and CPUs (hosts, devices a host).
      slices: how many such slices.
    """

    chip: Chip
    shape: tuple[int, ...]
    slices: int = 1

    @property
    def chips(self) -> int:
        """Chips of all slices."""
        return math.prod(self.shape) * self.slices

    @property
    def devices(self) -> int:
        """JAX devices of all slices."""
        return self.chips * self.chip.devices

    @property
    def name(self) -> str:
        """As the command line takes it."""
        shape = self.shape
        if self.chip.platform != "tpu" and shape[0] == 1:
            shape = shape[1:]
        prefix = f"{self.slices}x" if self.slices > 1 else ""
        return f"{prefix}{self.chip.name}:{'x'.join(map(str, shape))}"

    @property
    def title(self) -> str:
        """The name and what it means, for people."""
        unit = {"tpu": "chip", "gpu": "GPU", "cpu": "pretended CPU device"}[self.chip.platform]
        parts = [f"{self.chips} {unit}{'s' if self.chips > 1 else ''}"]
        if self.chip.devices > 1:
            parts.append(f"{self.devices} devices")
        if self.slices > 1:
            parts.append(f"{self.slices} slices")
        return f"{self.name} ({', '.join(parts)})"


def read_topology(name: str) -> Topology:
    """The topology of that name.

    Raises:
      UserError: an unknown chip, no shape, or a shape that the chip does not come in; with the
        nearest names.
    """
    text = name.strip().lower()
    cloud = _CLOUD.fullmatch(text)
    if cloud and _cloud_chip(cloud[2]) is not None:
        return _from_cloud(name, int(cloud[1] or 1), _cloud_chip(cloud[2]), int(cloud[3]))
    slices, chip, shape = _parsed(name)
    if shape is None:
        raise UserError(
            f"--topology={name} names a chip without a shape; give one, such as "
            f"{Topology(chip, chip.shapes[min(3, len(chip.shapes) - 1)]).name}, or add --search to "
            "have the smallest found"
        )
    return _checked(name, Topology(chip, _full_shape(chip, shape), slices))


def read_candidates(name: str) -> list[Topology]:
    """All topologies that a search may choose from: those of a chip, or the one that is named.

    Args:
      name: a topology, or a chip alone ("v5e"), or several of these joined by commas.
    """
    found: list[Topology] = []
    for part in filter(None, name.split(",")):
        if _CLOUD.fullmatch(part.strip().lower()) or ":" in part:
            found.append(read_topology(part))
            continue
        slices, chip, _ = _parsed(part)
        found += [Topology(chip, shape, slices) for shape in chip.shapes]
    if not found:
        raise UserError(f"--topology={name} names nothing; such as {_EXAMPLES}")
    return list(dict.fromkeys(found))


def cloud_meaning(name: str) -> str | None:
    """What a Google Cloud accelerator type was read as, for a notice; None for other names."""
    found = _CLOUD.fullmatch(name.strip().lower())
    chip = found and _cloud_chip(found[2])
    if not chip:
        return None
    topology = read_topology(name)
    return (
        f"{name} is Google Cloud's name, which counts {chip.cloud_counts}: read as {topology.title}"
    )


def _parsed(name: str) -> tuple[int, Chip, tuple[int, ...] | None]:
    found = _NAME.fullmatch(name.strip().lower())
    if found is None:
        raise UserError(f"--topology={name} cannot be read; write it like {_EXAMPLES}")
    slices, chip, shape = found.groups()
    if slices == "0":
        raise UserError(f"--topology={name}: there must be at least one slice")
    sizes = tuple(map(int, shape.split("x"))) if shape else None
    return int(slices or 1), _chip(chip, name), sizes


def _chip(text: str, name: str) -> Chip:
    known = SYNONYMS.get(text, text)
    if known in CHIPS:
        return CHIPS[known]
    near = difflib.get_close_matches(text, [*CHIPS, *SYNONYMS], n=1)
    advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(CHIPS)}"
    raise UserError(f"--topology={name}: no chip is called {text!r}; {advice}")


def _full_shape(chip: Chip, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape in as many dims as the chip's slices have."""
    dims = len(chip.shapes[0])
    if chip.platform == "tpu":
        return (*shape, *(1,) * (dims - len(shape)))
    if len(shape) > dims:  # XLA's three numbers: partitions, hosts, GPUs of a host
        return (math.prod(shape[:-1]), shape[-1])
    return (*(1,) * (dims - len(shape)), *shape)


def _checked(name: str, topology: Topology) -> Topology:
    chip, shape = topology.chip, topology.shape
    if 0 in shape:
        raise UserError(f"--topology={name}: a dim of 0 leaves no chips")
    if chip.platform != "tpu":
        return topology
    dims = len(chip.shapes[0])
    if len(shape) != dims or tuple(sorted(shape)) not in map(tuple, map(sorted, chip.shapes)):
        near = min(chip.shapes, key=lambda known: abs(math.prod(known) - math.prod(shape)))
        offered = ", ".join("x".join(map(str, known)) for known in chip.shapes)
        raise UserError(
            f"--topology={name}: {chip.name} comes in slices of {offered} chips; the nearest is "
            f"{Topology(chip, near, topology.slices).name}"
        )
    return topology


def _cloud_chip(prefix: str) -> Chip | None:
    return next((chip for chip in CHIPS.values() if prefix in chip.cloud), None)


def _from_cloud(name: str, slices: int, chip: Chip, number: int) -> Topology:
    cores = 2 if chip.cloud_counts == "cores" else 1
    shape = chip.shape_of(number // cores) if number % cores == 0 else None
    if shape is None:
        offered = ", ".join(f"{chip.cloud[-1]}-{math.prod(known) * cores}" for known in chip.shapes)
        raise UserError(
            f"--topology={name}: Google Cloud's names of {chip.name} count {chip.cloud_counts}, "
            f"and there are {offered}; or give the shape in chips, such as "
            f"{Topology(chip, chip.shapes[-4]).name}"
        )
    return Topology(chip, shape, slices)
