"""Which collectives a compiled program runs in a step, how often, and how many bytes they make.

Read from the program's text (HLO). A loop's body is written once and runs as often as the loop
turns: the compiler notes it, or the loop's condition compares a counter with a constant. A TPU's
compiler writes a collective that goes on beside other work into each of the computations that it
spans (its start, the work, its end), all with one channel number: it is counted once. What crosses
slices it hands to the hosts, as a `send` that names the collective; and a reduce-scatter it writes
as a computation `all-reduce-scatter` around an all-reduce, of which each device keeps its part.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

KINDS = (
    "all-gather",
    "all-reduce",
    "reduce-scatter",
    "all-to-all",
    "collective-permute",
    "collective-broadcast",
    "ragged-all-to-all",
)

_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.* -> (.*) \{$")
_REDUCE_SCATTER = "all-reduce-scatter"
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?[\w.\-]+ = (.*?[\])}]) ([\w\-]+)\(")
_SHAPE = re.compile(r"\b([a-z]+\d*)\[([\d,]*)\]")
_CALLED = re.compile(
    r"(?:body|condition|calls|to_apply|branch_computations)=\{?([^,}]+(?:, ?%[^,}]+)*)"
)
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
_CONDITION = re.compile(r"\bwhile\(.*condition=%?([\w.\-]+)")
_CONSTANT = re.compile(r"= s32\[\]\S* constant\((\d+)\)")
_CHANNEL = re.compile(r"channel_id=(\d+)")
_BETWEEN_SLICES = re.compile(r'_xla_megascale_transfer_type="(\w+)"')
_GROUPS = re.compile(r"replica_groups=(\{\{[\d,{} ]*\}\}|\[[\d,]+\]<=\[[\d,]+\](?:T\([\d,]+\))?)")
_MESH_GROUPS = re.compile(
    r"replica_groups=mesh\[([^\]]*)\](?:, device_ids=\((\[[\d,]+\](?:T\([\d,]+\))?)\))? \{([^}]*)\}"
)
_PAIRS = re.compile(r"source_target_pairs=\{(\{[\d,{} ]*\})\}")

_BITS = {"pred": 8, "s4": 4, "u4": 4, "bf16": 16}


@dataclasses.dataclass(frozen=True)
class Collective:
    """All collectives of one kind in a step.

    Attributes:
      kind: such as "all-gather".
      instructions: how many the program has.
      times: how often they run in a step, loops counted.
      bytes: what they make on one device in a step, loops counted.
      across_slices: the part of `times` that joins devices of several slices.
    """

    kind: str
    instructions: int
    times: int
    bytes: int
    across_slices: int = 0


@dataclasses.dataclass
class _Found:
    kind: str
    bytes: int
    across_slices: bool
    channel: str  # empty where it has none


@dataclasses.dataclass
class _Computation:
    """Its collectives; (what it calls, how often or by which condition); its constants."""

    collectives: list[_Found] = dataclasses.field(default_factory=list)
    calls: list[tuple[str, int | str]] = dataclasses.field(default_factory=list)
    constants: list[int] = dataclasses.field(default_factory=list)
    compares_less: bool = False
    keeps: int | None = None  # bytes that a device keeps of an all-reduce that scatters

    @property
    def turns(self) -> int:
        """How often a loop with this condition turns: 1 where it cannot be told."""
        return self.constants[0] if self.compares_less and len(self.constants) == 1 else 1


def read_collectives(hlo: str, *, devices_per_slice: int | None = None) -> list[Collective]:
    """The collectives of a compiled program, one entry a kind, the most bytes first.

    Args:
      hlo: the program's text after compilation.
      devices_per_slice: to tell which join several slices; None where there is one slice.
    """
    computations, entry = _computations(hlo, devices_per_slice)
    runs = _runs(computations, entry)
    # of the places of one collective, the one that runs most often
    of_channel: dict[tuple, tuple[int, _Found]] = {}
    for name, computation in computations.items():
        for number, found in enumerate(computation.collectives if runs[name] else ()):
            key = (found.kind, found.channel) if found.channel else (name, number)
            if key not in of_channel or of_channel[key][0] < runs[name]:
                of_channel[key] = (runs[name], found)
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for times, found in of_channel.values():
        counted = (1, times, times * found.bytes, times * found.across_slices)
        totals[found.kind] = [a + b for a, b in zip(totals[found.kind], counted, strict=True)]
    found = [Collective(kind, *total) for kind, total in totals.items()]
    return sorted(found, key=lambda one: (-one.bytes, one.kind))


def _computations(hlo: str, devices_per_slice: int | None) -> tuple[dict[str, _Computation], str]:
    computations: dict[str, _Computation] = {}
    entry, current = "", None
    for line in hlo.splitlines():
        header = _COMPUTATION.match(line)
        if header:
            current = computations.setdefault(header[2], _Computation())
            scatters = header[2].startswith(_REDUCE_SCATTER)
            current.keeps = _result_bytes(header[3], started=False) if scatters else None
            entry = header[2] if header[1] else entry
        elif current is not None and " = " in line:
            _take(line, current, devices_per_slice)
    return computations, entry


def _take(line: str, computation: _Computation, devices_per_slice: int | None) -> None:
    trips, condition = _TRIPS.search(line), _CONDITION.search(line)
    times = int(trips[1]) if trips else condition[1] if condition else 1
    for names in _CALLED.findall(line):
        computation.calls += [(name.strip().lstrip("%"), times) for name in names.split(",")]
    constant = _CONSTANT.search(line)
    if constant is not None:
        computation.constants.append(int(constant[1]))
    computation.compares_less |= "compare(" in line and "direction=LT" in line
    instruction = _INSTRUCTION.match(line)
    if instruction is None:
        return
    channel = _CHANNEL.search(line)
    number = channel[1] if channel else ""
    between = _BETWEEN_SLICES.search(line) if instruction[2] == "send" else None
    kind = instruction[2].removesuffix("-start")
    if between is not None:
        kind = f"{between[1].lower().replace('_', '-')} between slices"
        size = _result_bytes(instruction[1], started=True)
        computation.collectives.append(_Found(kind, size, True, number))
    elif kind in KINDS:
        size = _result_bytes(instruction[1], started=instruction[2] != kind)
        if kind == "all-reduce" and computation.keeps is not None:
            kind, size = "reduce-scatter", computation.keeps
        crosses = devices_per_slice is not None and _crosses(line, devices_per_slice)
        computation.collectives.append(_Found(kind, size, crosses, number))


def _runs(computations: dict[str, _Computation], entry: str) -> dict[str, int]:
    """How often each computation runs in one run of the program."""
    runs: dict[str, int] = defaultdict(int)

    def walk(name: str, times: int) -> None:
        if name not in computations:
            return
        runs[name] += times
        for called, trips in computations[name].calls:
            if isinstance(trips, str):
                trips = computations[trips].turns if trips in computations else 1
            walk(called, times * trips)

    walk(entry, 1)
    return runs


def _result_bytes(shape: str, *, started: bool) -> int:
    """Bytes of an instruction's result; of an asynchronous one's, which repeats its operand."""
    sizes = [_bytes(kind, dims) for kind, dims in _SHAPE.findall(shape)]
    sizes = [size for size in sizes if size > 4] or sizes  # counters of asynchronous operations
    if not sizes:
        return 0
    return max(sizes) if started else sum(sizes)


def _bytes(kind: str, dims: str) -> int:
    bits = _BITS.get(kind) or int(re.sub(r"\D", "", kind) or 0)
    return math.prod(int(size) for size in dims.split(",") if size) * bits // 8


def _crosses(line: str, devices_per_slice: int) -> bool:
    """Whether devices of several slices take part together; all do where no groups are said."""
    groups = _groups_of(line)
    if not groups:
        return True
    return any(len({device // devices_per_slice for device in group}) > 1 for group in groups)


def _groups_of(line: str) -> list[list[int]]:
    """Which devices take part together, by their place in the mesh; [] for all of them."""
    listed = _GROUPS.search(line) or _PAIRS.search(line)
    if listed is not None:
        return list(_groups(listed[1]))
    of_mesh = _MESH_GROUPS.search(line)
    return [] if of_mesh is None else _mesh_groups(*of_mesh.groups())


def _groups(text: str) -> Iterator[list[int]]:
    """Groups of devices as HLO writes them: a list of lists, or dims of an iota."""
    if text.startswith("{"):
        for group in re.findall(r"\{([\d, ]+)\}", text.replace("{{", "{").replace("}}", "}")):
            yield [int(device) for device in group.split(",")]
        return
    sizes, _, order = text.partition("<=")
    for group in _iota(order).reshape(_numbers(sizes)):
        yield [int(device) for device in group.ravel()]


def _iota(text: str) -> np.ndarray:
    """Devices as HLO orders them: `[2,4]T(1,0)` counts 2 rows of 4 and transposes them."""
    dims, _, order = text.partition("T")
    devices = np.arange(math.prod(_numbers(dims))).reshape(_numbers(dims))
    return devices.transpose(_numbers(order)) if order else devices


def _numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


def _mesh_groups(axes: str, order: str | None, joined: str) -> list[list[int]]:
    """Groups that reach along some axes of a mesh: `mesh['a'=4,'b'=2] {'b'}`; [] if unreadable."""
    sizes = {name: int(count) for name, count in re.findall(r"'(\w+)'=(\d+)", axes)}
    names = re.findall(r"'(\w+)'", joined)
    if not set(names) <= set(sizes) or ":" in joined:
        return []
    devices = _iota(order or f"[{math.prod(sizes.values())}]").reshape(list(sizes.values()))
    places = [list(sizes).index(name) for name in names]
    last = range(devices.ndim - len(places), devices.ndim)
    groups = np.moveaxis(devices, places, last).reshape(-1, math.prod(sizes[n] for n in names))
    return groups.tolist()
