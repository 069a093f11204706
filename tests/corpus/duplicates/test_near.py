import numpy as np
import polars as pl
import pytest

from clinical_t5x.corpus import staged_parts
from clinical_t5x.corpus.duplicates import shingles
from clinical_t5x.corpus.duplicates.near import near_copies, rows_of_a_band
from clinical_t5x.corpus.duplicates.signatures import LANES, signatures
from clinical_t5x.corpus.words import LETTERS_AND_DIGITS, words_of
from tests.corpus.duplicates.shingles import edited, prose, similarities

ROW_AND_TEXT = {"row": pl.UInt64, "text": pl.String}
THRESHOLDS = (0.5, 0.7, 0.8, 0.95)


@pytest.fixture
def copies_of(tmp_path):
    """The near-copies of some texts, which lie in two staged pieces."""

    def find(texts, order, threshold):
        notes = pl.DataFrame({"row": range(len(texts)), "text": texts}, ROW_AND_TEXT)
        half = len(texts) // 2
        parts = [notes[:half].sample(fraction=1, shuffle=True, seed=0), notes[half:]]
        for number, part in enumerate(parts):
            parted = part.with_columns(shard=pl.col("row") % 3)
            staged_parts.write(parted, tmp_path / f"{number}.arrow", "shard", 3, compress=False)

        def compare(first, second):
            named, first, second = shingles.named(first, second)
            rows = [named[named < half], named[named >= half]]
            pieces = [
                (tmp_path / f"{number}.arrow", of_piece.astype(np.uint64))
                for number, of_piece in enumerate(rows)
                if len(of_piece)
            ]
            return shingles.similarities(pieces, first, second, tmp_path)

        lanes = signatures(words_of(notes.get_column("text"), LETTERS_AND_DIGITS))
        order = np.asarray(order, np.int64)
        copies = near_copies(lambda lane: lanes[lane], order, threshold, compare)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["0.arrow", "1.arrow"]
        return copies

    return find


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
def test_copies_are_those_that_comparing_all_pairs_gives(copies_of, threshold):
    found, wanted, pairs, false = 0, 0, 0, 0
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
        have_copies = ((exact >= threshold) & later).any(axis=1)
        dropped = np.unique(copies.earlier)
        wanted += int(have_copies.sum())
        found += int(have_copies[dropped].sum())
        of_pairs = exact[copies.earlier, copies.later]
        pairs += len(of_pairs)
        false += int((of_pairs < threshold).sum())
        assert np.abs(copies.similarity - of_pairs).max() < 0.2
        near = np.abs(copies.similarity - threshold) < 2 * np.sqrt(
            threshold * (1 - threshold) / LANES
        )
        assert copies.similarity[near] == pytest.approx(of_pairs[near], abs=1e-6)
    assert wanted > 60
    assert found >= 0.98 * wanted
    assert false <= 0.005 * pairs


def test_the_latest_of_equal_notes_stays(copies_of):
    rng = np.random.default_rng(0)
    text, other = " ".join(prose(rng, 80)), " ".join(prose(rng, 80))
    copies = copies_of([text, other, text, text], [2, 0, 1, 3], 0.8)
    assert sorted(set(copies.earlier.tolist())) == [0, 2]
    assert set(zip(copies.earlier.tolist(), copies.later.tolist(), strict=True)) == {
        (2, 0), (2, 3), (0, 3),
    }  # fmt: skip


def test_notes_without_words_and_with_one(copies_of):
    copies = copies_of(["", "...", "a", "b", "A.", ""], range(6), 0.8)
    assert sorted(set(copies.earlier.tolist())) == [0, 1, 2]
    assert sorted(set(copies.later.tolist())) == [1, 4, 5]
    assert len(copies_of([], [], 0.8).earlier) == 0
    assert len(copies_of(["alone"], [0], 0.8).earlier) == 0


def test_a_template_of_thousands_of_notes_is_compared_a_bounded_number_of_times(copies_of):
    rng = np.random.default_rng(1)
    template = prose(rng, 120)
    texts = [" ".join([*template, f"n{number}"]) for number in range(4000)]
    copies = copies_of(texts, range(4000), 0.8)
    bands = LANES // rows_of_a_band(0.8)
    assert copies.compared <= 4 * bands * 4000
    assert np.unique(copies.earlier).tolist() == list(range(3999))


def test_copies_are_found_among_thousands_of_notes_with_a_common_half(copies_of):
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
