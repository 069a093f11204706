"""Notes of one patient with the same text, case and white space aside."""

from __future__ import annotations

import polars as pl


def repeated_texts(notes: pl.DataFrame) -> pl.Series:
    """Rows whose text another note of the same patient repeats; the latest stays.

    Args:
        notes: columns row (unsigned), patient_id, charttime, chartdate, storetime (strings; the
            date stands in where the time is "") and text_hash (of the lower-cased text with white
            space normalised).

    Returns:
        The `row` values to drop.
    """
    when = pl.when(pl.col("charttime") == "").then("chartdate").otherwise("charttime")
    return (
        notes.lazy()
        .sort(when, "storetime", "row")
        .with_columns(last=pl.col("row").last().over("patient_id", "text_hash"))
        .filter(pl.col("row") != pl.col("last"))
        .sort("row")
        .collect()
        .get_column("row")
    )
