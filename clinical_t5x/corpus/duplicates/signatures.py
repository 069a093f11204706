"""MinHash signatures: what estimates how similar two notes are without reading them again.

One permutation of the shingles' hashes is cut into `LANES` equal parts, and the least hash of every
part is kept (Li, Owen and Zhang 2012); an empty part takes that of a filled one, which it finds on
a random walk of its own (Shrivastava 2017). So a signature costs one pass, however many lanes it
has, and the share of equal lanes estimates the Jaccard similarity of two notes' shingles, for notes
of a few words as well as for long ones. (The next filled part instead, as is often done, would make
the errors for notes of thirty words twice as large, for those of ten nearly four times.)
"""

from __future__ import annotations

import numpy as np

from clinical_t5x.corpus.words import Words, mixed

LANES = 128
SHINGLE_WORDS = 5
_LANE_BITS = 7
_EMPTY = np.uint32(0xFFFFFFFF)
_TEXTS_AT_A_TIME = 1024  # their lanes stay in the cache
# For every lane all lanes in an order of its own.
_WALKS = np.argsort(mixed(np.arange(LANES * LANES)).reshape(LANES, LANES), axis=1).astype(np.uint8)


def signatures(words: Words) -> np.ndarray:
    """The signatures of D texts.

    Args:
        words: their words (`words.LETTERS_AND_DIGITS`).

    Returns:
        uint16 of shape (LANES, D). A text of fewer than `SHINGLE_WORDS` words counts as one
        shingle.
    """
    count = len(words.lengths)
    least = np.full(count * LANES, _EMPTY, np.uint32)
    hashes, _, texts = words.grams(SHINGLE_WORDS)
    short = np.flatnonzero(words.lengths < SHINGLE_WORDS)
    if len(short):
        hashes = np.concatenate([hashes, words.whole_texts()[short]])
        texts = np.concatenate([texts, short])
    lanes = (hashes >> np.uint64(64 - _LANE_BITS)).astype(np.int64)
    values = (hashes & np.uint64(0x7FFFFFFF)).astype(np.uint32)
    np.minimum.at(least, texts.astype(np.int64) * LANES + lanes, values)
    least = least.reshape(count, LANES)
    folded = np.empty((LANES, count), np.uint16)
    for first in range(0, count, _TEXTS_AT_A_TIME):
        some = slice(first, first + _TEXTS_AT_A_TIME)
        folded[:, some] = _folded(_filled(least[some])).T
    return folded


def _filled(least: np.ndarray) -> np.ndarray:
    """Empty lanes take the value of the first filled one on their walk; all say whose they have.

    Args:
        least: uint32 (D, LANES); every text has a lane that is not empty.

    Returns:
        uint64 (D, LANES).
    """
    filled = (least != _EMPTY).ravel()
    source = np.tile(np.arange(LANES, dtype=np.uint8), len(least))
    open_places = np.flatnonzero(~filled)  # text * LANES + lane
    for step in range(LANES):
        if not len(open_places):
            break
        tried = _WALKS[open_places % LANES, step]
        hit = filled[open_places - open_places % LANES + tried]
        source[open_places[hit]] = tried[hit]
        open_places = open_places[~hit]
    source = source.reshape(least.shape)
    values = np.take_along_axis(least, source, axis=1).astype(np.uint64)
    return values | (source.astype(np.uint64) << np.uint64(32))


def _folded(values: np.ndarray) -> np.ndarray:
    """Sixteen mixed bits of every value: two different ones are equal once in 65,536 times."""
    return (mixed(values) >> np.uint64(48)).astype(np.uint16)
