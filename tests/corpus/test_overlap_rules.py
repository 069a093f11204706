"""What --overlap does about notes that hold pieces of a test split."""

import csv
import gzip
import io
import json

import pytest

from clinical_t5x.console import UserError
from tests.corpus.conftest import REPORT, three
from tests.corpus.test_pipeline import NOTES, documents, ids, prepare


def with_notes(physionet, rows):
    """Add rows to NOTEEVENTS."""
    path = physionet / NOTES
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + out.getvalue().encode()))


def copies(count, first=50):
    """Notes of as many other patients with the report that RadQA asks about."""
    return [
        three(first + number, first + number, f"Copied {number}. " + REPORT.format(day="today"))
        for number in range(count)
    ]


def fates(manifest):
    return {fate for fates in manifest["counts"]["notes"].values() for fate in fates}


def measured(out, benchmark="radqa", split="test"):
    return json.loads((out / "leakage.json").read_text())["benchmarks"][benchmark][split]["13"]


def test_notes_with_a_test_splits_n_grams_are_left_out(physionet, tmp_path):
    with_notes(physionet, copies(1))
    manifest, _, _ = prepare(physionet, tmp_path / "out")
    assert "mimic-iii/50" not in ids(tmp_path / "out")
    assert manifest["counts"]["notes"]["mimic-iii"]["holds n-grams of a test split"]["notes"] == 1
    found = measured(tmp_path / "out")
    assert found["in_raw"] == found["grams"] and found["in_corpus"] == 0
    (stage,) = [stage for stage in manifest["stages"] if stage["name"] == "benchmark n-grams"]
    assert stage["dropped"]["holds n-grams of a test split"]["notes"] == 1


def test_a_refused_corpus_leaves_nothing_behind(physionet, tmp_path):
    with_notes(physionet, copies(1))
    with pytest.raises(UserError, match=r"no boiler-plate: [\d]+ of radqa; nothing was written"):
        prepare(physionet, tmp_path / "home" / "out", overlap="refuse")
    assert list((tmp_path / "home").iterdir()) == []
    prepare(physionet, tmp_path / "home" / "out")
    before = ids(tmp_path / "home" / "out")
    with pytest.raises(UserError, match="nothing was written"):
        prepare(physionet, tmp_path / "home" / "out", overlap="refuse")
    assert ids(tmp_path / "home" / "out") == before
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["out"]


def test_without_such_notes_nothing_is_refused(physionet, tmp_path):
    prepare(physionet, tmp_path / "remove")
    prepare(physionet, tmp_path / "refuse", overlap="refuse")
    assert ids(tmp_path / "refuse") == ids(tmp_path / "remove")


@pytest.mark.parametrize(
    "options", [{"overlap": "allow"}, {"paper": True}, {"keep_benchmark_patients": True}]
)
def test_allowed_overlap_is_kept_and_reported(physionet, tmp_path, options):
    with_notes(physionet, copies(1))
    manifest, _, _ = prepare(physionet, tmp_path / "out", near_duplicates=0, **options)
    assert "mimic-iii/50" in ids(tmp_path / "out")
    assert "holds n-grams of a test split" not in fates(manifest)
    found = measured(tmp_path / "out")
    assert found["shared_beyond"] == found["in_corpus"] > 0
    report = json.loads((tmp_path / "out" / "leakage.json").read_text())
    assert report["within_limit"] is False


@pytest.mark.parametrize(("others", "kept"), [(17, False), (18, True)])
def test_the_twentieth_patient_makes_it_boilerplate(physionet, tmp_path, others, kept):
    # RadQA's own patient has the report in MIMIC-III and, under another id, in MIMIC-IV.
    with_notes(physionet, copies(others))
    manifest, _, _ = prepare(physionet, tmp_path / "out", near_duplicates=0)
    texts = documents(tmp_path / "out").get_column("text").to_list()
    assert sum("tortuous aorta" in text for text in texts) == (others if kept else 0)
    found = measured(tmp_path / "out")
    assert found["boilerplate"] == found["in_corpus"]
    assert found["shared_beyond"] == 0
    assert (found["in_corpus"] > 0) == kept
    assert ("holds n-grams of a test split" in fates(manifest)) != kept


@pytest.mark.parametrize("deid", ["tags", "keep"])
def test_a_month_in_a_mark_is_a_word_on_both_sides_or_on_none(physionet, tmp_path, deid):
    sentence = (
        "Had, on [**5-3**] and in [**October 2109**], a spell of weakness, numbness, and some "
        "slurred speech."
    )
    for split in ("train", "dev", "test"):
        path = physionet / f"physionet.org/files/mednli/1.0.0/mli_{split}_v1.jsonl"
        record = {"sentence1": sentence, "sentence2": "He was weak.", "gold_label": "entailment"}
        path.write_text(json.dumps({"pairID": split, **record}) + "\n")
    with_notes(physionet, [three(50, 50, "HPI: " + sentence + " No fall.")])
    manifest, _, _ = prepare(physionet, tmp_path / "out", deid=deid, near_duplicates=0)
    found = manifest["counts"]["benchmarks"]["mednli"]
    assert found["premises that name persons"] == 1
    assert measured(tmp_path / "out", "mednli")["in_raw"] > 0
    assert "mimic-iii/50" not in ids(tmp_path / "out")
