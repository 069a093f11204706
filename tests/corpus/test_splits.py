import polars as pl
import pytest

from clinical_t5x.corpus.splits import person_fraction, split_persons


def assigned(persons, percent):
    return dict(split_persons(pl.Series("p", persons, dtype=pl.String), percent).rows())


def test_the_share_is_as_asked_and_nobody_moves_when_notes_are_added():
    persons = [f"mimic-iii/{number}" for number in range(4000)]
    before, after = assigned(persons[:2000], 5), assigned([*persons, *persons[:7]], 5)
    assert len(after) == 4000
    assert all(after[person] == split for person, split in before.items())
    assert 0.04 < sum(split == "validation" for split in after.values()) / 4000 < 0.06


def test_the_assignment_is_the_same_on_every_machine():
    assert person_fraction("mimic-iii/10006") == pytest.approx(0.6588595279278076)


@pytest.mark.parametrize("persons", [2, 3, 10])
def test_both_splits_have_someone_when_there_are_two_persons(persons):
    names = [f"p{number}" for number in range(persons)]
    for percent in (0.001, 5, 99.9):
        assert set(assigned(names, percent).values()) == {"train", "validation"}


def test_one_person_or_no_percentage_gives_train_alone():
    assert set(assigned(["only"], 5).values()) <= {"train", "validation"}
    assert set(assigned(["a", "b", "c"], 0).values()) == {"train"}
    assert assigned([], 5) == {}
