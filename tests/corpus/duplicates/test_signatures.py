import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_t5x.corpus.duplicates.signatures import LANES, signatures
from clinical_t5x.corpus.words import LETTERS_AND_DIGITS, words_of
from tests.corpus.duplicates.shingles import edited, jaccard, prose, shingles


def signed(texts):
    return signatures(words_of(pl.Series("text", texts, dtype=pl.String), LETTERS_AND_DIGITS))


@pytest.mark.parametrize(
    ("words", "edits"),
    [(6, 1), (10, 1), (20, 1), (40, 2), (100, 3), (300, 8), (300, 60), (1500, 9)],
)
def test_estimates_are_within_a_few_standard_errors(words, edits):
    rng = np.random.default_rng(words * 1000 + edits)
    ones = [prose(rng, words) for _ in range(400)]
    others = [edited(rng, one, edits) for one in ones]
    texts = [" ".join(text) for text in ones + others]
    lanes = signed(texts)
    estimates = (lanes[:, :400] == lanes[:, 400:]).mean(axis=0)
    exact = np.array(
        [jaccard(shingles(a), shingles(b)) for a, b in zip(texts[:400], texts[400:], strict=True)]
    )
    standard_error = np.sqrt(exact * (1 - exact) / LANES)
    errors = estimates - exact
    assert (np.abs(errors) <= 5 * standard_error + 1e-9).all()
    assert np.abs(errors.mean()) < 4 * standard_error.mean() / 20  # of 400 pairs, no bias
    assert np.sqrt((errors**2).mean()) < 1.35 * np.sqrt((standard_error**2).mean()) + 1e-9


token = st.sampled_from(["a", "B", "b", "12", "[**Name**]", "...", "é", "[Name]"])


@given(st.lists(st.lists(token, max_size=9).map(" ".join), max_size=8))
@settings(max_examples=150, deadline=None)
def test_the_same_shingles_and_no_others_have_the_same_signature(texts):
    by_hand = [shingles(text.replace("[**Name**]", " ").replace("[Name]", " ")) for text in texts]
    lanes = signed(texts)
    assert lanes.shape == (LANES, len(texts)) and lanes.dtype == np.uint16
    for one in range(len(texts)):
        for other in range(one):
            equal = (lanes[:, one] == lanes[:, other]).all()
            assert equal == (by_hand[one] == by_hand[other])


def test_a_signature_does_not_depend_on_the_other_texts():
    rng = np.random.default_rng(5)
    texts = [" ".join(prose(rng, count)) for count in rng.integers(0, 90, 2500)]
    lanes = signed(texts)
    for place in (0, 1023, 1024, 2047, 2499):
        assert (signed([texts[place]])[:, 0] == lanes[:, place]).all()


def test_texts_of_other_alphabets_differ_as_their_words_do():
    lanes = signed(["患者 否认 胸痛", "患者 主诉 头痛", "Пациент жалуется на боль", ""])
    assert len({lane.tobytes() for lane in lanes.T}) == 4
