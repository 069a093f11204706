"""Which pictures a report has, by section: the page shows them, files hold them for a paper."""

from __future__ import annotations

from clinical_t5x.evaluation.report import (
    charts,
    effort,
    effort_chart,
    learning_curve_chart,
    learning_curve_page,
    loss_charts,
    significance_page,
)
from clinical_t5x.evaluation.report.collect import ReportData
from clinical_t5x.evaluation.report.picture import Picture


def score_pictures(data: ReportData) -> list[Picture]:
    """The scores; two pictures where measured and published ones do not compare."""
    return [
        charts.score_picture(table, name=f"scores{ending}")
        for ending, table in data.table.parts().items()
    ]


def difference_pictures(data: ReportData) -> list[Picture]:
    """Pre-trained against from scratch."""
    return [charts.difference_picture(data)] if data.differences else []


def curve_pictures(data: ReportData) -> list[Picture]:
    """Score against the fraction of the training split."""
    return [
        learning_curve_chart.picture(
            curve, learning_curve_page.words(curve), learning_curve_page.caption(curve), name=name
        )
        for name, curve in data.learning.items()
    ]


def effort_pictures(data: ReportData) -> list[Picture]:
    """Score against FLOPs of pre-training, where models of the registry have scores."""
    found = []
    for ending, table in data.table.parts().items():
        if panels := effort.effort_panels(table):
            found.append(effort_chart.picture(panels, name=f"flops{ending}"))
    return found


def pretraining_pictures(data: ReportData) -> list[Picture]:
    """Losses of pre-training, a picture a run."""
    runs = [curve for curve in data.curves if curve.is_pretraining]
    return [loss_charts.pretraining_picture(curve, k) for k, curve in enumerate(runs)]


def finetuning_pictures(data: ReportData) -> list[Picture]:
    """Losses of fine-tuning."""
    found = loss_charts.finetuning_picture(data)
    return [] if found is None else [found]


def all_pictures(data: ReportData) -> list[Picture]:
    """Every picture of a report, the significance matrices included, which pages show as tables."""
    return [
        *score_pictures(data),
        *difference_pictures(data),
        *(significance_page.picture(matrix) for matrix in data.matrices),
        *curve_pictures(data),
        *effort_pictures(data),
        *pretraining_pictures(data),
        *finetuning_pictures(data),
    ]
