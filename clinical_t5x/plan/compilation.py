"""Compiling a run's train step for hardware that is not here, once: what was found is kept.

Kept are the compiler's figures, not the program, by a fingerprint of the program before
compilation, the hardware and the versions.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import time
from pathlib import Path
from typing import Any

from clinical_t5x.plan import devices
from clinical_t5x.plan.collectives import Collective, read_collectives
from clinical_t5x.plan.run import PlannedRun, step_of
from clinical_t5x.plan.topology import Topology
from clinical_t5x.storage import fingerprint, read_json, write_json_atomically

_UNITS = {"": 1, "B": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_AMOUNT = r"([\d.]+)([KMGT]?)i?B?"
_NEEDED = (
    re.compile(rf"total memory required[^(]*\({_AMOUNT}\)"),
    re.compile(rf"requires {_AMOUNT}"),
)
_LIMIT = (re.compile(rf"exceeds available HBM \({_AMOUNT}\)"),)
_OF = re.compile(rf"Used {_AMOUNT} of {_AMOUNT}")
# Triton's products are tuned by trial on a GPU; without one their compiler gives up on some shapes.
_OPTIONS = {"gpu": {"xla_gpu_enable_triton_gemm": False}}
# Changes of the figures that are kept make them stale.
_FORMAT = 4


@dataclasses.dataclass(frozen=True)
class Compiled:
    """What the compiler says of a program; bytes are of one device.

    Attributes:
      arguments: state and batch, as laid out.
      outputs: results that do not take the place of an argument.
      temporaries: gradients, activations, buffers of collectives.
      code: the program itself.
      collectives: one entry a kind.
      seconds: of compiling; 0 where it was known already.
      out_of_memory: the compiler's sentence when the program does not fit, else empty.
      needed: bytes that it would need then, where the compiler says so.
      limit: bytes that there are, where the compiler says so.
    """

    arguments: int = 0
    outputs: int = 0
    temporaries: int = 0
    code: int = 0
    collectives: tuple[Collective, ...] = ()
    seconds: float = 0.0
    out_of_memory: str = ""
    needed: int = 0
    limit: int = 0


def compile_step(run: PlannedRun, topology: Topology) -> Compiled:
    """Compile the run's step, or find what was found before.

    Args:
      run: with its partitioner on the topology's devices.
      topology: they are of.

    Raises:
      Exception: whatever the compiler raises besides being out of memory.
    """
    lowered = step_of(run)
    place = _cache_directory() / f"{_identity(lowered, topology)}.json"
    known = _known(place)
    if known is not None:
        return known
    begun = time.monotonic()
    found = _compiled(lowered, topology)
    found = dataclasses.replace(found, seconds=round(time.monotonic() - begun, 1))
    write_json_atomically(place, dataclasses.asdict(found))
    return found


def _compiled(lowered: Any, topology: Topology) -> Compiled:
    try:
        compiled = lowered.compile(compiler_options=_OPTIONS.get(topology.chip.platform))
    except Exception as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return read_out_of_memory(str(error))
    memory = compiled.memory_analysis()
    per_slice = topology.devices // topology.slices if topology.slices > 1 else None
    return Compiled(
        arguments=memory.argument_size_in_bytes,
        outputs=max(0, memory.output_size_in_bytes - memory.alias_size_in_bytes),
        temporaries=memory.temp_size_in_bytes,
        code=memory.generated_code_size_in_bytes,
        collectives=tuple(read_collectives(compiled.as_text(), devices_per_slice=per_slice)),
    )


def read_out_of_memory(message: str) -> Compiled:
    """What a compiler's RESOURCE_EXHAUSTED says: bytes needed and there, 0 where it does not."""
    line = next((line for line in message.splitlines() if "RESOURCE_EXHAUSTED" in line), message)
    both = _OF.search(message)
    if both:
        needed, limit = _bytes(*both.groups()[:2]), _bytes(*both.groups()[2:])
    else:
        needed = _first_amount(_NEEDED, message)
        limit = _first_amount(_LIMIT, message)
    return Compiled(out_of_memory=line.strip()[:300], needed=needed, limit=limit)


def _first_amount(patterns: tuple[re.Pattern, ...], message: str) -> int:
    for pattern in patterns:
        found = pattern.search(message)
        if found:
            return _bytes(*found.groups()[:2])
    return 0


def _bytes(number: str, unit: str) -> int:
    return int(float(number) * _UNITS[unit])


def _identity(lowered: Any, topology: Topology) -> str:
    flags = {name: os.environ.get(name, "") for name in ("XLA_FLAGS", "LIBTPU_INIT_ARGS")}
    program = hashlib.sha256(lowered.as_text().encode()).hexdigest()
    return fingerprint(
        {
            "format": _FORMAT,
            "program": program,
            "topology": topology.name,
            "versions": devices.compiler_version(topology),
            "flags": flags,
        }
    )


def _cache_directory() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "clinical_t5x" / "plan"


def _known(place: Path) -> Compiled | None:
    """What was found before; None too where the file cannot be read."""
    try:
        known = read_json(place)
        collectives = tuple(Collective(**one) for one in known.pop("collectives"))
        return Compiled(**{**known, "collectives": collectives, "seconds": 0.0})
    except (OSError, ValueError, KeyError, TypeError):
        return None
