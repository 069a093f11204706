"""Paired tests, several seeds and corrections: against brute force, SciPy, and plain arithmetic."""

import itertools

import numpy as np
import pytest
from scipy import stats

from clinical_t5x.evaluation.metrics import MEDNLI, RADQA
from clinical_t5x.evaluation.statistics import (
    approximate_randomisation,
    benjamini_hochberg,
    bootstrap_intervals,
    difference_over_seeds,
    holm,
    mcnemar,
    mcnemar_by_unit,
    over_seeds,
    paired_bootstrap,
)


def _f1_sums(f1):
    """RadQA sums of units of one question each, with these F1s: [..., U, K]."""
    f1 = np.asarray(f1, dtype=float)
    sums = np.zeros((*f1.shape, len(RADQA.columns)))
    sums[..., 0], sums[..., 2] = 1, f1
    return sums


def _accuracy_sums(right, of=3):
    """MedNLI sums of premises with so many right pairs out of `of`: [..., U, K]."""
    right = np.asarray(right)
    sums = np.zeros((*right.shape, len(MEDNLI.columns)))
    sums[..., MEDNLI.columns.index("neutral>neutral")] = right
    sums[..., MEDNLI.columns.index("neutral>entailment")] = of - right
    return sums


def _brute_force(first, second, reduce, metric):
    """The share of all 2^U swaps with a difference as large as the one seen."""
    seen = abs(reduce(first.sum(0))[metric] - reduce(second.sum(0))[metric])
    extreme = []
    for swap in itertools.product([False, True], repeat=len(first)):
        mask = np.array(swap)[:, None]
        a, b = np.where(mask, second, first).sum(0), np.where(mask, first, second).sum(0)
        extreme.append(abs(reduce(a)[metric] - reduce(b)[metric]) >= seen - 1e-12)
    return np.mean(extreme)


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1"])
def test_few_units_are_swapped_in_every_way(metric):
    rng = np.random.default_rng(0)
    first, second = _accuracy_sums(rng.integers(1, 4, 9)), _accuracy_sums(rng.integers(0, 3, 9))
    test = approximate_randomisation(first, second, MEDNLI.reduce)[metric]
    assert test.exact
    assert test.p_value == pytest.approx(_brute_force(first, second, MEDNLI.reduce, metric))


def test_randomisation_equals_scipy_on_means():
    rng = np.random.default_rng(1)
    first, second = rng.random(12), rng.random(12) * 0.8
    theirs = stats.permutation_test(
        (first, second), lambda a, b: a.mean() - b.mean(), permutation_type="samples"
    )
    ours = approximate_randomisation(_f1_sums(first), _f1_sums(second), RADQA.reduce)["f1"]
    assert ours.exact
    assert ours.value == pytest.approx(theirs.statistic)
    assert ours.p_value == pytest.approx(theirs.pvalue)


def test_random_swaps_come_near_to_all_swaps():
    rng = np.random.default_rng(2)
    first, second = _f1_sums(rng.random(13)), _f1_sums(rng.random(13) * 0.8)
    exact = approximate_randomisation(first, second, RADQA.reduce, resamples=4096)["f1"]
    random = approximate_randomisation(first, second, RADQA.reduce, resamples=4095)["f1"]
    assert (exact.exact, exact.swaps, random.exact, random.swaps) == (True, 4096, False, 4095)
    assert random.p_value == pytest.approx(exact.p_value, abs=0.03)
    assert random.p_value > 0


def test_only_units_that_differ_count_for_how_many_ways_there_are():
    same = np.full(500, 0.5)
    other = same.copy()
    other[:3] = 0.0
    test = approximate_randomisation(_f1_sums(same), _f1_sums(other), RADQA.reduce)["f1"]
    assert (test.exact, test.swaps, test.n_units) == (True, 4, 500)
    assert test.p_value == 0.25  # all three one way: 2 of 8
    nothing = approximate_randomisation(_f1_sums(same), _f1_sums(same), RADQA.reduce)["f1"]
    assert (nothing.value, nothing.p_value, nothing.exact) == (0.0, 1.0, True)


def test_randomisation_is_fixed_by_its_seed_and_symmetric():
    rng = np.random.default_rng(3)
    first, second = _f1_sums(rng.random(40)), _f1_sums(rng.random(40))
    one, again, turned = (
        approximate_randomisation(a, b, RADQA.reduce, resamples=300, seed=5)["f1"]
        for a, b in ((first, second), (first, second), (second, first))
    )
    assert one == again
    assert (turned.value, turned.p_value) == (pytest.approx(-one.value), one.p_value)


def test_seeds_are_swapped_together_and_must_be_as_many():
    rng = np.random.default_rng(4)
    first, second = _f1_sums(rng.random((2, 8))), _f1_sums(rng.random((2, 8)))
    test = approximate_randomisation(first, second, RADQA.reduce)["f1"]
    means = approximate_randomisation(first.mean(0), second.mean(0), RADQA.reduce)["f1"]
    assert test.p_value == means.p_value
    with pytest.raises(ValueError, match="as many training seeds"):
        approximate_randomisation(first, second[:1], RADQA.reduce)
    with pytest.raises(ValueError, match="differ in shape"):
        approximate_randomisation(first, second[:, :-1], RADQA.reduce)


def test_mcnemar_by_unit_counts_all_signs():
    rng = np.random.default_rng(5)
    units = rng.integers(0, 9, size=60)
    first, second = rng.random(60) < 0.8, rng.random(60) < 0.6
    gains = [int(first[units == u].sum()) - int(second[units == u].sum()) for u in range(9)]
    signs = np.array(list(itertools.product([-1, 1], repeat=9)))
    wanted = np.mean(np.abs(signs @ gains) >= abs(sum(gains)))
    result = mcnemar_by_unit(first, second, [f"note {u}" for u in units])
    assert result.p_value == pytest.approx(wanted)
    assert result.n_decisive == np.count_nonzero(gains)
    assert (result.n, result.n_units) == (60, 9)
    order = rng.permutation(60)
    assert mcnemar_by_unit(first[order], second[order], units[order]).p_value == pytest.approx(
        result.p_value
    )


def test_mcnemar_by_unit_of_single_examples_is_mcnemar():
    rng = np.random.default_rng(6)
    first, second = rng.random(300) < 0.8, rng.random(300) < 0.72
    single, plain = mcnemar_by_unit(first, second, range(300)), mcnemar(first, second)
    assert single.p_value == pytest.approx(plain.p_value)
    assert (single.only_first, single.only_second) == (plain.only_first, plain.only_second)


def test_mcnemar_by_unit_sees_that_ten_sentences_of_one_note_are_one_note():
    first = np.ones(10, dtype=bool)
    assert mcnemar(first, ~first).p_value < 0.01
    assert mcnemar_by_unit(first, ~first, ["note"] * 10).p_value == 1.0
    assert mcnemar_by_unit(first, first, ["note"] * 10).p_value == 1.0
    with pytest.raises(ValueError, match="10 examples but 2 units"):
        mcnemar_by_unit(first, first, ["a", "b"])


def test_seeds_have_mean_and_sample_deviation():
    f1 = np.array([[0.2, 0.4], [0.4, 0.8], [0.3, 0.9]])
    summary = over_seeds(_f1_sums(f1), RADQA.reduce, resamples=100)["f1"]
    assert summary.values == pytest.approx((0.3, 0.6, 0.6))
    assert summary.mean == pytest.approx(0.5)
    assert summary.std == pytest.approx(np.std([0.3, 0.6, 0.6], ddof=1))
    assert summary.interval.method == "hierarchical"


def _runs(seed_shifts, n_units=200):
    rng = np.random.default_rng(7)
    ease = rng.normal(0.5, 0.1, n_units)
    return _f1_sums(np.clip(ease + np.asarray(seed_shifts)[:, None], 0, 1))


def test_the_interval_over_seeds_is_that_over_units_when_seeds_agree_and_wider_when_not():
    agree, differ = _runs([0, 0, 0]), _runs([-0.05, 0, 0.05])
    alone = bootstrap_intervals(agree, RADQA.reduce, method="percentile", resamples=1000)["f1"]
    same = over_seeds(agree, RADQA.reduce, resamples=1000)["f1"].interval
    assert (same.low, same.high) == pytest.approx((alone.low, alone.high), abs=5e-4)
    wide = over_seeds(differ, RADQA.reduce, resamples=1000)["f1"]
    half = stats.t.ppf(0.975, 2) * wide.std / np.sqrt(3)  # of seeds alone, which dominate here
    assert (wide.interval.high - wide.interval.low) / 2 == pytest.approx(half, rel=0.2)


def test_an_interval_of_fractions_stays_within_them():
    perfect = over_seeds(_f1_sums([[1.0] * 30, [1.0] * 29 + [0], [0.2] * 30]), RADQA.reduce)
    assert 0 <= perfect["f1"].interval.low < perfect["f1"].interval.high <= 1


def test_one_seed_has_no_deviation_and_the_interval_of_units():
    runs = _runs([0.0])
    summary = over_seeds(runs, RADQA.reduce, resamples=500)["f1"]
    assert summary.std is None
    assert summary.interval == bootstrap_intervals(runs, RADQA.reduce, resamples=500)["f1"]
    assert over_seeds(runs[:, :1], RADQA.reduce)["f1"].interval is None


def test_differences_over_seeds_speak_of_other_seeds():
    good, bad = _runs([-0.06, 0.0, 0.06]), _runs([-0.09, -0.03, 0.03])
    units = paired_bootstrap(good, bad, RADQA.reduce, resamples=1000)["f1"]
    both = difference_over_seeds(good, bad, RADQA.reduce, resamples=1000)["f1"]
    assert both.value == pytest.approx(units.value) == pytest.approx(0.03, abs=0.002)
    assert units.p_value < 0.01 < 0.3 < both.p_value
    assert both.n_seeds == (3, 3)
    turned = difference_over_seeds(bad, good[:2], RADQA.reduce, resamples=1000)["f1"]
    assert turned.n_seeds == (3, 2)
    again = difference_over_seeds(bad, good[:2], RADQA.reduce, resamples=1000)["f1"]
    assert turned == again
    assert difference_over_seeds(good[:, :1], bad[:, :1], RADQA.reduce) == {}


def test_corrections():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    p_values = np.random.default_rng(8).random(40) ** 3
    assert benjamini_hochberg(p_values) == pytest.approx(stats.false_discovery_control(p_values))
    assert np.all(np.array(holm(p_values)) >= benjamini_hochberg(p_values))
    for correct in (holm, benjamini_hochberg):
        assert correct([]) == []
        assert correct([0.2]) == [0.2]
        assert correct([0.9, 0.8]) == pytest.approx([0.9, 0.9] if correct != holm else [1.0, 1.0])
        with pytest.raises(ValueError, match="between 0 and 1"):
            correct([0.2, float("nan")])
