import numpy as np
import polars as pl
import pytest

from clinical_t5x.corpus.duplicates.near import near_copies, rows_of_a_band
from clinical_t5x.corpus.duplicates.signatures import LANES, signatures
from clinical_t5x.corpus.words import LETTERS_AND_DIGITS, words_of
from tests.corpus.duplicates.shingles import edited, prose, similarities

THRESHOLDS = (0.5, 0.7, 0.8, 0.95)


def copies_of(texts, order, threshold):
    words = words_of(pl.Series("text", texts, dtype=pl.String), LETTERS_AND_DIGITS)
    lanes = signatures(words)
    return near_copies(lambda lane: lanes[lane], np.asarray(order, np.int64), threshold)


def families(rng, count, longest=300):
    """Notes in families of up to four: an original and copies with few or many edits."""
    texts = []
    while len(texts) < count:
        words = prose(rng, int(rng.integers(30, longest)))
        texts.append(" ".join(words))
        for _ in range(int(rng.integers(0, 4))):
            edits = int(len(words) * rng.choice([0.0, 0.005, 0.01, 0.02, 0.04, 0.08, 0.15]))
            texts.append(" ".join(edited(rng, words, edits)))
    return [texts[place] for place in rng.permutation(count)]


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_copies_are_those_that_comparing_all_pairs_gives(threshold):
    found, wanted, false = 0, 0, []
    # An estimate from so many lanes misses by more than this in one pair of some thousand.
    below = threshold - max(0.12, 3.5 * np.sqrt(threshold * (1 - threshold) / LANES))
    for seed in range(3):
        rng = np.random.default_rng([seed, int(threshold * 100)])
        texts = families(rng, 220)
        order = rng.permutation(len(texts))
        rank = np.argsort(order)
        copies = copies_of(texts, order, threshold)
        exact = similarities(texts)
        exact += exact.T
        assert (rank[copies.earlier] < rank[copies.later]).all()
        later = rank[None, :] > rank[:, None]
        sure = ((exact >= min(threshold + 0.05, 1)) & later).any(axis=1)
        dropped = np.unique(copies.earlier)
        wanted += int(sure.sum())
        found += int(sure[dropped].sum())
        of_pairs = exact[copies.earlier, copies.later]
        false += of_pairs[of_pairs < below].tolist()
        assert np.abs(copies.similarity - of_pairs).max() < 0.2
        best = np.where(later, exact, 0).max(axis=1)
        assert (best[dropped] >= below).all()
    assert wanted > 60
    assert found >= 0.97 * wanted
    assert false == []


def test_the_latest_of_equal_notes_stays():
    rng = np.random.default_rng(0)
    text, other = " ".join(prose(rng, 80)), " ".join(prose(rng, 80))
    copies = copies_of([text, other, text, text], [2, 0, 1, 3], 0.8)
    assert sorted(set(copies.earlier.tolist())) == [0, 2]
    assert set(zip(copies.earlier.tolist(), copies.later.tolist(), strict=True)) == {
        (2, 0), (2, 3), (0, 3),
    }  # fmt: skip


def test_notes_without_words_and_with_one():
    copies = copies_of(["", "...", "a", "b", "A.", ""], range(6), 0.8)
    assert sorted(set(copies.earlier.tolist())) == [0, 1, 2]
    assert sorted(set(copies.later.tolist())) == [1, 4, 5]
    assert len(copies_of([], [], 0.8).earlier) == 0
    assert len(copies_of(["alone"], [0], 0.8).earlier) == 0


def test_a_template_of_thousands_of_notes_is_compared_a_bounded_number_of_times():
    rng = np.random.default_rng(1)
    template = prose(rng, 120)
    texts = [" ".join([*template, f"n{number}"]) for number in range(4000)]
    copies = copies_of(texts, range(4000), 0.8)
    bands = LANES // rows_of_a_band(0.8)
    assert copies.compared <= 4 * bands * 4000
    assert np.unique(copies.earlier).tolist() == list(range(3999))


def test_copies_are_found_among_thousands_of_notes_with_a_common_half():
    rng = np.random.default_rng(2)
    template = prose(rng, 100)
    bodies = [prose(rng, 60) for _ in range(2000)]
    bodies += [edited(rng, body, 1) for body in bodies[:200]]
    texts = [" ".join([*template, *body]) for body in bodies]
    copies = copies_of(texts, range(2200), 0.8)
    bands = LANES // rows_of_a_band(0.8)
    assert copies.compared <= 4 * bands * 2200
    dropped = set(copies.earlier.tolist())
    assert len(dropped & set(range(200))) >= 198
    assert len(dropped) <= 202


@pytest.mark.parametrize("threshold", [0.3, *THRESHOLDS, 1.0])
def test_bands_find_pairs_as_similar_as_the_threshold(threshold):
    rows = rows_of_a_band(threshold)
    assert 1 - (1 - threshold**rows) ** (LANES // rows) >= 0.99
