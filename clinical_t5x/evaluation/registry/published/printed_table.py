"""Numbers read from a table that is typed as the paper prints it, so that eyes can compare."""

from __future__ import annotations

from collections.abc import Iterator

Cell = tuple[float, float | None]


def rows(table: str) -> Iterator[tuple[str, list[Cell]]]:
    """Each line's first word and its cells, "mean±std" or "mean" alone."""
    for line in table.strip().splitlines():
        name, *cells = line.split()
        yield name, [_cell(cell) for cell in cells]


def _cell(text: str) -> Cell:
    mean, _, std = text.partition("±")
    return float(mean), float(std) if std else None
