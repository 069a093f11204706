"""The smallest topology for a run, and its best mesh and remat policy there.

First by arithmetic: every topology, mesh and policy is estimated for memory and ordered by
supposed speed. Then the compiler is asked, about three finalists at most: it corrects the estimate,
and what it found decides which is asked about next.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

from clinical_t5x.console import UserError
from clinical_t5x.models.config import REMAT_POLICIES
from clinical_t5x.plan import arithmetic
from clinical_t5x.plan.arithmetic import KeptPerRow
from clinical_t5x.plan.cost import cost_of
from clinical_t5x.plan.memory import Memory, Shapes, shapes_of, state_of
from clinical_t5x.plan.run import PlannedRun
from clinical_t5x.plan.topology import Topology
from clinical_t5x.plan.verdict import COMPILED, Plan, plan_run

MOST_COMPILED = 3
# Splitting matrices over more devices than this is never faster for models of up to 11B.
_MOST_TENSOR = 8
# Links between slices, or hosts of GPUs, a chip: 100 Gbit/s.
_SLOW_LINK = 12.5e9


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A topology, a mesh and a policy, estimated.

    Attributes:
      topology: the hardware.
      mesh: (data, fsdp, tensor) of one slice.
      policy: the remat policy.
      memory: bytes on one device, estimated.
      seconds: supposed time of a step; for ordering only.
    """

    topology: Topology
    mesh: tuple[int, int, int]
    policy: str
    memory: Memory
    seconds: float

    def fits(self, correction: float = 1.0) -> bool:
        """Whether the estimate fits, its uncertain part multiplied by what a compiler taught."""
        sure = self.memory.total - self.memory.temporaries
        needed = sure + correction * self.memory.temporaries
        share = arithmetic.SAFE_SHARE if correction == 1.0 else 1.0
        limit = self.topology.chip.memory
        return not limit or needed <= share * limit


@dataclasses.dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes:
      best: the plan that it proposes; None where nothing fits.
      compiled: plans of the finalists that the compiler was asked about, in that order.
      candidates: how many were estimated.
      next_guess: where no finalist fits, the candidate that would be asked about next.
      smallest: the candidate that needs the least memory, for when nothing fits.
    """

    best: Plan | None
    compiled: tuple[Plan, ...]
    candidates: int
    next_guess: Candidate | None
    smallest: Candidate


@dataclasses.dataclass(frozen=True)
class _Variant:
    """The run with one remat policy, and what its backward pass keeps."""

    run: PlannedRun
    policy: str
    kept: KeptPerRow


def search(
    run: PlannedRun,
    topologies: Sequence[Topology],
    *,
    mfu: float,
    price_per_chip_hour: float | None = None,
    may_compile: bool = True,
) -> Found:
    """Find the smallest topology that a run fits, and what is fastest there.

    The layers are scanned in every candidate: the results are the same, and compiling takes the
    time of one layer.

    Args:
      run: its own mesh and remat policy are only one candidate among others.
      topologies: to choose from.
      mfu: see `cost_of`.
      price_per_chip_hour: see `cost_of`.
      may_compile: False trusts the estimates.

    Raises:
      UserError: the batch splits over none of the topologies.
    """
    run = run.with_config(scan_layers=True)
    variants = _variants(run)
    by_policy = {variant.policy: variant for variant in variants}

    def plan(chosen: Candidate) -> Plan:
        variant = by_policy[chosen.policy]
        return plan_run(
            variant.run.on(run.partitioner.with_mesh_shape(chosen.mesh)),
            chosen.topology,
            mfu=mfu,
            price_per_chip_hour=price_per_chip_hour,
            may_compile=may_compile,
            kept=variant.kept,
        )

    estimated: list[Candidate] = []
    candidates = _candidates(variants, topologies, mfu, estimated)
    best, compiled, next_guess = _first_that_fits(candidates, plan)
    if not estimated:
        names = ", ".join(topology.name for topology in topologies)
        raise UserError(f"BATCH_SIZE = {run.batch_size} splits over the devices of none of {names}")
    smallest = min(estimated, key=lambda one: one.memory.total / (one.topology.chip.memory or 1))
    return Found(best, tuple(compiled), len(estimated), next_guess, smallest)


def _first_that_fits(
    candidates: Iterator[Candidate], plan: Callable[[Candidate], Plan]
) -> tuple[Plan | None, list[Plan], Candidate | None]:
    """Plan candidates in order until one fits, at most three; what would come next otherwise.

    What the compiler teaches only makes estimates larger: no candidate is looked at twice.
    """
    compiled: list[Plan] = []
    correction = 1.0
    for chosen in candidates:
        if not chosen.fits(correction):
            continue
        if len(compiled) == MOST_COMPILED:
            return None, compiled, chosen
        made = plan(chosen)
        if made.method != COMPILED:
            return made, compiled, None  # nobody corrects the estimate
        compiled.append(made)
        if made.fits is not False:
            return made, compiled, None
        correction = _correction(chosen, made, correction)
    return None, compiled, None


def _order(candidate: Candidate) -> tuple:
    """Few chips before many, then fast before slow; the rest makes the order complete."""
    topology = candidate.topology
    return (topology.chips, candidate.seconds, topology.name, candidate.mesh, candidate.policy)


def _correction(candidate: Candidate, plan: Plan, before: float) -> float:
    """By what the compiler's temporaries exceed the estimate's."""
    sure = candidate.memory.total - candidate.memory.temporaries
    if not candidate.memory.temporaries or plan.needed <= sure:
        return before
    return max(before, (plan.needed - sure) / candidate.memory.temporaries)


def _variants(run: PlannedRun) -> list[_Variant]:
    runs = {policy: run.with_config(remat_policy=policy) for policy in REMAT_POLICIES}
    plain = arithmetic.kept_per_row(runs["none"])
    return [
        _Variant(one, policy, arithmetic.kept_per_row(one, plain) if policy != "none" else plain)
        for policy, one in runs.items()
    ]


def _candidates(
    variants: Sequence[_Variant],
    topologies: Sequence[Topology],
    mfu: float,
    estimated: list[Candidate],
) -> Iterator[Candidate]:
    """Candidates in order, estimated when they are asked for, and noted in `estimated`."""
    shapes = shapes_of(variants[0].run)
    by_size: dict[int, list[Topology]] = {}
    for topology in topologies:
        by_size.setdefault(topology.chips, []).append(topology)
    for chips in sorted(by_size):
        of_size = [
            candidate
            for topology in by_size[chips]
            for candidate in _on_topology(variants, topology, shapes, mfu)
        ]
        estimated += of_size
        yield from sorted(of_size, key=_order)


def _on_topology(
    variants: Sequence[_Variant], topology: Topology, shapes: Shapes, mfu: float
) -> Iterator[Candidate]:
    any_run = variants[0].run
    counted = any_run.partitioner.on_counted_devices(topology.devices, slices=topology.slices)
    for mesh in _meshes(topology.devices // topology.slices):
        partitioner = counted.with_mesh_shape(mesh)
        if any_run.batch_size % partitioner.batch_shards:
            continue
        state = state_of(any_run.on(partitioner), shapes)
        for variant in variants:
            run = variant.run.on(partitioner)
            memory = arithmetic.estimated_memory(run, state, variant.kept)
            seconds = _seconds(run, topology, state.parameter_bytes, mfu)
            yield Candidate(topology, mesh, variant.policy, memory, seconds)


def _meshes(devices: int) -> Iterator[tuple[int, int, int]]:
    """(data, fsdp, tensor) with powers of two for fsdp and tensor."""
    tensor = 1
    while tensor <= min(devices, _MOST_TENSOR) and devices % tensor == 0:
        fsdp = 1
        while fsdp <= devices // tensor and (devices // tensor) % fsdp == 0:
            yield (devices // tensor // fsdp, fsdp, tensor)
            fsdp *= 2
        tensor *= 2


def _seconds(run: PlannedRun, topology: Topology, parameter_bytes: int, mfu: float) -> float:
    """Supposed time of a step: all that is computed, and what must cross links meanwhile.

    Counted are the sum of gradients over replicas, gathering parameters that are split (forwards
    and backwards) and scattering their gradients, and the sums of activations of split matrices.
    """
    cost = cost_of(run, topology, mfu=mfu)
    work = cost.step_flops + cost.recomputed_flops
    computing = work / ((cost.peak_flops or topology.devices * 1e11) * mfu)
    return computing + _crossing(run, topology, parameter_bytes)


def _crossing(run: PlannedRun, topology: Topology, parameter_bytes: int) -> float:
    """Seconds of links in a step."""
    config, mesh = run.model.config, run.partitioner.mesh.shape
    link = topology.chip.link / topology.chip.devices
    if topology.chip.platform == "gpu" and topology.shape[0] > 1:
        link = _SLOW_LINK
    whole = parameter_bytes * mesh["fsdp"]  # of one part of the tensor axis
    moved = 0.0
    if mesh["fsdp"] > 1:
        moved += 3 * whole
    if mesh["data"] > 1:
        moved += 2 * parameter_bytes
    if mesh["tensor"] > 1:
        rows = run.batch_size // run.partitioner.batch_shards
        encoder = config.num_encoder_layers * run.lengths["inputs"] * 2
        decoder = config.num_decoder_layers * run.lengths["targets"] * 3
        again = 1.5 if config.remat_policy == "full" else 1.0
        width = config.emb_dim * config.compute_dtype.itemsize
        moved += 2 * 2 * again * rows * (encoder + decoder) * width
    slow = 2 * parameter_bytes / _SLOW_LINK if mesh["slice"] > 1 else 0.0
    return moved / link + slow
