import csv
import gzip
import io

import pytest
from etils import epath
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clinical_t5x.console import UserError
from clinical_t5x.corpus import csv_blocks

HEADER = ["a", "b", "c"]


def read_all(path, block_bytes):
    """Rows as preparation reads them, and how many records were left out as ragged."""
    rows, ragged = [], 0
    for block in csv_blocks.record_blocks(epath.Path(path), block_bytes):
        try:
            frame = csv_blocks.parse_block(block, HEADER)
        except Exception:
            block = csv_blocks.standard_block(block, len(HEADER))
            frame = csv_blocks.parse_block(block, HEADER)
        rows += [list(row) for row in frame.rows()]
        ragged += block.ragged
    return rows, ragged


def oracle(data: bytes):
    """The same by the standard library: short records filled up, blank ones and long ones not."""
    records = list(csv.reader(io.StringIO(data.decode(), newline="")))[1:]
    rows = [record + [""] * (3 - len(record)) for record in records if len(record) <= 3]
    ragged = sum(len(record) > 3 for record in records)
    return [row for row in rows if any(row)], ragged


def write_csv(path, rows, **how):
    with path.open("w", newline="") as file:
        csv.writer(file, **how).writerows([HEADER, *rows])


field = st.text(st.sampled_from('ab",\n\r é\x00'), max_size=8)


@given(
    rows=st.lists(st.lists(field, min_size=3, max_size=3), max_size=12),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    line_end=st.sampled_from(["\n", "\r\n"]),
    block_bytes=st.integers(1, 60),
)
@settings(max_examples=150, deadline=None)
def test_well_formed_files_read_as_the_standard_library_reads_them(
    tmp_path_factory, rows, quoting, line_end, block_bytes
):
    path = tmp_path_factory.mktemp("csv") / "notes.csv"
    write_csv(path, rows, quoting=quoting, lineterminator=line_end)
    found, ragged = read_all(path, block_bytes)
    expected, _ = oracle(path.read_bytes())
    assert [row for row in found if any(row)] == expected
    assert ragged == 0


@given(
    body=st.text(st.sampled_from('ab",\n\r;é'), max_size=60).map(lambda text: text.encode()),
    block_bytes=st.integers(1, 40),
)
@example(body=b'1,5" x,y\n2,"z\n\n"\n', block_bytes=8)
@example(body=b'1,"never closed\n2,b,c\n', block_bytes=8)
@example(body=b"1,b,c,d\n2,b,c\n", block_bytes=64)
@example(body=b"1,b\r2,c\r\n", block_bytes=64)
@example(body=b'"a"\rb,c\n', block_bytes=64)
@settings(max_examples=400, deadline=None)
def test_broken_files_read_as_the_standard_library_reads_them(tmp_path_factory, body, block_bytes):
    path = tmp_path_factory.mktemp("csv") / "notes.csv"
    path.write_bytes(b"a,b,c\n" + body)
    found, ragged = read_all(path, block_bytes)
    assert ([row for row in found if any(row)], ragged) == oracle(path.read_bytes())


def test_large_fields_and_gzip(tmp_path):
    rows = [["1", 'x "y"\n' * 200_000, "z"], ["2", "", "w"]] * 3
    path = tmp_path / "notes.csv"
    write_csv(path, rows, lineterminator="\n")
    packed = tmp_path / "notes.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read_all(packed, 1 << 16) == (rows, 0)


def test_bytes_that_are_not_utf8_are_read_as_windows_1252_and_counted(tmp_path):
    path = tmp_path / "notes.csv"
    path.write_bytes(b"a,b,c\n1,temp 38\xb0 \x93ok\x94,\xc3\xa9\n")
    (block,) = csv_blocks.record_blocks(epath.Path(path))
    assert csv_blocks.parse_block(block, HEADER).rows() == [("1", "temp 38° “ok”", "é")]
    assert block.repaired_bytes == 3


def test_truncated_gzip_is_one_clear_error(tmp_path):
    path = tmp_path / "notes.csv.gz"
    whole = gzip.compress(b"a,b,c\n" + b"1,2,3\n" * 5000)
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
