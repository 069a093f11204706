import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_t5x.corpus.duplicates.exact import repeated_texts

SCHEMA = {
    "row": pl.UInt64, "patient": pl.UInt64, "charted": pl.Int64, "stored": pl.Int64,
    "text_hash": pl.UInt64,
}  # fmt: skip


def table(rows):
    """Rows of (patient, charted, stored, text_hash)."""
    numbered = [(number, *row) for number, row in enumerate(rows)]
    return pl.DataFrame(numbered, schema=SCHEMA, orient="row")


def by_hand(rows):
    """Rows that a later row of the same patient repeats, and those that only others' do."""
    when = [(charted, stored, row) for row, (_, charted, stored, _) in enumerate(rows)]
    of_patient, of_others = [], []
    for row, (patient, _, _, text) in enumerate(rows):
        later = [
            other
            for other, (_, _, _, same) in enumerate(rows)
            if same == text and when[other] > when[row]
        ]
        if any(rows[other][0] == patient for other in later):
            of_patient.append(row)
        elif later:
            of_others.append(row)
    return of_patient, of_others


note = st.tuples(
    st.integers(1, 3), st.integers(0, 2), st.integers(0, 2), st.integers(2**63, 2**63 + 2)
)


@given(st.lists(note, max_size=16))
@settings(max_examples=300, deadline=None)
def test_a_text_that_a_later_note_repeats_goes(rows):
    found = repeated_texts(table(rows))
    assert tuple(series.to_list() for series in found) == by_hand(rows)


def test_the_latest_of_equal_texts_stays_whoever_wrote_it():
    of_patient, of_others = repeated_texts(
        table(
            [
                (1, 2, 0, 7),  # 0: of patient 1, whose rows 1 and 3 are later
                (1, 3, 2, 7),  # 1: the latest of patient 1, but patient 3's row 5 is later
                (2, 1, 0, 7),  # 2: the only one of patient 2
                (1, 3, 1, 7),  # 3: charted with row 1, stored before
                (1, 0, 0, 8),  # 4: another text
                (3, 9, 0, 7),  # 5: the latest of all
                (3, 8, 0, 7),  # 6
            ]
        )
    )
    assert of_patient.to_list() == [0, 3, 6]
    assert of_others.to_list() == [1, 2]


def test_missing_times_count_as_the_earliest_and_rows_decide_ties():
    of_patient, of_others = repeated_texts(table([(1, 0, 0, 5), (1, 0, 0, 5), (2, 7, 0, 6)]))
    assert of_patient.to_list() == [0]
    assert of_others.to_list() == []
