"""De-identification marks: MIMIC-III's `[**...**]` tags and MIMIC-IV's blanks.

Every key of the published tag mapping is written by one of the functions
here, beside the rare and malformed tags that real notes contain. A note is written with tags; the
same note in MIMIC-IV has `___` wherever a tag stood.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

Draw = Callable[[], float]

_TAG = re.compile(r"\[\*\*.*?\*\*\]", re.DOTALL)
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_HOLIDAYS = ("Thanksgiving", "Christmas", "Labor Day", "New Years", "Easter", "Memorial Day")
_STATES = ("Massachusetts", "New Hampshire", "Maine", "Florida", "Rhode Island")
_COUNTRIES = ("Country", "Country 11150", "Country 480", "Country 651")

# A tag is a pattern in which # stands for a number of up to four digits and @ for one digit; the
# kinds are grouped by what they replace.
_PATTERNS: dict[str, str] = {
    "last_name": "Last Name (un) #|Last Name (STitle) #|Last Name (LF) #|Last Name (NamePattern1) #",
    "first_name": "First Name (un) #|First Name8 (NamePattern2) #|First Name4 (NamePattern1) #"
    "|First Name (Titles) #",
    "name": "Name (NI) #|Name (STitle) #|Name (MD) #|Name6 (MD) #|Name Initial (NameIs) #",
    "initials": "Initials (NamePattern4) #|Initials (NamePattern5)|Female First Name (un) #"
    "|Male First Name (un) #",
    "known_last": "Known lastname #|Known lastname",
    "known_first": "Known firstname #|Known firstname",
    "clip": "Clip Number (Radiology) #",
    "number_id": "Numeric Identifier #|Medical Record Number #|Unit Number #",
    "md_number": "MD Number(1) #|MD Number(2) #|Job Number #",
    "hospital": "Hospital1 #|Hospital1|Hospital #|Hospital2 #|Hospital6 #|Hospital3 #",
    "ward": "Hospital Ward Name #|Wardname #|Hospital Ward Name",
    "company": "Company #|Company|University/College #|College #",
    "location": "Location (un) #|Location (un)|Location #|Location (un) @",
    "address": "Street Address(1) #|Street Address(2) #|Apartment Address(1) #|PO Box #",
    "age": "Age over 90 #|Age over 90|Age over 90 ",
    "phone": "Telephone/Fax (1) #|Telephone/Fax (2) #|Telephone/Fax (3) #|Telephone/Fax #",
    "pager": "Pager number #|Provider Number #|Pager number",
    "serial": "Serial Number #|Social Security Number #",
    "range": "Date range (1) #|Date Range #|Date range (3) #",
    "state": "State #|State|State/Zipcode #",
    "email": "E-mail address #|CC Contact Info #|E-mail address",
    "info": "Attending Info #|Dictator Info #",
    "country": "Country #|Country",
    "url": "URL #|URL",
    "year": "Year (4 digits) #|Year (2 digits) #|Year/Month #",
    "month": "Month (only) #|Month/Year #|Month/Day (@) #|Month/Year (@) #",
    "day": "Day Month #|Day Month Year #|Doctor Last Name #",
    "holiday": "Holiday #",
}


def _filled(pattern: str, draw: Draw) -> str:
    while "#" in pattern:
        pattern = pattern.replace("#", str(int(draw() * 10 ** (1 + int(draw() * 4)))), 1)
    return "[**" + pattern.replace("@", str(1 + int(draw() * 9))) + "**]"


def _of_kind(patterns: tuple[str, ...], draw: Draw) -> str:
    return _filled(patterns[int(draw() * len(patterns))], draw)


def date(draw: Draw) -> str:
    """A shifted date inside a stay: `[**2151-7-16**]` or `[**7-16**]`."""
    month, day = 1 + int(draw() * 12), 1 + int(draw() * 28)
    if draw() < 0.35:
        return f"[**{2101 + int(draw() * 100)}-{month}-{day}**]"
    return f"[**{month}-{day}**]"


def bare(draw: Draw) -> str:
    """A tag that holds nothing but a number: `[**4571**]`."""
    return f"[**{int(draw() * 90_000)}**]"


def empty(draw: Draw) -> str:
    """A tag that holds nothing, as some of the real ones do."""
    return "[** **]" if draw() < 0.5 else "[****]"


def odd(draw: Draw) -> str:
    """A tag that no published mapping foresees."""
    kinds = ("Dates #", "Month Day #", "Ethnicity #", "Profession #", "Zip Code #", "Language #")
    return _of_kind(kinds, draw)


def month_name(draw: Draw) -> str:
    """A month or holiday by name: `[**March**]`."""
    names = MONTHS if draw() < 0.8 else _HOLIDAYS
    return f"[**{names[int(draw() * len(names))]}**]"


def state_name(draw: Draw) -> str:
    """A state or country by name, as some tags keep it: `[**State 350**]` beside."""
    names = _STATES if draw() < 0.7 else _COUNTRIES
    return f"[**{names[int(draw() * len(names))]}**]"


FUNCTIONS: dict[str, Callable[[Draw], str]] = {
    kind: functools.partial(_of_kind, tuple(patterns.split("|")))
    for kind, patterns in _PATTERNS.items()
} | {
    "date": date,
    "bare": bare,
    "empty": empty,
    "odd": odd,
    "month_name": month_name,
    "state_name": state_name,
}


def every_tag() -> list[str]:
    """One tag of every pattern, in a fixed order: what the first patient's notes must show."""
    patterns = [pattern for joined in _PATTERNS.values() for pattern in joined.split("|")]
    tags = [_filled(pattern, lambda: 0.4321) for pattern in patterns]
    return [*tags, "[**2117-9-3**]", "[**9-3**]", "[**4571**]", "[** **]", "[****]", "[**March**]"]


def blank(text: str) -> str:
    """The text as MIMIC-IV has it: each tag replaced by three underscores."""
    return _TAG.sub("___", text)
