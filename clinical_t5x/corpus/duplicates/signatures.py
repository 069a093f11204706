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

from clinical_t5x.corpus import kernels
from clinical_t5x.corpus.words import Words, mixed

LANES = 128
SHINGLE_WORDS = 5
# For every lane all lanes in an order of its own.
_WALKS = np.argsort(mixed(np.arange(LANES * LANES)).reshape(LANES, LANES), axis=1).astype(np.uint8)


def signatures(words: Words) -> np.ndarray:
    """The signatures of D texts.

    Every lane has sixteen mixed bits of its least hash and of the lane that it is from: two
    different ones are equal once in 65,536 times.

    Args:
        words: their words (`words.LETTERS_AND_DIGITS`).

    Returns:
        uint16 of shape (LANES, D). A text of fewer than `SHINGLE_WORDS` words counts as one
        shingle.
    """
    return kernels.minhash(words.hashes, words.starts, SHINGLE_WORDS, _WALKS)
