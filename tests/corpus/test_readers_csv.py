"""Every record of a CSV file, however broken, is what the standard library makes of it."""

import codecs
import csv
import gzip
import io
from unittest import mock

import pytest
from etils import epath
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from clinical_t5x.console import UserError
from clinical_t5x.corpus import csv_blocks, readers
from clinical_t5x.corpus.sources import NoteSource

HEADER = ["who", "id", "text"]
COLUMNS = {"patient": "who", "note_id": "id", "text": "text"}
BOM = b"\xef\xbb\xbf"
# Everything that a parser may stumble over, in pieces from which files are put together.
TOKENS = [
    b"a", b"7", b"b 2", b",", b",", b'"', b'"', b'""', b'","', b"\n", b"\n", b"\r\n", b"\r",
    b"\n\n", b" ", b"\t", b"\x00", b"\x01", b"x\x01", b"\x0b", b"\x1c", b"\x1a", b"'", b"\\", b"#",
    b";", "é".encode(), "\u2028".encode(), "\x85".encode(), "😀".encode(), BOM, b"\x93", b"\x81",
    b"\xe2\x82", b"\xed\xa0\x80", b"\xff", b'\n1,2,"', b'"\n', b"NaN", b"null",
]  # fmt: skip


class Watched:
    """Lines of a text that remember whether one beyond the last was asked for."""

    def __init__(self, text):
        self.lines = iter(io.StringIO(text, newline=""))
        self.ended = False

    def __iter__(self):
        return self

    def __next__(self):
        try:
            return next(self.lines)
        except StopIteration:
            self.ended = True
            raise


def decoded(data: bytes):
    """UTF-8, and Windows-1252 byte by byte where it is none; and how often."""
    text, repaired = "", 0
    while data:
        try:
            return text + data.decode(), repaired
        except UnicodeDecodeError as error:
            broken = data[error.start : error.end]
            text += data[: error.start].decode() + broken.decode("cp1252", errors="replace")
            repaired, data = repaired + len(broken), data[error.end :]
    return text, repaired


def by_the_standard_library(data: bytes):
    """Rows (patient, id, text), their lines, bad records (reason, id or line), repaired bytes."""
    text, repaired = decoded(data.removeprefix(BOM))
    lines = Watched(text)
    reader = csv.reader(lines)
    rows, places, bad, header, number = [], [], [], None, 1
    for record in reader:
        begins, number = number, reader.line_num + 1
        if header is None:
            header = record or None
        elif lines.ended:
            bad.append((readers.UNCLOSED, readers.shown_id([*record, "", ""][1], f"line {begins}")))
        elif len(record) > len(HEADER):
            bad.append((readers.RAGGED, readers.shown_id(record[1], f"line {begins}")))
        elif record:
            rows.append(tuple(record + [""] * (len(HEADER) - len(record))))
            places.append(f"line {begins}")
    return rows, places, bad, repaired


def by_the_reader(path, block_bytes=csv_blocks.BLOCK_BYTES):
    """The same from `read_batches`."""
    source = NoteSource("n", epath.Path(path), path.name, COLUMNS)
    rows, places, bad, repaired = [], [], [], 0
    with mock.patch.object(csv_blocks, "BLOCK_BYTES", block_bytes):
        for unparsed in readers.read_batches(source):
            batch = unparsed.parse()
            rows += batch.notes.select("patient", "note_id", "text").rows()
            places += batch.places.to_list()
            bad += batch.unreadable.select("reason", "note_id").rows()
            repaired += batch.repaired_bytes
    return rows, places, bad, repaired


def check(directory, body: bytes, block_bytes: int, packed: int = 0, mark: bool = False):
    """Both readings of a file: plain, or packed in so many gzip members."""
    data = (BOM if mark else b"") + b"who,id,text\n" + body
    path = directory / ("notes.csv.gz" if packed else "notes.csv")
    step = -(-len(data) // packed) if packed else len(data)
    parts = [data[start : start + step] for start in range(0, len(data), step)]
    path.write_bytes(b"".join(map(gzip.compress, parts)) if packed else data)
    assert by_the_reader(path, block_bytes) == by_the_standard_library(data)


ROWS = [b"1,n-1,x\n", b'2,n-2,"y"\r\n', b'3,n-3,"z ""z""\n\nz"\n', b"4,,\n", b"5,n-5,a\rb,c,d\n"]
bodies = st.lists(st.sampled_from(TOKENS), max_size=40).map(b"".join)
rows_and_bodies = st.lists(
    st.one_of(*[st.sampled_from(ROWS)] * 6, st.sampled_from(TOKENS)), max_size=20
).map(b"".join)
fields = st.lists(st.sampled_from(TOKENS), max_size=5).map(lambda some: decoded(b"".join(some))[0])
tables = st.lists(st.lists(fields, min_size=3, max_size=3), max_size=12)


@st.composite
def damaged_tables(draw):
    """A file that was well-formed before bytes were put in, taken out or exchanged."""
    out = io.StringIO()
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    line_end = draw(st.sampled_from(["\n", "\n", "\r\n", "\r\n", "\r"]))
    csv.writer(out, quoting=quoting, lineterminator=line_end).writerows(draw(tables))
    data = out.getvalue().encode()
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(data)))
        stop = start + draw(st.integers(0, 3))
        data = data[:start] + draw(st.sampled_from([b"", *TOKENS])) + data[stop:]
    return data


quick = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
patient = settings(quick, max_examples=20_000)
anything = given(
    body=st.one_of(bodies, rows_and_bodies, damaged_tables()),
    block_bytes=st.integers(1, 120),
    packed=st.integers(0, 3),
    mark=st.booleans(),
)


@anything
@example(body=b",,\n1,2,3\n", block_bytes=64, packed=0, mark=False)
@example(body=b"1,2,3\n\n\n4,5,6\n", block_bytes=64, packed=0, mark=False)
@example(body=b"x\x01,2,3\n", block_bytes=64, packed=0, mark=False)
@example(body=BOM + b"1,2,3\n", block_bytes=64, packed=0, mark=False)
@example(body=b'1,2,"never closed\n3,4,5\n', block_bytes=8, packed=1, mark=False)
@example(body=b'1,2,"closed\n3,4,"by the next\n', block_bytes=8, packed=0, mark=False)
@example(body=b"1,n-1,a\rb,n-2,c\n", block_bytes=64, packed=0, mark=False)
@example(body=b"1\r2,3\r", block_bytes=3, packed=0, mark=True)
@example(body=b'1,2,"a\rb"\r\n3,4,"c"\r', block_bytes=9, packed=0, mark=True)
@example(body=b"1,2\x93,3\n1,n-2,3,4\x94\n", block_bytes=9, packed=0, mark=True)
@quick
def test_any_bytes_read_as_the_standard_library_reads_them(tmp_path_factory, **how):
    check(tmp_path_factory.mktemp("csv"), **how)


@pytest.mark.slow
@anything
@patient
def test_many_more_bytes_read_as_the_standard_library_reads_them(tmp_path_factory, **how):
    check(tmp_path_factory.mktemp("csv"), **how)


def written(directory, data: bytes, name="notes.csv"):
    path = directory / name
    path.write_bytes(data)
    return path


def test_every_place_of_a_block_boundary(tmp_path):
    whole = (
        b'1,n-1,"a ""quoted"" word,\r\n\r\nand another"\r\n\r\n2,n-2,5\xb0C \xe2\x82\xac\n'
        b',,\n"","",""\n3,n-3\n4,n-4,x,y\n5,n-5,"z"\r\n6,n-6,"\n"\n'
    )
    for broken in (b"", b'7,n-7,5" tube\r8,n-8,"a"b"\n9,n-9,"open\n10,n-10,x\n'):
        for block_bytes in range(1, len(whole + broken) + 2):
            check(tmp_path, whole + broken, block_bytes)


def test_a_block_of_traps_is_not_cut_by_polars_in_its_threads(tmp_path):
    traps = [
        '\n1,n-1,"x"\n',
        '"\n"',
        '","',
        '\r\n"",""\r\n',
        "\n,,\n",
        '"""\n',
        "plain text. " * 500,
    ]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for number in range(9_000):
        text = "".join(traps[(number * step) % len(traps)] for step in (1, 3, 5)) * (number % 3)
        writer.writerow([number, f"n-{number}", text])
    data = b"who,id,text\n" + out.getvalue().encode()
    assert len(data) > 20 << 20
    assert by_the_reader(written(tmp_path, data)) == by_the_standard_library(data)


@pytest.mark.parametrize("before", [b"", b'0,n-0,5" tube\n', b'0,n-0,"a"b\n'])
def test_a_field_of_ten_megabytes(tmp_path, before):
    text = b'x ""y""\n' * (10 << 17)
    body = before + b'1,n-1,"' + text + b'"\n2,n-2,after\n'
    check(tmp_path, body, block_bytes=1 << 18)
    rows, *_ = by_the_reader(tmp_path / "notes.csv", 1 << 18)
    assert len(rows[-2][2]) == 6 * (10 << 17)
    assert rows[-1] == ("2", "n-2", "after")


@pytest.mark.parametrize("body", [b'1,n-1,"' + b"never closed\n" * 500, b"1,n-1," + b"x" * 9_000])
def test_a_field_beyond_all_bounds_is_one_clear_error(tmp_path, monkeypatch, body):
    monkeypatch.setattr(csv_blocks, "_MAX_FIELD", 5_000)
    path = written(tmp_path, b"who,id,text\n" + body + b"\n")
    with pytest.raises(UserError, match=r"notes\.csv cannot be read as CSV.*quote never closed"):
        by_the_reader(path, 256)


def test_records_that_are_no_rows_are_listed_without_their_text(tmp_path):
    body = (
        b"1,n-1,fine\n"
        b"2,n-2,Mrs Miller came,from Boston\n"
        b"Miller,Boston,she,came\n"
        b'3,"' + b"7" * 41 + b'",a,b\n'
        b'\n4,n 4,a,"b\n'
        b"5,n-5,swallowed\n"
    )
    path = written(tmp_path, b"who,id,text\n" + body)
    rows, places, bad, _ = by_the_reader(path)
    assert (rows, places) == ([("1", "n-1", "fine")], ["line 2"])
    assert bad == [
        (readers.RAGGED, "n-2"),
        (readers.RAGGED, "line 4"),
        (readers.RAGGED, "line 5"),
        (readers.UNCLOSED, "line 7"),
    ]


def test_a_file_of_bad_records_alone_is_read_in_bounded_blocks(tmp_path):
    path = written(tmp_path, b'who,id,text\n1,n-1,"a"b,c\n' + b"1,n-1,a,b\n" * 5_000)
    blocks = list(csv_blocks.record_blocks(epath.Path(path), 1 << 16))
    assert len(blocks) > 10
    assert sum(len(block.bad) for block in blocks) == 5_001


def test_without_an_id_column_places_are_listed(tmp_path):
    path = written(tmp_path, b"text,other\na,b\n1,2,3\n")
    source = NoteSource("n", epath.Path(path), path.name, {"text": "text"})
    (unparsed,) = readers.read_batches(source)
    batch = unparsed.parse()
    assert batch.unreadable.rows() == [(readers.RAGGED, "line 3", "", 3)]
    assert batch.places.to_list() == ["line 2"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty, without even a header"),
        (b"\n\r\n\n", "is empty, without even a header"),
        (gzip.compress(b"", mtime=0), "is empty, without even a header"),
        ("who,id,text\n1,2,3\n".encode("utf-16"), "is UTF-16 text; write it as UTF-8.*iconv"),
        (codecs.BOM_UTF16_BE + "who,id\n".encode("utf-16-be"), "is UTF-16 text"),
        ("who,id,text\n1,2,3\n".encode("utf-16-le"), "is no CSV text: NUL bytes"),
        (b"who,id,text", None),
        (b"who,id,text\r", None),
        (b'"who","id","text', "no header line that ends within"),
        (b'who,id,"text\n1,2,3\n', "no header line that ends within"),
        (b"x" * (2 << 20), "no header line that ends within 1,048,576 bytes"),
        (b"1,2,Mrs Miller came from Boston\n", "columns found: none .the first line looks like"),
        (b"who,id," + b"text " * 20 + b"\n", "columns found: none .the first line looks like"),
        (b"who,id\n", "has no column 'text'.*columns found: who, id; check"),
        (b"who,text,id,TEXT\n", "has 2 columns 'text'"),
        (gzip.compress(b"who,id,text\n1,2,3\n", mtime=0)[:-9], "is truncated or damaged"),
        (gzip.compress(b"who,id,text\n1,2,3\n", mtime=0) + b"more", "is truncated or damaged"),
        (
            gzip.compress(b"who,id,text\n1,2,3\n", mtime=0) + gzip.compress(b"", mtime=0)[:7],
            "truncated or damaged",
        ),
        (b"\x1f\x8b\x08", "is truncated or damaged"),
    ],
)
def test_headers_and_whole_files(tmp_path, data, message):
    path = written(tmp_path, data, "notes.csv.gz")
    if message is None:
        assert by_the_reader(path) == ([], [], [], 0)
        return
    with pytest.raises(UserError, match=message) as caught:
        by_the_reader(path)
    assert "Miller" not in str(caught.value)


def test_a_file_called_gz_that_is_not_packed_and_padding_after_a_member(tmp_path):
    data = b"who,id,text\n1,n-1,x\n"
    expected = by_the_standard_library(data)
    assert by_the_reader(written(tmp_path, data, "plain.csv.gz")) == expected
    assert by_the_reader(written(tmp_path, gzip.compress(data, mtime=0), "packed.csv")) == expected
    padded = gzip.compress(data, mtime=0) + bytes(512)
    assert by_the_reader(written(tmp_path, padded, "padded.csv.gz")) == expected


def test_header_lines_of_every_kind(tmp_path):
    for start in (b"\n\n", b"\r\n", b""):
        for header in (b'"who","id","text"', b'who,id,"text"', b" WHO ,Id,text,text 2"):
            for end in (b"\n", b"\r\n", b"\r"):
                body = b"1,n-1,x" + end + b"2,n-2,y" + end
                path = written(tmp_path, start + header + end + body)
                rows, places, bad, _ = by_the_reader(path, 4)
                assert rows == [("1", "n-1", "x"), ("2", "n-2", "y")]
                first = 2 + start.count(b"\n")
                assert (places, bad) == ([f"line {first}", f"line {first + 1}"], [])


def test_a_directory_with_the_name_of_a_file(tmp_path):
    (tmp_path / "notes.csv").mkdir()
    with pytest.raises(UserError, match="cannot be read"):
        by_the_reader(tmp_path / "notes.csv")
