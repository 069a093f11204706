"""N-grams of the benchmarks in notes and in the finished corpus, against plain Python's count."""

import collections
import re

import numpy as np
import polars as pl
import pytest
from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.corpus import leakage, overlap
from clinical_t5x.corpus.words import words_of

WORDS = [a + b + c for a in "bdfg" for b in "aeiou" for c in ("lo", "mi", "nu")]


def passage(first, count=20):
    return " ".join(WORDS[first : first + count])


def grams_by_hand(text, size):
    words = re.findall("[a-z]+", text.lower())
    return {tuple(words[place : place + size]) for place in range(len(words) - size + 1)}


def staged(directory, notes, grams, pieces=3):
    """Write notes of (patient, text) as preparation stages their n-grams; rows are their places."""
    table = pl.DataFrame(notes, schema={"patient": pl.UInt64, "text": pl.String}, orient="row")
    table = table.with_row_index("row").with_columns(pl.col("row").cast(pl.UInt64))
    for piece in range(pieces):
        part = table.gather_every(pieces, piece)
        hits = overlap.hits_of(part, words_of(part.get_column("text")), grams)
        for size, of_size in hits.items():
            compress = piece == 0  # as on a cluster
            overlap.write_hits(of_size, directory, size, f"000-{piece:06}", compress=compress)


def patients_by_hand(notes, benchmarks, size):
    """Every n-gram of the benchmarks and the patients who have it."""
    every = set().union(
        *(grams_by_hand(text, size) for splits in benchmarks.values() for texts in splits.values()
          for text in texts)
    )  # fmt: skip
    having = collections.defaultdict(set)
    for patient, text in notes:
        for gram in grams_by_hand(text, size) & every:
            having[gram].add(patient)
    return {gram: len(having[gram]) for gram in every}


def made_up(seed):
    """Notes of 60 patients and a benchmark, woven from few passages so that much is shared."""
    rng = np.random.default_rng(seed)
    passages = [passage(first, 16) for first in range(0, 40, 4)]

    def text():
        return ". ".join(rng.choice(passages, rng.integers(1, 4)))

    notes = [(int(rng.integers(60)), text()) for _ in range(150)]
    benchmarks = {
        name: {split: [text() for _ in range(4)] for split in ("train", "validation", "test")}
        for name in ("mednli", "radqa")
    }
    return notes, benchmarks


@pytest.mark.parametrize("seed", range(4))
def test_patients_of_every_n_gram_are_those_of_a_plain_count(tmp_path, seed):
    notes, benchmarks = made_up(seed)
    grams = overlap.BenchmarkGrams(benchmarks)
    staged(tmp_path, notes, grams)
    raw = overlap.count_patients(tmp_path, grams)
    for size in overlap.GRAM_WORDS:
        expected = patients_by_hand(notes, benchmarks, size)
        assert len(grams.tables[size]) == len(expected)
        assert sorted(raw.patients[size].tolist()) == sorted(expected.values())
        hashes = words_of(pl.Series([" ".join(gram) for gram in expected])).grams(size)[0]
        places = np.searchsorted(grams.tables[size].hashes, hashes)
        assert raw.patients[size][places].tolist() == list(expected.values())


@pytest.mark.parametrize("seed", range(4))
def test_notes_with_rare_n_grams_of_a_test_split_are_those_of_a_plain_count(
    tmp_path, seed, monkeypatch
):
    monkeypatch.setattr(overlap, "BOILERPLATE_PATIENTS", 14)
    notes, benchmarks = made_up(seed)
    grams = overlap.BenchmarkGrams(benchmarks)
    staged(tmp_path, notes, grams)
    found = overlap.rows_with_test_text(tmp_path, grams, overlap.count_patients(tmp_path, grams))
    patients = patients_by_hand(notes, benchmarks, 13)
    of_test = set().union(
        *(grams_by_hand(text, 13) for splits in benchmarks.values() for text in splits["test"])
    )
    telling = {gram for gram in of_test if patients[gram] < 14}
    expected = [row for row, (_, text) in enumerate(notes) if grams_by_hand(text, 13) & telling]
    assert 0 < len(expected) < len(notes)
    assert found.to_list() == expected


@pytest.mark.parametrize(("patients", "usual"), [(19, False), (20, True)])
def test_boilerplate_is_what_twenty_patients_have_however_often(tmp_path, patients, usual):
    eight, thirteen = passage(0, 8), passage(20, 13)
    benchmarks = {"radqa": {"test": [eight, thirteen]}}
    grams = overlap.BenchmarkGrams(benchmarks)
    notes = [(patient, f"{eight}. {thirteen}") for patient in range(patients)] * 3
    staged(tmp_path, notes, grams)
    raw = overlap.count_patients(tmp_path, grams)
    assert len(grams.tables[13]) == 1 and raw.boilerplate(13).tolist() == [usual]
    # Of eight words there are those of the first text, and six within the second.
    assert raw.boilerplate(8).tolist() == [usual] * 7
    rows = overlap.rows_with_test_text(tmp_path, grams, raw)
    assert rows.to_list() == ([] if usual else list(range(len(notes))))


def test_n_grams_of_other_splits_give_no_note_away(tmp_path):
    benchmarks = {"radqa": {"train": [passage(0)], "validation": [passage(20)]}}
    grams = overlap.BenchmarkGrams(benchmarks)
    staged(tmp_path, [(1, passage(0)), (2, passage(20)), (3, "nothing")], grams)
    raw = overlap.count_patients(tmp_path, grams)
    assert overlap.rows_with_test_text(tmp_path, grams, raw).is_empty()


def corpus(directory, texts):
    """Documents in two files, as they lie in a finished corpus."""
    table = pl.DataFrame({"text": texts}, schema={"text": pl.String})
    table[: len(texts) // 2].write_parquet(directory / "train-00000-of-00001.parquet")
    table[len(texts) // 2 :].write_parquet(directory / "validation-00000-of-00001.parquet")
    return epath.Path(directory)


def test_the_report_counts_grams_texts_and_patients(tmp_path):
    common = passage(0)
    kept = [(patient, common) for patient in range(25)]
    kept += [(1, "Before 12.5 " + passage(25, 15).upper() + ", after"), (2, "unrelated")]
    left_out = [(77, passage(38))]
    benchmarks = {
        "radqa": {
            "test": [common, passage(25, 15), passage(25, 15) + " elsewhere", "short"],
            "train": [passage(38)],
        }
    }
    (tmp_path / "hits").mkdir()
    (tmp_path / "documents").mkdir()
    grams = overlap.BenchmarkGrams(benchmarks)
    staged(tmp_path / "hits", kept + left_out, grams)
    raw = overlap.count_patients(tmp_path / "hits", grams)
    documents = corpus(tmp_path / "documents", [text for _, text in kept])
    report = leakage.measure(documents, benchmarks, grams, raw)
    found = report["benchmarks"]["radqa"]
    assert found["test"]["texts"] == 4
    assert found["test"]["13"] == {
        "grams": 8 + 3 + 1,
        "in_raw": 8 + 3,
        "in_corpus": 8 + 3,
        "boilerplate": 8,
        "shared_beyond": 3,
        "texts_touched": 2,
    }
    # In a corpus that holds the passage of 25 patients the 8-grams of it are boiler-plate too.
    assert found["test"]["8"]["boilerplate"] == 13
    assert found["train"]["13"] == {
        "grams": 8, "in_raw": 8, "in_corpus": 0, "boilerplate": 0, "shared_beyond": 0,
        "texts_touched": 0,
    }  # fmt: skip
    assert report["limit"] == {"gram_words": 13, "split": "test", "grams": 0}
    assert report["boilerplate_patients"] == 20
    assert not report["within_limit"]
    assert report["documents"] == 27
    with pytest.raises(UserError, match=r"13-grams .* no boiler-plate: 3 of radqa; nothing was"):
        leakage.refuse_beyond_limit(report)


@pytest.mark.parametrize("seed", range(3))
def test_the_report_is_what_a_plain_count_gives(tmp_path, seed):
    notes, benchmarks = made_up(seed)
    kept = [text for _, text in notes[::2]]
    (tmp_path / "hits").mkdir()
    (tmp_path / "documents").mkdir()
    grams = overlap.BenchmarkGrams(benchmarks)
    staged(tmp_path / "hits", notes, grams)
    raw = overlap.count_patients(tmp_path / "hits", grams)
    report = leakage.measure(corpus(tmp_path / "documents", kept), benchmarks, grams, raw)
    for size in overlap.GRAM_WORDS:
        patients = patients_by_hand(notes, benchmarks, size)
        there = set().union(*(grams_by_hand(text, size) for text in kept))
        for benchmark, splits in benchmarks.items():
            for split, texts in splits.items():
                each = [grams_by_hand(text, size) for text in texts]
                distinct = set().union(*each)
                beyond = {gram for gram in distinct & there if patients[gram] < 20}
                assert report["benchmarks"][benchmark][split][str(size)] == {
                    "grams": len(distinct),
                    "in_raw": sum(patients[gram] > 0 for gram in distinct),
                    "in_corpus": len(distinct & there),
                    "boilerplate": len((distinct & there) - beyond),
                    "shared_beyond": len(beyond),
                    "texts_touched": sum(bool(grams & beyond) for grams in each),
                }


def test_without_benchmarks_there_is_nothing_to_report(tmp_path):
    (tmp_path / "hits").mkdir()
    grams = overlap.BenchmarkGrams({})
    staged(tmp_path / "hits", [(1, passage(0))], grams)
    raw = overlap.count_patients(tmp_path / "hits", grams)
    assert overlap.rows_with_test_text(tmp_path / "hits", grams, raw).is_empty()
    report = leakage.measure(epath.Path(tmp_path), {}, grams, raw)
    assert report["benchmarks"] == {}
    assert report["within_limit"]
    leakage.refuse_beyond_limit(report)
