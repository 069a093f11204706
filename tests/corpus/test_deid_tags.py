import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clinical_t5x.corpus import deid_tags
from clinical_t5x.corpus.deid_tags import replace_tags

# Every kind that the paper's table names, as MIMIC-III writes it, and what the paper makes of it
# (three repaired: Wardname, Hospital Ward Name, Month/Day/Year).
KINDS = {
    "First Name8 (NamePattern2) 12": "[Name]",
    "Last Name (STitle) 3": "[Name]",
    "Female First Name (un) 9": "[Name]",
    "Initials (NamePattern4) 5": "[Name]",
    "Known lastname 101": "[Name]",
    "Known firstname": "[Name]",
    "Name (NI) 1": "[Name]",
    "Doctor First Name 7": "[Name]",
    "Clip Number (Radiology) 33": "[Reg#]",
    "Numeric Identifier 12": "[Reg#]",
    "Medical Record Number 4": "[Reg#]",
    "MD Number(1) 22": "[Reg#]",
    "Job Number 8": "[Reg#]",
    "Unit Number 5": "[Reg#]",
    "2345": "[Reg#]",
    "Hospital1 18": "[Company]",
    "Hospital 44": "[Company]",
    "Company 3": "[Company]",
    "University/College": "[Company]",
    "Location (un) 86": "[LOC]",
    "Street Address(2) 4": "[LOC]",
    "Wardname 9": "[LOC]",
    "Hospital Ward Name 22": "[LOC]",
    "Apartment Address(1) 5": "[LOC]",
    "PO Box 7": "[LOC]",
    "Age over 90 11": "[Age]",
    "Telephone/Fax (1) 3000": "[#]",
    "Serial Number 3": "[#]",
    "Social Security Number 4": "[#]",
    "Pager number 7": "[#]",
    "Provider Number 2": "[#]",
    "Date Range (1) 5": "[DR]",
    "Date range (3) 9": "[DR]",
    "Month/Day/Year 3": "[DR]",
    "Month/Day (2) 3": "[DR]",
    "Month/Year 1106": "[DR]",
    "Day Month 8": "[DR]",
    "State 2": "[State]",
    "State/Zipcode 3": "[State]",
    "E-mail address 1": "[CI]",
    "CC Contact Info 3": "[CI]",
    "Attending Info 3": "[CI]",
    "Dictator Info 9": "[CI]",
    "Country 5": "[Country]",
    "URL 9": "[URL]",
    "Year (4 digits) 2": "[YR]",
    "Month (only) 4": "[MO]",
    "Day 3": "[DAY]",
    "Holiday 1": "[DAY]",
    "Something Never Seen 4": "[MISC]",
    "": "",
    "  ": "",
    "2101-5-25": "2101-5-25",
    "5-25": "5-25",
    "5/1906": "5/1906",
    "-5/2101": "-5/2101",
    "May": "May",
    "25 May": "25 May",
    "May 2101": "May 2101",
    "September": "September",
}


@pytest.mark.parametrize(("content", "expected"), KINDS.items())
def test_every_kind_has_its_tag(content, expected):
    text = f"before [**{content}**] after"
    assert replace_tags(text)[0] == f"before {expected} after"


def test_every_tag_is_one_of_the_fifteen():
    assert len(deid_tags.TAGS) == 15
    assert set(deid_tags.KIND_TAGS.values()) | {"[MISC]", "[Reg#]"} == set(deid_tags.TAGS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seen [ **Month/Year ( 2 ) 1106** ] by", "seen [DR] by"),
        ("Dr. [ **Last Name ( STitle ) 12** ] .", "Dr. [Name] ."),
        ("on [ **2101 - 5 - 25** ]", "on 2101 - 5 - 25"),
        ("[**Hospital\nWard Name 3**]", "[LOC]"),
        ("[**Name**][**Name**]", "[Name][Name]"),
        ("unclosed [**Name and more text", "unclosed [**Name and more text"),
        ("[**Name[**Name**]**]", "[**Name[Name]**]"),
        ("a [list] of **stars**", "a [list] of **stars**"),
        ("[[****]**Name**]", "[Name]"),
    ],
)
def test_forms_of_tags(text, expected):
    assert replace_tags(text)[0] == expected


piece = st.sampled_from(
    ["[**Name**]", "[**2101-5-25**]", "[ **Hospital ( 1 )** ]", "[****]", "[**", "**]", "[", "]",
     "*", " ", "word", "é", "\n"]
)  # fmt: skip
texts = st.lists(piece, max_size=14).map("".join)


@given(texts)
@example("[[****]**Name**]")
@settings(max_examples=400, deadline=None)
def test_replacing_twice_changes_nothing_more(text):
    once = replace_tags(text)[0]
    assert replace_tags(once) == (once, deid_tags.OffsetMap())


odd_piece = st.one_of(
    piece,
    st.sampled_from(
        ["[\n**", "[\u2003**", "[  **", "** ]", "**\u00a0]", "**  ]", "5 - 25", "May\n 2101", "３",
         "5-２", "2101-5- \t25", "Age over 90", "Age over 80", "x" * 199, "é" * 200,
         "y" * 201, "z" * 900]
    ),
)  # fmt: skip
odd_texts = st.lists(odd_piece, max_size=14).map("".join)


@given(st.lists(odd_texts, max_size=6))
@settings(max_examples=400, deadline=None)
def test_columns_read_as_single_texts(rows):
    column, kinds = deid_tags.replace_in_column(pl.Series("text", rows, dtype=pl.String))
    assert column.name == "text"
    assert column.to_list() == [replace_tags(row)[0] for row in rows]
    assert all(count > 0 for count in kinds.values())
    middle, _ = deid_tags.replace_in_column(pl.Series(rows, dtype=pl.String)[1:-1])
    assert middle.to_list() == [replace_tags(row)[0] for row in rows[1:-1]]


def test_contents_that_differ_in_digits_are_not_mixed_up():
    """Each keeps its own digits, and 9 and 0 count as they are."""
    rows = [f"[**{year}-{month}-1**]" for year in range(2100, 2200) for month in range(1, 13)]
    rows += ["[**Age over 90 2**]", "[**Age over 80**]", "[**Hospital 2**]", "[**Hospital 7**]"]
    column, kinds = deid_tags.replace_in_column(pl.Series(rows))
    assert column.to_list() == [replace_tags(row)[0] for row in rows]
    assert kinds["date kept as text", "(text)"] == 1200
    assert kinds["hospital", "[Company]"] == 2


@given(texts, st.data())
@settings(max_examples=400, deadline=None)
def test_offsets_map_exactly(text, data):
    """The text of a span that cuts no tag is found, replaced in the same way, at its new place."""
    new, offsets = replace_tags(text)
    start = data.draw(st.integers(0, len(text)))
    stop = data.draw(st.integers(start, len(text)))
    assert offsets.offset(0) == 0
    assert offsets.span(0, len(text)) == (0, len(new))
    new_start, new_stop = offsets.span(start, stop)
    assert 0 <= new_start <= new_stop <= len(new)
    parts = [replace_tags(part)[0] for part in (text[:start], text[start:stop], text[stop:])]
    if "".join(parts) == new and len(offsets.passes) <= 1 and stop > start:
        assert new[new_start:new_stop] == parts[1]


def test_an_answer_stays_where_it_was():
    context = "[**Hospital1 18**] film.  Seen by [**Last Name (un) 5**] on [**2101-5-25**]: clear."
    answer = "[**Last Name (un) 5**] on [**2101-5-25**]"
    new, offsets = replace_tags(context)
    start, stop = offsets.span(context.index(answer), context.index(answer) + len(answer))
    assert new[start:stop] == replace_tags(answer)[0] == "[Name] on 2101-5-25"


def test_counts_by_kind():
    _, kinds = deid_tags.replace_in_column(
        pl.Series(["[**Name**] [**Name (NI) 2**] [**2101-5-25**]", "[**Foo Bar**] [****]"])
    )
    assert kinds == {
        ("name", "[Name]"): 2,
        ("date kept as text", "(text)"): 1,
        ("unknown kind", "[MISC]"): 1,
        ("empty tag", ""): 1,
    }
