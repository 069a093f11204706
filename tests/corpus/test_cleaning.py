import re

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_t5x.corpus.cleaning import clean_column
from clinical_t5x.corpus.words import NOT_BLANK, words_of


def clean(text: str) -> str:
    return clean_column(pl.Series([text])).item()


def by_rules(text: str) -> str:
    """Rule after rule, each for the whole text."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    text = re.sub("[ \t\f\v]+\n", "\n", text)
    text = re.sub("\n{4,}", "\n\n\n", text)
    # Python also takes the separators of ASCII for white space, Unicode does not.
    return re.sub(r"[^\S\x1c-\x1f]+\Z", "", text.lstrip("\n"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\r\nb\rc", "a\nb\nc"),
        ("a  \t\nb   ", "a\nb"),
        ("a\n\n\n\n\n\nb", "a\n\n\nb"),
        ("a\n \n\t\n \n  \nb", "a\n\n\nb"),
        ("\n\n  indented first line", "  indented first line"),
        ("Case, é, “quotes” and  two  blanks", "Case, é, “quotes” and  two  blanks"),
        ("nul\x00byte", "nulbyte"),
        (" \r\n ", ""),
    ],
)
def test_white_space(text, expected):
    assert clean(text) == expected


@given(st.text(st.sampled_from("aB é.\t \n\r\f"), max_size=40))
@settings(max_examples=200, deadline=None)
def test_no_word_is_lost_and_cleaning_is_final(text):
    new = clean(text)
    assert new.split() == text.split()
    assert clean(new) == new
    assert words_of(pl.Series([new]), NOT_BLANK).lengths.tolist() == [len(text.split())]


pieces = st.sampled_from(
    ["a", "é", "中", " ", "  ", "\t", "\n", "\n\n", "\r", "\r\n", "\0", "\f", "\v", "\x1c", "\x85",
     "\xa0", "\u1680", "\u2000", "\u200a", "\u200b", "\u2028", "\u202f", "\u205f", "\u3000", "[**"]
)  # fmt: skip


@given(st.lists(st.lists(pieces, max_size=12).map("".join), max_size=6))
@settings(max_examples=400, deadline=None)
def test_the_loop_does_what_the_rules_say(texts):
    column = pl.Series("text", texts, dtype=pl.String)
    cleaned = clean_column(column)
    assert cleaned.name == "text"
    assert cleaned.to_list() == [by_rules(text) for text in texts]
    part = clean_column(column[1:-1])
    assert part.to_list() == [by_rules(text) for text in texts[1:-1]]


def test_a_column_of_empty_texts():
    assert clean_column(pl.Series("text", ["", "", " \n"])).to_list() == ["", "", ""]
