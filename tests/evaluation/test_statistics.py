"""Bootstrap by unit against textbook and SciPy; test_interval_coverage.py has what it covers."""

import numpy as np
import pytest
from scipy import stats

from clinical_t5x.evaluation.metrics import CLIP, MEDNLI, RADQA
from clinical_t5x.evaluation.metrics.clip import CLIP_LABELS
from clinical_t5x.evaluation.statistics import (
    bootstrap_intervals,
    mcnemar,
    paired_bootstrap,
)

_LABELS = len(CLIP_LABELS)
_LABEL_RATES = np.array([0.08, 0.09, 0.006, 0.012, 0.03, 0.05, 0.008])


def _accuracy_sample(rng, accuracy=0.8):
    """MedNLI's test split: 474 premises of 3 pairs, correlated within a premise."""
    of_premise = rng.beta(8 * accuracy, 8 * (1 - accuracy), size=474)
    right = rng.binomial(3, of_premise)
    sums = np.zeros((474, len(MEDNLI.columns)))
    sums[:, MEDNLI.columns.index("neutral>neutral")] = right
    sums[:, MEDNLI.columns.index("neutral>entailment")] = 3 - right
    return sums


def _clip_sample(rng, recall=0.7, noise=0.3):
    """CLIP's test split: 100 summaries of about 156 sentences, rare labels clustered by note."""
    sentences = rng.integers(60, 260, size=100)
    rates = _LABEL_RATES * rng.gamma(2, 0.5, size=(100, _LABELS))
    gold = rng.poisson(rates * sentences[:, None])
    hits = rng.binomial(gold, recall)
    false = rng.poisson(noise * rates * sentences[:, None])
    sums = np.zeros((100, len(CLIP.columns)))
    sums[:, :_LABELS], sums[:, _LABELS : 2 * _LABELS] = hits, hits + false
    sums[:, 2 * _LABELS : 3 * _LABELS] = gold
    sums[:, -1] = sentences
    return sums


def test_percentile_interval_of_a_mean_is_the_textbook_one():
    rng = np.random.default_rng(0)
    sums = _accuracy_sample(rng)
    accuracy = sums[:, MEDNLI.columns.index("neutral>neutral")] / 3
    half = 1.96 * accuracy.std(ddof=1) / np.sqrt(len(accuracy))
    interval = bootstrap_intervals(sums, MEDNLI.reduce, method="percentile")["accuracy"]
    assert interval.low == pytest.approx(accuracy.mean() - half, abs=0.002)
    assert interval.high == pytest.approx(accuracy.mean() + half, abs=0.002)
    assert (interval.level, interval.method, interval.n_units) == (0.95, "percentile", 474)


def test_bca_equals_scipy_on_a_skewed_mean():
    rng = np.random.default_rng(1)
    f1 = rng.beta(0.5, 3, size=60)
    sums = np.zeros((60, len(RADQA.columns)))
    sums[:, 0], sums[:, 2] = 1, f1
    ours = bootstrap_intervals(sums, RADQA.reduce, resamples=20_000)["f1"]
    theirs = stats.bootstrap((f1,), np.mean, n_resamples=20_000, method="BCa", random_state=2)
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.003)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.003)


def test_same_seed_same_interval_and_another_seed_another():
    sums = _clip_sample(np.random.default_rng(3))
    first, again, other = (
        bootstrap_intervals(sums, CLIP.reduce, resamples=500, seed=seed)["macro_f1"]
        for seed in (1, 1, 2)
    )
    assert first == again != other


def test_a_constant_metric_has_a_point_interval_and_an_undefined_one_none():
    sums = np.zeros((20, len(RADQA.columns)))
    sums[:, 0] = 1
    intervals = bootstrap_intervals(sums, RADQA.reduce, resamples=200)
    assert (intervals["f1"].low, intervals["f1"].high) == (0.0, 0.0)
    assert "has_answer_f1" not in intervals


def test_one_unit_has_no_interval():
    sums = _accuracy_sample(np.random.default_rng(0))[:1]
    assert bootstrap_intervals(sums, MEDNLI.reduce) == {}
    assert paired_bootstrap(sums, sums, MEDNLI.reduce) == {}


def test_several_seeds_average_the_metric():
    rng = np.random.default_rng(4)
    runs = np.stack([_accuracy_sample(rng, accuracy) for accuracy in (0.7, 0.8, 0.9)])
    interval = bootstrap_intervals(runs, MEDNLI.reduce, resamples=1000)["accuracy"]
    assert interval.low < 0.8 < interval.high
    assert interval.high - interval.low < 0.06


def _pair(rng, gain=0.0):
    """Two systems on the same premises, correlated; the first is better by `gain`."""
    ease = rng.beta(6.4, 1.6, size=474)
    sums = np.zeros((2, 474, len(MEDNLI.columns)))
    for system, probability in enumerate((np.clip(ease + gain, 0, 1), ease)):
        right = rng.binomial(3, probability)
        sums[system, :, MEDNLI.columns.index("neutral>neutral")] = right
        sums[system, :, MEDNLI.columns.index("neutral>entailment")] = 3 - right
    return sums


def test_paired_bootstrap_keeps_its_level_and_has_power():
    rejected = [
        paired_bootstrap(*_pair(np.random.default_rng(k)), MEDNLI.reduce, resamples=200)[
            "accuracy"
        ].p_value
        < 0.05
        for k in range(300)
    ]
    assert 0.02 <= np.mean(rejected) <= 0.085  # standard error 1.3 points
    found = paired_bootstrap(*_pair(np.random.default_rng(9), gain=0.08), MEDNLI.reduce)
    assert found["accuracy"].p_value < 0.01
    assert found["accuracy"].interval.low > 0


def test_paired_difference_of_a_system_with_itself_is_nothing():
    first, _ = _pair(np.random.default_rng(0))
    difference = paired_bootstrap(first, first, MEDNLI.reduce, resamples=300)["accuracy"]
    assert (difference.value, difference.p_value) == (0.0, 1.0)


def test_paired_samples_must_match():
    first, second = _pair(np.random.default_rng(0))
    with pytest.raises(ValueError, match="differ in shape"):
        paired_bootstrap(first, second[:-1], MEDNLI.reduce)


def test_mcnemar_equals_the_binomial_sum():
    first = np.array([True] * 12 + [False] * 3 + [True] * 30)
    second = np.array([False] * 12 + [True] * 3 + [True] * 30)
    result = mcnemar(first, second)
    assert (result.only_first, result.only_second, result.n) == (12, 3, 45)
    assert result.p_value == pytest.approx(2 * stats.binom.cdf(3, 15, 0.5))
    assert mcnemar(first, first).p_value == 1.0
