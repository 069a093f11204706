"""The digest of a set of notes: what it is, and that parts of a set add up."""

import hashlib

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from clinical_t5x.corpus.digest import FIELDS, HASH_COLUMNS, SetDigest, digest_of, hashes_of

rows = st.lists(st.tuples(*[st.text(max_size=8)] * len(FIELDS)), max_size=12)


def table(notes):
    return pl.DataFrame(notes, schema=dict.fromkeys(FIELDS, pl.String), orient="row")


@given(rows)
def test_it_is_the_sum_of_the_notes_sha256(notes):
    total = sum(
        int.from_bytes(hashlib.sha256("\x1e".join(note).encode()).digest()) for note in notes
    )
    found = digest_of(hashes_of(table(notes)))
    assert found == SetDigest(len(notes), total % 2**256)
    assert SetDigest.from_json(found.to_json()) == found


@given(rows, st.randoms())
def test_neither_order_nor_parts_matter(notes, chosen):
    whole = digest_of(hashes_of(table(notes)))
    chosen.shuffle(notes)
    cut = len(notes) // 3
    parts = [digest_of(hashes_of(table(part))) for part in (notes[:cut], notes[cut:])]
    assert parts[0] + parts[1] == whole


def test_sums_do_not_overflow():
    largest = pl.DataFrame({name: [2**64 - 1] * 1000 for name in HASH_COLUMNS}).cast(pl.UInt64)
    assert digest_of(largest).total == (2**256 - 1) * 1000 % 2**256
