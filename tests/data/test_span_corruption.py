import itertools
import random

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_t5x.console import UserError
from clinical_t5x.data.span_corruption import SpanCorruption

SENTINEL_START, EOS = 999, 1


def corrupted(corruption, tokens, seed=0, first=0):
    masks = corruption.masks(tokens.shape[1], seed, range(first, first + len(tokens)))
    return masks, *corruption.corrupt(tokens, masks, sentinel_start=SENTINEL_START, eos_id=EOS)


def restored(inputs, targets):
    """Put the spans of the targets back where the inputs have their sentinels."""
    spans, raw = {}, []
    for token in targets[:-1]:
        if token > 800:
            spans[token] = []
            current = spans[token]
        else:
            current.append(token)
    for token in inputs[:-1]:
        raw += spans[token] if token > 800 else [token]
    return raw


def test_published_lengths():
    corruption = SpanCorruption()
    assert corruption.raw_length(512, 114) == 568
    assert corruption.lengths(568) == (512, 114)
    assert corruption.counts(568) == (85, 28)


@pytest.mark.parametrize("inputs_length", [16, 64, 128, 256, 512, 1024])
def test_raw_length_is_the_largest_that_fits(inputs_length):
    corruption = SpanCorruption()
    raw = corruption.raw_length(inputs_length, 10**6)
    assert corruption.lengths(raw)[0] <= inputs_length
    assert corruption.lengths(raw + 1)[0] > inputs_length
    targets = corruption.lengths(raw)[1]
    assert corruption.raw_length(inputs_length, targets) == raw
    assert corruption.lengths(corruption.raw_length(inputs_length, targets - 1))[1] < targets


def test_too_short_lengths_and_too_few_sentinels():
    with pytest.raises(UserError, match="leave no room"):
        SpanCorruption().raw_length(512, 2)
    with pytest.raises(UserError, match="needs 28 sentinels, the vocabulary has 20"):
        SpanCorruption().check_sentinels(568, 20)


def test_worked_example():
    tokens = np.arange(11, 19)[None]
    mask = np.array([[0, 0, 1, 1, 0, 0, 0, 1]], bool)
    inputs, targets = SpanCorruption().corrupt(
        tokens, mask, sentinel_start=SENTINEL_START, eos_id=EOS
    )
    assert inputs.tolist() == [[11, 12, 999, 15, 16, 17, 998, EOS]]
    assert targets.tolist() == [[999, 13, 14, 998, 18, EOS]]


@settings(max_examples=60, deadline=None)
@given(
    raw=st.integers(2, 700),
    density=st.sampled_from([0.05, 0.15, 0.5]),
    mean=st.sampled_from([1.0, 3.0, 10.0]),
    seed=st.integers(0, 2**32),
)
def test_nothing_is_lost(raw, density, mean, seed):
    corruption = SpanCorruption(density, mean)
    tokens = np.random.default_rng(0).integers(3, 800, (3, raw))
    masks, inputs, targets = corrupted(corruption, tokens, seed)
    noise, spans = corruption.counts(raw)
    assert (masks.sum(axis=1) == noise).all()
    assert not masks[:, 0].any()
    assert masks[:, -1].all()
    assert (inputs.shape[1], targets.shape[1]) == corruption.lengths(raw)
    sentinels = list(range(SENTINEL_START, SENTINEL_START - spans, -1)) if spans <= 199 else None
    for row in range(3):
        if sentinels is not None:
            assert [t for t in inputs[row] if t > 800] == sentinels
            assert [t for t in targets[row] if t > 800] == sentinels
            assert restored(inputs[row], targets[row]) == tokens[row].tolist()


def test_mask_depends_on_seed_and_index_alone():
    corruption = SpanCorruption()
    together = corruption.masks(100, 7, [3, 4, 5])
    assert (corruption.masks(100, 7, [4])[0] == together[1]).all()
    assert (corruption.masks(100, 8, [4])[0] != together[1]).any()


def test_masks_are_uniform_over_all_compositions():
    """6 tokens with 3 noise in 2 spans: 2 ways to cut the noise, 2 to cut the rest, all alike."""
    corruption = SpanCorruption(noise_density=0.5, mean_span_length=1.5)
    assert corruption.counts(6) == (3, 2)
    masks = corruption.masks(6, 0, range(4000))
    _, counts = np.unique(masks, axis=0, return_counts=True)
    assert len(counts) == 4
    assert ((counts - 1000) ** 2 / 1000).sum() < 16.3  # chi-square, 3 degrees, p = 0.001


def test_noise_density_and_span_length_are_as_asked():
    masks = SpanCorruption().masks(568, 0, range(200))
    assert masks.mean() == pytest.approx(85 / 568)
    starts = masks[:, 1:] & ~masks[:, :-1]
    assert (starts.sum(axis=1) == 28).all()
    assert masks.sum() / starts.sum() == pytest.approx(3.0, rel=0.02)


def test_568_raw_tokens_fill_512_and_114_to_the_last_place():
    tokens = np.random.default_rng(2).integers(3, 800, (20, 568))
    _, inputs, targets = corrupted(SpanCorruption(), tokens)
    assert inputs.shape == (20, 512)
    assert targets.shape == (20, 114)
    for rows in (inputs, targets):
        assert (rows != 0).all()
        assert (rows[:, -1] == EOS).all()
        assert ((rows > 800).sum(axis=1) == 28).all()


def published_mask(length, generator, density=0.15, mean=3.0):
    """T5's noise mask (Raffel et al. 2020, section 3.1.4), one token after the other.

    Written for this test from the description of the algorithm: noise and the rest are each cut
    into as many parts as there are spans, every way to cut alike, and laid in turns.
    """
    noise = min(max(round(length * density), 1), length - 1)
    spans = max(round(noise / mean), 1)

    def cut(total):
        places = sorted(generator.sample(range(1, total), spans - 1))
        return [end - begin for begin, end in itertools.pairwise([0, *places, total])]

    mask = []
    for rest_length, noise_length in zip(cut(length - noise), cut(noise), strict=True):
        mask += [False] * rest_length + [True] * noise_length
    return mask


def run_lengths(masks, value):
    """Lengths of all runs of `value`, over all masks."""
    return [
        len(list(run)) for mask in masks for found, run in itertools.groupby(mask) if found == value
    ]


def histogram(lengths, edges):
    return np.histogram(lengths, [*edges, np.inf])[0]


def test_masks_have_the_distribution_of_the_published_algorithm():
    """Against an independent implementation: where noise is, and how long the runs of it are."""
    count = 1500
    ours = SpanCorruption().masks(568, 0, range(count))
    generator = random.Random(0)
    theirs = np.array([published_mask(568, generator) for _ in range(count)])
    # five standard errors of the difference of two proportions
    by_place = np.abs(ours.mean(axis=0) - theirs.mean(axis=0))
    assert by_place.max() < 5 * np.sqrt(2 * 0.15 * 0.85 / count)
    together = [(m[:, :-3] & m[:, 3:]).mean(axis=1) for m in (ours, theirs)]  # three places apart
    error = np.sqrt(together[0].var() / count + together[1].var() / count)
    assert abs(together[0].mean() - together[1].mean()) < 5 * error
    for value, edges in ((True, range(1, 12)), (False, range(1, 62, 6))):
        table = [histogram(run_lengths(masks, value), edges) for masks in (ours, theirs)]
        assert scipy.stats.chi2_contingency(table).pvalue > 1e-3


def test_both_faces_agree_on_the_same_mask():
    import tensorflow as tf

    from clinical_t5x.data.span_corruption_tf import corrupt_with_mask, random_mask

    corruption = SpanCorruption()
    tokens = np.random.default_rng(1).integers(3, 800, (50, 568)).astype(np.int32)
    for row in range(50):
        mask = random_mask(568, *corruption.counts(568), seed=tf.constant([0, row]))
        theirs = corrupt_with_mask(tf.constant(tokens[row]), mask, SENTINEL_START, EOS)
        inputs, targets = corruption.corrupt(
            tokens[row : row + 1], mask.numpy()[None], sentinel_start=SENTINEL_START, eos_id=EOS
        )
        assert theirs["inputs"].numpy().tolist() == inputs[0].tolist()
        assert theirs["targets"].numpy().tolist() == targets[0].tolist()


def test_both_faces_draw_from_one_distribution():
    import tensorflow as tf

    from clinical_t5x.data.span_corruption_tf import random_mask

    corruption = SpanCorruption()
    seeds = tf.stack([tf.zeros(2000, tf.int32), tf.range(2000)], axis=1)
    draw = tf.function(lambda seed: random_mask(60, *corruption.counts(60), seed=seed))
    theirs = tf.map_fn(draw, seeds, fn_output_signature=tf.bool).numpy()
    ours = corruption.masks(60, 0, range(2000))
    # Five standard errors of the difference of two proportions of 2,000 draws each.
    assert np.abs(theirs.mean(axis=0) - ours.mean(axis=0)).max() < 5 * np.sqrt(2 * 0.13 / 2000)
