"""Gin files are found in the given paths, then the working directory, then the clone."""

import os

import pytest

from clinical_t5x.console import UserError
from clinical_t5x.launch import facade
from clinical_t5x.launch.search_path import SearchPath


@pytest.fixture
def two_places(tmp_path, monkeypatch):
    given, working = tmp_path / "given", tmp_path / "working"
    for place in (given, working):
        place.mkdir()
        (place / "both.gin").write_text("")
    (working / "here.gin").write_text("")
    monkeypatch.chdir(working)
    return given, working


def test_given_path_comes_first(two_places):
    given, _ = two_places
    assert SearchPath([str(given)]).find("both.gin") == str(given / "both.gin")


def test_first_of_several_given_paths_wins(two_places):
    given, working = two_places
    assert SearchPath([str(working), str(given)]).find("both.gin") == str(working / "both.gin")


def test_working_directory_comes_before_the_clone(two_places):
    _, working = two_places
    (working / "t5x/configs/runs").mkdir(parents=True)
    (working / "t5x/configs/runs/pretrain.gin").write_text("")
    assert SearchPath().find("both.gin") == str(working / "both.gin")
    found = SearchPath().find("t5x/configs/runs/pretrain.gin")
    assert found == str(working / "t5x/configs/runs/pretrain.gin")


def test_clone_is_found_from_anywhere(two_places):
    found = SearchPath().find("t5x/configs/runs/pretrain.gin")
    assert found == os.fspath(facade.CHECKOUT / "t5x/configs/runs/pretrain.gin")


def test_absolute_path_needs_no_search(two_places):
    given, _ = two_places
    assert SearchPath().find(str(given / "both.gin")) == str(given / "both.gin")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gin/clincal_large.gin", "did you mean gin/clinical_large.gin"),
        ("clinical_large", "did you mean gin/clinical_large.gin"),
        ("t5x/examples/t5/t5_1_0/lage.gin", "t5x/examples/t5/t5_1_0/large.gin"),
        ("entirely/other_thing.gin", "--gin_search_paths"),
    ],
)
def test_missing_file_names_the_nearest(two_places, name, expected):
    with pytest.raises(UserError, match=expected):
        SearchPath().find(name)


def test_default_of_a_program_holds_where_nothing_is_given(two_places):
    """As T5X's export, which looks in t5x/configs first."""
    given, working = two_places
    (working / "t5x/configs/runs").mkdir(parents=True)
    mine = working / "t5x/configs/runs/export.gin"
    mine.write_text("")
    assert SearchPath((), ("t5x/configs",)).find("runs/export.gin") == str(mine)
    mine.unlink()
    found = SearchPath((), ("t5x/configs",)).find("runs/export.gin")
    assert found == os.path.join(facade.CHECKOUT, "t5x/configs/runs/export.gin")
    with pytest.raises(UserError, match=r"no gin file 'runs/export\.gin'"):
        SearchPath([str(given)], ("t5x/configs",)).find("runs/export.gin")


def test_bucket_is_refused_with_the_cure():
    with pytest.raises(UserError, match=r"gs://b/x\.gin: gin files are read from disks only; copy"):
        SearchPath().find("gs://b/x.gin")
