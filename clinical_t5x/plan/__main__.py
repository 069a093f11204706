"""Plan a training run: `python -m clinical_t5x.plan --gin_file=FILE --topology=v5e:4x4`.

Compiles the run's very train step for hardware that is not here, and says whether it fits, what it
needs, and what it costs. No data, vocabulary, checkpoint or accelerator is needed.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterable, Sequence
from typing import Any

from clinical_t5x import console
from clinical_t5x.plan import devices, topology

_EPILOG = """
Also all flags of python -m t5x.train: --gin_file=FILE (repeatable), --gin.NAME=VALUE,
--gin_search_paths, --data_dir.

topologies: v5e:4x4 (chips of a slice), v4:2x2x2, 2xv5p:4x4x4 (two slices), v3:2x2, tpu7x:2x2x1,
  h100:8 (GPUs of a host), h100:2x8 (hosts x GPUs), cpu:8 (pretended devices); Google Cloud's names
  (v4-16, v5litepod-16) are translated. With --search also a chip alone (v5e), or several with
  commas: the smallest topology is searched among those.

exit code: 0 when a plan was made, whether the run fits or not (--json says "fits"); 2 when the
  configuration, the mesh or the topology is impossible.
"""


def main(argv: Sequence[str]) -> int:
    """Plan, print, and end with JSON where it is asked for."""
    options, rest = _parser().parse_known_args(argv)
    options.run_flags = rest
    _check(options)
    candidates = _candidates(options)
    devices.prepare_process(candidates)

    from clinical_t5x.launch.flags import parse_flags
    from clinical_t5x.plan.run import planned_run, platform_of

    flags = parse_flags("train", rest)
    for notice in filter(None, map(topology.cloud_meaning, options.topology.split(","))):
        console.say(f"note: {notice}")
    with planned_run(flags, platform_of(candidates)) as run:
        if options.search:
            return _search(run, candidates, options)
        return _plan(run, candidates[0], options)


def _plan(run: Any, chosen: topology.Topology, options: argparse.Namespace) -> int:
    from clinical_t5x.plan import report
    from clinical_t5x.plan.verdict import plan_run

    plan = plan_run(
        run,
        chosen,
        mfu=options.mfu,
        price_per_chip_hour=options.price_per_chip_hour,
        may_compile=not options.arithmetic,
    )
    _print(report.tables(plan, all_tensors=options.all_tensors))
    if options.json:
        console.say_json(report.as_json(plan))
    return console.EXIT_DONE


def _search(run: Any, candidates: Sequence[topology.Topology], options: argparse.Namespace) -> int:
    from clinical_t5x.plan import report
    from clinical_t5x.plan.search import search

    found = search(
        run,
        candidates,
        mfu=options.mfu,
        price_per_chip_hour=options.price_per_chip_hour,
        may_compile=not options.arithmetic,
    )
    _print(report.search_tables(found))
    if found.best is not None:
        _print(report.tables(found.best, all_tensors=options.all_tensors))
        console.say(f"next: {_train_command(found.best, options)}")
    if options.json:
        console.say_json(report.search_as_json(found))
    return console.EXIT_DONE


def _train_command(plan: Any, options: argparse.Namespace) -> str:
    """The run's command with what the search proposes."""
    mesh = [plan.mesh[axis] for axis in ("data", "fsdp", "tensor")]
    bindings = {
        "partitioning.PjitPartitioner.num_partitions": None,
        "partitioning.PjitPartitioner.model_parallel_submesh": None,
        "partitioning.PjitPartitioner.ici_mesh_shape": f"({','.join(map(str, mesh))})",
        "network.T5Config.scan_layers": True,
        # quoted for gin, which would take none for None
        "network.T5Config.remat_policy": f'"{plan.run.model.config.remat_policy}"',
    }
    flags = [f"--gin.{name}={value}" for name, value in bindings.items()]
    return shlex.join(["python", "-m", "t5x.train", *options.run_flags, *flags])


def _print(parts: Iterable[Any]) -> None:
    import sys

    from rich.console import Console

    # Off a terminal rich takes 80 columns and would break the tables.
    width = None if sys.stdout.isatty() else 140
    terminal = Console(width=width, highlight=False, markup=False)
    for part in parts:
        if isinstance(part, str):
            terminal.print(part, soft_wrap=True)
        else:
            terminal.print()
            terminal.print(part)


def _candidates(options: argparse.Namespace) -> list[topology.Topology]:
    if options.search:
        return topology.read_candidates(options.topology)
    return [topology.read_topology(options.topology)]


def _check(options: argparse.Namespace) -> None:
    if options.topology is None:
        raise console.UserError(
            "no topology; name the hardware, such as --topology=v5e:4x4, or a chip with --search"
        )
    if not 0 < options.mfu <= 1:
        raise console.UserError(f"--mfu={options.mfu:g}: give a share of peak, above 0 and up to 1")
    if options.price_per_chip_hour is not None and options.price_per_chip_hour < 0:
        raise console.UserError("--price_per_chip_hour must not be negative")


def _parser() -> argparse.ArgumentParser:
    from clinical_t5x.plan.cost import DEFAULT_MFU

    parser = argparse.ArgumentParser(
        prog="python -m clinical_t5x.plan",
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Say whether a training run fits hardware that is not here, and what it costs.",
        epilog=_EPILOG,
    )
    add = parser.add_argument
    add("--topology", metavar="NAME", help="the hardware, such as v5e:4x4")
    add("--search", action="store_true", help="find topology, mesh and remat policy")
    add("--arithmetic", action="store_true", help="estimate; do not compile")
    add("--mfu", type=float, default=DEFAULT_MFU, metavar="SHARE",
        help="supposed model FLOP/s over the peak (%(default)s, as recipes plan)")  # fmt: skip
    add("--price_per_chip_hour", type=float, metavar="P", help="of one chip, in any currency")
    add("--all_tensors", action="store_true", help="show every array, not the largest")
    add("--json", action="store_true", help="end with everything as one line of JSON")
    return parser


if __name__ == "__main__":
    console.run_command(main)
