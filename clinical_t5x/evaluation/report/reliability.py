"""What an evaluation with labels or scores adds to the report: reliability and confusion."""

from __future__ import annotations

import numpy as np

from clinical_t5x import webpage
from clinical_t5x.evaluation.metrics.calibration import (
    BIN_COLUMNS,
    Reliability,
    reliability_of_sums,
)
from clinical_t5x.evaluation.metrics.mednli import MEDNLI, MEDNLI_LABELS, confusion
from clinical_t5x.evaluation.results import Evaluation
from clinical_t5x.webpage import BLUE, GREY, INK, Chart

_WHAT = {
    "mednli_likelihood": "the most probable label",
    "radqa_answerability": "no answer",
    "clip_likelihood": "a label of a sentence",
}


def reliability_curves(evaluation: Evaluation) -> dict[str, Reliability]:
    """The reliability curves that an evaluation's sums hold, by metric family."""
    width = len(BIN_COLUMNS)
    return {
        family: reliability_of_sums(evaluation.sums[family].sum(axis=0)[-width:])
        for family in _WHAT
        if family in evaluation.sums
    }


def reliability_figures(evaluation: Evaluation, number: int) -> str:
    """A chart and a table of each reliability curve; empty for an evaluation without scores.

    Args:
      evaluation: what was measured.
      number: different for each evaluation of a page.
    """
    return "".join(
        _figure(curve, _WHAT[family], f"reliability{number}-{family}")
        for family, curve in reliability_curves(evaluation).items()
    )


def _figure(curve: Reliability, what: str, name: str) -> str:
    caption = (
        f"Reliability of the probability of {what}: dots on the diagonal are calibrated. Bars show"
        f" how many predictions a bin holds. Expected calibration error {curve.error:.3f}."
    )
    rows = [
        [
            f"{low:.2f} to {high:.2f}",
            f"{count:,.0f}",
            "" if not count else f"{confidence:.3f}",
            "" if not count else f"{accuracy:.3f}",
        ]
        for low, high, count, confidence, accuracy in zip(
            curve.edges[:-1],
            curve.edges[1:],
            curve.counts,
            curve.confidence,
            curve.accuracy,
            strict=True,
        )
    ]
    headings = ["probability", "predictions", "mean probability", "came true"]
    table = webpage.table(headings, rows, f"Bins of the probability of {what}")
    shown = webpage.figure(reliability_chart(curve, name), "Reliability curve. " + caption, caption)
    return shown + webpage.details("The bins as numbers", table)


def reliability_chart(curve: Reliability, name: str) -> str:
    """How often it came true over how probable it was said to be, and the bins' counts, as SVG.

    Args:
      curve: what to draw.
      name: different for each chart of a page.
    """
    kept = curve.counts > 0
    with Chart(name, height=3.6) as chart:
        upper, lower = chart.figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        upper.plot([0, 1], [0, 1], ":", color=INK, linewidth=1.0, label="calibrated")
        upper.plot(
            curve.confidence[kept],
            curve.accuracy[kept],
            "o-",
            color=BLUE,
            markersize=4.5,
            label="measured",
        )
        upper.set_ylim(-0.03, 1.03)
        upper.set_xlim(0, 1)
        upper.set_ylabel("share that came true")
        widths = np.diff(curve.edges)
        lower.bar(curve.edges[:-1], curve.counts, width=widths, align="edge", color=GREY)
        lower.set_ylabel("predictions")
        lower.set_xlabel("probability")
        chart.legend_above(upper, 2)
        return chart.svg()


def confusion_table(evaluation: Evaluation) -> str:
    """MedNLI's gold labels against predicted ones, in counts; empty for other tasks."""
    sums = evaluation.sums.get(MEDNLI.name)
    if sums is None:
        return ""
    counts = confusion(sums.sum(axis=0))
    rows = [
        [label, *(f"{count:,.0f}" for count in row)]
        for label, row in zip(MEDNLI_LABELS, counts, strict=True)
    ]
    headings = ["gold", *MEDNLI_LABELS, "unrecognised"]
    return webpage.table(headings, rows, "Confusion: rows are gold labels, columns predicted ones")
