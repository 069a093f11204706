"""The report from hand-made results: it parses, holds every number, and refuses what it must."""

import csv
import html.parser
import json
import re

import numpy as np
import pytest

from clinical_t5x import report
from clinical_t5x.console import UserError
from clinical_t5x.evaluation.metrics import CLIP, CLIP_LABELS, MEDNLI, RADQA
from clinical_t5x.evaluation.report.collect import collect
from clinical_t5x.evaluation.report.page import page
from clinical_t5x.evaluation.report.table import COLUMNS
from clinical_t5x.evaluation.report.text import csv_text, markdown
from clinical_t5x.evaluation.report.words import percent, points
from clinical_t5x.evaluation.results import Evaluation, Result, hash_units, save_evaluation
from clinical_t5x.evaluation.statistics import bootstrap_intervals

SKILL = {"majority": 0.34, "scratch": 0.55, "pretrained": 0.68}


def _sums(family, skill, rng):
    """Unit sums of a system of that skill; not tied to any text."""
    if family is MEDNLI:
        sums = np.zeros((40, len(MEDNLI.columns)))
        right = rng.binomial(3, skill, size=40)
        sums[:, MEDNLI.columns.index("neutral>neutral")] = right
        sums[:, MEDNLI.columns.index("neutral>entailment")] = 3 - right
    elif family is RADQA:
        sums = np.zeros((30, len(RADQA.columns)))
        exact = rng.binomial(4, 0.6 * skill, size=30)
        sums[:, 0], sums[:, 1], sums[:, 2] = 4, exact, (exact + 4 * skill) / 2
        sums[:, 3] = 3
    else:
        count = len(CLIP_LABELS)
        sums = np.zeros((20, len(CLIP.columns)))
        gold = rng.poisson(5, size=(20, count))
        hits = rng.binomial(gold, skill)
        sums[:, :count], sums[:, 2 * count : 3 * count] = hits, gold
        sums[:, count : 2 * count] = hits + rng.poisson(1.5, size=(20, count))
        sums[:, -1] = 100
    return sums


def write_evaluation(run, family, initialisation, *, seed=1, step=100, units=None, **changes):
    rng = np.random.default_rng([seed, step, *map(ord, family.name)])
    sums = _sums(family, SKILL[initialisation], rng)[:units]
    intervals = bootstrap_intervals(sums, family.reduce, resamples=300)
    trained = initialisation != "majority"
    shared = {
        "model": "T5 1.9M" if trained else "constant",
        "initialisation": initialisation,
        "task": f"{family.name}_v1",
        "task_version": f"{family.name}_v1@0123",
        "split": "test",
        "level": 0.95,
        "method": "bca",
        "resamples": 300,
        "n": int(sums[:, :12].sum()) if family is MEDNLI else 120,
        "n_units": len(sums),
        "unit": family.unit,
        "seed": seed if trained else None,
        "checkpoint": str(run / f"checkpoint_{step}") if trained else "",
        "checkpoint_step": step if trained else None,
        "config_hash": "f" * 64,
        "commit": "c0ffee" * 6,
        "higher_is_better": True,
        "synthetic": True,
        "created": "2024-01-01T00:00:00+00:00",
        **changes,
    }
    results = tuple(
        Result(
            metric=name,
            value=value,
            low=intervals[name].low if intervals else None,
            high=intervals[name].high if intervals else None,
            **shared,
        )
        for name, value in family.values(sums.sum(axis=0)).items()
    )
    hashed = hash_units(family.name, [f"unit-{k}" for k in range(len(sums))])
    save_evaluation(
        run, Evaluation(results, {"predictions_at_limit": 3}, hashed, {family.name: sums})
    )


def _write_curve(run, *, splits, start, slope, entropy=None):
    run.mkdir(parents=True, exist_ok=True)
    lines = []
    for step in range(10, 110, 10):
        for split in ("train", *splits):
            loss = start * np.exp(-slope * step) + (0.1 if split != "train" else 0.0)
            lines.append({"step": step, "split": split, "loss": loss, "content_loss": loss + 0.2})
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if entropy is not None:
        (run / "unigram_entropy.json").write_text(json.dumps({"unigram_entropy": entropy}))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """What a demo leaves: a pre-training run, two fine-tuning runs a task, three floors."""
    root = tmp_path_factory.mktemp("demo") / "runs"
    pretraining = ("eval/mimic_pretrain_v1",)
    _write_curve(root / "pretrain", splits=pretraining, start=6, slope=0.008, entropy=5.5)
    for family in (MEDNLI, RADQA, CLIP):
        write_evaluation(root / f"majority-{family.name}", family, "majority")
        for initialisation in ("scratch", "pretrained"):
            run = root / f"{initialisation}-{family.name}-seed1"
            slope = 0.01 if initialisation == "scratch" else 0.02
            _write_curve(run, splits=(f"eval/{family.name}_v1",), start=2, slope=slope)
            write_evaluation(
                run / "eval", family, initialisation, checkpoint=str(run / "checkpoint_100")
            )
    corpus = root.parent / "corpus"
    corpus.mkdir()
    manifest = {
        "name": "clinical",
        "synthetic": True,
        "counts": {"mimic-iii": {"rows": 12_345, "dropped": {"error": 17}}},
        "splits": {"train": {"documents": 9_876, "patients": 480, "words": 2_345_678}},
    }
    (corpus / "manifest.json").write_text(json.dumps(manifest))
    return root


@pytest.fixture(scope="module")
def data(runs):
    return collect([runs], corpus=runs.parent / "corpus", command="python -m clinical_t5x.report")


class _Page(html.parser.HTMLParser):
    """Checks nesting and collects text, ids and references."""

    _VOID = frozenset({"meta", "br", "path", "use", "rect", "circle", "line"})

    def __init__(self):
        super().__init__()
        self.open, self.text, self.ids, self.references, self.labelled = [], [], [], [], []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if "id" in values:
            self.ids.append(values["id"])
        self.references += re.findall(r"url\(#([^)]+)\)", " ".join(map(str, values.values())))
        self.references += [v.lstrip("#") for k, v in attributes if k in ("href", "xlink:href")]
        assert "src" not in values
        if values.get("role") == "img":
            self.labelled.append(values.get("aria-label"))
        if tag not in self._VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self._VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in self._VOID:
            assert self.open.pop() == tag

    def handle_data(self, text):
        self.text.append(text)


def _parsed(text):
    parser = _Page()
    parser.feed(text)
    parser.close()
    assert parser.open == []
    return parser


def test_page_parses_and_is_self_contained(data):
    text = page(data)
    parsed = _parsed(text)
    assert len(parsed.ids) == len(set(parsed.ids))
    assert set(parsed.references) <= set(parsed.ids)
    assert not re.search(r"(src|href)=\"(https?:)?//", text)
    assert "<script" not in text
    assert len(parsed.labelled) == 4
    assert all(parsed.labelled)


def test_page_holds_every_number(data):
    text = " ".join(_parsed(page(data)).text)
    for row in data.rows:
        assert row.title in text
        for cell in row.cells.values():
            for number in (cell.value, cell.low, cell.high):
                assert percent(number) in text
    assert len(data.differences) == len(COLUMNS)
    for line in data.differences:
        assert points(line.difference.value) in text
        assert points(line.difference.interval.low) in text
    for evaluation in data.evaluations:
        for result in evaluation.results:
            assert f"{result.value:.4f}" in text
    for fact in ("9,876", "2,345,678", "12,345", "dropped.error", "5.500", "python -m", "c0ffee"):
        assert fact in text
    assert "120 examples in 40 premise groups" in text
    assert "Synthetic data." in text


def test_rows_are_floor_scratch_pretrained(data):
    assert [row.initialisation for row in data.rows] == ["majority", "scratch", "pretrained"]
    assert all(len(row.cells) == 5 for row in data.rows)


def test_difference_is_that_of_the_rows(data):
    _, scratch, pretrained = data.rows
    for line in data.differences:
        expected = pretrained.cells[line.column].value - scratch.cells[line.column].value
        assert line.difference.value == pytest.approx(expected)
        assert line.p_holm >= line.difference.p_value


def test_entropy_line_says_on_which_side_the_loss_lies(data):
    (curve,) = [curve for curve in data.curves if curve.is_pretraining]
    final = curve.series("eval/mimic_pretrain_v1", "content_loss")[-1][1]
    assert final < 5.5
    assert "below the unigram entropy" in page(data)


def test_real_data_have_no_banner(tmp_path):
    write_evaluation(tmp_path, MEDNLI, "scratch", synthetic=False)
    assert "ynthetic" not in page(collect([tmp_path])).partition("<body>")[2]


def test_too_few_units_for_an_interval_are_shown_without(tmp_path):
    for initialisation in ("scratch", "pretrained"):
        write_evaluation(tmp_path / initialisation, MEDNLI, initialisation, units=1)
    found = collect([tmp_path])
    assert found.differences == ()
    assert "no interval" in page(found)
    assert "no interval" in markdown(found)
    assert "3 examples in 1 premise group." in " ".join(_parsed(page(found)).text)


def test_seeds_become_a_mean_with_each_value_shown(tmp_path):
    for seed in (1, 2, 3):
        for initialisation in ("scratch", "pretrained"):
            write_evaluation(
                tmp_path / f"{initialisation}{seed}", MEDNLI, initialisation, seed=seed
            )
    found = collect([tmp_path])
    (column,) = found.rows[0].cells
    cell = found.rows[0].cells[column]
    assert len(cell.by_seed) == 3
    assert cell.value == pytest.approx(np.mean(cell.by_seed))
    text = page(found)
    assert all(percent(value) in text for value in cell.by_seed)
    assert found.differences[0].seeds == (3, 3)


def test_of_several_checkpoints_the_last_is_shown(tmp_path):
    write_evaluation(tmp_path, MEDNLI, "scratch", step=100)
    write_evaluation(tmp_path, MEDNLI, "scratch", step=200)
    (evaluation,) = collect([tmp_path]).evaluations
    assert evaluation.results[0].checkpoint_step == 200


def test_command_writes_all_forms_and_says_where(runs, tmp_path, capsys):
    out = tmp_path / "made" / "report.html"
    assert report.main(["--runs", str(runs), "--out", str(out), "--json"]) == 0
    printed = capsys.readouterr().out
    assert str(out) in printed
    summary = json.loads(printed.splitlines()[-1])
    rows = list(csv.DictReader(out.with_suffix(".csv").open()))
    assert len(rows) == len(summary["results"]) == 20
    assert {row["kind"] for row in rows} == {"score", "difference"}
    assert float(rows[0]["value"]) == summary["results"][0]["value"]
    assert "| Pre-trained (T5 1.9M) |" in out.with_suffix(".md").read_text()
    for row in summary["results"]:
        if row["kind"] == "score":
            assert percent(row["value"]) in printed
    assert not list(out.parent.glob(".*"))


def test_same_results_same_bytes(data):
    assert page(data) == page(data)
    assert csv_text(data) == csv_text(data)
    assert "**Synthetic" in markdown(data)


def test_no_results_another_split_or_mixed_versions_are_said(tmp_path):
    with pytest.raises(UserError, match="no complete evaluation on the test split"):
        collect([tmp_path])
    write_evaluation(tmp_path / "a", MEDNLI, "scratch", split="validation")
    with pytest.raises(UserError, match="there are results on validation"):
        collect([tmp_path])
    write_evaluation(tmp_path / "b", MEDNLI, "scratch")
    write_evaluation(tmp_path / "c", MEDNLI, "pretrained", task_version="mednli_v1@9999")
    with pytest.raises(UserError, match="not comparable"):
        collect([tmp_path])
    write_evaluation(tmp_path / "d", MEDNLI, "scratch")
    with pytest.raises(UserError, match="both claim to be"):
        collect([tmp_path / "b", tmp_path / "d"])
    with pytest.raises(UserError, match="HTML"):
        report.main(["--runs", str(tmp_path), "--out", "report.pdf"])
    with pytest.raises(UserError, match=r"manifest\.json does not exist"):
        collect([tmp_path / "b"], corpus=tmp_path)
