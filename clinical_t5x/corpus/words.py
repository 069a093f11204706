"""Texts as sequences of normalised words and n-grams, in flat arrays of 64-bit hashes.

Legend: W words of all texts one after the other, D texts, G n-grams. Normalised means lower-cased,
without de-identification marks, digits and punctuation, so that two copies of a note that were
de-identified differently are the same sequence (nearly).
"""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl

from clinical_t5x.corpus import deid_tags

_TAG_NAMES = "|".join(tag[1:-1].lower() for tag in deid_tags.TAGS)
_NOT_WORDS = rf"(?:{deid_tags.TAG_PATTERN}|\[(?:{_TAG_NAMES})\]|[^a-z])+"
_BASE = np.uint64(0x9E3779B97F4A7C15 | 1)
_INVERSE_BASE = np.uint64(pow(int(_BASE), -1, 2**64))


def mixed(numbers: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser: a fixed pseudo-random permutation of 64-bit numbers."""
    with np.errstate(over="ignore"):
        x = numbers.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


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

    def runs(self, positions: np.ndarray, length: int) -> np.ndarray:
        """Hashes of the `length` words from every position on (all must be inside the texts)."""
        with np.errstate(over="ignore"):
            difference = self.sums[positions + length] - self.sums[positions]
            return mixed(difference * _powers(_INVERSE_BASE, len(self.hashes) + 1)[positions])

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
        counts = np.maximum(self.lengths - size + 1, 0)
        if among is not None:
            counts = np.where(among, counts, 0)
        texts = np.repeat(np.arange(len(counts)), counts)
        first_gram = np.cumsum(counts) - counts
        positions = np.arange(counts.sum()) - (first_gram - self.starts[:-1])[texts]
        return self.runs(positions, size), positions, texts


_POWERS: dict[int, np.ndarray] = {}


def _powers(base: np.uint64, count: int) -> np.ndarray:
    """base ** 0, 1, ... modulo 2 ** 64; at least `count` of them."""
    known = _POWERS.get(int(base))
    if known is None or len(known) < count:
        factors = np.full(max(2 * count, 1 << 16), base, np.uint64)
        factors[0] = 1
        with np.errstate(over="ignore"):
            known = np.multiply.accumulate(factors)
        _POWERS[int(base)] = known
    return known


def words_of(texts: pl.Series) -> Words:
    """Split texts into normalised words."""
    lists = texts.str.to_lowercase().str.replace_all(_NOT_WORDS, " ").str.split(" ")
    frame = pl.DataFrame({"words": lists}).with_row_index("text").explode("words")
    frame = frame.filter(pl.col("words") != "")
    hashes = mixed(frame.get_column("words").hash(seed=0).to_numpy())
    counts = np.bincount(frame.get_column("text").to_numpy(), minlength=len(texts))
    starts = np.concatenate([[0], np.cumsum(counts)])
    with np.errstate(over="ignore"):
        terms = hashes * _powers(_BASE, len(hashes) + 1)[: len(hashes)]
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms, dtype=np.uint64)])
    return Words(hashes, starts, sums)


class HashSet:
    """A fixed set of 64-bit hashes that many numbers can be looked up in quickly."""

    _BITS = 22

    def __init__(self, hashes: np.ndarray):
        self.hashes = np.unique(hashes.astype(np.uint64))
        self._table = np.zeros(1 << self._BITS, bool)
        self._table[self.hashes >> np.uint64(64 - self._BITS)] = True

    def __len__(self) -> int:
        return len(self.hashes)

    def find(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which of `numbers` are in the set.

        Returns:
            places: indices into `numbers`, ascending; and for each the index into `self.hashes`.
        """
        likely = np.flatnonzero(self._table[numbers >> np.uint64(64 - self._BITS)])
        if not len(likely) or not len(self.hashes):
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        index = np.minimum(np.searchsorted(self.hashes, numbers[likely]), len(self.hashes) - 1)
        right = self.hashes[index] == numbers[likely]
        return likely[right], index[right]
