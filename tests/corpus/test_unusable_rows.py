"""Rows that are no notes: whose they are counts, what is missing is missing, no text shows."""

import gzip

import polars as pl
import pytest
from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.corpus import readers, sources, staging
from clinical_t5x.corpus.sources import NoteSource
from tests.corpus.test_pipeline import NOTES, documents, ids, prepare

SECRET = "Mrs Miller lives at 12 Elm Street"


def dropped_of(out):
    return dict(pl.read_parquet(out / "dropped.parquet").select("document_id", "reason").rows())


def test_the_patient_of_a_benchmark_note_that_cannot_be_read_is_left_out(physionet, tmp_path):
    path = physionet / NOTES
    raw = gzip.decompress(path.read_bytes()).decode()
    (row,) = [line for line in raw.splitlines() if line.startswith("10,5,")]
    path.write_bytes(gzip.compress(raw.replace(row, row.replace("10,5,", "10,5,,,")).encode()))
    manifest, _, _ = prepare(physionet, tmp_path / "out")
    reasons = dropped_of(tmp_path / "out")
    assert reasons["mimic-iii/10"] == "more fields than the header"
    assert reasons["mimic-iii/11"] == "person of radqa"
    found = manifest["counts"]["benchmarks"]["radqa"]
    assert found["notes named"] == found["notes found in MIMIC-III"] == 1


def test_a_number_that_is_none_is_a_missing_value(tmp_path):
    missing = float("nan")
    table = pl.DataFrame(
        {"id": [1.0, missing, 3.0], "who": [missing, 5.0, 6.0], "text": ["One.", "Two.", "Three."]}
    )
    table.write_parquet(tmp_path / "n.parquet")
    columns = "id=id,patient=who,text=text"
    prepare(None, tmp_path / "out", notes=tmp_path / "n.parquet", columns=columns)
    assert ids(tmp_path / "out") == ["n/3.0"]
    assert dropped_of(tmp_path / "out") == {"n/1.0": "no patient id", "n/row 2": "no note id"}

    lines = '{"id": 1, "who": NaN, "text": "a"}\n{"id": 2, "who": 7, "text": NaN}\n'
    (tmp_path / "j.jsonl").write_text(lines + '{"id": 3, "who": 7, "text": "b"}\n')
    prepare(None, tmp_path / "json", notes=tmp_path / "j.jsonl", columns=columns)
    assert ids(tmp_path / "json") == ["j/3"]
    assert dropped_of(tmp_path / "json") == {"j/1": "no patient id", "j/2": "empty text"}


def test_a_note_of_empty_marks_is_an_empty_text(tmp_path):
    (tmp_path / "e.jsonl").write_text(
        '{"id": 1, "text": "[****]"}\n{"id": 2, "text": "[** **] [****]"}\n'
        '{"id": 3, "text": "Ok."}\n'
    )
    manifest, _, _ = prepare(None, tmp_path / "out", notes=tmp_path / "e.jsonl")
    assert ids(tmp_path / "out") == ["e/3"]
    assert dropped_of(tmp_path / "out") == {"e/1": "empty text", "e/2": "empty text"}
    (rows,) = manifest["counts"]["rows"].values()
    assert rows == {"in": 3, "usable": 1, "empty text": 2}
    assert not documents(tmp_path / "out").filter(pl.col("num_words") == 0).height


def test_a_row_whose_fields_slipped_is_listed_by_its_line(tmp_path):
    (tmp_path / "s.csv").write_text(f'id,who,text\na1,p1,"Fine, indeed"\n{SECRET},,\na3,,x\n')
    columns = "id=id,patient=who,text=text"
    prepare(None, tmp_path / "out", notes=tmp_path / "s.csv", columns=columns)
    assert dropped_of(tmp_path / "out") == {"s/line 3": "no patient id", "s/a3": "no patient id"}


def test_no_category_is_a_piece_of_text(tmp_path):
    rows = f'1,ward,Slept.\n2,"{SECRET}, alone",Woke.\n3,History and physical exam note,Ate.\n'
    (tmp_path / "c.csv").write_text("id,cat,text\n" + rows)
    columns = "id=id,category=cat,text=text"
    manifest, _, _ = prepare(None, tmp_path / "out", notes=tmp_path / "c.csv", columns=columns)
    assert set(manifest["categories"]) == {"", "ward", "History and physical exam note"}
    assert SECRET not in (tmp_path / "out" / "report.html").read_text()


def test_strict_names_the_first_row_whatever_is_wrong_with_it(tmp_path):
    path = tmp_path / "n.csv"
    path.write_text("who,id,text\n1,,first\n2,n-2,a,b\n")
    columns = {"patient": "who", "note_id": "id", "text": "text"}
    source = NoteSource("n", epath.Path(path), path.name, columns)
    (batch,) = list(readers.read_batches(source))
    with pytest.raises(UserError, match="line 2: no note id"):
        staging.stage_batch(batch, source, (0, 0), tmp_path, staging.StagingOptions(strict=True))


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        (["row_id", "Note Text", "date of birth"], "row_id, Note Text, date of birth"),
        (["A17", "Pt John Smith c/o chest pain", "x"], "none"),
        (["1", "a", "b"], "none"),
        ([SECRET, "x"], "none"),
    ],
)
def test_columns_are_shown_unless_they_may_be_a_note(header, shown):
    assert sources.listed(header).startswith(shown)
