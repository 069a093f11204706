import polars as pl
from etils import epath

from clinical_t5x.corpus import leakage

WORDS = [a + b + c for a in "bdfg" for b in "aeiou" for c in ("lo", "mi", "nu")]


def passage(first, count=20):
    return " ".join(WORDS[first : first + count])


def test_overlap_is_counted_by_gram_text_and_patient(tmp_path):
    common = passage(0)
    notes = [(f"s/{patient}", common) for patient in range(25)]
    notes += [("s/1", "Before 12.5 " + passage(25, 15).upper() + ", after"), ("s/2", "unrelated")]
    table = pl.DataFrame(notes, schema=["patient_id", "text"], orient="row")
    table[:10].write_parquet(tmp_path / "train-00000-of-00001.parquet")
    table[10:].write_parquet(tmp_path / "validation-00000-of-00001.parquet")
    benchmarks = {
        "radqa": {
            "test": [common, passage(25, 15), passage(25, 15) + " elsewhere", "short"],
            "train": [passage(38)],
        }
    }
    found = leakage.measure(epath.Path(tmp_path), benchmarks)
    assert found["radqa"]["test"] == {
        "texts": 4,
        "grams": 8 + 3 + 1,
        "grams_in_corpus": 8 + 3,
        "boilerplate": 8,
        "shared_beyond": 3,
        "texts_touched": 2,
    }
    assert found["radqa"]["train"]["grams_in_corpus"] == 0


def test_without_benchmarks_there_is_nothing_to_report(tmp_path):
    assert leakage.measure(epath.Path(tmp_path), {}) == {}
