"""Notes with the same text, case and white space aside."""

from __future__ import annotations

import polars as pl

_ORDER = ("charted", "stored", "row")
COLUMNS = (*_ORDER, "patient", "text_hash")


def repeated_texts(notes: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    """Rows whose text a later note repeats; the latest stays, whoever's it is.

    Args:
        notes: columns row (unsigned), patient, charted and stored (times that sort) and text_hash
            (of the lower-cased text without white space).

    Returns:
        The `row` values to drop: those that the same patient's later note repeats, and those that
        only other patients' notes repeat.
    """
    repeated = (
        notes.lazy()
        .select(COLUMNS)
        .filter(pl.len().over("text_hash") > 1)
        .sort(_ORDER)
        .with_columns(
            last=pl.col("row").last().over("text_hash"),
            last_of_patient=pl.col("row").last().over("text_hash", "patient"),
        )
        .filter(pl.col("row") != pl.col("last"))
        .sort("row")
        .collect()
    )
    of_patient = pl.col("row") != pl.col("last_of_patient")
    return (
        repeated.filter(of_patient).get_column("row"),
        repeated.filter(~of_patient).get_column("row"),
    )
