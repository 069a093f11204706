import polars as pl
import pytest
from polars.testing import assert_frame_equal

from clinical_t5x.corpus import staged_parts

TABLE = pl.DataFrame(
    {
        "row": pl.Series(range(6), dtype=pl.UInt64),
        "text": ["short", "a longer text than views hold: é 中", "", "x" * 5000, "last", "one"],
        "part": pl.Series([2, 0, 2, 0, 2, 4], dtype=pl.UInt32),
    }
)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("rows", [6, 1, 0])
def test_parts_are_read_as_they_were_written(tmp_path, compress, rows):
    path = tmp_path / "piece.arrow"
    table = TABLE.head(rows)
    staged_parts.write(table, path, "part", 5, compress=compress)
    for number in range(5):
        expected = table.filter(part=number).drop("part")
        assert_frame_equal(staged_parts.read_part(path, number), expected)
    with path.open("rb") as file:
        everything = staged_parts.read(file)
    assert_frame_equal(everything, table.sort("part", maintain_order=True).drop("part"))
    with path.open("rb") as file:
        assert staged_parts.read(file, ["text"]).columns == ["text"]


def test_a_part_takes_no_other_texts_with_it(tmp_path):
    """What is written is the part, not the table that its strings lie in."""
    path = tmp_path / "piece.arrow"
    one = TABLE.filter(pl.col("text").str.len_bytes() < 100)
    staged_parts.write(one, path, "part", 5, compress=False)
    assert path.stat().st_size < 5000
