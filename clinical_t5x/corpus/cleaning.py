"""White space of notes: line ends, trailing blanks, long runs of empty lines. Nothing else."""

from __future__ import annotations

import polars as pl


def clean_whitespace(text: pl.Expr) -> pl.Expr:
    """An expression that cleans a text column and loses no visible character.

    CRLF and CR become LF, NUL bytes and blanks at the ends of lines go, more than two empty lines
    in a row become two, and the text is stripped of empty lines at both ends.
    """
    return (
        text.str.replace_all("\r\n", "\n", literal=True)
        .str.replace_all("\r", "\n", literal=True)
        .str.replace_all("\x00", "", literal=True)
        .str.replace_all(r"[ \t\f\v]+\n", "\n")
        .str.replace_all(r"\n{4,}", "\n\n\n")
        .str.replace(r"^\n+", "")
        .str.strip_chars_end()
    )
