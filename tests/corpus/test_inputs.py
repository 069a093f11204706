import gzip
import json
import os
from pathlib import Path

import polars as pl
import pytest
from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.corpus import inputs, readers

NOTES = [
    {"pid": 7, "note": "First note, é.\nTwo lines.", "kind": "Clinic", "key": "a"},
    {"pid": 7, "note": "Second note.", "kind": None, "key": "b"},
    {"pid": 8, "note": "Third \u2028 note.", "kind": "Ward", "key": "c"},
]
MAPPING = "text=note,id=key,category=kind,patient=pid"


def written(tmp_path, file_format):
    path = tmp_path / f"notes.{file_format}"
    if file_format == "jsonl":
        lines = [json.dumps(note, ensure_ascii=False) for note in NOTES]
        path.write_text("\n".join([*lines, "", "[1]", "{broken"]))
    elif file_format in ("jsonl.gz", "ndjson.gz"):
        path.write_bytes(gzip.compress("\n".join(map(json.dumps, NOTES)).encode()))
    elif file_format == "csv":
        pl.DataFrame(NOTES).write_csv(path)
    else:
        pl.DataFrame(NOTES).write_parquet(path)
    return epath.Path(path)


def read(source):
    batches = [unparsed.parse() for unparsed in readers.read_batches(source)]
    return pl.concat([batch.notes for batch in batches]), batches


@pytest.mark.parametrize("file_format", ["jsonl", "jsonl.gz", "ndjson.gz", "csv", "parquet"])
def test_every_format_gives_the_same_notes(tmp_path, file_format):
    source = inputs.other_notes(written(tmp_path, file_format), MAPPING)
    notes, batches = read(source)
    assert notes.select("note_id", "patient", "category", "text").rows() == [
        (note["key"], str(note["pid"]), note["kind"] or "", note["note"]) for note in NOTES
    ]
    if file_format == "jsonl":
        unreadable = [batch.unreadable.select("reason", "note_id").rows() for batch in batches]
        assert unreadable == [[(readers.NOT_JSON, "line 5")], [(readers.NOT_JSON, "line 6")]]


def test_options_without_what_they_belong_to_are_refused(tmp_path):
    notes = written(tmp_path, "csv")
    with pytest.raises(UserError, match="--sources chooses from --physionet DIR"):
        inputs.resolve(physionet=None, names=["mimic-iii"], notes=notes, columns=MAPPING)
    with pytest.raises(UserError, match="--columns maps the columns of --notes FILE"):
        inputs.resolve(physionet=epath.Path(tmp_path), names=None, notes=None, columns=MAPPING)


def test_a_directory_of_text_files(tmp_path):
    (tmp_path / "notes" / "sub").mkdir(parents=True)
    (tmp_path / "notes" / "b.txt").write_bytes(b"b \xb0")
    (tmp_path / "notes" / "sub" / "a.txt").write_text("a")
    (tmp_path / "notes" / "c.csv").write_text("not a note")
    notes, batches = read(inputs.other_notes(epath.Path(tmp_path / "notes"), None))
    assert notes.select("note_id", "text").rows() == [("b", "b °"), ("sub/a", "a")]
    assert batches[0].repaired_bytes == 1


def text_directory(tmp_path):
    """Two notes and one in a subdirectory, all of the same size and time of change."""
    directory = tmp_path / "notes"
    (directory / "s").mkdir(parents=True)
    for name in ("a.txt", "b.txt", "s/c.txt"):
        (directory / name).write_text(f"note {name[-5]}")
        os.utime(directory / name, (1e9, 1e9))
    return directory


def rename(directory):
    (directory / "a.txt").rename(directory / "zz.txt")


def move_up(directory):
    (directory / "s/c.txt").rename(directory / "c.txt")


def rewrite_as_older(directory):
    (directory / "a.txt").write_text("note x")
    os.utime(directory / "a.txt", (9e8, 9e8))


@pytest.mark.parametrize("change", [rename, move_up, rewrite_as_older])
def test_a_changed_directory_of_text_files_is_another(tmp_path, change):
    directory = text_directory(tmp_path)
    found = inputs.resolve(physionet=None, names=None, notes=epath.Path(directory), columns=None)
    seen, described = found.seen(), found.describe()
    assert json.loads(json.dumps(seen)) == seen == found.seen()
    change(directory)
    assert found.seen() != seen
    (before,), (after,) = described, found.describe()
    assert after["sha256"] != before["sha256"]
    assert after["bytes"] == before["bytes"] == seen["notes"][0] == 18


def test_links_are_followed_and_no_directory_is_read_twice(tmp_path):
    directory = text_directory(tmp_path)
    (tmp_path / "above.txt").write_text("not asked for")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "d.txt").write_text("note d")
    (tmp_path / "elsewhere" / "back").symlink_to(directory)
    for link, target in {
        "loop": ".", "s/loop": "..", "up": "..", "again": "s", "away": "../elsewhere",
        "away_too": "../elsewhere", "e.txt": "a.txt",
    }.items():  # fmt: skip
        (directory / link).symlink_to(target)
    notes, _ = read(inputs.other_notes(epath.Path(directory), None))
    assert notes.get_column("note_id").to_list() == ["a", "away/d", "b", "e", "s/c"]


def test_a_link_to_nothing_and_a_name_that_is_not_utf8_are_refused(tmp_path):
    directory = text_directory(tmp_path)
    (directory / "x.txt").symlink_to("nowhere.txt")
    with pytest.raises(UserError, match=r"x\.txt' is a link to no file; mend or remove it"):
        readers.text_files(epath.Path(directory))
    (directory / "x.txt").unlink()
    Path(os.fsdecode(os.fsencode(directory) + b"/\xff.txt")).write_text("note")
    with pytest.raises(UserError, match=r"udcff\.txt' is not UTF-8; rename it"):
        readers.text_files(epath.Path(directory))
    file = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.jsonl"))
    file.write_text('{"text": "note"}')
    with pytest.raises(UserError, match=r"udcff\.jsonl' is not UTF-8; rename it"):
        inputs.other_notes(epath.Path(file), None)


@pytest.mark.parametrize("name", ["mimic-iii.jsonl", "mimic-iv.csv.gz", "mimic-iii"])
def test_notes_that_are_called_as_mimics_are_refused(tmp_path, name):
    path = tmp_path / name
    path.write_text("") if path.suffix else path.mkdir()
    with pytest.raises(UserError, match="as MIMIC's own notes are; rename it, or"):
        inputs.other_notes(epath.Path(path), None)


def test_text_and_id_need_no_mapping(tmp_path):
    path = tmp_path / "notes.csv"
    path.write_text("ID,Text,other\n1,hello,x\n")
    notes, _ = read(inputs.other_notes(epath.Path(path), None))
    assert notes.select("note_id", "text").rows() == [("1", "hello")]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("text=nope", "has no column 'nope'.*columns found: pid, note, kind, key.*--columns"),
        (None, "has no column 'text'.*columns found: key, kind, note, pid.*text=NAME"),
        ("text", "NAME=COLUMN pairs"),
        ("body=note", "NAME one of text, id"),
    ],
)
def test_a_wrong_mapping_names_the_columns(tmp_path, columns, message):
    with pytest.raises(UserError, match=message):
        inputs.other_notes(written(tmp_path, "jsonl"), columns)


def test_a_column_twice_is_refused(tmp_path):
    path = tmp_path / "notes.csv"
    path.write_text("id,text,TEXT\n1,a,b\n")
    with pytest.raises(UserError, match="has 2 columns 'text'"):
        inputs.other_notes(epath.Path(path), None)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("n.jsonl", b"not json\n", "not JSON lines"),
        ("n.parquet", b"PAR1 but no", "not a readable Parquet file"),
        ("n.docx", b"", "no known format"),
        ("n.csv", "id,text".encode("utf-16"), "is UTF-16 text"),
    ],
)
def test_files_that_are_not_what_they_seem(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        inputs.other_notes(epath.Path(tmp_path / name), None)


def test_nothing_named_a_missing_directory_and_an_unknown_source(tmp_path, physionet):
    nothing = {"physionet": None, "names": None, "notes": None, "columns": None}
    with pytest.raises(UserError, match="--physionet DIR for MIMIC, or --notes FILE"):
        inputs.resolve(**nothing)
    with pytest.raises(UserError, match="is not a directory"):
        inputs.resolve(**{**nothing, "physionet": epath.Path(tmp_path / "nowhere")})
    with pytest.raises(UserError, match="--sources names 'mimic-v'"):
        inputs.resolve(**{**nothing, "physionet": epath.Path(physionet), "names": ["mimic-v"]})
    with pytest.raises(UserError, match="name the file too"):
        inputs.resolve(**{**nothing, "physionet": epath.Path(physionet), "columns": "text=x"})


def test_a_missing_file_says_where_it_was_looked_for_and_how_to_get_it(tmp_path, physionet):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError) as caught:
        inputs.resolve(
            physionet=epath.Path(tmp_path / "empty"), names=None, notes=None, columns=None
        )
    message = str(caught.value)
    assert "empty/physionet.org/files/mimiciii/1.4/NOTEEVENTS.csv.gz" in message
    assert "empty/mimiciii/1.4/NOTEEVENTS.csv" in message
    assert "wget" in message
    assert "clinical_t5x.synthetic" in message
    (physionet / "physionet.org/files/mimic3-carevue/1.4/NOTEEVENTS.csv.gz").unlink()
    with pytest.raises(UserError, match=r"mimic3-carevue/1\.4/NOTEEVENTS"):
        inputs.resolve(physionet=epath.Path(physionet), names=None, notes=None, columns=None)


@pytest.mark.parametrize("layout", ["physionet.org/files", "files", "."])
def test_files_are_found_in_every_layout(tmp_path, layout):
    path = tmp_path / layout / "mimiciii/1.4/NOTEEVENTS.csv"
    path.parent.mkdir(parents=True)
    path.write_text(
        "ROW_ID,SUBJECT_ID,CHARTDATE,CHARTTIME,STORETIME,CATEGORY,DESCRIPTION,CGID,ISERROR,TEXT\n"
    )
    found = inputs.resolve(physionet=epath.Path(tmp_path), names=None, notes=None, columns=None)
    assert [source.label for source in found.sources] == ["mimiciii/1.4/NOTEEVENTS.csv"]
