"""The rule of the paper's released code for re-saved drafts of one note."""

from __future__ import annotations

import polars as pl


def superseded_drafts(notes: pl.DataFrame) -> pl.Series:
    """Rows that are earlier savings of a note.

    Notes of one (CHARTTIME, SUBJECT_ID, CATEGORY, CGID) are drafts of one note, and only the one
    with the latest STORETIME stays (the later row where two agree); unless CHARTTIME or CGID is
    missing, or a STORETIME of the group is: then all stay.

    Args:
        notes: columns row (unsigned), charttime, storetime, patient_id, category, author (strings,
            "" for missing; times as YYYY-MM-DD HH:MM:SS).

    Returns:
        The `row` values to drop.
    """
    group = ["charttime", "patient_id", "category", "author"]
    return (
        notes.lazy()
        .filter(pl.col("charttime") != "", pl.col("author") != "")
        .sort("storetime", "row")
        .with_columns(
            complete=(pl.col("storetime") != "").all().over(group),
            last=pl.col("row").last().over(group),
        )
        .filter(pl.col("complete"), pl.col("row") != pl.col("last"))
        .sort("row")
        .collect()
        .get_column("row")
    )
