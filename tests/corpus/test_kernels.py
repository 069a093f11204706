"""The compiled loops against the same definitions in Python's integers."""

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_t5x.corpus import kernels
from clinical_t5x.corpus.duplicates import signatures
from clinical_t5x.corpus.words import (
    LETTERS,
    LETTERS_AND_DIGITS,
    NOT_BLANK,
    HashSet,
    count_words,
    words_of,
)

BASE, MODULUS = 0x9E3779B97F4A7C15, 2**64
texts = st.lists(st.text(st.sampled_from("abAZ09 \n\té[]*\0"), max_size=80), min_size=1, max_size=5)
readings = st.sampled_from([LETTERS, LETTERS_AND_DIGITS, NOT_BLANK])


def mixed(number):
    number = (number + 0x9E3779B97F4A7C15) % MODULUS
    number = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9 % MODULUS
    number = (number ^ (number >> 27)) * 0x94D049BB133111EB % MODULUS
    return number ^ (number >> 31)


def polynomial(numbers):
    return mixed(sum(n * pow(BASE, i, MODULUS) for i, n in enumerate(numbers)) % MODULUS)


def words_by_hand(text, codes):
    words = [[]]
    for byte in text.encode():
        words[-1].append(int(codes[byte])) if codes[byte] else words.append([])
    return [polynomial(word) for word in words if word]


def grams_by_hand(words, size):
    return [polynomial(words[i : i + size]) for i in range(len(words) - size + 1)]


@given(texts, readings, st.integers(1, 4))
@settings(max_examples=150, deadline=None)
def test_words_and_grams(texts, reading, size):
    words = words_of(pl.Series(texts, dtype=pl.String), reading, marks_are_out=True)
    by_hand = [words_by_hand(text, reading.codes) for text in texts]
    assert words.hashes.tolist() == [word for each in by_hand for word in each]
    assert words.lengths.tolist() == [len(each) for each in by_hand]
    column = pl.Series(texts, dtype=pl.String)
    assert count_words(column, reading).tolist() == words.lengths.tolist()
    assert words.whole_texts().tolist() == [polynomial(each) for each in by_hand]
    grams = [gram for each in by_hand for gram in grams_by_hand(each, size)]
    assert words.grams(size)[0].tolist() == grams
    chosen = [
        (text, gram)
        for text, each in enumerate(by_hand)
        for gram in sorted(set(grams_by_hand(each, size)))[:3]
    ]
    found = words.smallest_grams(size, 3)
    assert list(zip(*(array.tolist() for array in found), strict=True)) == chosen


@given(texts, st.integers(1, 3), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_grams_are_found_in_a_set(texts, size, random):
    words = words_of(pl.Series(texts, dtype=pl.String))
    hashes, positions, of_text = words.grams(size)
    members = HashSet(np.array([h for h in hashes.tolist() if random.random() < 0.5], np.uint64))
    wanted = {
        (position, text, int(np.searchsorted(members.hashes, gram)))
        for gram, position, text in zip(hashes, positions.tolist(), of_text.tolist(), strict=True)
        if gram in members.hashes
    }
    found = members.find_grams(words, size)
    assert set(zip(*(array.tolist() for array in found), strict=True)) == wanted
    assert len(found[0]) == len(wanted)


def test_more_grams_than_one_piece_of_a_text_holds():
    rng = np.random.default_rng(0)
    long = " ".join("abcdefgh"[i] for i in rng.integers(0, 8, 3 * kernels._AT_A_TIME))
    words = words_of(pl.Series(["a b", long, "c"]))
    hashes, positions, _ = words.grams(5)
    positions_found, texts_found, members = HashSet(hashes).find_grams(words, 5)
    assert sorted(positions_found.tolist()) == positions.tolist()
    assert set(texts_found.tolist()) == {1}
    assert (np.unique(hashes)[members] == hashes[positions_found - 2]).all()


def test_the_least_and_the_largest_number_are_found():
    ends = np.array([0, 1, 2**63, 2**64 - 2, 2**64 - 1], np.uint64)
    places, index = HashSet(ends[[0, 4]]).find(ends)
    assert places.tolist() == [0, 4]
    assert index.tolist() == [0, 1]


@given(texts)
@settings(max_examples=40, deadline=None)
def test_signatures(texts):
    """One permutation, its least values by lane, and the walk of every empty lane."""
    words = words_of(pl.Series(texts, dtype=pl.String), LETTERS_AND_DIGITS)
    found = signatures.signatures(words)
    for text in range(len(texts)):
        own = words.hashes[words.starts[text] : words.starts[text + 1]].tolist()
        size = min(signatures.SHINGLE_WORDS, len(own))
        least = {}
        for gram in grams_by_hand(own, size) if own else [polynomial([])]:
            lane, value = gram >> 57, gram & 0x7FFFFFFF
            least[lane] = min(value, least.get(lane, value))
        for lane in range(signatures.LANES):
            tried = [lane, *signatures._WALKS[lane].tolist()]
            source = next(each for each in tried if each in least)
            assert found[lane, text] == mixed(least[source] | source << 32) >> 48


long_words = st.lists(
    st.tuples(st.sampled_from("abAZ0é中"), st.sampled_from([1, 3, 1023, 1024, 1025, 2050, 5000])),
    max_size=6,
)


@given(st.lists(long_words, min_size=1, max_size=4), readings)
@settings(max_examples=60, deadline=None)
def test_words_of_any_length(parts, reading):
    texts = [" ".join(letter * times + "b" for letter, times in words) for words in parts]
    words = words_of(pl.Series(texts, dtype=pl.String), reading, marks_are_out=True)
    by_hand = [words_by_hand(text, reading.codes) for text in texts]
    assert words.hashes.tolist() == [word for each in by_hand for word in each]
    assert words.lengths.tolist() == [len(each) for each in by_hand]


def test_where_a_byte_stands_in_a_long_word_matters():
    """Texts without blanks are one word; two that have their halves exchanged are no copies."""
    one = "".join(chr(0x4E00 + n) for n in range(1024))
    other = "".join(chr(0x5E00 + n) for n in range(1024))
    hashes = words_of(pl.Series([one + other, other + one]), NOT_BLANK).whole_texts()
    assert len(set(hashes.tolist())) == 2


def test_as_many_words_as_there_can_be():
    """Of one letter each: all the room that is made for them."""
    text = "a " * 50_000
    assert len(words_of(pl.Series([text, "", text])).hashes) == 100_000
