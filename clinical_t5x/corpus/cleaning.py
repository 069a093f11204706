"""White space of notes: line ends, trailing blanks, long runs of empty lines. Nothing else."""

from __future__ import annotations

import polars as pl

from clinical_t5x.corpus import rewriting


def clean_column(texts: pl.Series) -> pl.Series:
    """Clean a column of texts (no nulls) and lose no visible character.

    CRLF and CR become LF, NUL bytes and blanks at the ends of lines go, more than two empty lines
    in a row become two, and a text loses the empty lines at its beginning and all white space at
    its end.
    """
    cleaned = rewriting.clean(rewriting.texts_of(texts))
    return rewriting.column_of(cleaned).alias(texts.name)
