import collections

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_t5x.corpus.duplicates.drafts import superseded_drafts
from clinical_t5x.corpus.keys import key_of, time_of

COLUMNS = ("charttime", "patient", "category", "author", "storetime")


def by_hand(rows):
    """The paper's rule, said once more in plain Python."""
    groups = collections.defaultdict(list)
    for row, (*key, storetime) in enumerate(rows):
        groups[tuple(key)].append((storetime, row))
    drop = []
    for (charttime, _, _, author), members in groups.items():
        if charttime == "" or author == "" or any(storetime == "" for storetime, _ in members):
            continue
        drop += [row for _, row in sorted(members)[:-1]]
    return sorted(drop)


def staged(rows):
    """Rows of strings as preparation stages them: keys, and a time that sorts."""
    table = pl.DataFrame(rows, schema=dict.fromkeys(COLUMNS, pl.String), orient="row")
    return table.with_row_index("row").select(
        pl.col("row").cast(pl.UInt64),
        *(key_of(pl.col(name)).alias(name) for name in ("charttime", "patient", "author")),
        pl.col("category").cast(pl.Categorical),
        stored=time_of(pl.col("storetime")),
    )


def by_rule(rows):
    return superseded_drafts(staged(rows)).to_list()


times = st.sampled_from(["", "2101-01-01 09:00:00", "2101-01-01 09:05:00", "2101-01-01"])
author = st.sampled_from(["", "7", "8"])
row = st.tuples(times, st.sampled_from("12"), st.sampled_from("NE"), author, times)
# Few charting times and patients, so that groups of several rows are usual and stores tie.
busy_row = st.tuples(st.just("t"), st.just("1"), st.sampled_from("NE"), st.just("7"), times)


@given(st.one_of(st.lists(row, max_size=14), st.lists(busy_row, max_size=14)))
@settings(max_examples=300, deadline=None)
def test_the_rule(rows):
    assert by_rule(rows) == by_hand(rows)


@given(st.lists(row, max_size=14), st.randoms())
@settings(max_examples=50, deadline=None)
def test_the_order_of_the_table_does_not_matter(rows, random):
    places = list(range(len(rows)))
    random.shuffle(places)
    shuffled = staged(rows)[places] if rows else staged(rows)
    assert superseded_drafts(shuffled).to_list() == by_hand(rows)


def test_a_missing_time_keeps_the_whole_group():
    note = ("2101-01-01 09:00:00", "1", "Nursing", "7")
    stored = [(*note, "2101-01-01 09:01:00"), (*note, "2101-01-01 09:02:00")]
    assert by_rule(stored) == [0]
    assert by_rule([*stored, (*note, "")]) == []


def test_of_equal_store_times_the_later_row_stays():
    note = ("2101-01-01 09:00:00", "1", "Nursing", "7", "2101-01-01 09:01:00")
    assert by_rule([note, note, note]) == [0, 1]


@pytest.mark.parametrize("missing", [0, 3])
def test_rows_without_charting_time_or_author_all_stay(missing):
    note = ["2101-01-01 09:00:00", "1", "Nursing", "7", "2101-01-01 09:01:00"]
    note[missing] = ""
    assert by_rule([tuple(note), (*note[:4], "2101-01-01 09:02:00")]) == []
