"""Every row that was read is a document or has one reason for not being one."""

import collections
import csv
import gzip
import io
import itertools
import json

import polars as pl
import pytest

from clinical_t5x.corpus import csv_blocks
from tests.corpus.conftest import three
from tests.corpus.test_overlap_rules import copies, with_notes
from tests.corpus.test_pipeline import NOTES, documents, ids, prepare

IV_NOTES = "physionet.org/files/mimic-iv-note/2.2/note"


def ids_by_hand(physionet):
    """The ids of all rows as the standard library reads them."""
    found = []
    for source, path, column in (
        ("mimic-iii", NOTES, "ROW_ID"),
        ("mimic-iv", f"{IV_NOTES}/discharge.csv.gz", "note_id"),
        ("mimic-iv", f"{IV_NOTES}/radiology.csv.gz", "note_id"),
    ):
        text = gzip.decompress((physionet / path).read_bytes()).decode()
        rows = csv.DictReader(io.StringIO(text, newline=""))
        found += [f"{source}/{row[column]}" for row in rows]
    return found


@pytest.fixture
def notes(physionet):
    """The hand-written notes, and more that every stage has something to drop of."""
    body = "Turned every two hours, skin intact, tube feeding held for high residuals overnight. "
    shift = "".join(body.replace("two", number) for number in ("two", "three", "four", "five"))
    rows = [
        three(60, 7, "Tube feeds at goal. " + shift),
        three(61, 2, shift + "Slept.", charttime="2101-01-04 10:00:00"),
        three(62, 2, shift + "Slept well.", charttime="2101-01-05 10:00:00"),
        three(63, 1, "Seen by Dr. [**Last Name (STitle) 9**] on [**2101-5-25**]."),
        three(1, 1, "The id of an earlier row."),
        *copies(1, first=70),
    ]
    with_notes(physionet, rows)
    return physionet


@pytest.mark.parametrize("block_bytes", [400, 1 << 20])
@pytest.mark.parametrize(
    "options", [{}, {"paper": True}, {"keep_benchmark_patients": True, "near_duplicates": 0}]
)
def test_documents_and_dropped_rows_are_all_rows(
    notes, tmp_path, monkeypatch, block_bytes, options
):
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", block_bytes)
    prepare(notes, tmp_path / "out", **options)
    dropped = pl.read_parquet(tmp_path / "out" / "dropped.parquet")
    assert dropped.columns == ["document_id", "reason", "num_words"]
    found = ids(tmp_path / "out") + dropped.get_column("document_id").to_list()
    assert collections.Counter(found) == collections.Counter(ids_by_hand(notes))
    # In the order of the files, those of a batch that are no notes after the others.
    place = {note: number for number, note in reversed(list(enumerate(ids_by_hand(notes))))}
    in_order = dropped.filter(
        ~pl.col("reason").is_in(["marked as error", "empty text", "id of an earlier row"])
    ).get_column("document_id")
    places = [place[note] for note in in_order]
    assert places == sorted(places)


def test_every_stage_has_something_to_drop_and_its_numbers_add_up(notes, tmp_path):
    manifest, _, _ = prepare(notes, tmp_path / "out")
    stages = manifest["stages"]
    names = [stage["name"] for stage in stages]
    for name in (
        "re-saved drafts", "combination", "exact duplicates", "near-duplicates",
        "benchmark persons", "benchmark n-grams",
    ):  # fmt: skip
        assert stages[names.index(name)]["dropped"], name
    for before, stage in itertools.pairwise(stages):
        gone = stage["dropped"].values()
        assert before["notes"] - stage["notes"] == sum(counts["notes"] for counts in gone)
        assert before["words"] - stage["words"] == sum(counts["words"] for counts in gone)
    assert stages[0]["notes"] == len(ids_by_hand(notes))
    splits = manifest["splits"].values()
    assert stages[-1]["notes"] == sum(split["documents"] for split in splits)
    assert stages[-1]["words"] == sum(split["words"] for split in splits)
    table = documents(tmp_path / "out")
    assert stages[-1]["notes"] == table.height
    assert stages[-1]["words"] == sum(len(text.split()) for text in table.get_column("text"))


def test_a_note_without_a_category_is_none_that_iv_has(notes, tmp_path):
    with_notes(notes, [three(90, 40, "Walked the length of the ward twice.", category="")])
    manifest, _, _ = prepare(notes, tmp_path / "out")
    assert "mimic-iii/90" in ids(tmp_path / "out")
    (before,) = [stage for stage in manifest["stages"] if stage["name"] == "re-saved drafts"]
    sets = manifest["counts"]["combination"]
    assert sum(sets.values()) == before["notes"]


def test_stages_drop_what_dropped_parquet_says(notes, tmp_path):
    manifest, _, _ = prepare(notes, tmp_path / "out")
    listed = collections.Counter()
    words = collections.Counter()
    for _, reason, num_words in pl.read_parquet(tmp_path / "out" / "dropped.parquet").rows():
        listed[reason] += 1
        words[reason] += num_words
    told = {
        reason: counts
        for stage in manifest["stages"]
        for reason, counts in stage["dropped"].items()
    }
    assert {reason: counts["notes"] for reason, counts in told.items()} == dict(listed)
    assert {reason: counts["words"] for reason, counts in told.items()} == dict(words)
    by_source = manifest["counts"]["notes"].values()
    counted = collections.Counter()
    for fates in by_source:
        for fate, counts in fates.items():
            counted[fate] += counts["notes"]
    assert counted.pop("kept") == len(ids(tmp_path / "out"))
    assert counted == {reason: listed[reason] for reason in counted}


def test_lengths_and_categories_count_every_document(notes, tmp_path):
    manifest, _, _ = prepare(notes, tmp_path / "out")
    table = documents(tmp_path / "out")
    lengths = manifest["lengths"]
    assert set(lengths["documents"]) == set(table.get_column("source"))
    assert sum(map(sum, lengths["documents"].values())) == table.height
    edges = lengths["edges"]
    words = table.filter(pl.col("source") == "mimic-iv").get_column("num_words").to_list()
    by_hand = [
        sum(low <= count < high for count in words)
        for low, high in zip(edges[:-1], [*edges[1:-1], edges[-1] + 1], strict=True)
    ]
    assert lengths["documents"]["mimic-iv"] == by_hand
    categories = manifest["categories"]
    assert sum(counts["documents"] for counts in categories.values()) == table.height


def test_rows_without_an_id_are_listed_by_their_place(notes, tmp_path):
    with_notes(notes, [three("", 8, "Whose row is this?")])
    text = gzip.decompress((notes / NOTES).read_bytes()).decode()
    line = len(text.replace("\r", "").splitlines())
    prepare(notes, tmp_path / "out")
    reasons = dict(pl.read_parquet(tmp_path / "out" / "dropped.parquet")[:, :2].rows())
    assert reasons[f"mimic-iii/line {line}"] == "no note id"


def test_records_that_cannot_be_read_are_listed_by_their_place(tmp_path):
    path = tmp_path / "notes.jsonl"
    lines = [json.dumps({"id": str(number), "text": f"note {number}"}) for number in range(6)]
    path.write_text("\n".join([*lines[:3], "{broken", "[1]", *lines[3:], '{"id": "7"}']) + "\n")
    manifest, _, _ = prepare(None, tmp_path / "out", notes=path)
    dropped = pl.read_parquet(tmp_path / "out" / "dropped.parquet")
    assert sorted(dropped.rows()) == [
        ("notes/7", "empty text", 0),
        ("notes/line 4", "not a JSON object", 0),
        ("notes/line 5", "not a JSON object", 0),
    ]
    assert [stage["notes"] for stage in manifest["stages"][:2]] == [9, 6]
