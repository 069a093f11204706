"""Charts as SVG text: scores with intervals, paired differences, loss curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clinical_t5x.evaluation.report.collect import Curve, ReportData
from clinical_t5x.evaluation.report.table import COLUMNS, Row, title_of
from clinical_t5x.webpage import BLUE, GREEN, GREY, GRID, INK, ORANGE, PURPLE, SKY, VERMILION, Chart

# By initialisation: colour, mark, line style.
_STYLES = {
    "majority": (GREY, "D", ":"),
    "scratch": (VERMILION, "s", "--"),
    "pretrained": (BLUE, "o", "-"),
}
_OTHERS = (
    (GREEN, "^", "-."),
    (PURPLE, "v", "--"),
    (SKY, "P", ":"),
    (ORANGE, "X", "-"),
    (INK, "*", "-."),
    (GREEN, "<", "--"),
    (PURPLE, ">", ":"),
    (SKY, "p", "-"),
    (ORANGE, "h", "-."),
)


def score_chart(data: ReportData) -> str:
    """One line for each metric and system: the score with its interval, in per cent."""
    columns = [column for column in COLUMNS if any(column in row.cells for row in data.rows)]
    spacing = 1.0 / (len(data.rows) + 1.2)
    with Chart("score", height=0.5 + 0.26 * len(columns) * (len(data.rows) + 1)) as chart:
        axes = chart.figure.subplots()
        for k, row in enumerate(data.rows):
            colour, mark, _ = style_of(row.initialisation, k)
            for position, column in enumerate(columns):
                cell = row.cells.get(column)
                if cell is None:
                    continue
                y = position + (k - (len(data.rows) - 1) / 2) * spacing
                value = 100 * cell.value
                low, high = (
                    value if bound is None else 100 * bound for bound in (cell.low, cell.high)
                )
                axes.plot([low, high], [y, y], color=colour, linewidth=2.2, alpha=0.55)
                label = _row_label(row) if position == _first_column(row, columns) else None
                axes.plot(value, y, mark, color=colour, markersize=5.5, label=label)
                axes.annotate(
                    f"{value:.1f}",
                    (max(high, value), y),
                    xytext=(5, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=8,
                )
        axes.set_yticks(range(len(columns)), [f"{c.task} {c.heading}" for c in columns])
        axes.set_ylim(len(columns) - 0.45, -0.55)
        axes.set_xlim(0, 104)
        axes.set_xlabel("per cent")
        axes.grid(axis="y", visible=False)
        for position in range(len(columns) - 1):
            axes.axhline(position + 0.5, color=GRID, linewidth=0.6)
        chart.legend_above(axes, len(data.rows))
        return chart.svg()


def difference_chart(data: ReportData) -> str:
    """Paired differences in percentage points with their intervals, and a line at 0."""
    lines = data.differences
    several = len({line.model for line in lines}) > 1
    with Chart("difference", height=0.75 + 0.3 * len(lines)) as chart:
        axes = chart.figure.subplots()
        colour, mark, _ = _STYLES["pretrained"]
        for y, line in enumerate(lines):
            low, high = line.difference.interval.low, line.difference.interval.high
            axes.plot([100 * low, 100 * high], [y, y], color=colour, linewidth=2.2, alpha=0.55)
            axes.plot(100 * line.difference.value, y, mark, color=colour, markersize=5.5)
        names = [line.title + (f", {line.model}" if several else "") for line in lines]
        axes.axvline(0, color=INK, linewidth=0.9)
        axes.set_yticks(range(len(lines)), names)
        axes.set_ylim(len(lines) - 0.5, -0.5)
        reach = max(abs(bound) for bound in axes.get_xlim())
        low, high = axes.get_xlim()
        # 0 always lies well inside, so that its side is seen at once.
        axes.set_xlim(min(low, -0.25 * reach), max(high, 0.25 * reach))
        axes.set_xlabel(f"percentage points; right of 0: {lines[0].first.lower()} is better")
        axes.grid(axis="y", visible=False)
        return chart.svg()


def pretraining_chart(curve: Curve, number: int) -> str:
    """Training and held-out loss over steps, with the unigram entropy where it is known."""
    with Chart(f"pretrain{number}", height=2.7) as chart:
        axes = chart.figure.subplots()
        metric = loss_metric(curve)
        train = curve.series("train", metric)
        _line(axes, train, "training", "#999999", "-", width=1.2)
        last = [value for _, value in train]
        for k, split in enumerate(curve.evaluated_splits):
            held_out = curve.series(split, metric)
            colour, mark, style = (*_STYLES.values(),)[2 - k % 3]
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
        return chart.svg()


def loss_metric(curve: Curve) -> str:
    """The loss without sentinels and end-of-sequence where the run logged it."""
    logged = any(curve.series(split, "content_loss") for split in curve.evaluated_splits)
    return "content_loss" if logged else "loss"


def finetuning_chart(curves_by_task: dict[str, Sequence[Curve]]) -> str:
    """A panel for each task: held-out loss over steps, a line for each run."""
    with Chart("finetune", height=2.9) as chart:
        panels = chart.figure.subplots(1, len(curves_by_task), squeeze=False)[0]
        for axes, (task, curves) in zip(panels, curves_by_task.items(), strict=True):
            axes.set_title(_task_title(task))
            named: set[str] = set()
            for k, curve in enumerate(curves):
                colour, mark, style = _STYLES.get(curve.initialisation, _OTHERS[k % len(_OTHERS)])
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
        return chart.svg()


def finetuning_curves(data: ReportData) -> dict[str, list[Curve]]:
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


def style_of(initialisation: str, index: int) -> tuple[str, str, str]:
    """Colour, mark and line style of a system; `index` tells apart those without their own."""
    return _STYLES.get(initialisation, _OTHERS[index % len(_OTHERS)])


def _row_label(row: Row) -> str:
    return f"{row.title} ({row.model})" if row.model else row.title


def _first_column(row: Row, columns: Sequence[Any]) -> int:
    return next(k for k, column in enumerate(columns) if column in row.cells)
