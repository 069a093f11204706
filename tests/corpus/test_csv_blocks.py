"""Blocks of records; what they hold is tested against the standard library in test_readers_csv."""

import csv
import gzip

import pytest
from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.corpus import csv_blocks

HEADER = ["a", "b", "c"]


def read_all(path, block_bytes):
    """Rows as preparation reads them, and how many records are none."""
    rows, bad = [], 0
    for block in csv_blocks.record_blocks(epath.Path(path), block_bytes):
        records = csv_blocks.read_records(block, HEADER)
        rows += [list(row) for row in records.table.rows()]
        bad += len(records.block.bad)
    return rows, bad


def write_csv(path, rows, **how):
    with path.open("w", newline="") as file:
        csv.writer(file, **how).writerows([HEADER, *rows])


def test_large_fields_and_gzip(tmp_path):
    rows = [["1", 'x "y"\n' * 200_000, "z"], ["2", "", "w"]] * 3
    path = tmp_path / "notes.csv"
    write_csv(path, rows, lineterminator="\n")
    packed = tmp_path / "notes.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    assert read_all(packed, 1 << 16) == (rows, 0)


def test_bytes_that_are_not_utf8_are_read_as_windows_1252_and_counted(tmp_path):
    path = tmp_path / "notes.csv"
    path.write_bytes(b"a,b,c\n1,temp 38\xb0 \x93ok\x94,\xc3\xa9\n")
    (block,) = csv_blocks.record_blocks(epath.Path(path))
    assert csv_blocks.parse_block(block, HEADER).rows() == [("1", "temp 38° “ok”", "é")]
    assert block.repaired_bytes == 3


def test_truncated_gzip_is_one_clear_error(tmp_path):
    path = tmp_path / "notes.csv.gz"
    whole = gzip.compress(b"a,b,c\n" + b"1,2,3\n" * 5000, mtime=0)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"notes\.csv\.gz is truncated or damaged"):
        list(csv_blocks.record_blocks(epath.Path(path)))


def test_header_with_byte_order_mark_and_no_rows(tmp_path):
    path = tmp_path / "notes.csv"
    path.write_bytes(b'\xef\xbb\xbfROW_ID,"TEXT"')
    assert csv_blocks.read_header(epath.Path(path)) == ["ROW_ID", "TEXT"]
    assert list(csv_blocks.record_blocks(epath.Path(path))) == []


def test_the_file_is_read_to_its_end_by_count(tmp_path):
    path = tmp_path / "notes.csv"
    write_csv(path, [["1", "2", "3"]] * 1000)
    blocks = list(csv_blocks.record_blocks(epath.Path(path), 512))
    assert len(blocks) > 3
    assert sum(block.file_bytes for block in blocks) == path.stat().st_size


def test_well_formed_blocks_are_left_as_they_are(tmp_path):
    path = tmp_path / "notes.csv"
    write_csv(path, [["1", 'x "y"\n', "z"], ["2", "", "w"]] * 30, lineterminator="\r\n")
    blocks = list(csv_blocks.record_blocks(epath.Path(path), 100))
    assert b"".join(block.data for block in blocks) == path.read_bytes().split(b"\n", 1)[1]
    assert {block.lines for block in blocks} == {None}
    assert sum(block.num_records for block in blocks) == 30 * 2
    assert csv_blocks.read_records(blocks[-1], HEADER).lines()[-1] == 1 + 30 * 3


def test_one_broken_record_has_the_rest_of_the_file_quoted_anew(tmp_path):
    path = tmp_path / "notes.csv"
    path.write_bytes(b"a,b,c\n1,2,3\n" + b"4,x,y\n" * 50 + b'5,"x" and,"y""\n"\n6,7\n')
    blocks = list(csv_blocks.record_blocks(epath.Path(path), 50))
    assert blocks[0].lines is None
    assert blocks[-1].data.endswith(b'"5","x and","y""\n"\n"6","7",""\n')
    assert blocks[-1].lines[-2:] == [53, 55]


def test_a_block_that_polars_reads_otherwise_is_an_error_of_the_program(tmp_path):
    block = csv_blocks.Block(b'"1","2","3"\n', 2, 1, lines=[2, 3])
    with pytest.raises(AssertionError, match="2 records were read, 1 were parsed"):
        csv_blocks.read_records(block, HEADER)


def test_a_table_that_lacks_a_record_is_not_believed(tmp_path, monkeypatch):
    block = csv_blocks.Block(b'1,"2\n",3\n4,5,6\n', 2, 2)
    table = csv_blocks._table
    losing = [lambda *arguments: table(*arguments)[:1], table]
    monkeypatch.setattr(csv_blocks, "_table", lambda *arguments: losing.pop(0)(*arguments))
    records = csv_blocks.read_records(block, HEADER)
    assert records.table.rows() == [("1", "2\n", "3"), ("4", "5", "6")]
    assert records.lines().to_list() == [2, 4]
