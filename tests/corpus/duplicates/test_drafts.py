import collections

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_t5x.corpus.duplicates.drafts import superseded_drafts

COLUMNS = ("charttime", "patient_id", "category", "author", "storetime")


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


def by_rule(rows):
    table = pl.DataFrame(rows, schema=dict.fromkeys(COLUMNS, pl.String), orient="row")
    table = table.with_row_index("row").with_columns(pl.col("row").cast(pl.UInt64))
    return superseded_drafts(table).to_list()


times = st.sampled_from(["", "2101-01-01 09:00:00", "2101-01-01 09:05:00"])
author = st.sampled_from(["", "7"])
row = st.tuples(times, st.sampled_from("12"), st.sampled_from("NE"), author, times)
rows = st.lists(row, max_size=14)


@given(rows)
@settings(max_examples=200, deadline=None)
def test_the_rule(rows):
    assert by_rule(rows) == by_hand(rows)


def test_a_missing_time_keeps_the_whole_group():
    note = ("2101-01-01 09:00:00", "1", "Nursing", "7")
    stored = [(*note, "2101-01-01 09:01:00"), (*note, "2101-01-01 09:02:00")]
    assert by_rule(stored) == [0]
    assert by_rule([*stored, (*note, "")]) == []
