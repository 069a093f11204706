"""How the numbers of a report were made, in words."""

from __future__ import annotations

from clinical_t5x import webpage
from clinical_t5x.evaluation.registry import MODELS
from clinical_t5x.evaluation.report.collect import ReportData
from clinical_t5x.evaluation.report.main_table import PAPER_NAME, PUBLISHED
from clinical_t5x.evaluation.report.table import Row
from clinical_t5x.evaluation.statistics import RESAMPLES
from clinical_t5x.webpage import escape as _e

_SYSTEMS = {
    "majority": "the answer that is most frequent in training (MedNLI), no answer (RadQA), no label"
    " (CLIP)",
    "scratch": "fine-tuned from random parameters",
    "pretrained": "fine-tuned from the model that was pre-trained on notes",
}
_INTERVALS = {
    "bca": "of one training seed by BCa bootstrap: they speak of other examples, not of other"
    " training seeds",
    "percentile": "of one training seed by percentile bootstrap: they speak of other examples, not"
    " of other training seeds",
    "hierarchical": f"of several seeds by hierarchical bootstrap ({RESAMPLES:,} resamples) over"
    " seeds and units: they speak of other examples and of other seeds",
}


def section(data: ReportData) -> str:
    """The section about methods."""
    items = [_system(row) for row in data.rows]
    items += _measured(data) if data.rows else []
    if PUBLISHED in data.table.origins:
        items.append(
            f"Published numbers are those of {PAPER_NAME} as printed, known errors marked. They"
            " were not measured here, have no intervals, and no test compares them with what was"
            " measured: that would take their answers to the same examples."
        )
    listed = "".join(f"<li>{_e(item)}</li>" for item in items)
    command = f"<p>This report:</p><pre>{_e(data.command)}</pre>" if data.command else ""
    return webpage.section("method", "How this was measured", f"<ul>{listed}</ul>", command)


def _system(row: Row) -> str:
    what = _SYSTEMS.get(row.initialisation)
    if what is None:
        known = row.initialisation in MODELS
        what = f"the registry's row {row.initialisation}" if known else row.initialisation
    return f"{row.title}: {what}{_seeds(row)}."


def _measured(data: ReportData) -> list[str]:
    methods = {cell.method for row in data.rows for cell in row.cells.values()} - {"none"}
    resamples = sorted({e.results[0].resamples for e in data.evaluations if e.results[0].resamples})
    drawn = " and ".join(f"{number:,}" for number in resamples)
    ways = "; ".join(_INTERVALS.get(method, method) for method in sorted(methods))
    items = [
        f"Intervals: bootstrap ({drawn} resamples) of whole units, because examples of one unit are"
        f" not independent; {ways}."
    ]
    if data.differences or data.matrices:
        items.append(
            f"Differences: paired on the same units, {RESAMPLES:,} resamples, two-sided p-values."
            " Where both systems have one training seed, units are resampled (paired bootstrap);"
            " where there are several, seeds as well, of each system by itself (a system's only"
            " seed counts as fixed)."
        )
    if data.differences:
        items.append(
            "Pre-trained against from scratch: Holm's correction over all of these differences."
        )
    if data.matrices:
        least = max(len(matrix.pairs) for matrix in data.matrices) / (RESAMPLES + 1)
        items.append(
            "Matrices: Holm's correction over all pairs of systems of one metric; the smallest"
            f" corrected p-value that so many resamples can give is {least:.4f}."
        )
    return [
        *items,
        "MedNLI: accuracy of the decoded word. RadQA: exact match and token F1 as in SQuAD v2, best"
        " of all gold answers. CLIP: micro and macro F1 over seven labels.",
        "How many answers reached the limit of decoding, and how many inputs or targets were cut,"
        " is said with every evaluation above.",
    ]


def _seeds(row: Row) -> str:
    seeds = sorted(
        {
            evaluation.results[0].seed
            for found in row.evaluations.values()
            for evaluation in found
            if evaluation.results[0].seed is not None
        }
    )
    if not seeds:
        return ""
    word = "seed" if len(seeds) == 1 else "seeds"
    return f"; training {word} {', '.join(map(str, seeds))}"
