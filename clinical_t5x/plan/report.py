"""A plan as people read it, and as JSON."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from typing import Any

from clinical_t5x.plan.memory import Memory
from clinical_t5x.plan.search import Candidate, Found
from clinical_t5x.plan.verdict import COMPILED, Plan

_SHOWN_TENSORS = 20
_LAYER = re.compile(r"\blayers_\d+\b")

_KINDS = {
    "parameters": "parameters (float32)",
    "optimizer": "optimizer memory",
    "batch": "batch",
    "layout": "padding of layouts",
    "temporaries": "gradients, activations, buffers",
    "outputs": "results",
    "code": "program",
}


def tables(plan: Plan, *, all_tensors: bool = False) -> Iterable[Any]:
    """The parts of a plan for a terminal: lines of text and tables of `rich`."""
    yield from (f"note: {note}" for note in plan.run.notes)
    yield f"{plan.topology.title}; mesh {mesh_text(plan)}; remat {_remat(plan)}; {_dtype(plan)}"
    yield verdict(plan)
    if plan.memory is not None:
        yield _memory_table(plan.memory, plan)
    yield _tensor_table(plan, all_tensors=all_tensors)
    if plan.compiled is not None and not plan.compiled.out_of_memory:
        yield _collective_table(plan)
    yield _cost_table(plan)


def search_tables(found: Found) -> Iterable[Any]:
    """What a search did, for a terminal; what it proposes is a plan of its own."""
    yield (
        f"{found.candidates:,} combinations of topology, mesh and remat policy estimated, "
        f"{len(found.compiled)} compiled"
    )
    if found.compiled:
        table = _table("Finalists", "topology", "mesh", "remat", "verdict")
        for plan in found.compiled:
            table.add_row(plan.topology.name, mesh_text(plan), _remat(plan), verdict(plan))
        yield table
    if found.best is not None:
        yield f"PROPOSED  {found.best.topology.name}"
    elif found.next_guess is not None:
        yield (
            f"NO FINALIST FITS  the next guess is {_candidate_text(found.next_guess)}; ask about "
            "larger topologies alone"
        )
    else:
        yield (
            f"NOTHING FITS  the least is {_candidate_text(found.smallest)}; give more chips, a "
            "smaller BATCH_SIZE or trainer.Trainer.num_microbatches"
        )


def _candidate_text(one: Candidate) -> str:
    return (
        f"{size(one.memory.total)} of {size(one.topology.chip.memory)} on {one.topology.title} "
        f"with mesh data x fsdp x tensor = {' x '.join(map(str, one.mesh))} and remat {one.policy}"
    )


def search_as_json(found: Found) -> dict[str, Any]:
    """What a search found, as plain data; the proposal is None where nothing fits."""
    return {
        "candidates": found.candidates,
        "proposal": None if found.best is None else as_json(found.best),
        "compiled": [
            {"topology": plan.topology.name, "mesh": plan.mesh, "remat_policy": _remat(plan),
             "fits": plan.fits, "bytes_needed": plan.needed}
            for plan in found.compiled
        ],
    }  # fmt: skip


def verdict(plan: Plan) -> str:
    """One sentence: fits or not, by how much, and how that is known."""
    how = "compiled"
    if plan.method != COMPILED:
        how = f"estimated, not compiled: {plan.why_not_compiled}"
    device = _device(plan)
    if plan.fits is None:
        return f"MEMORY  {size(plan.needed)} a {device}, whose limit is unknown ({how})"
    if plan.fits:
        return (
            f"FITS  {size(plan.needed)} of {size(plan.limit)} a {device}, "
            f"{size(plan.room)} free ({how})"
        )
    if plan.room >= 0:
        return (
            f"TOO TIGHT  {size(plan.needed)} of {size(plan.limit)} a {device} leaves no room for "
            f"the estimate's error ({how})"
        )
    if plan.compiled is not None and plan.compiled.out_of_memory and not plan.compiled.needed:
        return f"DOES NOT FIT  more than {size(plan.limit)} a {device} ({how})"
    return (
        f"DOES NOT FIT  {size(plan.needed)} of {size(plan.limit)} a {device}, "
        f"{size(-plan.room)} too much ({how})"
    )


def as_json(plan: Plan) -> dict[str, Any]:
    """Everything about a plan as plain data; bytes are of one device."""
    compiled = plan.compiled
    return {
        "topology": plan.topology.name,
        "chips": plan.topology.chips,
        "devices": plan.topology.devices,
        "slices": plan.topology.slices,
        "mesh": plan.mesh,
        "remat_policy": _remat(plan),
        "scan_layers": plan.run.model.config.scan_layers,
        "dtype": plan.run.model.config.dtype,
        "method": plan.method,
        "why_not_compiled": plan.why_not_compiled or None,
        "fits": plan.fits,
        "bytes_needed": plan.needed,
        "bytes_limit": plan.limit or None,
        "bytes": None if plan.memory is None else dataclasses.asdict(plan.memory),
        "replicated_bytes": plan.state.replicated_bytes,
        "out_of_memory": compiled.out_of_memory or None if compiled else None,
        "compile_seconds": compiled.seconds if compiled else None,
        "collectives": [dataclasses.asdict(one) for one in compiled.collectives]
        if compiled
        else None,
        "tensors": [_tensor_json(kind, placement) for kind, placement in _placements(plan)],
        "cost": dataclasses.asdict(plan.cost),
        "notes": list(plan.run.notes),
    }


def mesh_text(plan: Plan) -> str:
    """The mesh's axes that split something."""
    axes = [f"{name} {count}" for name, count in plan.mesh.items() if count > 1]
    return " x ".join(axes) or "of one device"


def size(count: float) -> str:
    """Bytes for people, in the unit of the compiler's limits."""
    for unit in ("B", "KiB", "MiB"):
        if abs(count) < 1024:
            return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"
        count /= 1024
    return f"{count:,.2f} GiB"


def _device(plan: Plan) -> str:
    """What bytes are counted on."""
    if plan.topology.chip.platform != "tpu":
        return {"gpu": "GPU", "cpu": "device"}[plan.topology.chip.platform]
    return "core (two a chip)" if plan.topology.chip.devices > 1 else "chip"


def _remat(plan: Plan) -> str:
    return plan.run.model.config.remat_policy


def _dtype(plan: Plan) -> str:
    scanned = "scanned" if plan.run.model.config.scan_layers else "unrolled"
    return f"{plan.run.model.config.dtype}, layers {scanned}"


def _table(title: str, *columns: str) -> Any:
    from rich.table import Table

    table = Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right", overflow="fold")
    return table


def _memory_table(memory: Memory, plan: Plan) -> Any:
    table = _table(f"Bytes a {_device(plan)}", "kind", "bytes", "share")
    for field, count in dataclasses.asdict(memory).items():
        if count:
            table.add_row(_KINDS[field], size(count), f"{100 * count / memory.total:.1f} %")
    table.add_row("together", size(memory.total), "")
    table.add_row(
        "of it kept more often than needed", size(plan.state.replicated_bytes), "", style="dim"
    )
    return table


def _placements(plan: Plan) -> Iterable[tuple[str, Any]]:
    yield from (("parameter", placement) for placement in plan.state.parameters)
    yield from (("optimizer", placement) for placement in plan.state.optimizer)


def _tensor_json(kind: str, placement: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "name": placement.name,
        "shape": list(placement.shape),
        "dims": list(placement.logical),
        "spec": [list(axes) if isinstance(axes, tuple) else axes for axes in placement.spec],
        "bytes": placement.bytes_per_device,
        "replicated_bytes": placement.replicated_bytes,
        "fallbacks": list(placement.fallbacks),
    }


def _tensor_table(plan: Plan, *, all_tensors: bool) -> Any:
    """Arrays, the largest first; like ones of several layers in one line."""
    groups: dict[tuple, list[Any]] = {}
    for _, placement in _placements(plan):
        name = placement.name if all_tensors else _LAYER.sub("layers_*", placement.name)
        key = (name, placement.shape, str(placement.spec))
        groups.setdefault(key, []).append(placement)
    rows = sorted(groups.items(), key=lambda item: -sum(p.bytes_per_device for p in item[1]))
    shown = rows if all_tensors else rows[:_SHOWN_TENSORS]
    left = len(rows) - len(shown)
    title = f"Arrays{f' ({left} smaller ones: --all_tensors)' if left else ''}"
    table = _table(title, "name", "shape", "split over", f"bytes a {_device(plan)}", "replicated")
    fallbacks: dict[str, None] = {}
    for (name, shape, _), placements in shown:
        times = f" x {len(placements)}" if len(placements) > 1 else ""
        dims = ", ".join(f"{d}={n}" for d, n in zip(placements[0].logical, shape, strict=True))
        table.add_row(
            f"{name}{times}",
            dims,
            _spec_text(placements[0].spec),
            size(sum(p.bytes_per_device for p in placements)),
            size(sum(p.replicated_bytes for p in placements)),
        )
    for (name, _, _), placements in rows:
        for reason in placements[0].fallbacks:
            fallbacks[f"{name}: {reason}"] = None
    if fallbacks:
        table.caption = "kept whole: " + "; ".join(fallbacks)
        table.caption_justify = "left"
    return table


def _spec_text(spec: Any) -> str:
    return ", ".join("-" if axes is None else str(axes) for axes in spec) or "-"


def _collective_table(plan: Plan) -> Any:
    slices = plan.topology.slices > 1
    columns = ["kind", "in the program", "times a step", f"bytes a {_device(plan)} and step"]
    table = _table("Collectives", *columns, *(["times across slices"] if slices else []))
    for one in plan.compiled.collectives:
        row = [one.kind, f"{one.instructions:,}", f"{one.times:,}", size(one.bytes)]
        table.add_row(*row, *([f"{one.across_slices:,}"] if slices else []))
    if not plan.compiled.collectives:
        table.add_row("none", "", "", "")
    return table


def _cost_table(plan: Plan) -> Any:
    cost = plan.cost
    table = _table("The whole run", "", "")
    more = f" + {cost.recomputed_flops:.3g} recomputed" if cost.recomputed_flops else ""
    table.add_row("FLOPs a step, all devices", f"{cost.step_flops:.4g}{more}")
    table.add_row("steps", f"{cost.steps:,}")
    table.add_row("input tokens", f"{cost.input_tokens:,}")
    table.add_row("FLOPs", f"{cost.step_flops * cost.steps:.4g}")
    if cost.hours is None:
        table.add_row("time", f"unknown: the peak of {plan.topology.chip.name} is not known")
        return table
    table.add_row(
        "supposed speed",
        f"{100 * cost.mfu:g} % of {cost.peak_flops / 1e12:,.0f} TFLOP/s "
        f"({cost.seconds_a_step:.3g} s a step)",
    )
    table.add_row("time", f"{cost.hours:,.1f} hours")
    table.add_row("chip-hours", f"{cost.chip_hours:,.0f}")
    if cost.price is not None:
        table.add_row("price", f"{cost.price:,.0f}")
    return table
