"""Fractions and folds as properties, and as fixed choices that must never change."""

import collections
import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_t5x.console import UserError
from clinical_t5x.data.subsets import (
    EXAMPLES,
    UNITS,
    Subset,
    Unit,
    beginning,
    choose,
    folds_of,
    joined,
    stratified_order,
    tally,
)

SHARES = (0.01, 0.05, 0.1, 0.25, 1.0)


@st.composite
def unit_lists(draw, least=1, most=60):
    sizes = draw(st.lists(st.integers(1, 9), min_size=least, max_size=most))
    chance = random.Random(draw(st.integers(0, 2**32)))
    return [
        Unit(f"u{k}", size, collections.Counter(chance.choices("abc", (60, 30, 3), k=size)))
        for k, size in enumerate(sizes)
    ]


def names(units):
    return [unit.name for unit in units]


def examples(units):
    return sum(unit.examples for unit in units)


def share(units, stratum):
    return sum(unit.strata.get(stratum, 0) for unit in units) / max(1, examples(units))


def mednli_like(count=3744):
    """As many premises as MedNLI has, with a pair of each label."""
    labels = ("entailment", "neutral", "contradiction")
    return [Unit(f"p{k}", 3, dict.fromkeys(labels, 1)) for k in range(count)]


def clip_like(seed=0, count=518):
    """Summaries of some 150 sentences with seven labels, the rarest on 2 sentences in 1,000."""
    chance = random.Random(seed)
    rates = {f"label{k}": rate for k, rate in enumerate((40, 30, 20, 15, 10, 5, 2))}
    found = []
    for k in range(count):
        size = chance.randint(40, 300)
        strata = {
            name: sum(chance.random() < rate / 1000 for _ in range(size))
            for name, rate in rates.items()
        }
        found.append(Unit(f"d{k}", size, {name: n for name, n in strata.items() if n}))
    return found


@settings(max_examples=60, deadline=None)
@given(unit_lists(), st.integers(0, 9), st.sampled_from([EXAMPLES, UNITS]), st.randoms())
def test_order_is_a_permutation_whatever_order_units_come_in(units, seed, counted, chance):
    order = stratified_order(units, seed, counted)
    assert sorted(names(order)) == sorted(names(units))
    shuffled = list(units)
    chance.shuffle(shuffled)
    assert names(stratified_order(shuffled, seed, counted)) == names(order)


@settings(max_examples=60, deadline=None)
@given(unit_lists(least=30), st.integers(0, 9), st.sampled_from([EXAMPLES, UNITS]))
def test_smaller_fractions_lie_in_larger_ones(units, seed, counted):
    chosen = [set(names(beginning(units, f, seed, counted))) for f in (0.1, 0.25, 0.5, 0.9, 1.0)]
    assert all(small <= large for small, large in itertools.pairwise(chosen))
    assert chosen[-1] == set(names(units))


@settings(max_examples=60, deadline=None)
@given(unit_lists(least=30), st.floats(0.1, 0.99), st.integers(0, 9))
def test_a_fraction_is_the_nearest_number_of_examples(units, fraction, seed):
    found = examples(beginning(units, fraction, seed, EXAMPLES))
    assert (
        abs(found - fraction * examples(units)) <= max(unit.examples for unit in units) / 2 + 1e-6
    )


@settings(max_examples=60, deadline=None)
@given(
    unit_lists(least=8), st.integers(2, 8), st.integers(0, 9), st.sampled_from([EXAMPLES, UNITS])
)
def test_folds_are_disjoint_cover_everything_and_are_even(units, folds, seed, counted):
    parts = folds_of(units, folds, seed, counted)
    assert sorted(name for part in parts for name in names(part)) == sorted(names(units))
    sizes = [len(part) if counted == UNITS else examples(part) for part in parts]
    largest = 1 if counted == UNITS else 2 * max(unit.examples for unit in units) - 1
    assert max(sizes) - min(sizes) <= largest
    assert parts == folds_of(units[::-1], folds, seed, counted)


def test_sizes_are_those_of_the_paper():
    pairs = [examples(beginning(mednli_like(), f, 0, EXAMPLES)) for f in SHARES]
    assert pairs == [111, 561, 1122, 2808, 11232], "112, 561, 1123, 2808 in whole premise groups"
    summaries = [len(beginning(clip_like(), f, 0, UNITS)) for f in SHARES]
    assert summaries == [5, 25, 51, 129, 518]


@pytest.mark.parametrize("seed", range(5))
def test_five_summaries_have_every_label_and_the_usual_length(seed):
    units = clip_like()
    few = beginning(units, 0.01, seed, UNITS)
    assert all(share(few, f"label{k}") > 0 for k in range(7))
    assert abs(examples(few) / 5 / (examples(units) / 518) - 1) < 0.35
    some = beginning(units, 0.1, seed, UNITS)
    for k in range(7):
        assert share(some, f"label{k}") == pytest.approx(share(units, f"label{k}"), rel=0.3)


def test_answerable_share_is_kept_at_one_percent():
    chance = random.Random(1)
    units = [
        Unit(f"c{k}", 3, collections.Counter("yn"[chance.random() < 0.29] for _ in range(3)))
        for k in range(1606)
    ]
    for seed in range(5):
        few = beginning(units, 0.01, seed, EXAMPLES)
        assert abs(share(few, "n") - share(units, "n")) < 0.03
    parts = folds_of(units, 5, 0, EXAMPLES)
    assert max(abs(share(part, "n") - share(units, "n")) for part in parts) < 0.01


def test_seeds_choose_differently():
    units = clip_like()
    chosen = [set(names(beginning(units, 0.05, seed, UNITS))) for seed in range(6)]
    overlaps = [len(a & b) / 25 for i, a in enumerate(chosen) for b in chosen[:i]]
    assert sum(overlaps) / len(overlaps) < 0.15, "5 % of the summaries are shared by chance"


def test_the_choice_never_changes():
    """Results of months ago must be repeatable: a new Python or numpy chooses the same units."""
    assert names(beginning(mednli_like(300), 0.02, 7, EXAMPLES)) == FIXED["mednli"]
    assert names(beginning(clip_like(), 0.01, 7, UNITS)) == FIXED["clip"]
    assert names(folds_of(clip_like(), 50, 7, UNITS)[3]) == FIXED["fold"]


FIXED = {
    "mednli": ["p186", "p193", "p163", "p212", "p153", "p10"],
    "clip": ["d52", "d315", "d126", "d76", "d490"],
    "fold": ["d315", "d291", "d446", "d463", "d38", "d115", "d231", "d452", "d99", "d222", "d60"],
}


def test_units_of_both_splits_stay_together_in_folds():
    train = [Unit("a", 3, {"x": 3}), Unit("b", 3, {"y": 3})]
    validation = [Unit("a", 2, {"x": 1}), Unit("c", 4)]
    both = {unit.name: unit for unit in joined(train, validation)}
    assert both["a"] == Unit("a", 5, {"x": 4})
    for fold in range(3):
        chosen = choose(Subset(folds=3, fold=fold), train, validation, UNITS)
        assert len(chosen["validation"]) == 1
        assert {unit.name for part in chosen.values() for unit in part} == {"a", "b", "c"}


def test_every_fold_is_validation_once_and_a_fraction_is_taken_of_the_rest():
    train, validation = mednli_like(40)[:30], mednli_like(40)[30:]
    held_out = []
    for fold in range(4):
        whole = choose(Subset(folds=4, fold=fold), train, validation, EXAMPLES)
        part = choose(Subset(0.5, folds=4, fold=fold), train, validation, EXAMPLES)
        held_out += names(whole["validation"])
        assert part["validation"] == whole["validation"]
        assert set(names(part["train"])) <= set(names(whole["train"]))
        assert len(part["train"]) == 15 == len(whole["train"]) / 2
    assert sorted(held_out) == sorted(names(train + validation))


def test_tally_counts_examples_and_strata():
    found = tally([("a", ["x"]), ("b", []), ("a", ["x", "y"])])
    assert found == [Unit("a", 2, {"x": 2, "y": 1}), Unit("b", 1, {})]


def test_nothing_left_is_said_with_what_would_leave_something():
    with pytest.raises(UserError, match=r"0.0001 of 11,232 .* smallest .* about 0.00027"):
        beginning(mednli_like(), 0.0001, 0, EXAMPLES)
    assert len(beginning(mednli_like(), 0.00027, 0, EXAMPLES)) == 1
    with pytest.raises(UserError, match=r"0.001 of .* 518 units leaves no unit; .* about 0.0019"):
        beginning(clip_like(), 0.001, 0, UNITS)
    with pytest.raises(UserError, match="folds is 5, but there are only 4 units"):
        folds_of(mednli_like(4), 5, 0, EXAMPLES)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fraction": 0}, "above 0 and at most 1: 1 % is 0.01"),
        ({"fraction": -0.5}, "above 0"),
        ({"fraction": 5}, r"fraction is 5; .*: 5 % is 0.05"),
        ({"fraction": "1%"}, "fraction is '1%'"),
        ({"fraction": float("nan")}, "fraction is nan"),
        ({"fraction": True}, "fraction is True"),
        ({"seed": 0.5}, "subset_seed is 0.5"),
        ({"folds": 5}, "fold is not given; bind fold = 0 to 4"),
        ({"fold": 0}, "folds is not given"),
        ({"folds": 1, "fold": 0}, "folds is 1; it must be a whole number from 2"),
        ({"folds": 5, "fold": 5}, "fold is 5; the 5 folds are numbered 0 to 4"),
        ({"folds": 5, "fold": -1}, "fold is -1"),
    ],
)
def test_impossible_parts_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        Subset(**options)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "mednli_v1"),
        ({"seed": 3}, "mednli_v1"),
        ({"fraction": 0.01}, "mednli_v1_train_1pct_seed0"),
        ({"fraction": 0.005, "seed": 2}, "mednli_v1_train_0.5pct_seed2"),
        ({"fraction": 0.25}, "mednli_v1_train_25pct_seed0"),
        ({"folds": 5, "fold": 0}, "mednli_v1_fold_0_of_5_seed0"),
        ({"folds": 5, "fold": 1, "fraction": 0.1}, "mednli_v1_fold_1_of_5_train_10pct_seed0"),
    ],
)
def test_names_say_what_is_taken(options, name):
    assert Subset(**options).named("mednli_v1") == name
