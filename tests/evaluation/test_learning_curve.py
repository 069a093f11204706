"""The learning curve: fractions apart, seeds together, a test per fraction, a readable picture."""

import csv
import dataclasses
import html.parser
import io
import itertools
import xml.etree.ElementTree as ElementTree

import matplotlib
import numpy as np
import pytest

from clinical_t5x.console import UserError
from clinical_t5x.evaluation import statistics
from clinical_t5x.evaluation.inference_evaluator import random_units
from clinical_t5x.evaluation.metrics import MEDNLI, MEDNLI_LABELS
from clinical_t5x.evaluation.report import learning_curve_chart
from clinical_t5x.evaluation.report.learning_curve import (
    csv_text,
    learning_curve,
)
from clinical_t5x.evaluation.report.learning_curve_page import page
from clinical_t5x.evaluation.report.table import main_rows, paired_differences
from clinical_t5x.evaluation.results import Evaluation, Result, check_one_system, hash_units

UNITS = 40
RESAMPLES = 300


def evaluation(initialisation, fraction, seed, *, share=0.5, version="mednli_v1@1", model="T5 1M"):
    """Forty premises of three hypotheses, of which a share is right."""
    chance = np.random.default_rng([int(1000 * fraction), seed or 0, len(initialisation)])
    sums = np.zeros((UNITS, len(MEDNLI.columns)))
    for unit in range(UNITS):
        for k, label in enumerate(MEDNLI_LABELS):
            other = MEDNLI_LABELS[(k + 1) % 3]
            sums[unit] += MEDNLI.observe(label, label if chance.random() < share else other)
    results = tuple(
        Result(
            model=model, initialisation=initialisation, task="mednli_v1", task_version=version,
            split="test", metric=metric, value=value, low=None, high=None, level=0.95,
            method="none", resamples=0, n=3 * UNITS, n_units=UNITS, unit="premise group", seed=seed,
            checkpoint="", checkpoint_step=1, config_hash="", commit="c", higher_is_better=True,
            synthetic=True, created="now", fraction=fraction,
            subset_seed=None if fraction == 1.0 else seed,
        )
        for metric, value in MEDNLI.values(sums.sum(axis=0)).items()
    )  # fmt: skip
    units = hash_units("mednli", [str(k) for k in range(UNITS)])
    return Evaluation(results, {}, units, {"mednli": sums})


FRACTIONS, SEEDS = (0.01, 0.1, 1.0), (1, 2, 3)


@pytest.fixture(scope="module")
def evaluations():
    """Two systems at three fractions with three seeds, and the baseline."""
    shares = {"scratch": (0.35, 0.4, 0.5), "pretrained": (0.4, 0.6, 0.85)}
    found = [
        evaluation(name, fraction, seed, share=share)
        for name, by_fraction in shares.items()
        for fraction, share in zip(FRACTIONS, by_fraction, strict=True)
        for seed in SEEDS
    ]
    return [*found, evaluation("majority", 1.0, None, share=0.33, model="most frequent label")]


@pytest.fixture(scope="module")
def curve(evaluations):
    counts = {("mednli", 0.01): 112, ("mednli", 0.1): 1123, ("mednli", 1.0): 11232}
    return learning_curve(evaluations, examples=counts, resamples=RESAMPLES)


def test_points_are_means_over_seeds_with_intervals_over_seeds_and_units(curve, evaluations):
    (panel,) = curve.panels
    assert [line.initialisation for line in panel.lines] == ["scratch", "pretrained"]
    for line, k in itertools.product(panel.lines, range(3)):
        point = line.points[k]
        runs = [
            e
            for e in evaluations
            if e.results[0].initialisation == line.initialisation
            and e.results[0].fraction == FRACTIONS[k]
        ]
        assert point.fraction == FRACTIONS[k] and point.method == "hierarchical"
        assert point.by_seed == tuple(e.result("accuracy").value for e in runs)
        assert point.value == pytest.approx(np.mean(point.by_seed))
        assert point.low < point.value < point.high
    assert panel.majority == evaluations[-1].result("accuracy").value


def test_every_fraction_is_tested_by_itself_and_corrected_over_all(curve):
    assert [test.fraction for test in curve.tests] == list(FRACTIONS)
    raw = [test.difference.p_value for test in curve.tests]
    assert [test.p_holm for test in curve.tests] == statistics.holm(raw)
    panel = curve.panels[0]
    for test, first, second in zip(
        curve.tests, panel.lines[1].points, panel.lines[0].points, strict=True
    ):
        assert test.difference.value == pytest.approx(first.value - second.value)
        assert (test.first, test.second, test.seeds) == ("Pre-trained", "From scratch", (3, 3))


def test_one_seed_has_an_interval_over_units_and_says_so(evaluations):
    alone = [e for e in evaluations if e.results[0].seed in (1, None)]
    curve = learning_curve(alone, resamples=RESAMPLES)
    assert curve.methods == {"bca"}
    assert "other test examples, not of other seeds" in page(curve)


def test_seeds_and_fractions_are_never_mixed(evaluations):
    rows = main_rows([e for e in evaluations if e.results[0].seed in (1, None)])
    assert [(row.initialisation, row.fraction) for row in rows] == [
        ("majority", 1.0),
        *(("scratch", fraction) for fraction in FRACTIONS),
        *(("pretrained", fraction) for fraction in FRACTIONS),
    ]
    assert rows[1].title == "From scratch, 1 % of training" and rows[3].title == "From scratch"
    lines = paired_differences(rows)
    assert [line.fraction for line in lines] == list(FRACTIONS)
    with pytest.raises(UserError, match="not runs of one system"):
        check_one_system(evaluations[:4])


def test_what_cannot_stand_side_by_side_is_refused(evaluations):
    again = evaluation("scratch", 0.1, 2)
    with pytest.raises(UserError, match="both claim to be scratch with seed 2 at 10 %"):
        learning_curve([*evaluations, again], resamples=RESAMPLES)
    sample = evaluation("scratch", 0.5, 2, version="mednli_v1@1/sample-9")
    with pytest.raises(UserError, match="not comparable"):
        learning_curve([*evaluations, sample], resamples=RESAMPLES)
    with pytest.raises(UserError, match="no result on the test split"):
        learning_curve(evaluations[-1:], resamples=RESAMPLES)


def test_the_csv_has_every_number(curve):
    rows = list(csv.DictReader(io.StringIO(csv_text(curve))))
    drawn = [row for row in rows if (row["kind"], row["metric"]) == ("score", "accuracy")]
    assert [(row["system"], float(row["fraction"])) for row in drawn] == [
        (line.initialisation, fraction) for line in curve.panels[0].lines for fraction in FRACTIONS
    ]
    assert [row["training_examples"] for row in drawn] == ["112", "1123", "11232"] * 2
    assert sum(row["kind"] == "difference" for row in rows) == 3


def test_the_page_is_one_file_that_says_what_it_shows(curve):
    text = page(curve, command="python -m clinical_t5x.grid", notes=["3 of 20 runs are not done"])
    html.parser.HTMLParser().feed(text)
    assert "Synthetic data" in text and "3 of 20 runs" in text and "1 % (112)" in text
    assert "http" not in text.replace("http://www.w3.org", "")
    assert "After Holm's correction for 3 comparisons" in text


def test_the_picture_files_are_whole(curve):
    files = learning_curve_chart.picture_files(curve)
    root = ElementTree.fromstring(files["svg"])
    texts = {"".join(node.itertext()).strip() for node in root.iter() if node.tag.endswith("text")}
    assert {"MedNLI: accuracy", "From scratch", "Pre-trained", "Majority"} <= texts
    assert files["png"].startswith(b"\x89PNG")


def test_labels_never_touch_however_close_the_lines_end():
    """Names stand at least a line's height apart and inside the panel."""
    figure = matplotlib.figure.Figure()
    axes = figure.subplots()
    axes.set_ylim(0, 100)
    labels = [
        learning_curve_chart._Label(y, f"system {y}", "black")
        for y in (99, 98, 98, 97, 50, 50.5, 1)
    ]
    learning_curve_chart._write_labels(axes, labels, 1.0)
    heights = sorted(text.xy[1] for text in axes.texts)
    gaps = np.diff(heights)
    assert (
        len(heights) == len(labels) and gaps.min() >= 0.99 * 100 * learning_curve_chart._LABEL_GAP
    )
    assert heights[0] >= 0 and heights[-1] <= 100


@dataclasses.dataclass
class Split:
    """Examples of a split, as far as sampling looks at them."""

    records: list
    inputs: list
    targets: list
    task_version: str = "clip_v1@1"


def test_a_sample_of_units_is_whole_seeded_and_independent_of_order():
    records = [{"id": str(k), "unit": f"note{k % 10}"} for k in range(100)]
    split = Split(records, list(range(100)), list(range(100)))
    sample = random_units(split, 3, seed=42)
    units = {record["unit"] for record in sample.records}
    assert len(units) == 3 and len(sample.records) == 30
    assert sample.task_version == "clip_v1@1/sample-30"
    turned = Split(records[::-1], split.inputs, split.targets)
    assert {record["unit"] for record in random_units(turned, 3, seed=42).records} == units
    assert random_units(split, 10, seed=42) is split
