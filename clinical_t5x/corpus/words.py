"""Texts as sequences of words and n-grams, in flat arrays of 64-bit hashes.

Legend: W words of all texts one after the other, D texts, G n-grams. What counts as a word is one
of three readings (`LETTERS`, `LETTERS_AND_DIGITS`, `NOT_BLANK`). Hashes are computed from bytes
alone (`kernels`): they are the same on every machine and with every version of the libraries below.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl

from clinical_t5x.corpus import deid_tags, hash_tables, kernels, rewriting

_TAG_NAMES = "|".join(tag[1:-1].lower() for tag in deid_tags.TAGS)
_MARKS = rf"(?i){deid_tags.TAG_PATTERN}|\[(?:{_TAG_NAMES})\]"


@dataclasses.dataclass(frozen=True)
class Reading:
    """What of a text is a word.

    Attributes:
        codes: a number for every byte, 0 for those that are no part of a word (length 256).
        without_marks: whether de-identification marks are cut out first.
    """

    codes: np.ndarray
    without_marks: bool


def _codes(*ranges: tuple[str, str]) -> np.ndarray:
    """Numbers from 1 on for the bytes of some ranges, ASCII capitals as their small letters."""
    codes = np.zeros(256, np.uint8)
    for first, last in ranges:
        for byte in range(ord(first), ord(last) + 1):
            codes[byte] = codes.max() + 1
    codes[ord("A") : ord("Z") + 1] = codes[ord("a") : ord("z") + 1]
    return codes


def _not_blank() -> np.ndarray:
    codes = np.arange(256, dtype=np.uint8)
    codes[list(b" \t\n\r\f\v")] = 0
    codes[0] = 0
    codes[ord("A") : ord("Z") + 1] = codes[ord("a") : ord("z") + 1]
    return codes


# Lower-cased, without marks, digits and punctuation: two copies of a note that were de-identified
# differently are the same sequence (nearly).
LETTERS = Reading(_codes(("a", "z")), without_marks=True)
# With digits, since notes that differ in their numbers differ in what they say; and with the bytes
# of other alphabets, without which all notes in one of those would be the same.
LETTERS_AND_DIGITS = Reading(_codes(("a", "z"), ("0", "9"), ("\x80", "\xff")), without_marks=True)
# Everything between blanks, marks included.
NOT_BLANK = Reading(_not_blank(), without_marks=False)


def mixed(numbers: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser: a fixed pseudo-random permutation of 64-bit numbers."""
    with np.errstate(over="ignore"):
        x = numbers.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        shifted = x >> np.uint64(30)
        for factor, shift in ((0xBF58476D1CE4E5B9, 27), (0x94D049BB133111EB, 31)):
            x ^= shifted
            x *= np.uint64(factor)
            np.right_shift(x, np.uint64(shift), out=shifted)
        x ^= shifted
        return x


def distinct(numbers: np.ndarray) -> np.ndarray:
    """The different numbers of an array, sorted (numpy's own way is slower on millions)."""
    ordered = np.sort(numbers)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered


def repeated(numbers: np.ndarray) -> np.ndarray:
    """Which of some numbers stand in an array more than once (booleans)."""
    ordered = np.sort(numbers)
    several = distinct(ordered[1:][ordered[1:] == ordered[:-1]])
    if not len(several):
        return np.zeros(len(numbers), bool)
    places = np.minimum(np.searchsorted(several, numbers), len(several) - 1)
    return several[places] == numbers


@dataclasses.dataclass(frozen=True)
class Words:
    """The words of D texts.

    Attributes:
        hashes: a hash of every word (length W).
        starts: the first word of every text, and W at the end (length D + 1).
    """

    hashes: np.ndarray
    starts: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """The number of words of every text."""
        return np.diff(self.starts)

    def runs(self, positions: np.ndarray, length: int | np.ndarray) -> np.ndarray:
        """Hashes of the `length` words from every position on (all must be inside the texts)."""
        lengths = np.full(len(positions), length, np.int64)
        return kernels.hash_runs(self.hashes, np.asarray(positions, np.int64), lengths)

    def grams(
        self, size: int, among: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All n-grams of `size` words that lie within one text.

        Args:
            size: words of an n-gram.
            among: which texts to take (booleans, length D); all by default.

        Returns:
            hashes_G, positions_G (of the first word) and texts_G (which text it is in).
        """
        return kernels.grams(self.hashes, self.starts, size, self._among(among))

    def smallest_grams(
        self, size: int, count: int, among: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The `count` smallest distinct n-grams of `size` words of every text (or of some).

        Returns:
            texts_S and hashes_S, sorted by text, then hash.
        """
        return kernels.smallest_grams(self.hashes, self.starts, size, count, self._among(among))

    def whole_texts(self) -> np.ndarray:
        """A hash of all words of every text (length D)."""
        return self.runs(self.starts[:-1], self.lengths)

    def _among(self, among: np.ndarray | None) -> np.ndarray:
        return np.ones(len(self.starts) - 1, bool) if among is None else among


def without_marks(texts: pl.Series) -> pl.Series:
    """Texts with blanks where they had marks of de-identification or the tags that replace them."""
    return texts.str.replace_all(_MARKS, " ")


def words_of(texts: pl.Series, reading: Reading = LETTERS, *, marks_are_out: bool = False) -> Words:
    """Split texts into words.

    Args:
        texts: D strings.
        reading: what a word is.
        marks_are_out: whether they come from `without_marks` already.
    """
    if reading.without_marks and not marks_are_out:
        texts = without_marks(texts)
    data, offsets = rewriting.texts_of(texts)
    return Words(*kernels.hash_words(data, offsets, reading.codes))


def count_words(texts: pl.Series, reading: Reading) -> np.ndarray:
    """How many words each of D texts has (length D); marks are taken as they stand."""
    return kernels.count_words(*rewriting.texts_of(texts), reading.codes)


class HashSet:
    """A fixed set of 64-bit hashes that many numbers can be looked up in quickly.

    Attributes:
        hashes: the members, sorted.
    """

    def __init__(self, hashes: np.ndarray):
        self.hashes = distinct(hashes.astype(np.uint64))
        self._table = hash_tables.table_of(self.hashes)

    def __len__(self) -> int:
        return len(self.hashes)

    def find(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which of `numbers` are in the set.

        Returns:
            places: indices into `numbers`, ascending; and for each the index into `self.hashes`.
        """
        return hash_tables.look_up(numbers, self._table)

    def find_grams(self, words: Words, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Which n-grams of `size` words within a text are in the set.

        Returns:
            positions (of the first word), texts, and the index into `self.hashes` of each, by text.
        """
        return kernels.find_grams(words.hashes, words.starts, size, self._table)
