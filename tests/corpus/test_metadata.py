import numpy as np
import polars as pl
import pytest

from clinical_t5x.corpus.metadata import StagedMetadata

HEIGHTS = {"000-000000": 3, "000-000001": 0, "001-000000": 2}


@pytest.fixture
def staged(tmp_path):
    """Three batches, the second one without a usable row."""
    start = 0
    for name, height in HEIGHTS.items():
        rows = range(start, start + height)
        notes = {"source": [name[:3]] * height, "row": rows, "note_id": [f"n{row}" for row in rows]}
        schema = {"source": pl.String, "row": pl.UInt64, "note_id": pl.String}
        pl.DataFrame(notes, schema=schema).write_parquet(tmp_path / f"{name}.parquet")
        start += height
    return StagedMetadata(tmp_path)


def test_pieces_say_where_their_notes_are(staged):
    assert len(staged) == 5
    assert staged.pieces == [
        ("000-000000", slice(0, 3)), ("000-000001", slice(3, 3)), ("001-000000", slice(3, 5)),
    ]  # fmt: skip


def test_columns_come_in_the_order_of_the_rows(staged):
    found = staged.read("row", "source")
    assert found.get_column("row").to_list() == [0, 1, 2, 3, 4]
    assert found.get_column("source").cast(pl.String).to_list() == ["000"] * 3 + ["001"] * 2


def test_one_category_has_one_number_in_all_batches(staged):
    numbers = staged.read("source").get_column("source").to_physical().to_list()
    assert numbers == [numbers[0]] * 3 + [numbers[3]] * 2
    assert numbers[0] != numbers[3]


def test_some_notes_are_read_alone(staged):
    among = np.array([True, False, True, False, True])
    assert staged.read("note_id", among=among).to_series().to_list() == ["n0", "n2", "n4"]
    assert [part.height for _, part in staged.read_pieces("row", among=among)] == [2, 0, 1]


def test_a_rule_that_left_nothing_reads_nothing(staged):
    assert staged.read("row", among=np.zeros(5, bool)).height == 0
