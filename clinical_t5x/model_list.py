"""Show the models that the registry knows: who they are, how to run them, what was published.

clinical-t5x models                 # all of them
clinical-t5x models t5_xl           # one, with everything
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from collections.abc import Sequence
from typing import Any

from clinical_t5x import console

_PIPE_WIDTH = 100  # of output that no terminal shows
_NARROWEST = 80


def main(argv: Sequence[str]) -> int:
    """Print the registry, or one row of it."""
    options = _parser().parse_args(argv)
    if options.model is not None and options.group is not None:
        raise console.UserError("name a model or a --group, not both")
    if options.model is None:
        return _show_all(options.group, as_json=options.json)
    return _show_one(options.model, as_json=options.json)


def _show_all(group: str | None, *, as_json: bool) -> int:
    from clinical_t5x.evaluation.registry import MODELS, screen

    rows = [row for row in MODELS.values() if group in (None, row.group)]
    if as_json:
        console.say_json({"models": [_as_json(row) for row in rows]})
        return console.EXIT_DONE
    terminal = _terminal()
    terminal.print(screen.overview(rows, terminal.width))
    console.say("\nTokens of pre-training, repetitions counted. – none, ? not known.")
    console.say("Next: clinical-t5x models MODEL shows where it is, how to run it, what the paper")
    console.say("      printed; clinical-t5x cost compares what models cost.")
    return console.EXIT_DONE


def _show_one(name: str, *, as_json: bool) -> int:
    from clinical_t5x.evaluation.registry import model_row, row_of_source

    row = row_of_source(name) or model_row(name)
    if as_json:
        console.say_json(_as_json(row))
        return console.EXIT_DONE
    terminal = _terminal()
    _print_facts(terminal, row)
    _print_published(terminal, row)
    console.say("\nTo run it (capitals are directories and names of yours):")
    for line in row.command.splitlines():
        console.say(f"  {line}")
    if "--task mednli" in row.command:
        console.say("and the same with --task radqa and --task clip.")
    return console.EXIT_DONE


def _print_facts(terminal: Any, row: Any) -> None:
    from rich.table import Table

    from clinical_t5x.evaluation.cost import model_cost
    from clinical_t5x.evaluation.cost import screen as cost_screen
    from clinical_t5x.evaluation.registry import screen

    terminal.print(f"[bold]{row.name}[/bold]\n")
    grid = Table.grid(padding=(0, 2))
    for label, text in [*screen.facts(row), *cost_screen.facts(model_cost(row.key))]:
        grid.add_row(label, _plain(text))
    for index, note in enumerate(row.notes):
        grid.add_row("" if index else "notes", _plain(f"- {note}"))
    terminal.print(grid)


def _print_published(terminal: Any, row: Any) -> None:
    from clinical_t5x.evaluation.registry import screen

    tables, footnotes = screen.published_tables(row, terminal.width)
    if not tables:
        console.say("\nThe paper does not have this model.")
        return
    terminal.print("\n[bold]Published[/bold] (Lehman et al. 2023; mean ± std over seeds)")
    for table in tables:
        terminal.print()
        terminal.print(table)
    terminal.print()
    for index, footnote in enumerate(footnotes, start=1):
        terminal.print(_plain(f"{screen.superscript(index)} {footnote}"))
    errata = screen.errata_of(row)
    if errata:
        terminal.print("\n[bold]Contradictions in the paper[/bold]")
    for erratum in errata:
        terminal.print(_plain(f"- {erratum}"))


def _plain(text: str) -> Any:
    """A text whose brackets are brackets."""
    from rich.text import Text

    return Text(text)


def _terminal() -> Any:
    from rich.console import Console

    chosen = sys.stdout.isatty() or os.environ.get("COLUMNS")
    terminal = Console(highlight=False, width=None if chosen else _PIPE_WIDTH)
    terminal.width = max(terminal.width, _NARROWEST)
    return terminal


def _as_json(row: Any) -> dict[str, Any]:
    from clinical_t5x.evaluation.cost import model_cost
    from clinical_t5x.evaluation.registry import published

    return {
        **dataclasses.asdict(row),
        "published": [dataclasses.asdict(one) for one in published.numbers(model=row.key)],
        "errata": [dataclasses.asdict(one) for one in published.ERRATA if row.key in one.models],
        "cost": dataclasses.asdict(model_cost(row.key)),
    }


def _parser() -> argparse.ArgumentParser:
    from clinical_t5x.evaluation.registry.row import GROUPS

    parser = argparse.ArgumentParser(
        prog="clinical-t5x models",
        description="Show the models of the registry: the paper's sixteen and some of today.",
    )
    parser.add_argument("model", nargs="?", help="one model, by its key or Hugging Face id")
    parser.add_argument("--group", choices=GROUPS, help="only these")
    parser.add_argument("--json", action="store_true", help="everything, as one JSON line")
    return parser


if __name__ == "__main__":
    console.run_command(main)
