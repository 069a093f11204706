"""Gin files as plain statements: order, includes, places, grammar mistakes."""

import pytest

from clinical_t5x.console import UserError
from clinical_t5x.launch.gin_reading import Macro, Reference, iterate_leaves, read_configuration
from clinical_t5x.launch.search_path import SearchPath


@pytest.fixture
def read(tmp_path):
    """Write files by name and read the first of them, with bindings."""

    def read_files(files, bindings=(), first=None):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        first = first or [next(iter(files))]
        return read_configuration(first, bindings, SearchPath([str(tmp_path)]))

    return read_files


def test_statements_come_in_gins_order_with_their_places(read):
    reading = read(
        {"a.gin": "A = 1\ninclude 'sub/b.gin'\nA = 3\n", "sub/b.gin": "\nA = 2\n"}, ["A = 4"]
    )
    assert [binding.value for binding in reading.bindings] == [1, 2, 3, 4]
    places = [str(binding.place) for binding in reading.bindings]
    assert places == ["a.gin line 1", "sub/b.gin line 2", "a.gin line 3", "the command line"]


def test_later_file_comes_after_earlier(read):
    reading = read({"a.gin": "A = 1", "b.gin": "A = 2"}, first=["a.gin", "b.gin"])
    assert [binding.value for binding in reading.bindings] == [1, 2]


def test_values_keep_references_and_macros(read):
    reading = read({"a.gin": "A = {'x': [%B, @train/m.C()], 'y': @m.D}"})
    leaves = list(iterate_leaves(reading.bindings[0].value))
    assert leaves == ["x", Macro("B"), Reference("train/m.C", True), "y", Reference("m.D", False)]
    assert leaves[2].name == "m.C"


def test_imports_bind_names_as_python_does(read):
    text = "import a.b\nfrom c import d\nimport e.f as g\nfrom h.i import j as k\nX = 1"
    symbols = read({"a.gin": text}).bindings[0].symbols
    assert symbols.modules == {"a": "a", "d": "c.d", "g": "e.f", "k": "h.i.j"}


def test_missing_include_names_the_including_line(read):
    with pytest.raises(UserError, match=r"no gin file 'b.gin' \(included by a.gin line 2\)"):
        read({"a.gin": "A = 1\ninclude 'b.gin'"})


def test_circular_include_is_refused(read):
    with pytest.raises(UserError, match=r"circle: a.gin includes b.gin includes a.gin"):
        read({"a.gin": "include 'b.gin'", "b.gin": "include 'a.gin'"})


def test_second_reading_that_undoes_a_value_is_noticed(read):
    reading = read({"a.gin": "include 'b.gin'\nSTEPS = 5\ninclude 'b.gin'", "b.gin": "STEPS = 1"})
    assert reading.notices == [
        "b.gin is read a second time and takes back STEPS, set in a.gin line 2"
    ]
    harmless = read({"c.gin": "include 'd.gin'\ninclude 'd.gin'\nA = 2", "d.gin": "A = 1"})
    assert harmless.notices == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A = 1\nB = = 2\n", "a.gin line 2: not valid gin"),
        ("A = [1,\n", "a.gin line"),
        ("A 5\n", "a.gin line 1: not valid gin"),
        ("A = 'x\n", "a.gin line 1: not valid gin"),
    ],
)
def test_grammar_mistake_names_file_and_line(read, text, expected):
    with pytest.raises(UserError, match=expected):
        read({"a.gin": text})
