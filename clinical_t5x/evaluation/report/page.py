"""The HTML page: one file, nothing loaded from elsewhere, readable by screen readers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import clinical_t5x
from clinical_t5x import webpage
from clinical_t5x.evaluation.report import charts, reliability
from clinical_t5x.evaluation.report.collect import Curve, ReportData
from clinical_t5x.evaluation.report.table import COLUMNS, Cell, Row, rank_of, title_of
from clinical_t5x.evaluation.report.text import (
    counted,
    interval,
    p_value,
    percent,
    points,
    units_note,
)
from clinical_t5x.evaluation.results import Evaluation
from clinical_t5x.evaluation.statistics import RESAMPLES
from clinical_t5x.webpage import escape as _e

_SYSTEMS = {
    "majority": "the answer that is most frequent in training (MedNLI), no answer (RadQA), no label"
    " (CLIP)",
    "scratch": "fine-tuned from random parameters",
    "pretrained": "fine-tuned from the model that was pre-trained on notes",
}


def page(data: ReportData) -> str:
    """The whole report as one HTML document."""
    sections = [
        _header(data),
        _scores(data),
        _differences(data),
        _pretraining(data),
        _finetuning(data),
        _corpus(data),
        _details(data),
        _method(data),
        _footer(data),
    ]
    return webpage.document(f"clinical_t5x: scores on the {data.split} split", sections)


def _header(data: ReportData) -> str:
    seeds = sorted({len(cell.by_seed) for row in data.rows for cell in row.cells.values()})
    trained = "one training seed" if seeds in ([], [1]) else f"up to {seeds[-1]} training seeds"
    lead = (
        f"MedNLI, RadQA and CLIP on the {_e(data.split)} split, {trained}, with"
        f" 95&nbsp;% intervals. {_e('; '.join(units_note(data)))}."
    )
    banner = webpage.synthetic_banner(data.synthetic, "how models do on real clinical notes")
    return webpage.header("Clinical T5: three benchmarks, scored", lead, banner)


def _scores(data: ReportData) -> str:
    tasks = list(dict.fromkeys(column.task for column in COLUMNS))
    first = "".join(
        f'<th scope="colgroup" colspan="{sum(c.task == task for c in COLUMNS)}">{_e(task)}</th>'
        for task in tasks
    )
    second = "".join(f'<th scope="col">{_e(column.heading)}</th>' for column in COLUMNS)
    rows = "\n".join(_score_row(row) for row in data.rows)
    return f"""<section aria-labelledby="scores">
<h2 id="scores">Scores</h2>
<div class="scroll"><table class="wide">
<caption>Per cent, with 95&nbsp;% intervals below. Higher is better everywhere.</caption>
<thead>
<tr><td rowspan="2"></td>{first}</tr>
<tr>{second}</tr>
</thead>
<tbody>
{rows}
</tbody>
</table></div>
{_score_figure(data)}
</section>"""


def _score_figure(data: ReportData) -> str:
    caption = "The same scores; bars are 95 % intervals."
    return webpage.figure(charts.score_chart(data), _score_words(data), caption)


def _score_row(row: Row) -> str:
    detail = f'<span class="detail">{_e(row.model)}</span>' if row.model else ""
    cells = "".join(f"<td>{_score_cell(row.cells.get(column))}</td>" for column in COLUMNS)
    return f'<tr><th scope="row">{_e(row.title)}{detail}</th>{cells}</tr>'


def _score_cell(cell: Cell | None) -> str:
    if cell is None:
        return '<span class="detail">not evaluated</span>'
    spread = ""
    if len(cell.by_seed) > 1:
        each = ", ".join(percent(value) for value in cell.by_seed)
        spread = f'<span class="interval">seeds {each}</span>'
    return (
        f'<span class="number">{percent(cell.value)}</span>'
        f'<span class="interval">{interval(cell.low, cell.high)}</span>{spread}'
    )


def _score_words(data: ReportData) -> str:
    parts = []
    for row in data.rows:
        numbers = ", ".join(
            f"{column.task} {column.heading} {percent(cell.value)}"
            for column, cell in row.cells.items()
        )
        parts.append(f"{row.title}: {numbers}")
    return "Dot chart of the scores in per cent. " + ". ".join(parts) + "."


def _differences(data: ReportData) -> str:
    if not data.differences:
        return ""
    lines = data.differences
    first, second = lines[0].first.lower(), lines[0].second.lower()
    several = len({line.model for line in lines}) > 1
    rows = "\n".join(
        f'<tr><th scope="row">{_e(line.title)}'
        + (f'<span class="detail">{_e(line.model)}</span>' if several else "")
        + f"</th><td>{points(line.difference.value)}</td>"
        f"<td>{points(line.difference.interval.low)} to"
        f" {points(line.difference.interval.high)}</td>"
        f"<td>{_e(p_value(line.difference.p_value))}</td><td>{_e(p_value(line.p_holm))}</td>"
        f"<td>{_e(counted(line.n_units, line.unit))}</td></tr>"
        for line in lines
    )
    words = "Paired differences in percentage points. " + ". ".join(
        f"{line.title} {points(line.difference.value)}, interval"
        f" {points(line.difference.interval.low)} to {points(line.difference.interval.high)}"
        for line in lines
    )
    clear = sum(line.p_holm < 0.05 for line in lines)
    return f"""<section aria-labelledby="differences">
<h2 id="differences">Does pre-training help?</h2>
<p>{_e(first.capitalize())} minus {_e(second)}, on the same examples. After Holm's correction for
{len(lines)} comparisons, {clear} of {len(lines)} differences have p below 0.05.</p>
<div class="scroll"><table>
<caption>Paired bootstrap by unit; percentage points.</caption>
<thead><tr><th scope="col">Metric</th><th scope="col">Difference</th>
<th scope="col">95&nbsp;% interval</th><th scope="col">p</th><th scope="col">p (Holm)</th>
<th scope="col">Resampled</th></tr></thead>
<tbody>
{rows}
</tbody>
</table></div>
{webpage.figure(charts.difference_chart(data), words, "Differences with 95 % intervals.")}
</section>"""


def _pretraining(data: ReportData) -> str:
    runs = [curve for curve in data.curves if curve.is_pretraining]
    if not runs:
        return ""
    figures = "\n".join(_pretraining_figure(curve, k) for k, curve in enumerate(runs))
    return webpage.section("pretraining", "Pre-training", figures)


def _pretraining_figure(curve: Curve, number: int) -> str:
    metric = charts.loss_metric(curve)
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
    caption = " ".join(parts)
    return webpage.figure(
        charts.pretraining_chart(curve, number), "Line chart. " + caption, caption
    )


def _finetuning(data: ReportData) -> str:
    by_task = charts.finetuning_curves(data)
    if not by_task:
        return ""
    parts = []
    for task, curves in by_task.items():
        ends = [
            f"{title_of(curve.initialisation) or curve.run} {series[-1][1]:.3f}"
            for curve in curves
            if (series := curve.series(f"eval/{task}", "loss"))
        ]
        parts.append(f"{task}: {', '.join(ends)}")
    caption = "Held-out loss while fine-tuning. Last values: " + "; ".join(parts) + "."
    chart = charts.finetuning_chart(by_task)
    shown = webpage.figure(chart, "Line charts. " + caption, caption)
    return webpage.section("finetuning", "Fine-tuning", shown)


def _corpus(data: ReportData) -> str:
    if data.corpus is None:
        return ""
    splits = data.corpus.get("splits", {})
    names = list(dict.fromkeys(name for counts in splits.values() for name in counts))
    rows = [
        [_e(split), *(f"{counts.get(name, 0):,}" for name in names)]
        for split, counts in splits.items()
    ]
    table = webpage.table(["split", *names], rows, "Prepared corpus") if splits else ""
    stages = [
        [_e(stage), _e(name), webpage.number(value)]
        for stage, counts in data.corpus.get("counts", {}).items()
        for name, value in _flat(counts)
    ]
    ways = ""
    if stages:
        counted = webpage.table(["stage", "what", "count"], stages, "Counts of every stage", left=2)
        ways = webpage.details("What preparation kept and dropped", counted)
    return webpage.section("corpus", f"Corpus {data.corpus.get('name', '')}", table, ways)


def _flat(counts: Any, prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Nested counts as (dotted name, value)."""
    if not isinstance(counts, dict):
        yield prefix or "total", counts
        return
    for name, value in counts.items():
        yield from _flat(value, f"{prefix}.{name}" if prefix else str(name))


def _details(data: ReportData) -> str:
    tasks = [column.family for column in COLUMNS]
    order = sorted(
        data.evaluations,
        key=lambda e: (
            min((tasks.index(family) for family in e.sums if family in tasks), default=len(tasks)),
            rank_of(e.results[0].initialisation),
        ),
    )
    blocks = "\n".join(_evaluation_details(found, k) for k, found in enumerate(order))
    return webpage.section("details", "Every metric", blocks)


def _evaluation_details(evaluation: Evaluation, number: int) -> str:
    first = evaluation.results[0]
    rows = [
        [
            _e(result.metric),
            f"{result.value:.4f}",
            "" if result.low is None else f"{result.low:.4f} to {result.high:.4f}",
        ]
        for result in evaluation.results
    ]
    step = "" if first.checkpoint_step is None else f", step {first.checkpoint_step:,}"
    seed = "" if first.seed is None else f", seed {first.seed}"
    title = f"{first.task}: {title_of(first.initialisation)}, {first.model}{seed}{step}"
    facts = [
        f"task version {first.task_version}",
        f"{counted(first.n, 'example')} in {counted(first.n_units, first.unit)}",
        *(f"{name.replace('_', ' ')} {count:,}" for name, count in evaluation.counts.items()),
        f"code {first.commit}",
        f"evaluated {first.created}",
    ]
    if first.checkpoint:
        facts.append(f"checkpoint {first.checkpoint}")
    if first.config_hash:
        facts.append(f"configuration {first.config_hash[:12]}")
    listed = "".join(f"<li>{_e(fact)}</li>" for fact in facts)
    table = webpage.table(
        ["metric", "value", "95 % interval"], rows, "Fractions, unrounded to 4 digits"
    )
    more = reliability.confusion_table(evaluation)
    more += reliability.reliability_figures(evaluation, number)
    return webpage.details(title, f"{table}{more}<ul>{listed}</ul>")


def _method(data: ReportData) -> str:
    systems = "".join(
        f"<li>{_e(row.title)}: {_e(_SYSTEMS.get(row.initialisation, row.initialisation))}"
        f"{_e(_seeds(row))}.</li>"
        for row in data.rows
    )
    found = {cell.method for row in data.rows for cell in row.cells.values()} - {"none"}
    methods = sorted({"bca": "BCa"}.get(method, method) for method in found)
    resamples = sorted({evaluation.results[0].resamples for evaluation in data.evaluations})
    drawn = " and ".join(f"{number:,}" for number in resamples)
    command = f"<p>This report:</p><pre>{_e(data.command)}</pre>" if data.command else ""
    return f"""<section aria-labelledby="method">
<h2 id="method">How this was measured</h2>
<ul>
{systems}
<li>Intervals: bootstrap ({_e(" and ".join(methods))}, {_e(drawn)} resamples) of whole units,
because examples of one unit are not independent. They speak of other examples, not of other
training seeds.</li>
<li>Differences: paired bootstrap ({RESAMPLES:,} resamples) on the same units, percentile
intervals, two-sided p-values of the centred bootstrap, and Holm's correction over all differences
of this report.</li>
<li>MedNLI: accuracy of the decoded word. RadQA: exact match and token F1 as in SQuAD v2, best of
all gold answers, no threshold. CLIP: micro and macro F1 over seven labels.</li>
<li>Decoding may go on to the length of the longest target of the split. How many answers reached
that limit, and how many inputs or targets were cut, is said with every evaluation above.</li>
</ul>
{command}
</section>"""


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


def _footer(data: ReportData) -> str:
    commits = sorted({evaluation.results[0].commit for evaluation in data.evaluations})
    code = ", ".join(commit if commit.startswith("version") else commit[:12] for commit in commits)
    return (
        f"<footer>clinical_t5x {_e(clinical_t5x.__version__)}; results of code {_e(code)}. "
        "No note text is part of this file.</footer>"
    )
