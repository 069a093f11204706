"""The HTML page: one file, nothing loaded from elsewhere, readable by screen readers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import clinical_t5x
from clinical_t5x import webpage
from clinical_t5x.evaluation.report import (
    cost_table,
    learning_curve_page,
    main_table_page,
    method_page,
    pictures,
    reliability,
    significance_page,
)
from clinical_t5x.evaluation.report.collect import ReportData
from clinical_t5x.evaluation.report.main_table import PAPER_NAME, PUBLISHED
from clinical_t5x.evaluation.report.picture import Picture
from clinical_t5x.evaluation.report.table import COLUMNS, fraction_note, rank_of, title_of
from clinical_t5x.evaluation.report.text import units_note
from clinical_t5x.evaluation.report.words import counted, p_value, points
from clinical_t5x.evaluation.results import Evaluation
from clinical_t5x.webpage import escape as _e


def page(data: ReportData) -> str:
    """The whole report as one HTML document."""
    sections = [
        _header(data),
        _scores(data),
        _differences(data),
        significance_page.section(data.matrices),
        _learning(data),
        _effort(data),
        _costs(data.costs),
        _pretraining(data),
        _finetuning(data),
        _corpus(data),
        _details(data),
        main_table_page.errata(data.table),
        method_page.section(data),
        _footer(data),
    ]
    css = f"<style>{main_table_page.CSS}{significance_page.CSS}</style>"
    title = f"clinical_t5x: scores on the {data.split} split"
    return webpage.document(title, sections, head=css)


def _header(data: ReportData) -> str:
    seeds = sorted({len(cell.by_seed) for row in data.rows for cell in row.cells.values()})
    trained = "one training seed" if seeds in ([], [1]) else f"up to {seeds[-1]} training seeds"
    parts = []
    if data.rows:
        parts.append(
            f"MedNLI, RadQA and CLIP on the {_e(data.split)} split, {trained}, with"
            f" 95&nbsp;% intervals. {_e('; '.join(units_note(data)))}."
        )
    if PUBLISHED in data.table.origins:
        beside = "Beside them" if data.rows else "Here are"
        parts.append(
            f"{beside} the published numbers of \u201cDo We Still Need Clinical Language"
            f" Models?\u201d ({PAPER_NAME}), marked wherever they stand."
        )
    banner = webpage.synthetic_banner(data.synthetic, "how models do on real clinical notes")
    return webpage.header("Clinical T5: three benchmarks, scored", " ".join(parts), banner)


def _scores(data: ReportData) -> str:
    return webpage.section(
        "scores", "Scores", main_table_page.table(data.table), _shown(pictures.score_pictures(data))
    )


def _shown(found: Sequence[Picture]) -> str:
    return "\n".join(picture.html() for picture in found)


def _learning(data: ReportData) -> str:
    if not data.learning:
        return ""
    shown = _shown(pictures.curve_pictures(data))
    tables, tests = "", ""
    for curve in data.learning.values():
        panels = (*curve.panels, *curve.others)
        tables += "\n".join(learning_curve_page.numbers(panel) for panel in panels)
        tests += learning_curve_page.tests(curve)
    return webpage.section(
        "learning",
        "How much training data does it take?",
        shown,
        webpage.details("The numbers, all metrics", tables),
        webpage.details("What differs at each fraction", tests) if tests else "",
    )


def _effort(data: ReportData) -> str:
    shown = _shown(pictures.effort_pictures(data))
    if not shown:
        return ""
    return webpage.section("effort", "Score against the effort of pre-training", shown)


def _costs(costs: cost_table.CostTable) -> str:
    if not costs:
        return ""
    parts = []
    if costs.lines:
        rows = [[_e(cell) for cell in cost_table.fields(costs, line)] for line in costs.lines]
        table = webpage.table(cost_table.HEADINGS, rows, cost_table.EXPLANATION, row_headings=True)
        notes = "".join(f"<li>{_e(note)}</li>" for note in cost_table.notes(costs))
        parts += [table, f"<ul>{notes}</ul>" if notes else ""]
    if costs.break_evens:
        rows = [[_e(x) for x in cost_table.break_even_fields(one)] for one in costs.break_evens]
        headings, caption = cost_table.BREAK_EVEN_HEADINGS, "Tokens of inference"
        parts.append(f"<p>{_e(cost_table.BREAK_EVEN_EXPLANATION)}</p>")
        parts.append(webpage.table(headings, rows, caption, left=2, row_headings=True))
    if costs.usage:
        rows = [[_e(cell) for cell in cost_table.usage_fields(line)] for line in costs.usage]
        caption = "Measured while prompting"
        parts.append(webpage.table(["system", "task", "used"], rows, caption, left=3))
    return webpage.section("costs", "Cost", *parts)


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
{_shown(pictures.difference_pictures(data))}
</section>"""


def _pretraining(data: ReportData) -> str:
    shown = _shown(pictures.pretraining_pictures(data))
    return webpage.section("pretraining", "Pre-training", shown) if shown else ""


def _finetuning(data: ReportData) -> str:
    shown = _shown(pictures.finetuning_pictures(data))
    return webpage.section("finetuning", "Fine-tuning", shown) if shown else ""


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
    if not data.evaluations:
        return ""
    tasks = [column.family for column in COLUMNS]
    order = sorted(
        data.evaluations,
        key=lambda e: (
            min((tasks.index(family) for family in e.sums if family in tasks), default=len(tasks)),
            rank_of(e.results[0].initialisation),
            e.results[0].initialisation,
            e.results[0].fraction,
            e.results[0].seed or 0,
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
    system = f"{title_of(first.initialisation)}, {first.model}{fraction_note(first.fraction)}"
    title = f"{first.task}: {system}{seed}{step}"
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


def _footer(data: ReportData) -> str:
    commits = sorted({evaluation.results[0].commit for evaluation in data.evaluations})
    code = ", ".join(commit if commit.startswith("version") else commit[:12] for commit in commits)
    made_by = f"; results of code {_e(code)}" if code else ""
    return (
        f"<footer>clinical_t5x {_e(clinical_t5x.__version__)}{made_by}."
        " No note text is part of this file.</footer>"
    )
