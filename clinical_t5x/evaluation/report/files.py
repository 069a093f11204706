"""The files of a report: one page, and beside it tables and pictures for a paper."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from etils import epath

from clinical_t5x.evaluation.report import (
    cost_table,
    latex,
    learning_curve,
    significance,
    text,
)
from clinical_t5x.evaluation.report.collect import ReportData
from clinical_t5x.evaluation.report.page import page
from clinical_t5x.evaluation.report.picture import Picture
from clinical_t5x.storage import process_name, write_text_atomically


def write_report(
    data: ReportData,
    pictures: Sequence[Picture],
    out: str | os.PathLike,
    *,
    wrote: Callable[[], None] = lambda: None,
) -> list[epath.Path]:
    """Write REPORT.html and its neighbours REPORT.md, REPORT.csv, REPORT_main.tex, ...

    Args:
      data: What is reported.
      pictures: What is drawn.
      out: The page, a name that ends in .html.
      wrote: Called after each picture.

    Returns:
      What was written, the page first.
    """
    out = epath.Path(out)
    written = []
    for ending, content in _texts(data).items():
        written.append(out.parent / (out.stem + ending))
        write_text_atomically(written[-1], content)
    for picture in pictures:
        for ending, content in picture.files().items():
            written.append(out.parent / f"{out.stem}_{picture.name}.{ending}")
            _write_bytes(written[-1], content)
        wrote()
    return written


def _texts(data: ReportData) -> dict[str, str]:
    """Everything but pictures, by what follows the page's name without its ending."""
    found = {".html": page(data), ".md": text.markdown(data), ".csv": text.csv_text(data)}
    found["_main.tex"] = latex.main_table_text(data)
    if data.costs.lines:
        found["_cost.tex"] = latex.cost_table_text(data.costs)
        found["_cost.csv"] = cost_table.csv_text(data.costs)
    if data.matrices:
        found["_significance.csv"] = significance.csv_text(data.matrices)
    for name, curve in data.learning.items():
        found[f"_{name}.csv"] = learning_curve.csv_text(curve)
    return found


def _write_bytes(path: epath.Path, content: bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never a part."""
    partial = path.parent / f".{path.name}.partial-{process_name()}"
    partial.write_bytes(content)
    partial.replace(path)
