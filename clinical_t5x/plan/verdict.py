"""One plan: a run on a topology, what it needs there, and whether it fits."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Iterator

from clinical_t5x.console import UserError
from clinical_t5x.plan import arithmetic, devices
from clinical_t5x.plan.compilation import Compiled, compile_step
from clinical_t5x.plan.cost import Cost, cost_of
from clinical_t5x.plan.memory import Memory, State, compiled_memory, state_of
from clinical_t5x.plan.run import PlannedRun
from clinical_t5x.plan.topology import Topology

COMPILED, ESTIMATED = "compiled", "arithmetic"


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is known about a run on a topology.

    Attributes:
      topology: the hardware.
      run: with its partitioner on the topology.
      method: "compiled" or "arithmetic".
      why_not_compiled: why only arithmetic was possible; empty where it was compiled.
      fits: None where the memory of a device is unknown.
      memory: bytes on one device; None where the compiler gave up without figures.
      needed: bytes on one device.
      limit: bytes that a program may use on one device; 0 where unknown.
      state: every array, and where it lies.
      compiled: the compiler's own figures; None without a compiler.
      cost: work, time and money of the whole run.
    """

    topology: Topology
    run: PlannedRun
    method: str
    why_not_compiled: str
    fits: bool | None
    memory: Memory | None
    needed: int
    limit: int
    state: State
    compiled: Compiled | None
    cost: Cost

    @property
    def mesh(self) -> dict[str, int]:
        """Sizes of the mesh's axes."""
        return dict(self.run.partitioner.mesh.shape)

    @property
    def room(self) -> int:
        """Bytes left on a device; negative where they are missing."""
        return self.limit - self.needed


def plan_run(
    run: PlannedRun,
    topology: Topology,
    *,
    mfu: float,
    price_per_chip_hour: float | None = None,
    may_compile: bool = True,
    kept: arithmetic.KeptPerRow | None = None,
) -> Plan:
    """Compile a run's step for a topology, or estimate where there is no compiler for it.

    Args:
      run: on any devices; its wishes for the mesh are kept.
      topology: the hardware.
      mfu: see `cost_of`.
      price_per_chip_hour: see `cost_of`.
      may_compile: False estimates only.
      kept: of this run, where it is known already.

    Raises:
      UserError: the batch or the mesh does not fit the number of devices.
    """
    found, why = _devices(topology, may_compile=may_compile)
    if found is None:
        partitioner = run.partitioner.on_counted_devices(topology.devices, slices=topology.slices)
    else:
        partitioner = run.partitioner.on_devices(found)
    run = run.on(partitioner)
    run.partitioner.check_batch_size(run.batch_size)
    with _quiet_fallbacks():
        state = state_of(run)
        compiled = None if found is None else _compile(run, topology)
    cost = cost_of(run, topology, mfu=mfu, price_per_chip_hour=price_per_chip_hour)
    if compiled is None:
        memory = arithmetic.estimated_memory(run, state, kept or arithmetic.kept_per_row(run))
        limit = topology.chip.memory
        fits = memory.total <= limit * arithmetic.SAFE_SHARE if limit else None
        return Plan(
            topology, run, ESTIMATED, why, fits, memory, memory.total, limit, state, None, cost
        )
    return _of_compiled(topology, run, state, compiled, cost)


def _of_compiled(
    topology: Topology, run: PlannedRun, state: State, compiled: Compiled, cost: Cost
) -> Plan:
    limit = compiled.limit or topology.chip.memory
    if compiled.out_of_memory:
        needed = compiled.needed or limit + 1
        return Plan(topology, run, COMPILED, "", False, None, needed, limit, state, compiled, cost)
    memory = compiled_memory(state, compiled)
    fits = None
    if limit:
        # the compiler for TPUs refuses what does not fit; others leave it to the run
        fits = topology.chip.platform == "tpu" or memory.total <= limit
    return Plan(
        topology, run, COMPILED, "", fits, memory, memory.total, limit, state, compiled, cost
    )


def _devices(topology: Topology, *, may_compile: bool) -> tuple[list | None, str]:
    if not may_compile:
        return None, "--arithmetic asked for an estimate"
    try:
        return devices.compiler_devices(topology), ""
    except devices.NoCompilerError as error:
        return None, str(error)


def _compile(run: PlannedRun, topology: Topology) -> Compiled:
    try:
        return compile_step(run, topology)
    except UserError:
        raise
    except Exception as error:
        line = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise UserError(
            f"the compiler for {topology.name} refuses the train step: {line[:300]} "
            "(--arithmetic estimates without it)"
        ) from error


@contextlib.contextmanager
def _quiet_fallbacks() -> Iterator[None]:
    """Dims that do not divide are shown in the plan's own table, not logged on the way."""
    log = logging.getLogger("clinical_t5x.partitioning")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)
