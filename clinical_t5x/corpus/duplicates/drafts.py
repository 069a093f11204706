"""The rule of the paper's released code for re-saved drafts of one note."""

from __future__ import annotations

import polars as pl

GROUP = ("charttime", "patient", "category", "author")
COLUMNS = ("row", "stored", *GROUP)


def superseded_drafts(notes: pl.DataFrame) -> pl.Series:
    """Rows that are earlier savings of a note.

    Notes of one (CHARTTIME, SUBJECT_ID, CATEGORY, CGID) are drafts of one note, and only the one
    with the latest STORETIME stays (the later row where two agree); unless CHARTTIME or CGID is
    missing, or a STORETIME of the group is: then all stay.

    Args:
        notes: columns row (unsigned), charttime, patient, category, author (keys; 0 for a missing
            time or author) and stored (a time that sorts; 0 for missing).

    Returns:
        The `row` values to drop.
    """
    return (
        notes.lazy()
        .select(COLUMNS)
        .filter(pl.col("charttime") != 0, pl.col("author") != 0)
        .filter(pl.len().over(GROUP) > 1)
        .sort("stored", "row")
        .with_columns(
            complete=(pl.col("stored") != 0).all().over(GROUP),
            last=pl.col("row").last().over(GROUP),
        )
        .filter(pl.col("complete"), pl.col("row") != pl.col("last"))
        .sort("row")
        .collect()
        .get_column("row")
    )
