"""Compare what models cost: FLOPs, the break-even of two, chip-hours and prices.

clinical-t5x cost                                             # Table 3 of the paper, corrected
clinical-t5x cost --break_even clinical_t5_large flan_t5_xxl  # when is the first cheaper?
clinical-t5x cost --chip v5e --price_per_chip_hour 1.5        # pre-training, as time and money
clinical-t5x cost --config models/my_encoder --length 512     # any model, counted exactly
clinical-t5x cost --endpoint_tokens 3M,90k --price_per_million 2,8   # what a server bills
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
import sys
from collections.abc import Sequence
from typing import Any

from clinical_t5x import console
from clinical_t5x.console import UserError

_PIPE_WIDTH = 100  # of output that no terminal shows
_NARROWEST = 80
_SUFFIXES = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}


def main(argv: Sequence[str]) -> int:
    """Print what was asked for, by default the corrected Table 3 and the paper's break-even."""
    options = _parser().parse_args(argv)
    others = [name for name in ("config", "run", "endpoint_tokens") if getattr(options, name)]
    if len(others) > 1 or (others and options.csv is not None):
        raise UserError(f"--{others[0]} is a question of its own: ask one at a time")
    if options.config is not None:
        summary = _count_config(options)
    elif options.run is not None:
        summary = _show_run(options)
    elif options.endpoint_tokens is not None:
        summary = _bill(options)
    else:
        summary = _compare(options)
    if options.json:
        console.say_json(summary)
    return console.EXIT_DONE


def _compare(options: argparse.Namespace) -> dict[str, Any]:
    """Table 3, the break-even of two models, and chip-hours where a chip is named."""
    from clinical_t5x.evaluation.cost import model_costs, screen
    from clinical_t5x.evaluation.registry import MODELS, model_row

    if options.models is not None:
        keys = [model_row(key).key for key in options.models.split(",")]
    else:
        keys = [key for key, row in MODELS.items() if options.group in ("all", row.group)]
    costs = model_costs(keys)
    found = _break_even(options)
    times = _times(options, costs)
    terminal = _terminal()
    terminal.print(screen.table_3(costs, terminal.width))
    terminal.print(f"\n{screen.CAPTION}\n", markup=False)
    for line in screen.break_even_lines(found, options.tokens_a_year):
        terminal.print(line, markup=False)
    terminal.print()
    terminal.print(screen.sides_table(found))
    terminal.print(f"\n{screen.SIDES_CAPTION}", markup=False)
    for title, works in times.items():
        of_share = f"{options.mfu:.0%} of the peak of {options.chip}"
        terminal.print(f"\n[bold]{title} at {of_share}[/bold]\n")
        terminal.print(screen.time_table(works))
    if options.csv is not None:
        _write_csv(options.csv, screen.flat_rows(costs))
        terminal.print(f"\nWritten: {options.csv}", markup=False)
    console.say("\nNext: clinical-t5x cost --help shows other questions; clinical-t5x report")
    console.say("      --paper draws scores against these FLOPs.")
    return {
        "models": [_cost_json(cost) for cost in costs],
        "break_even": screen.break_even_json(found, options.tokens_a_year),
        "times": {
            title: [dataclasses.asdict(work) for work in works] for title, works in times.items()
        },
    }


def _cost_json(cost: Any) -> dict[str, Any]:
    return {**dataclasses.asdict(cost), "total": cost.pretraining.total}


def _break_even(options: argparse.Namespace) -> Any:
    from clinical_t5x.evaluation.cost import break_even

    first, second = options.break_even
    weights = [None, None] if options.weights is None else _pair("weights", options.weights)
    sides = [
        _side(first, weights[0], options, options.pretraining_tokens, pays=True),
        _side(second, weights[1], options, None, pays=False),
    ]
    return break_even(*sides)


def _side(
    model: str,
    weight: float | None,
    options: argparse.Namespace,
    pretraining_tokens: float | None,
    *,
    pays: bool,
) -> Any:
    """A key of the registry, or NAME=PARAMETERS, as one side."""
    from clinical_t5x.evaluation.cost import Side, side_of_model

    name, equals, parameters = model.partition("=")
    if not equals:
        return side_of_model(
            model,
            weight=weight,
            pays_pretraining=pays,
            pretraining_tokens=pretraining_tokens,
            fine_tuning_tokens=options.fine_tuning_tokens,
            exact=options.exact,
        )
    if options.exact:
        raise UserError(f"--exact knows nothing of {model}: leave it out, or name a model")
    return Side.of_parameters(
        name,
        _amount(parameters),
        weight=1.0 if weight is None else weight,
        pretraining_tokens=pretraining_tokens or 0.0,
        fine_tuning_tokens=options.fine_tuning_tokens,
    )


def _pair(flag: str, text: str) -> list[float]:
    parts = text.split(",")
    if len(parts) != 2:
        raise UserError(f"--{flag} {text}: two numbers with a comma between")
    return [_amount(part) for part in parts]


def _times(options: argparse.Namespace, costs: Sequence[Any]) -> dict[str, list[Any]]:
    """Chip-hours of pre-training, where its FLOPs are known, and of reading, by title."""
    if options.chip is None:
        for flag in ("price_per_chip_hour", "read"):
            if getattr(options, flag) is not None:
                raise UserError(f"--{flag} needs --chip, such as --chip v5e")
        return {}
    works = {"Pre-training": {cost.key: cost.pretraining.total for cost in costs}}
    if options.read is not None:
        title = f"Reading {options.read / 1e9:,.4g}B tokens (2 P T)"
        works[title] = {cost.key: cost.inference_per_token * options.read for cost in costs}
    return {title: _timed(of_models, options) for title, of_models in works.items()}


def _timed(work: dict[str, float | None], options: argparse.Namespace) -> list[Any]:
    from clinical_t5x.evaluation.cost.hardware import priced_work
    from clinical_t5x.evaluation.registry import model_row

    chip = _chip(options.chip)
    return [
        priced_work(
            model_row(key).name,
            flops,
            chip.device_kind,
            mfu=options.mfu,
            devices_a_chip=chip.devices,
            price_per_chip_hour=options.price_per_chip_hour,
        )
        for key, flops in work.items()
        if flops is not None
    ]


def _bill(options: argparse.Namespace) -> dict[str, Any]:
    """What a server that bills by tokens takes."""
    from clinical_t5x.evaluation.cost.hardware import endpoint_price

    if options.price_per_million is None:
        raise UserError("--endpoint_tokens needs --price_per_million IN,OUT: none is built in")
    read, written = _pair("endpoint_tokens", options.endpoint_tokens)
    per_input, per_output = _pair("price_per_million", options.price_per_million)
    price = endpoint_price(
        read, written, per_million_input=per_input, per_million_output=per_output
    )
    console.say(f"{read:,.0f} tokens read and {written:,.0f} written: {price:,.2f}")
    return {"input_tokens": read, "output_tokens": written, "price": price}


def _chip(name: str) -> Any:
    from clinical_t5x.plan.chips import CHIPS, SYNONYMS

    known = SYNONYMS.get(name.lower(), name.lower())
    if known not in CHIPS:
        raise UserError(f"no chip is called {name!r}; there are {', '.join(CHIPS)}")
    return CHIPS[known]


def _count_config(options: argparse.Namespace) -> dict[str, Any]:
    """The exact count of one model at given lengths."""
    from clinical_t5x.evaluation.cost import screen
    from clinical_t5x.evaluation.cost.config_file import read_sizes
    from clinical_t5x.evaluation.cost.forward import (
        forward_flops,
        generation_flops,
        training_flops_exact,
    )

    if options.length < 1 or options.targets < 1:
        raise UserError("--length and --targets must be at least 1")
    sizes = read_sizes(options.config)
    targets = options.targets if sizes.decoder is not None and sizes.encoder is not None else 0
    counts = {
        "forward": forward_flops(sizes, options.length, targets_length=targets),
        "training": training_flops_exact(sizes, options.length, targets_length=targets),
    }
    if sizes.decoder is not None:
        counts["writing"] = generation_flops(sizes, options.length, options.targets)
    console.say(
        f"{options.config}: {sizes.matrix_parameters:,} parameters in embeddings and matrices;"
        f" one sequence of {options.length:,} tokens"
        + (f", {options.targets:,} written" if sizes.decoder is not None else "")
    )
    terminal = _terminal()
    terminal.print()
    terminal.print(screen.count_table(counts))
    return {
        "matrix_parameters": sizes.matrix_parameters,
        "length": options.length,
        "targets": options.targets,
        **{
            name: {**dataclasses.asdict(flops), "total": flops.total}
            for name, flops in counts.items()
        },
    }


def _show_run(options: argparse.Namespace) -> dict[str, Any]:
    """What a training run took."""
    from clinical_t5x.evaluation.cost import screen
    from clinical_t5x.evaluation.cost.measured import measured_run

    run = measured_run(options.run)
    terminal = _terminal()
    terminal.print(screen.run_grid(run, options.price_per_hour))
    summary = dataclasses.asdict(run)
    if options.price_per_hour is not None:
        summary["price"] = run.hours * options.price_per_hour
    return summary


def _write_csv(path: str, rows: Sequence[dict[str, Any]]) -> None:
    from clinical_t5x.evaluation.report.csv_rows import csv_of
    from clinical_t5x.storage import write_text_atomically

    write_text_atomically(path, csv_of(list(rows[0]), rows))


def _terminal() -> Any:
    from rich.console import Console

    chosen = sys.stdout.isatty() or os.environ.get("COLUMNS")
    terminal = Console(highlight=False, width=None if chosen else _PIPE_WIDTH)
    terminal.width = max(terminal.width, _NARROWEST)
    return terminal


def _amount(text: str) -> float:
    """A number, such as 38e9 or 38B."""
    found = re.fullmatch(r"([0-9.]+(?:e[0-9]+)?)([kmbt]?)", text.strip().lower())
    try:
        return float(found[1]) * _SUFFIXES[found[2]]
    except (TypeError, ValueError):
        raise UserError(f"{text!r} is no amount; write it like 38e9 or 38B") from None


def _parser() -> argparse.ArgumentParser:
    from clinical_t5x.evaluation.registry.row import GROUPS, PAPER

    parser = argparse.ArgumentParser(
        prog="clinical-t5x cost",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    table = parser.add_argument_group("which models")
    table.add_argument(
        "--group", choices=(*GROUPS, "all"), default=PAPER, help="lines of the table (%(default)s)"
    )
    table.add_argument("--models", metavar="A,B", help="lines of the table, by key")
    _add_break_even(parser)
    _add_money(parser)
    other = parser.add_argument_group("other questions")
    other.add_argument(
        "--config", metavar="DIR", help="count any model by its Hugging Face config.json"
    )
    other.add_argument("--length", type=int, default=512, help="tokens that it reads (%(default)s)")
    other.add_argument("--targets", type=int, default=8, help="tokens it writes (%(default)s)")
    other.add_argument("--run", metavar="MODEL_DIR", help="what a training run took")
    parser.add_argument("--csv", metavar="FILE", help="write the table")
    parser.add_argument("--json", action="store_true", help="end with everything in JSON")
    return parser


def _add_break_even(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("break-even")
    add = group.add_argument
    add(
        "--break_even",
        nargs=2,
        default=("clinical_t5_large", "t5_xl"),
        metavar=("FIRST", "SECOND"),
        help="when is FIRST, which must be pre-trained, cheaper than SECOND, which is there?"
        " Keys, or NAME=PARAMETERS (default: the paper's clinical_t5_large t5_xl)",
    )
    add("--weights", metavar="W,W", help="of the two vocabularies; default what is known of them")
    add(
        "--pretraining_tokens",
        type=_argument,
        metavar="N",
        help="that FIRST still has to see; default its clinical tokens",
    )
    add(
        "--fine_tuning_tokens",
        type=_argument,
        default=0.0,
        metavar="N",
        help="of each (%(default)g)",
    )
    add("--exact", action="store_true", help="cost of a token counted exactly, not 6 P and 2 P")
    add(
        "--tokens_a_year",
        type=_argument,
        default=15e9,
        metavar="N",
        help="to turn volume into years (15B: the paper's figure for UF Health)",
    )


def _add_money(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("time and money (no price is built in; any currency)")
    add = group.add_argument
    add("--chip", metavar="NAME", help="chip-hours of pre-training, on v3, v5e, h100, ...")
    add("--read", type=_argument, metavar="N", help="and of reading N tokens")
    add("--mfu", type=float, default=0.4, metavar="SHARE", help="supposed part of the peak (0.4)")
    add("--price_per_chip_hour", type=_argument, metavar="P", help="of one chip")
    add("--endpoint_tokens", metavar="IN,OUT", help="tokens that a server reads and writes")
    add("--price_per_million", metavar="IN,OUT", help="what it takes for a million of each")
    add("--price_per_hour", type=_argument, metavar="P", help="of all devices of --run")


def _argument(text: str) -> float:
    try:
        return _amount(text)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


if __name__ == "__main__":
    console.run_command(main)
