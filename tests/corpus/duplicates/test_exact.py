import polars as pl

from clinical_t5x.corpus.duplicates.exact import repeated_texts


def test_the_latest_of_a_patients_equal_texts_stays():
    notes = pl.DataFrame(
        {
            "row": pl.Series([0, 1, 2, 3, 4, 5, 6], dtype=pl.UInt64),
            "patient_id": ["1", "1", "2", "1", "1", "3", "3"],
            "charttime": ["b", "c", "a", "c", "", "", ""],
            "chartdate": ["", "", "", "", "", "2101-02-01", "2101-01-01"],
            "storetime": ["", "2", "", "1", "", "", ""],
            "text_hash": [7, 7, 7, 7, 8, 7, 7],
        }
    )
    assert repeated_texts(notes).to_list() == [0, 3, 6]
