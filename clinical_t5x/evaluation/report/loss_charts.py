"""Loss curves as pictures: of pre-training, and of fine-tuning by task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clinical_t5x.evaluation.report.charts import OTHERS, STYLES
from clinical_t5x.evaluation.report.collect import Curve, ReportData
from clinical_t5x.evaluation.report.picture import Picture
from clinical_t5x.evaluation.report.table import COLUMNS, title_of
from clinical_t5x.webpage import INK, Chart


def pretraining_picture(curve: Curve, number: int) -> Picture:
    """Training and held-out loss over steps, with the unigram entropy where it is known.

    Args:
      curve: of one run.
      number: different for each run of a report.
    """
    caption = _pretraining_caption(curve)
    return Picture(
        f"pretraining{number}", 2.7, lambda chart: _draw_pretraining(chart, curve),
        "Line chart. " + caption, caption,
    )  # fmt: skip


def _pretraining_caption(curve: Curve) -> str:
    metric = _loss_metric(curve)
    what = "sentinels and end-of-sequence left out" if metric == "content_loss" else "all targets"
    parts = [f"Loss of {curve.run} in nats per target token ({what})."]
    for split in curve.evaluated_splits:
        series = curve.series(split, metric)
        if not series:
            continue
        step, value = series[-1]
        parts.append(f"Held-out loss at step {step:,}: {value:.3f}.")
        if curve.unigram_entropy is not None:
            side = "below" if value < curve.unigram_entropy else "not below"
            parts.append(
                f"That is {side} the unigram entropy of the same tokens,"
                f" {curve.unigram_entropy:.3f}."
            )
    return " ".join(parts)


def _draw_pretraining(chart: Chart, curve: Curve) -> None:
    axes = chart.figure.subplots()
    metric = _loss_metric(curve)
    train = curve.series("train", metric)
    _line(axes, train, "training", "#999999", "-", width=1.2)
    last = [value for _, value in train]
    for k, split in enumerate(curve.evaluated_splits):
        held_out = curve.series(split, metric)
        colour, mark, style = (*STYLES.values(),)[2 - k % 3]
        _line(axes, held_out, "held out", colour, style, mark=mark)
        last += [value for _, value in held_out]
    if curve.unigram_entropy is not None:
        axes.axhline(curve.unigram_entropy, color=INK, linestyle=":", linewidth=1.1)
        axes.annotate(
            f"unigram entropy of the held-out tokens {curve.unigram_entropy:.2f}",
            (1, curve.unigram_entropy),
            xycoords=("axes fraction", "data"),
            xytext=(-2, 3),
            textcoords="offset points",
            ha="right",
            fontsize=8,
        )
        last.append(curve.unigram_entropy)
    axes.set_ylim(0, 1.05 * max(last, default=1))
    axes.set_xlim(left=0)
    axes.set_xlabel("step")
    axes.set_ylabel("nats per target token")
    chart.legend_above(axes, 2)


def _loss_metric(curve: Curve) -> str:
    """The loss without sentinels and end-of-sequence where the run logged it."""
    logged = any(curve.series(split, "content_loss") for split in curve.evaluated_splits)
    return "content_loss" if logged else "loss"


def finetuning_picture(data: ReportData) -> Picture | None:
    """A panel for each task: held-out loss over steps, a line for each run; None without runs."""
    by_task = _finetuning_curves(data)
    if not by_task:
        return None
    parts = []
    for task, curves in by_task.items():
        ends = [
            f"{title_of(curve.initialisation) or curve.run} {series[-1][1]:.3f}"
            for curve in curves
            if (series := curve.series(f"eval/{task}", "loss"))
        ]
        parts.append(f"{task}: {', '.join(ends)}")
    caption = "Held-out loss while fine-tuning. Last values: " + "; ".join(parts) + "."
    return Picture(
        "finetuning", 2.9, lambda chart: _draw_finetuning(chart, by_task),
        "Line charts. " + caption, caption,
    )  # fmt: skip


def _draw_finetuning(chart: Chart, curves_by_task: dict[str, list[Curve]]) -> None:
    panels = chart.figure.subplots(1, len(curves_by_task), squeeze=False)[0]
    for axes, (task, curves) in zip(panels, curves_by_task.items(), strict=True):
        axes.set_title(_task_title(task))
        named: set[str] = set()
        for k, curve in enumerate(curves):
            colour, mark, style = STYLES.get(curve.initialisation, OTHERS[k % len(OTHERS)])
            label = title_of(curve.initialisation) or curve.run
            series = curve.series(f"eval/{task}", "loss")
            shown = None if label in named else label
            _line(axes, series, shown, colour, style, mark=mark)
            named.add(label)
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("step")
    panels[0].set_ylabel("held-out loss\n(nats per target token)")
    chart.legend_above(panels[0], 4)


def _finetuning_curves(data: ReportData) -> dict[str, list[Curve]]:
    """Runs with a held-out loss that are not pre-training, by task."""
    by_task: dict[str, list[Curve]] = {}
    for curve in data.curves:
        if not curve.is_pretraining:
            for split in curve.evaluated_splits:
                by_task.setdefault(split.removeprefix("eval/"), []).append(curve)
    order = {"scratch": 0, "pretrained": 1}
    for curves in by_task.values():
        curves.sort(key=lambda curve: (order.get(curve.initialisation, 2), curve.run))
    families = list(dict.fromkeys(column.family for column in COLUMNS))
    rank = {family: k for k, family in enumerate(families)}
    return dict(sorted(by_task.items(), key=lambda item: (rank.get(_family(item[0]), 9), item[0])))


def _family(task: str) -> str:
    """The benchmark that a task's name begins with, or empty."""
    return next((c.family for c in COLUMNS if task.startswith(c.family)), "")


def _task_title(task: str) -> str:
    return next((c.task for c in COLUMNS if c.family == _family(task)), task)


def _line(
    axes: Any,
    series: Sequence[tuple[int, float]],
    label: str | None,
    colour: str,
    style: str,
    *,
    mark: str | None = None,
    width: float = 1.6,
) -> None:
    if series:
        steps, values = zip(*series, strict=True)
        few = mark if len(series) <= 25 else None
        axes.plot(
            steps, values, style, color=colour, linewidth=width, marker=few, markersize=4,
            label=label,
        )  # fmt: skip
