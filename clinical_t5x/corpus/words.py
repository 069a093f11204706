"""Texts as sequences of words and n-grams, in flat arrays of 64-bit hashes.

Legend: W words of all texts one after the other, D texts, G n-grams. What counts as a word is one
of three readings (`LETTERS`, `LETTERS_AND_DIGITS`, `NOT_BLANK`). Hashes are computed here from
bytes alone: they are the same on every machine and with every version of the libraries below.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import polars as pl
import pyarrow as pa

from clinical_t5x.corpus import deid_tags

_TAG_NAMES = "|".join(tag[1:-1].lower() for tag in deid_tags.TAGS)
_MARKS = rf"(?i){deid_tags.TAG_PATTERN}|\[(?:{_TAG_NAMES})\]"
_BASE = np.uint64(0x9E3779B97F4A7C15 | 1)
_INVERSE_BASE = np.uint64(pow(int(_BASE), -1, 2**64))
_CHUNK_BYTES = 1 << 20  # what the arrays below stay in the cache for


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


@dataclasses.dataclass(frozen=True)
class Words:
    """The words of D texts.

    Attributes:
        hashes: a hash of every word (length W).
        starts: the first word of every text, and W at the end (length D + 1).
        sums: running polynomial sums of the hashes (length W + 1); the hash of any run of words
            is a difference of two of them.
    """

    hashes: np.ndarray
    starts: np.ndarray
    sums: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """The number of words of every text."""
        return np.diff(self.starts)

    def runs(self, positions: np.ndarray, length: int | np.ndarray) -> np.ndarray:
        """Hashes of the `length` words from every position on (all must be inside the texts)."""
        with np.errstate(over="ignore"):
            difference = self.sums[positions + length] - self.sums[positions]
            return mixed(difference * _powers(_INVERSE_BASE, len(self.hashes) + 1)[positions])

    def all_runs(self, size: int) -> np.ndarray:
        """Hashes of the `size` words from every word on, also where they cross into another text.

        Length max(W - size + 1, 0). `inside` tells which of them lie in one text; looking them up
        first and asking for the few that were found is quicker than leaving the others out.
        """
        count = max(len(self.hashes) - size + 1, 0)
        with np.errstate(over="ignore"):
            difference = self.sums[size : size + count] - self.sums[:count]
            difference *= _powers(_INVERSE_BASE, len(self.hashes) + 1)[:count]
        return mixed(difference)

    def inside(self, positions: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Which of the runs of `size` words from `positions` on lie within one text, and in which.

        Returns:
            chosen: indices into `positions`; texts: the text of each chosen run.
        """
        texts = np.searchsorted(self.starts, positions, side="right") - 1
        chosen = np.flatnonzero(positions + size <= self.starts[texts + 1])
        return chosen, texts[chosen]

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
        hashes = self.all_runs(size)
        lengths = self.lengths
        texts = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)[: len(hashes)]
        ends = np.repeat(self.starts[1:], lengths)[: len(hashes)]
        whole = np.arange(size, len(hashes) + size) <= ends
        if among is not None:
            whole &= np.repeat(among, lengths)[: len(hashes)]
        positions = np.flatnonzero(whole)
        return hashes[positions], positions, texts[positions]

    def whole_texts(self) -> np.ndarray:
        """A hash of all words of every text (length D)."""
        return self.runs(self.starts[:-1], self.lengths)


_POWERS: dict[int, np.ndarray] = {}


def _powers(base: np.uint64, count: int) -> np.ndarray:
    """base ** 0, 1, ... modulo 2 ** 64; at least `count` of them."""
    known = _POWERS.get(int(base))
    if known is None or len(known) < count:
        factors = np.full(max(count + count // 4, 1 << 20), base, np.uint64)
        factors[0] = 1
        with np.errstate(over="ignore"):
            known = np.multiply.accumulate(factors)
        _POWERS[int(base)] = known
    return known


def words_of(texts: pl.Series, reading: Reading = LETTERS) -> Words:
    """Split texts into words.

    Args:
        texts: D strings.
        reading: what a word is.
    """
    if reading.without_marks:
        texts = texts.str.replace_all(_MARKS, " ")
    hashes, counts = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for data, offsets in _chunks(texts):
        of_chunk, first_words = _hashed_words(data, offsets, reading.codes)
        hashes.append(of_chunk)
        counts.append(np.diff(first_words))
    every = np.concatenate(hashes)
    starts = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(np.concatenate(counts), out=starts[1:])
    sums = np.zeros(len(every) + 1, np.uint64)
    with np.errstate(over="ignore"):
        np.cumsum(every * _powers(_BASE, len(every) + 1)[: len(every)], out=sums[1:])
    return Words(every, starts, sums)


def _chunks(texts: pl.Series) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Some texts at a time: their bytes, and where each begins in them (one more for the end)."""
    column = texts.rechunk().to_arrow().cast(pa.large_string())
    _, offset_buffer, data_buffer = column.buffers()
    if not len(column):
        return
    offsets = np.frombuffer(offset_buffer, np.int64)[column.offset :][: len(column) + 1]
    data = np.frombuffer(data_buffer or b"", np.uint8)
    first = 0
    while first < len(column):
        last = int(np.searchsorted(offsets, offsets[first] + _CHUNK_BYTES, side="right")) - 1
        last = min(max(last, first + 1), len(column))
        begin, end = offsets[first], offsets[last]
        yield data[begin:end], offsets[first : last + 1] - begin
        first = last


def _hashed_words(
    data: np.ndarray, offsets: np.ndarray, codes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of the words of some texts, and the first word of every text (and their number)."""
    letters = codes[data]
    in_word = letters > 0
    begins, ends = in_word.copy(), in_word.copy()
    begins[1:] &= ~in_word[:-1]
    ends[:-1] &= ~in_word[1:]
    # Words end where texts do, also without a blank between them.
    filled = np.flatnonzero(offsets[:-1] < offsets[1:])
    first_bytes, last_bytes = offsets[filled], offsets[filled + 1] - 1
    begins[first_bytes] = in_word[first_bytes]
    ends[last_bytes] = in_word[last_bytes]
    starts, stops = np.flatnonzero(begins), np.flatnonzero(ends) + 1
    sums = np.zeros(len(letters) + 1, np.uint64)
    with np.errstate(over="ignore"):
        terms = np.multiply(letters, _powers(_BASE, len(letters) + 1)[: len(letters)])
        np.cumsum(terms, out=sums[1:])
        hashes = (sums[stops] - sums[starts]) * _powers(_INVERSE_BASE, len(letters) + 1)[starts]
    return mixed(hashes), np.searchsorted(starts, offsets)


class HashSet:
    """A fixed set of 64-bit hashes that many numbers can be looked up in quickly.

    Attributes:
        hashes: the members, sorted.
    """

    def __init__(self, hashes: np.ndarray):
        self.hashes = distinct(hashes.astype(np.uint64))
        # 32 places a member: few numbers get past the table by chance.
        bits = min(26, max(16, len(self.hashes).bit_length() + 5))
        self._shift = np.uint64(64 - bits)
        self._table = np.zeros(1 << bits, bool)
        self._table[self.hashes >> self._shift] = True

    def __len__(self) -> int:
        return len(self.hashes)

    def find(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which of `numbers` are in the set.

        Returns:
            places: indices into `numbers`, ascending; and for each the index into `self.hashes`.
        """
        likely = np.flatnonzero(self._table[numbers >> self._shift])
        if not len(likely) or not len(self.hashes):
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        index = np.minimum(np.searchsorted(self.hashes, numbers[likely]), len(self.hashes) - 1)
        right = self.hashes[index] == numbers[likely]
        return likely[right], index[right]
