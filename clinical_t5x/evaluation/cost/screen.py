"""Costs for a terminal of any width, and as flat rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from clinical_t5x.evaluation.cost.break_even import BreakEven, break_even
from clinical_t5x.evaluation.cost.forward import Flops
from clinical_t5x.evaluation.cost.hardware import PricedWork
from clinical_t5x.evaluation.cost.measured import MeasuredRun
from clinical_t5x.evaluation.cost.model_costs import (
    KINDS,
    READ_TOKENS,
    WRITTEN_TOKENS,
    ModelCost,
)
from clinical_t5x.evaluation.registry import model_row
from clinical_t5x.evaluation.registry.screen import billions, plain_table

NONE, UNKNOWN = "–", "?"

_ROOM_FOR_ONE_LINE = 110  # a wrong cell's two values side by side
_ROOM_FOR_TOTAL = 90


def flops(value: float | None, digits: int = 3) -> str:
    """In scientific notation without its padding: 4.49e19."""
    if value is None:
        return UNKNOWN
    if not value:
        return NONE
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def as_printed(value: float | None) -> str:
    """As the paper's Table 3 has it, to two digits."""
    return flops(value, digits=2)


def facts(cost: ModelCost) -> list[tuple[str, str]]:
    """A model's costs as labels and texts."""
    total = cost.pretraining.total
    pretraining = "not known" if total is None else f"{flops(total)} FLOPs (6 P T)"
    for kind in cost.wrong_cells:
        right, printed = getattr(cost.pretraining, kind), getattr(cost.printed, kind)
        pretraining += f"; {kind} {flops(right)}, where Table 3 prints {as_printed(printed)}"
    inference = f"{flops(cost.inference_per_token)} FLOPs a token (2 P)"
    if cost.exact_per_token is not None:
        inference += f", {flops(cost.exact_per_token)} counted exactly"
    return [("pre-training", pretraining), ("inference", inference)]


def table_3(costs: Iterable[ModelCost], width: int) -> Any:
    """FLOPs of pre-training by kind of text, and of inference for each token.

    Args:
      costs: One for each line.
      width: Columns of the terminal.
    """
    table = plain_table()
    table.add_column("model", no_wrap=True)
    with_total = width >= _ROOM_FOR_TOTAL
    headings = [*KINDS, *(["total"] if with_total else []), "2 P", "exact"]
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for cost in costs:
        cells = [_cell(cost, kind, one_line=width >= _ROOM_FOR_ONE_LINE) for kind in KINDS]
        total = [flops(cost.pretraining.total)] if with_total else []
        per_token = [flops(cost.inference_per_token), flops(cost.exact_per_token)]
        table.add_row(model_row(cost.key).name, *cells, *total, *per_token)
    return table


def _cell(cost: ModelCost, kind: str, *, one_line: bool) -> str:
    right = flops(getattr(cost.pretraining, kind))
    if kind not in cost.wrong_cells:
        return right
    return f"{right}{' ' if one_line else chr(10)}({as_printed(getattr(cost.printed, kind))})"


CAPTION = (
    "FLOPs of pre-training by kind of text (6 P T); for each token of inference by the rule (2 P)"
    f" and counted product by product (exact: reading {READ_TOKENS} tokens, and writing"
    f" {WRITTEN_TOKENS} where the model writes). In brackets: what the paper's Table 3 prints,"
    " which lacks the factor 6. – none, ? not known."
)


def flat_rows(costs: Iterable[ModelCost]) -> list[dict[str, Any]]:
    """One flat row for each model, for CSV: numbers in full, empty where not known."""
    rows = []
    for cost in costs:
        row = model_row(cost.key)
        line: dict[str, Any] = {"model": cost.key, "name": row.name, "parameters": row.parameters}
        for kind in KINDS:
            line[f"{kind}_flops"] = getattr(cost.pretraining, kind)
        line["total_flops"] = cost.pretraining.total
        for kind in KINDS:
            line[f"{kind}_flops_printed"] = (
                None if cost.printed is None else getattr(cost.printed, kind)
            )
        line["wrong_in_paper"] = " ".join(cost.wrong_cells)
        line["inference_flops_per_token"] = cost.inference_per_token
        line["exact_inference_flops_per_token"] = cost.exact_per_token
        rows.append(line)
    return rows


def break_even_lines(found: BreakEven, tokens_a_year: float) -> Iterator[str]:
    """The answer in words."""
    yield f"{found.sentence()}."
    years = found.years(tokens_a_year)
    if years is not None:
        yield f"At {tokens_a_year / 1e9:,.4g}B tokens a year: {years:.1f} years."
    if found.first.weight != found.second.weight:
        second = dataclasses.replace(found.second, weight=found.first.weight)
        alike = break_even(found.first, second)
        yield f"If both vocabularies weighed the same: {alike.sentence()}."


def sides_table(found: BreakEven) -> Any:
    """What a break-even was computed from."""
    table = plain_table()
    table.add_column("", no_wrap=True)
    for heading in ("training", "inference", "pre-training to pay", "vocabulary"):
        table.add_column(heading, justify="right", no_wrap=True)
    for side in (found.first, found.second):
        table.add_row(
            side.name,
            flops(side.training),
            flops(side.inference),
            billions(side.pretraining_tokens),
            f"{side.weight:g}",
        )
    return table


SIDES_CAPTION = (
    "FLOPs a token; tokens; tokens of a clinical text in the model's vocabulary over those in"
    " Clinical-T5's (1 where nobody has measured it)."
)


def break_even_json(found: BreakEven, tokens_a_year: float) -> dict[str, Any]:
    """The same as values."""
    return {
        **dataclasses.asdict(found),
        "sentence": found.sentence(),
        "years": found.years(tokens_a_year),
        "tokens_a_year": tokens_a_year,
    }


def time_table(works: Sequence[PricedWork]) -> Any:
    """Chip-hours and, where there are any, prices."""
    table = plain_table()
    table.add_column("model", no_wrap=True)
    priced = any(work.price is not None for work in works)
    for heading in ("FLOPs", "chip-hours", *(["price"] if priced else [])):
        table.add_column(heading, justify="right", no_wrap=True)
    for work in works:
        price = [f"{work.price:,.0f}"] if priced else []
        table.add_row(work.name, flops(work.flops), f"{work.chip_hours:,.0f}", *price)
    return table


def count_table(counts: Mapping[str, Flops]) -> Any:
    """Exact counts, a line for each."""
    table = plain_table()
    table.add_column("", no_wrap=True)
    for heading in ("matrices", "attention", "output", "total"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, count in counts.items():
        values = (count.matrices, count.attention, count.output, count.total)
        table.add_row(name, *(f"{value:,.0f}" for value in values))
    return table


def run_grid(run: MeasuredRun, price_per_hour: float | None) -> Any:
    """What a run took, as labels and values."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_row("steps", f"{run.steps:,}")
    grid.add_row("tokens", f"{run.tokens:,.0f} (inputs and targets, without padding)")
    grid.add_row("FLOPs", "not counted" if run.flops is None else flops(run.flops))
    grid.add_row("hours", f"{run.hours:,.2f}, {run.step_hours:,.2f} of them on steps")
    if price_per_hour is not None:
        grid.add_row("price", f"{run.hours * price_per_hour:,.2f}")
    return grid
