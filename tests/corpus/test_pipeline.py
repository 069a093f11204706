import contextlib
import csv
import gzip
import io
import json

import polars as pl
import pytest
from etils import epath

from clinical_t5x import storage
from clinical_t5x.console import UserError
from clinical_t5x.corpus import csv_blocks, inputs, pipeline
from clinical_t5x.corpus.sources import NoteSource

NOTES = "physionet.org/files/mimiciii/1.4/NOTEEVENTS.csv.gz"


@contextlib.contextmanager
def silent(description, total, unit):
    yield lambda amount: None


def prepare(root, out, *, names=None, notes=None, columns=None, **options):
    found = inputs.resolve(
        physionet=root and epath.Path(root),
        names=names,
        notes=notes and epath.Path(notes),
        columns=columns,
    )
    how = pipeline.CorpusOptions(**options)
    manifest = pipeline.prepare_corpus(found, how, epath.Path(out), on_stage=silent)
    return manifest, found, how


def documents(out):
    return pl.read_parquet(out / "documents" / "*.parquet").sort("document_id")


def ids(out):
    return documents(out).get_column("document_id").to_list()


KEPT_THREE = [1, 15, 16, 3, 5]
KEPT_FOUR = ["101-DS-1", "102-DS-1", "103-RR-1", "104-RR-1"]


def test_every_note_has_the_fate_it_should(physionet, tmp_path):
    manifest, _, _ = prepare(physionet, tmp_path / "out")
    assert ids(tmp_path / "out") == [
        *(f"mimic-iii/{row}" for row in KEPT_THREE),
        *(f"mimic-iv/{note}" for note in KEPT_FOUR),
    ]
    dropped = dict(pl.read_parquet(tmp_path / "out/dropped.parquet").rows_by_key("document_id"))
    reasons = {key.split("/")[1]: value[0][0] for key, value in dropped.items()}
    assert reasons["2"] == "earlier draft of a note"
    assert reasons["4"] == "same text as a later note of the patient"
    assert reasons["6"] == "marked as error"
    assert reasons["7"] == "empty text"
    assert reasons["8"].startswith("discharge summary or radiology report")
    assert reasons["11"] == "person of radqa"
    assert reasons["13"] == "person of clip"
    assert reasons["14"] == "person of mednli"
    assert reasons["105-RR-1"] == reasons["105-RR-2"] == "person of radqa"
    assert len(reasons) + len(KEPT_THREE) + len(KEPT_FOUR) == 23
    assert manifest["counts"]["identity"]["patients linked between MIMIC-III and MIMIC-IV"] == 1
    assert manifest["synthetic"] is False


def test_rows_in_are_rows_kept_plus_rows_dropped_by_the_standard_librarys_count(
    physionet, tmp_path
):
    manifest, _, _ = prepare(physionet, tmp_path / "out")
    raw = gzip.decompress((physionet / NOTES).read_bytes()).decode()
    rows = len(list(csv.reader(io.StringIO(raw, newline="")))) - 1
    counts = manifest["counts"]["rows"]["mimiciii/1.4/NOTEEVENTS.csv.gz"]
    assert counts["in"] == rows == sum(counts.values()) - counts["in"] == 17
    assert manifest["inputs"][0]["rows"] == rows
    fates = manifest["counts"]["notes"]
    assert sum(fate["notes"] for fate in fates["mimic-iii"].values()) == counts["usable"]
    kept = sum(fates[source]["kept"]["notes"] for source in fates)
    assert kept == sum(split["documents"] for split in manifest["splits"].values())
    words = documents(tmp_path / "out").get_column("num_words").sum()
    assert words == sum(split["words"] for split in manifest["splits"].values())


def test_texts_are_clean_and_tagged(physionet, tmp_path):
    prepare(physionet, tmp_path / "out")
    texts = dict(documents(tmp_path / "out").select("document_id", "text").rows())
    assert texts["mimic-iii/1"] == 'Pt "resting" comfortably,\nno acute distress.\nSaid "ok"'
    assert texts["mimic-iii/5"] == "Seen  by Dr. [Name] on 2101-5-25."
    assert texts["mimic-iv/101-DS-1"] == (
        "Name:  [Name]   Unit No:   [Reg#]\n\nDr. [Name] saw this [Age] year old man."
    )
    prepare(physionet, tmp_path / "raw", deid="keep")
    texts = dict(documents(tmp_path / "raw").select("document_id", "text").rows())
    assert texts["mimic-iii/5"].endswith("Dr. [**Last Name (STitle) 77**] on [**2101-5-25**].")


def test_columns_and_files_are_those_of_the_contract(physionet, tmp_path):
    manifest, _, _ = prepare(physionet, tmp_path / "out")
    table = documents(tmp_path / "out")
    assert table.columns == [
        "document_id", "patient_id", "person_id", "source", "category", "description", "charttime",
        "text", "num_words",
    ]  # fmt: skip
    assert table.schema["num_words"] == pl.Int64
    assert set(table.get_column("category")) == {
        "Nursing", "Physician", "Radiology", "Discharge summary",
    }  # fmt: skip
    times = dict(table.select("document_id", "charttime").rows())
    assert times["mimic-iii/16"] == "2101-01-02"
    names = sorted(path.name for path in (tmp_path / "out/documents").iterdir())
    assert names[0] == "train-00000-of-00016.parquet"
    assert names[-1] == "validation-00015-of-00016.parquet"
    assert json.loads((tmp_path / "out/manifest.json").read_text()) == manifest
    assert set(manifest["splits"]) == {"train", "validation"}


def test_persons_are_on_one_side(physionet, tmp_path):
    prepare(physionet, tmp_path / "out", validation_percent=50.0, keep_benchmark_patients=True)
    sides = [
        set(pl.read_parquet(tmp_path / f"out/documents/{split}-*.parquet").get_column("person_id"))
        for split in ("train", "validation")
    ]
    assert not sides[0] & sides[1]
    persons = dict(documents(tmp_path / "out").select("document_id", "person_id").rows())
    assert persons["mimic-iv/105-RR-2"] == persons["mimic-iii/11"] == "mimic-iii/5"


def test_the_papers_choices(physionet, tmp_path):
    prepare(physionet, tmp_path / "out", paper=True)
    found = set(ids(tmp_path / "out"))
    assert {"mimic-iii/4", "mimic-iii/5", "mimic-iii/6", "mimic-iii/14"} <= found
    assert not {"mimic-iii/2", "mimic-iii/11", "mimic-iii/13", "mimic-iv/105-RR-2"} & found


def test_mimic_iv_alone_still_loses_the_benchmarks_patients(physionet, tmp_path):
    manifest, found, _ = prepare(physionet, tmp_path / "out", names=["mimic-iv"])
    assert found.evidence_only == ("mimic-iii",)
    assert ids(tmp_path / "out") == [f"mimic-iv/{note}" for note in KEPT_FOUR]
    assert manifest["counts"]["benchmarks"]["radqa"]["persons"] == 1


def test_mimic_iii_alone_keeps_its_reports_and_summaries(physionet, tmp_path):
    manifest, _, _ = prepare(physionet, tmp_path / "out", names=["mimic-iii"])
    assert {"mimic-iii/8", "mimic-iii/16"} <= set(ids(tmp_path / "out"))
    assert "combination" not in manifest["counts"]


def test_the_same_files_give_the_same_corpus(physionet, tmp_path):
    first, found, how = prepare(physionet, tmp_path / "one")
    second, _, _ = prepare(physionet, tmp_path / "two")
    assert first == second
    assert pipeline.is_prepared(epath.Path(tmp_path / "one"), found, how)
    other = pipeline.CorpusOptions(deid="keep")
    assert not pipeline.is_prepared(epath.Path(tmp_path / "one"), found, other)


def test_a_changed_input_is_seen_and_a_touched_one_is_hashed(physionet, tmp_path):
    _, found, how = prepare(physionet, tmp_path / "out")
    path = physionet / NOTES
    path.touch()
    assert pipeline.is_prepared(epath.Path(tmp_path / "out"), found, how)
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + b"\n"))
    assert not pipeline.is_prepared(epath.Path(tmp_path / "out"), found, how)


def test_many_blocks_give_the_same_documents_as_one(physionet, tmp_path, monkeypatch):
    prepare(physionet, tmp_path / "one")
    defaults = (64, *csv_blocks.record_blocks.__defaults__[1:])
    monkeypatch.setattr(csv_blocks.record_blocks, "__defaults__", defaults)
    prepare(physionet, tmp_path / "many")
    assert documents(tmp_path / "one").equals(documents(tmp_path / "many"))


def test_a_failure_leaves_what_was_there(physionet, tmp_path):
    prepare(physionet, tmp_path / "out")
    before = ids(tmp_path / "out")
    path = physionet / NOTES
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UserError, match="truncated or damaged"):
        prepare(physionet, tmp_path / "out")
    assert ids(tmp_path / "out") == before
    assert storage.is_complete(tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []


def test_the_data_homes_name_may_hold_what_patterns_are_made_of(physionet, tmp_path):
    manifest, _, _ = prepare(physionet, tmp_path / "one")
    assert prepare(physionet, tmp_path / "home [1] *?" / "out")[0] == manifest


def test_strict_stops_at_a_row_that_is_no_note(physionet, tmp_path):
    path = physionet / NOTES
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + b",4,,,,,Echo,,,,text\n"))
    manifest, _, _ = prepare(physionet, tmp_path / "out")
    assert manifest["counts"]["rows"]["mimiciii/1.4/NOTEEVENTS.csv.gz"]["no note id"] == 1
    with pytest.raises(UserError, match="no note id"):
        prepare(physionet, tmp_path / "strict", strict=True)


def test_no_note_left_is_an_error_that_says_why(tmp_path):
    path = tmp_path / "notes.csv"
    path.write_text("id,text\n1,\n2,  \n")
    with pytest.raises(UserError, match="no note is left"):
        prepare(None, tmp_path / "out", notes=path)


def test_rows_with_an_id_that_was_there_before_are_counted(tmp_path):
    path = tmp_path / "notes.csv"
    path.write_text("id,text\n1,first\n1,second\n2,third\n")
    manifest, _, _ = prepare(None, tmp_path / "out", notes=path)
    assert ids(tmp_path / "out") == ["notes/1", "notes/2"]
    assert manifest["counts"]["notes"]["notes"]["id of an earlier row"]["notes"] == 1


def test_options_are_checked():
    for percent in (0, 100):
        with pytest.raises(UserError, match=r"validation_percent.*more than 0, below 100"):
            pipeline.CorpusOptions(validation_percent=percent)
    for name in ("../elsewhere", "", "[ward]", "a\0b", "a\nb", "\udcff", "é" * 51):
        with pytest.raises(UserError, match="name"):
            pipeline.CorpusOptions(name=name)
    with pytest.raises(UserError, match="which TFDS takes for a version"):
        pipeline.CorpusOptions(name="1.0.0")
    assert pipeline.CorpusOptions(name="ward 1.0").name == "ward 1.0"
    with pytest.raises(UserError, match="near_duplicates"):
        pipeline.CorpusOptions(near_duplicates=80)
    with pytest.raises(UserError, match="overlap"):
        pipeline.CorpusOptions(overlap="ignore")


@pytest.mark.parametrize("file", ["home", "home/corpus", "home/corpus/ward"])
def test_a_file_where_a_directory_should_be_is_named(tmp_path, file):
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    with pytest.raises(UserError, match=f"{file} is no directory; move it away"):
        pipeline.corpus_directory(epath.Path(tmp_path / "home"), "ward")


def test_a_source_knows_whether_it_has_patients():
    source = NoteSource("x", epath.Path("x"), "x", {"text": "t"})
    assert not source.has_patients
