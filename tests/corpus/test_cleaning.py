import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_t5x.corpus.cleaning import clean_whitespace
from clinical_t5x.corpus.words import NOT_BLANK, words_of


def clean(text: str) -> str:
    return pl.select(clean_whitespace(pl.lit(text))).item()


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
