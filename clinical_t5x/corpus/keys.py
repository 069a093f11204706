"""Numbers that stand for strings, so that the metadata of millions of notes fit into memory."""

from __future__ import annotations

import polars as pl


def key_of(column: pl.Expr) -> pl.Expr:
    """An expression for 64-bit keys of strings, 0 for "" alone.

    Keys are compared within one preparation and never written to a corpus: they may differ between
    versions of polars.
    """
    return pl.when(column == "").then(pl.lit(0, pl.UInt64)).otherwise(column.hash(seed=0) | 1)


def time_of(column: pl.Expr) -> pl.Expr:
    """An expression for numbers that sort as times written YYYY-MM-DD[ HH:MM:SS] do, 0 for "".

    It is made of the first 14 digits, so that other ways of writing sort as well as their digits.
    """
    digits = column.str.replace_all(r"\D", "").str.slice(0, 14).str.pad_end(14, "0")
    return digits.cast(pl.Int64, strict=False).fill_null(0)
