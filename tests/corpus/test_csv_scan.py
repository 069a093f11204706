"""Records found in one pass, against a grammar as a regular expression and plain counting."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_t5x.corpus import csv_scan

FIELD = rb'(?:"(?:[^"]|"")*"|[^",\r\n]*)'
RECORD = rb"%s(?:,%s)*" % (FIELD, FIELD)
WHOLE = re.compile(rb"(?:%s\r?\n)*" % RECORD)
TO_THE_END = re.compile(rb"(?:%s\r?\n)*(?:%s)?" % (RECORD, RECORD))
pieces = st.sampled_from(
    [b'"', b'""', b'"a"', b',"', b'",', b'"\n', b",", b"\n", b"\r\n", b"\r", b"a", b"x y", b"\0"]
)


def record_ends(data):
    """One past every line end that has an even number of quotes before it."""
    return [k + 1 for k, byte in enumerate(data) if byte == 10 and data[:k].count(b'"') % 2 == 0]


@given(st.lists(pieces, max_size=10).map(b"".join), st.booleans())
@settings(max_examples=2000, deadline=None)
def test_whole_records_are_found(data, final):
    found = csv_scan.scan(data, final=final)
    ends = record_ends(data)
    end = len(data) if final else max(ends, default=0)
    grammar = TO_THE_END if final else WHOLE
    assert found.conform == bool(grammar.fullmatch(data[:end]))
    if found.conform:
        assert found.end == end
        assert found.count == len(ends) + (end > max(ends, default=0))
        assert found.line_feeds == data[:end].count(b"\n")
        assert found.lone_returns == len(re.findall(rb"\r(?!\n)", data[:end]))


@pytest.mark.parametrize("final", [False, True])
def test_nothing(final):
    assert csv_scan.scan(b"", final=final) == (0, True, 0, 0, 0)


def test_a_quoted_field_longer_than_a_block_has_no_end_yet():
    data = b'1,"' + b"text with\nlines\n" * 1000
    assert csv_scan.scan(data, final=False) == (0, True, 0, 0, 0)
    assert not csv_scan.scan(data, final=True).conform
    assert csv_scan.scan(data + b'"\n2,x', final=False).end == len(data) + 2
