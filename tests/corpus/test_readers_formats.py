"""JSON lines, Parquet and text files with something wrong: counted, listed, or one clear error."""

import gzip
import json
from unittest import mock

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from etils import epath
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_t5x.console import UserError
from clinical_t5x.corpus import csv_blocks, inputs, readers

BOM = b"\xef\xbb\xbf"


def read(path, columns=None):
    """Notes (id, text), their places, what is unreadable, and repaired bytes, of all batches."""
    notes, places, unreadable, repaired = [], [], [], 0
    for unparsed in readers.read_batches(inputs.other_notes(epath.Path(path), columns)):
        batch = unparsed.parse()
        notes += batch.notes.select("note_id", "text").rows()
        places += batch.places.to_list()
        unreadable += batch.unreadable.select("reason", "note_id").rows()
        repaired += batch.repaired_bytes
    return notes, places, unreadable, repaired


def written(directory, name, data: bytes):
    path = directory / name
    path.write_bytes(data)
    return path


def line(note_id, text):
    return json.dumps({"id": note_id, "text": text}).encode()


def test_lines_that_are_no_objects_are_listed_by_their_number(tmp_path):
    broken = [b"{never closed", b"[1, 2]", b'"Mrs Miller"', b"[" * 100_000, b"1" * 5_000, b"\x00{}"]
    data = b"\r\n".join([line("a", "first"), b"", *broken, line("b", "last")])
    notes, places, unreadable, _ = read(written(tmp_path, "n.jsonl", data))
    assert notes == [("a", "first"), ("b", "last")]
    assert places == ["line 1", "line 9"]
    assert unreadable == [(readers.NOT_JSON, f"line {number}") for number in range(3, 9)]


def test_the_first_line_may_be_broken_or_windows_1252_or_lack_a_key(tmp_path):
    data = b'{"text":"5\xb0C"}\n' + line("b", "x")
    notes, _, _, repaired = read(written(tmp_path, "n.jsonl", BOM + data))
    assert (notes, repaired) == ([("", "5°C"), ("b", "x")], 1)
    notes, _, unreadable, _ = read(written(tmp_path, "m.jsonl", b"{...\n" + data))
    assert (len(notes), unreadable) == (2, [(readers.NOT_JSON, "line 1")])


@given(
    lines=st.lists(
        st.one_of(
            st.sampled_from(
                [b"", b" ", b"[]", b"{", b'{"id":1}', b'{"text":null}', b"\xff", b"\r"]
            ),
            st.text(max_size=5).map(lambda text: line(text, text)),
            st.binary(max_size=6).filter(lambda data: b"\n" not in data),
        ),
        max_size=20,
    ),
    block_bytes=st.integers(1, 60),
)
@settings(max_examples=100, deadline=None)
def test_every_line_is_a_note_or_listed(tmp_path_factory, lines, block_bytes):
    directory = tmp_path_factory.mktemp("jsonl")
    path = written(directory, "n.jsonl", b"\n".join([line("a", "first"), *lines]))
    with mock.patch.object(csv_blocks, "BLOCK_BYTES", block_bytes):
        _, places, unreadable, _ = read(path)
    objects, others = ["line 1"], []
    for number, data in enumerate(lines, 2):
        if data.strip():
            is_object = readers._json_object(csv_blocks.to_utf8(data)[0]) is not None
            (objects if is_object else others).append(f"line {number}")
    assert (places, unreadable) == (objects, [(readers.NOT_JSON, place) for place in others])


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("n.jsonl", b"", "is empty"),
        ("n.jsonl", b"\n \n", "is empty"),
        ("n.jsonl", '{"text": "x"}\n'.encode("utf-16"), "is UTF-16 text"),
        ("n.jsonl", b"[\n  [1],\n  2\n]\n", "is not JSON lines: none of its first lines"),
        ("n.jsonl.gz", gzip.compress(line("a", "x") * 9, mtime=0)[:-4], "is truncated or damaged"),
        ("n.jsonl", b'{"id": 1}\n', "has no column 'text'"),
        ("n.jsonl", b'{"text": 1}\n{"TEXT": 2}\n', "has 2 columns 'text'"),
        ("n.parquet", b"", "not a readable Parquet file"),
        ("n.csv", b"", "is empty, without even a header"),
        ("n.csv", "id,text".encode("utf-16"), "is UTF-16 text"),
    ],
)
def test_whole_files_that_cannot_be_read_are_one_clear_error(tmp_path, name, data, message):
    with pytest.raises(UserError, match=message):
        read(written(tmp_path, name, data))


def test_a_line_beyond_all_bounds_is_one_clear_error(tmp_path, monkeypatch):
    path = written(tmp_path, "n.jsonl", line("a", "x") + b"\n" + b"y" * 5_000)
    monkeypatch.setattr(readers, "_MAX_JSON_LINE", 1_000)
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 100)
    with pytest.raises(UserError, match="a line is longer than 1,000 bytes"):
        read(path)


def test_parquet_of_every_plain_type(tmp_path):
    table = pa.table(
        {
            "id": pa.array([7, None, 9]),
            "text": pa.array([b"5\xb0C", None, "é".encode()], pa.binary()),
            "kind": pa.array(["x", "y", None]).dictionary_encode(),
            "when": pa.array(pl.Series(["2101-01-01"] * 3).str.to_datetime().to_arrow()),
        }
    )
    pq.write_table(table, tmp_path / "n.parquet")
    columns = "category=kind,time=when"
    notes, places, unreadable, repaired = read(tmp_path / "n.parquet", columns)
    assert notes == [("7", "5°C"), ("", ""), ("9", "é")]
    assert places == ["row 1", "row 2", "row 3"]
    assert (unreadable, repaired) == ([], 1)


def test_parquet_strings_that_are_not_utf8(tmp_path):
    buffers = [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xb0C")]
    broken = pa.Array.from_buffers(pa.string(), 1, buffers)
    pq.write_table(pa.table({"text": broken}), tmp_path / "n.parquet")
    assert read(tmp_path / "n.parquet")[0] == [("", "°C")]


def test_parquet_that_is_damaged_within_or_has_a_column_of_lists(tmp_path):
    path = tmp_path / "n.parquet"
    texts = [f"note {number} of many" * 40 for number in range(20_000)]
    pq.write_table(pa.table({"text": texts}), path, compression="zstd", use_dictionary=False)
    data = bytearray(path.read_bytes())
    data[2_000:30_000] = bytes(28_000)
    path.write_bytes(data)
    with pytest.raises(UserError, match="not a readable Parquet file"):
        read(path)
    pq.write_table(pa.table({"text": [["a", "b"]]}), path)
    with pytest.raises(UserError, match=r"column .text. of type list<.*>, which is no text"):
        read(path)


@pytest.mark.parametrize("name", ["n.csv", "n.parquet"])
def test_no_rows_are_one_empty_batch(tmp_path, name):
    empty = pl.DataFrame(schema={"id": pl.String, "text": pl.String})
    (empty.write_csv if name == "n.csv" else empty.write_parquet)(tmp_path / name)
    (unparsed,) = readers.read_batches(inputs.other_notes(epath.Path(tmp_path / name), None))
    batch = unparsed.parse()
    assert (batch.notes.height, len(batch.places), batch.unreadable.height) == (0, 0, 0)


def test_text_files_of_every_encoding(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 8)
    directory = tmp_path / "notes"
    directory.mkdir()
    written(directory, "A.TXT", BOM + "é".encode())
    written(directory, "b.txt", b"")
    written(directory, "c.txt", "seen by Mrs Miller".encode("utf-16"))
    written(directory, "d.txt", b"long enough \x93for\x94 a batch")
    notes, places, unreadable, repaired = read(directory)
    assert notes == [("A", "é"), ("b", ""), ("d", "long enough “for” a batch")]
    assert places == ["", "", ""]
    assert (unreadable, repaired) == ([(readers.UTF16, "c")], 2)
