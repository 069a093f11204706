import collections
import re

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_t5x.corpus.words import HashSet, repeated, words_of


def split_by_hand(text):
    text = re.sub(r"\[\*\*.*?\*\*\]|\[(?:Name|DR|#)\]", " ", text).lower()
    return re.findall("[a-z]+", text)


def series(texts):
    return pl.Series("text", texts, dtype=pl.String)


token = st.sampled_from(
    ["Pain", "the", "[**Name 3**]", "[Name]", "[#]", "___", "12.5mg", "a-b", "\n"]
)
texts = st.lists(st.lists(token, max_size=12).map(" ".join), max_size=6)


@given(texts, st.integers(1, 4))
@settings(max_examples=150, deadline=None)
def test_grams_are_equal_where_and_only_where_the_words_are(texts, size):
    words = words_of(series(texts))
    by_hand = [split_by_hand(text) for text in texts]
    assert words.lengths.tolist() == [len(each) for each in by_hand]
    expected = [
        (tuple(each[place : place + size]), text)
        for text, each in enumerate(by_hand)
        for place in range(len(each) - size + 1)
    ]
    hashes, positions, index = words.grams(size)
    assert index.tolist() == [text for _, text in expected]
    assert (words.runs(positions, size) == hashes).all()
    names = {}
    for (gram, _), value in zip(expected, hashes.tolist(), strict=True):
        assert names.setdefault(gram, value) == value
    assert len(set(names.values())) == len(names)


def test_only_the_chosen_texts_have_grams():
    words = words_of(series(["a b c", "d e", "f g h"]))
    _, _, index = words.grams(2, among=np.array([False, True, True]))
    assert index.tolist() == [1, 2, 2]


def test_differently_identified_copies_have_the_same_words():
    three = words_of(series(["Dr. [**Last Name 4**] on [**2101-5-2**]: pain, 5 mg."]))
    four = words_of(series(["Dr. ___ on ___: pain, 7\n mg."]))
    assert three.hashes.tolist() == four.hashes.tolist()


def test_a_hash_set_finds_its_members():
    rng = np.random.default_rng(0)
    members = rng.integers(0, 2**64, 500, dtype=np.uint64)
    others = rng.integers(0, 2**64, 2000, dtype=np.uint64)
    table = HashSet(members)
    places, index = table.find(np.concatenate([others, members]))
    assert places.tolist() == list(range(2000, 2500))
    assert (table.hashes[index] == members).all()
    assert [len(part) for part in HashSet(members[:0]).find(others)] == [0, 0]


@given(st.lists(st.integers(0, 12) | st.integers(0, 2**64 - 1)))
def test_numbers_that_stand_there_more_than_once_are_told_from_others(numbers):
    counts = collections.Counter(numbers)
    found = repeated(np.array(numbers, np.uint64))
    assert found.tolist() == [counts[number] > 1 for number in numbers]
