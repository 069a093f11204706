import collections
import re

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_t5x.corpus import deid_blanks, deid_tags
from clinical_t5x.corpus.deid_blanks import replace_blanks

CONTEXTS = [
    ("Name:  ___                   Unit No:   ___", ["[Name]", "[Reg#]"]),
    ("Admission Date:  ___              Discharge Date:   ___", ["[DR]", "[DR]"]),
    ("Date of Birth:  ___             Sex:   F", ["[DR]"]),
    ("Attending: ___.", ["[Name]"]),
    ("Seen by Dr. ___ at the clinic", ["[Name]"]),
    ("Ms. ___ is a ___ year old woman", ["[Name]", "[Age]"]),
    ("This is a ___ y/o male", ["[Age]"]),
    ("___F with COPD", ["[Age]"]),
    ("admitted on ___ with fever", ["[DR]"]),
    ("from ___ to ___ she took it", ["[DR]", "[DR]"]),
    ("Phone: ___  Fax: ___", ["[#]", "[#]"]),
    ("Please call ___ if you have fever", ["[#]"]),
    ("write to email ___", ["[CI]"]),
    ("see www.___", ["[URL]"]),
    ("transferred from ___ for care", ["[Company]"]),
    ("at ___ Hospital", ["[Company]"]),
    ("He lives in ___ with his wife ___", ["[LOC]", "[Name]"]),
    ("Comparison:  ___.", ["[DR]"]),
    ("Chest radiograph of ___", ["[DR]"]),
    ("Discussed with ___, M.D. by phone", ["[Name]"]),
    ("___ 06:30AM BLOOD WBC-9.1", ["[DR]"]),
    ("MRN: ___", ["[Reg#]"]),
    ("Facility:\n___", ["[Company]"]),
    ("Followup Instructions:\n___", ["[MISC]"]),
]


@pytest.mark.parametrize(("text", "expected"), CONTEXTS)
def test_the_context_types_a_blank(text, expected):
    pieces = text.split("___")
    whole = "".join(piece + tag for piece, tag in zip(pieces, [*expected, ""], strict=True))
    assert replace_blanks(text) == whole


def test_kinds_are_counted():
    kinds = collections.Counter()
    replace_blanks("Name: ___ and ___\nNumber of things\n___", kinds)
    assert kinds.total() == 3
    assert kinds["name field", "[Name]"] == 1
    assert kinds["no context", "[MISC]"] >= 1


@given(
    st.lists(
        st.sampled_from(["___", "____", "__", "Dr. ", "on ", "name:", "\n", "to ", " ", "(", "x"]),
        max_size=20,
    ).map("".join)
)
@settings(max_examples=200, deadline=None)
def test_only_blanks_change_and_none_is_left(text):
    kinds = collections.Counter()
    new = replace_blanks(text, kinds)
    assert "___" not in new
    assert replace_blanks(new) == new
    for tag in sorted(deid_tags.TAGS, key=len, reverse=True):
        new = new.replace(tag, "")
    assert new == re.sub("_{3,}", "", text)


def test_columns_read_as_single_texts():
    rows = [text for text, _ in CONTEXTS]
    column, kinds = deid_blanks.replace_in_column(pl.Series("text", rows))
    assert column.to_list() == [replace_blanks(row) for row in rows]
    assert kinds.total() == sum(len(tags) for _, tags in CONTEXTS)
