"""The learning curve as a page: the picture, its numbers, the tests, and how they were made."""

from __future__ import annotations

from collections.abc import Sequence

import clinical_t5x
from clinical_t5x import webpage
from clinical_t5x.evaluation.report.learning_curve import (
    STD,
    LearningCurve,
    Panel,
    Point,
    Test,
)
from clinical_t5x.evaluation.report.learning_curve_chart import picture
from clinical_t5x.evaluation.report.main_table import marker
from clinical_t5x.evaluation.report.words import counted, interval, p_value, percent, points
from clinical_t5x.webpage import escape as _e

_METHODS = {
    "hierarchical": "over seeds and units together (hierarchical bootstrap: they speak of other"
    " training seeds and subsets, and of other test examples)",
    "bca": "over units alone (BCa bootstrap, where there is one seed: they speak of other test"
    " examples, not of other seeds)",
}


def page(curve: LearningCurve, *, command: str = "", notes: Sequence[str] = ()) -> str:
    """The whole page as one HTML document.

    Args:
      curve: What is shown.
      command: How it was asked for.
      notes: What a reader must know besides, such as runs that are missing.
    """
    sections = [
        _header(curve, notes),
        webpage.section("curve", "The curve", _figure(curve)),
        webpage.section("numbers", "The numbers", *(numbers(panel) for panel in curve.panels)),
        webpage.section("tests", "What differs", tests(curve)) if curve.tests else "",
        _method(curve, command),
        f"<footer>clinical_t5x {_e(clinical_t5x.__version__)}. No note text is part of this file."
        "</footer>",
    ]
    return webpage.document("clinical_t5x: score against training data", sections)


def _header(curve: LearningCurve, notes: Sequence[str]) -> str:
    tasks = ", ".join(panel.column.task for panel in curve.panels)
    lead = f"{_e(tasks)}: scores on the {_e(curve.split)} split after fine-tuning on parts of the"
    lead += " training data."
    banner = webpage.synthetic_banner(curve.synthetic, "how models do on real clinical notes")
    banner += "".join(f"<p><strong>{_e(note)}</strong></p>" for note in notes)
    return webpage.header("How much training data does it take?", lead, banner)


def _figure(curve: LearningCurve) -> str:
    return picture(curve, words(curve), caption(curve), name="learning-curve").html()


def caption(curve: LearningCurve) -> str:
    """What the marks, bars and lines of the picture are."""
    parts = []
    lines = [line for panel in curve.panels for line in panel.lines]
    if seeds := sorted(
        {len(p.by_seed) for line in lines if not line.published for p in line.points}
    ):
        means = f"Means over {_span(seeds)} training seeds" if seeds != [1] else "One training seed"
        hollow = "; small hollow marks: single seeds" if seeds != [1] else ""
        bars = _interval_words(curve)
        parts.append(f"{means}{hollow}. Bars: 95 % intervals {bars}.")
    if any(line.published for line in lines):
        solid = "Filled marks and solid lines were measured. " if seeds else ""
        parts.append(
            f"{solid}Hollow marks and dashed lines are published numbers (Lehman et al. 2023),"
            " means over three seeds; their thin bars reach one standard deviation over seeds up"
            " and down and are no intervals."
        )
        if any(point.note for line in lines for point in line.points):
            parts.append("Known errors of the paper are put right or noted with the numbers.")
    if any(panel.references for panel in curve.panels):
        parts.append(
            "Dashes and dots: models that were prompted, where they were scored on the whole split."
        )
    if any(panel.majority is not None for panel in curve.panels):
        parts.append("Dotted: the answer that needs no model.")
    parts.append("The axis of fractions is logarithmic; systems are drawn beside each other.")
    return " ".join(parts)


def _interval_words(curve: LearningCurve) -> str:
    return " and ".join(_METHODS[m] for m in sorted(curve.methods & _METHODS.keys(), reverse=True))


def _span(counts: Sequence[int]) -> str:
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def words(curve: LearningCurve) -> str:
    """The picture for those who do not see it."""
    parts = []
    for panel in curve.panels:
        lines = [
            f"{line.title} "
            + ", ".join(f"{percent(p.value)} at {100 * p.fraction:g} %" for p in line.points)
            for line in panel.lines
        ]
        parts.append(f"{panel.column.task} {panel.column.heading}: " + "; ".join(lines))
    return "Line chart of scores in per cent against training data. " + ". ".join(parts) + "."


def numbers(panel: Panel) -> str:
    """A table of a panel: a line a system, a column a fraction."""
    fractions = sorted({p.fraction for line in panel.lines for p in line.points})
    headings = [""]
    for fraction in fractions:
        count = panel.examples.get(fraction)
        headings.append(f"{100 * fraction:g} %" + (f" ({count:,})" if count else ""))
    points = [point for line in panel.lines for point in line.points]
    notes = list(dict.fromkeys(point.note for point in points if point.note))
    rows = []
    for line in panel.lines:
        by_fraction = {p.fraction: p for p in line.points}
        cells = [_cell(by_fraction.get(fraction), notes) for fraction in fractions]
        said = "published" if line.published else line.model
        detail = f'<span class="detail">{_e(said)}</span>' if said else ""
        rows.append([_e(line.title) + detail, *cells])
    baseline = "" if panel.majority is None else f" Majority: {percent(panel.majority)}."
    says = [f"{panel.column.task} {panel.column.heading}, per cent{_contents(panel)}.{baseline}"]
    if panel.n:
        sample = ", a fixed random sample of the split" if panel.is_sample else ""
        scored = f"{counted(panel.n, 'example')} in {counted(panel.n_units, panel.unit)}"
        says.append(f"Scored: {scored}{sample}.")
    if sources := sorted({point.source for point in points} - {""}):
        says.append(f"Published: {', '.join(sources)}.")
    for reference in panel.references:
        kind = "published" if reference.published else "measured"
        says.append(f"{reference.name} ({kind}, in-context): {percent(reference.value)}.")
    listed = "".join(f"<li><sup>{marker(k)}</sup> {_e(note)}</li>" for k, note in enumerate(notes))
    table = webpage.table(headings, rows, " ".join(says), row_headings=True)
    return table + (f"<ul>{listed}</ul>" if listed else "")


def _contents(panel: Panel) -> str:
    kinds = {line.published for line in panel.lines}
    parts = ["with 95 % intervals and each seed"] if False in kinds else []
    if True in kinds:
        parts.append("published numbers with their standard deviation over seeds")
    return ", " + "; ".join(parts)


def _cell(point: Point | None, notes: Sequence[str]) -> str:
    if point is None:
        return '<span class="detail">not run</span>'
    each = ", ".join(percent(value) for value in point.by_seed)
    mark = f"<sup>{marker(notes.index(point.note))}</sup>" if point.note else ""
    spread = (
        f"± {percent(point.std)}"
        if point.method == STD and point.std is not None
        else interval(point.low, point.high)
    )
    seeds = f'<span class="interval">seeds {each}</span>' if len(point.by_seed) > 1 else ""
    return (
        f'<span class="number">{percent(point.value)}{mark}</span>'
        f'<span class="interval">{spread}</span>{seeds}'
    )


def tests(curve: LearningCurve) -> str:
    """What was compared at each fraction: in words, and as a table; empty without tests."""
    if not curve.tests:
        return ""
    clear = sum(test.p_holm < 0.05 for test in curve.tests)
    second = curve.tests[0].second.lower()
    said = (
        f"<p>Each system minus {_e(second)} at the same fraction, on the same test examples. After"
        f" Holm's correction for {len(curve.tests)} comparisons, {clear} of {len(curve.tests)} have"
        " p below 0.05.</p>"
    )
    table = webpage.table(
        ["Comparison", "Difference", "95 % interval", "p", "p (Holm)", "Seeds"],
        [_test_row(test) for test in curve.tests],
        "Paired by unit; percentage points.",
        row_headings=True,
    )
    return said + table


def _test_row(test: Test) -> list[str]:
    difference = test.difference
    bounds = f"{points(difference.interval.low)} to {points(difference.interval.high)}"
    name = f"{test.column.task} {test.column.heading}, {100 * test.fraction:g} % of training"
    detail = f'<span class="detail">{_e(test.first)} minus {_e(test.second.lower())}</span>'
    seeds = str(test.seeds[0]) if len(set(test.seeds)) == 1 else f"{test.seeds[0]}, {test.seeds[1]}"
    return [
        _e(name) + detail, points(difference.value), bounds, _e(p_value(difference.p_value)),
        _e(p_value(test.p_holm)), seeds,
    ]  # fmt: skip


def _method(curve: LearningCurve, command: str) -> str:
    items = [
        "The training split is cut down by whole units (premises, contexts, discharge summaries);"
        " validation and test stay whole. A seed has its own subset, which is the same for every"
        " system.",
        "Checkpoint and learning rate were chosen on the validation split; the test split was"
        " scored once for each run.",
        f"Intervals: {_interval_words(curve)}; {curve.resamples:,} resamples.",
        "Tests: difference of the means over seeds on the same units, seeds resampled for each"
        " system by itself; two-sided; Holm's correction over all of this page. Only the metrics"
        " that are drawn are tested; the others are in the CSV beside this file.",
    ]
    if any(panel.is_sample for panel in curve.panels):
        items.append(
            "Where a table says so, a fixed random sample of whole units of the test split was"
            " scored, the same for every system and the baseline: such scores compare with each"
            " other, not with scores of the whole split."
        )
    listed = "".join(f"<li>{_e(item)}</li>" for item in items)
    shown = f"<p>This page:</p><pre>{_e(command)}</pre>" if command else ""
    return webpage.section("method", "How this was measured", f"<ul>{listed}</ul>", shown)
