"""The table of docs/planning.md: what pre-training recipes need on slices, compiled for each.

    python benchmarks/plan_table.py [--minutes 35] [--only v5e] [--docs docs/planning.md]

Needs libtpu (pip install -e '.[tpu]') and no TPU. Every case is the recipe's own train step with a
mesh of gin/meshes, compiled as `python -m clinical_t5x.plan` compiles it. Cases that were compiled
before with the same program and versions are read from the cache; where time runs out the others
stand in the table as estimates, unless the table has them compiled by the same versions already.
Rows of the same versions stay until their case is done.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import platform
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from clinical_t5x import console
from clinical_t5x.plan import devices, topology

START, END = "<!-- plan_table: written by benchmarks/plan_table.py -->", "<!-- plan_table: end -->"

_COMPILED, _ESTIMATED = "(compiled)", "(estimated)"


@dataclasses.dataclass(frozen=True)
class Case:
    """A recipe, the mesh file that its header or the documentation names, and the hardware."""

    recipe: str
    mesh: str
    topology: str
    more: tuple[str, ...] = ()


_FULL = ("--gin.network.T5Config.remat_policy=full",)

# Planned topologies of the recipes first, then the other slices.
CASES = (
    Case("clinical_base", "v3_8", "v3:2x2"),
    Case("clinical_large", "v3_8", "v3:2x2"),
    Case("clinical_xl", "v4_64", "v4:2x4x4"),
    Case("clinical_base", "v4_8", "v4:2x2x1"),
    Case("clinical_large", "v4_8", "v4:2x2x1"),
    Case("clinical_large", "v5e_16", "v5e:4x4"),
    Case("clinical_base", "v5e_16", "v5e:4x4"),
    Case("clinical_xl", "v5e_64", "v5e:8x8"),
    Case("clinical_xl", "v5p_16", "v5p:2x2x2"),
    Case("clinical_large", "v5p_16", "v5p:2x2x2"),
    Case("clinical_base", "v5p_16", "v5p:2x2x2"),
    Case("paper_clinical_base", "v3_8", "v3:2x2"),
    Case("paper_clinical_large", "v3_8", "v3:2x2"),
    Case("clinical_base_ckpt", "v3_8", "v3:2x2"),
    Case("clinical_sci", "v3_8", "v3:2x2"),
    Case("clinical_xl", "v5e_16", "v5e:4x4", _FULL),
    Case("clinical_xl", "v3_8", "v3:2x2", _FULL),
    Case("clinical_large", "v6e_8", "v6e:2x4"),
    Case("clinical_xl", "v6e_8", "v6e:2x4", _FULL),
    Case("clinical_large", "v5e_16", "2xv5e:4x4"),
)


def main(argv: Sequence[str]) -> int:
    """Compile what time allows, and write the table after each case."""
    parser = argparse.ArgumentParser(description="Compile recipes for slices; write the table.")
    parser.add_argument("--minutes", type=float, default=35, help="begin no case after that")
    parser.add_argument("--only", default="", help="cases whose topology contains this")
    parser.add_argument("--docs", type=Path, default=Path("docs/planning.md"))
    options = parser.parse_args(argv)
    chosen = [case for case in CASES if options.only in case.topology]
    devices.prepare_process([])
    begun = time.monotonic()
    rows: dict[Case, str] = {}
    for case in chosen:
        in_time = time.monotonic() - begun < 60 * options.minutes
        rows[case] = _row(case, may_compile=in_time)
        console.say(rows[case])
        _write(options.docs, list(rows.values()))
    return console.EXIT_DONE


def _row(case: Case, *, may_compile: bool) -> str:
    from clinical_t5x.launch.flags import parse_flags
    from clinical_t5x.plan import report
    from clinical_t5x.plan.cost import DEFAULT_MFU
    from clinical_t5x.plan.run import planned_run
    from clinical_t5x.plan.verdict import plan_run

    files = [f"--gin_file=gin/{case.recipe}.gin", f"--gin_file=gin/meshes/{case.mesh}.gin"]
    slices = topology.read_topology(case.topology)
    given = [f"--gin.{name}=x" for name in _given(case.recipe)]
    with planned_run(parse_flags("train", [*files, *given, *case.more]), "tpu") as run:
        plan = plan_run(run, slices, mfu=DEFAULT_MFU, may_compile=may_compile)
    if plan.memory is None:
        cells = ["", "", "", f"{report.size(plan.needed)}"]
    else:
        memory = plan.memory
        cells = [
            report.size(memory.parameters + memory.optimizer + memory.batch + memory.layout),
            report.size(memory.temporaries + memory.outputs),
            report.size(memory.code),
            report.size(plan.needed),
        ]
    moved = ""
    if plan.compiled is not None:
        moved = ", ".join(
            f"{one.kind} {report.size(one.bytes)}" for one in plan.compiled.collectives
        )
    verdict = "fits" if plan.fits else "too tight" if plan.room >= 0 else "does not fit"
    how = _COMPILED if plan.compiled is not None else _ESTIMATED
    cost = plan.cost
    columns = [
        case.recipe, plan.topology.name, report.mesh_text(plan), run.model.config.remat_policy,
        f"{verdict} {how}", *cells, report.size(plan.limit), moved,
        f"{cost.hours:,.0f}", f"{cost.chip_hours:,.0f}",
    ]  # fmt: skip
    return f"| {' | '.join(columns)} |"


def _given(recipe: str) -> Iterator[str]:
    """Macros that a recipe leaves to the command line."""
    if recipe in ("clinical_base_ckpt", "clinical_sci"):
        yield "INITIAL_CHECKPOINT_PATH"


def _write(docs: Path, rows: list[str]) -> None:
    versions = devices.compiler_version(topology.read_topology("v4-8"))
    where = ", ".join(f"{name} {version}" for name, version in versions.items())
    head = [
        f"Measured on {time.strftime('%Y-%m-%d')} with {where}, Python {platform.python_version()}, "
        f"on a machine of {os.cpu_count()} CPU cores without a TPU.",
        "",
        "| recipe | topology | mesh | remat | verdict | state and batch | temporaries | code "
        "| together | limit | collectives a step | hours | chip-hours |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    text = docs.read_text()
    before, rest = text.split(START)
    table, after = rest.split(END)
    if f" with {where}, " in table:
        rows = _together(table, rows)
    docs.write_text("\n".join([before + START, *head, *rows, END]) + after)


def _together(table: str, rows: list[str]) -> list[str]:
    """The table's rows and the new ones, which replace those of their cases.

    An estimate does not replace what was compiled.
    """
    of_case = {
        _case(row): row for row in table.splitlines() if _COMPILED in row or _ESTIMATED in row
    }
    for row in rows:
        if _COMPILED in row or _COMPILED not in of_case.get(_case(row), ""):
            of_case[_case(row)] = row
    return list(of_case.values())


def _case(row: str) -> str:
    """Recipe, topology, mesh and remat policy."""
    return "|".join(row.split("|")[:5])


if __name__ == "__main__":
    console.run_command(main)
