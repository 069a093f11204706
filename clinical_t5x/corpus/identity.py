"""Which MIMIC-III patient is which MIMIC-IV patient: there is no official list, so texts tell.

Both corpora have the discharge summaries and radiology reports of the years they share, identified
differently. A note is sketched by a few of its word n-grams (those with the smallest hashes, so
that two copies of a note choose the same ones); n-grams that one patient of each side has, and no
one else, vote for the pair.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from clinical_t5x.corpus.sources import DISCHARGE, RADIOLOGY
from clinical_t5x.corpus.words import Words

GRAM_WORDS = 8
SKETCH_GRAMS = 8
MIN_SHARED = 3
SKETCHED_CATEGORIES = (DISCHARGE, RADIOLOGY)
_PARTS = 16  # the n-grams are matched a part at a time, to hold few of them


def sketches(
    words: Words, among: np.ndarray | None = None, size: int = SKETCH_GRAMS
) -> tuple[np.ndarray, np.ndarray]:
    """The `size` smallest distinct n-gram hashes of every text (or of those `among` is true for).

    Returns:
        texts_S, hashes_S: sorted by text, at most `size` for each.
    """
    return words.smallest_grams(GRAM_WORDS, size, among)


def link_persons(grams: pl.LazyFrame, min_shared: int = MIN_SHARED) -> pl.DataFrame:
    """Pairs of patients of MIMIC-III and MIMIC-IV who are one person.

    A pair is linked when it shares at least `min_shared` n-grams that nobody else has, and each is
    the other's best partner.

    Args:
        grams: columns in_iv (boolean), patient (key) and gram: the sketches of all notes.

    Returns:
        Columns three and four (the patient of either side) and shared (n-grams), sorted by three.
    """
    votes = pl.concat(
        _votes(grams.filter(pl.col("gram") % _PARTS == part)) for part in range(_PARTS)
    )
    pairs = (
        votes.group_by("three", "four").agg(shared=pl.len()).filter(pl.col("shared") >= min_shared)
    )
    best = pl.col("shared") == pl.col("shared").max()
    return (
        pairs.filter(best.over("three") & best.over("four"))
        .sort("shared", "three", "four", descending=[True, False, False])
        .unique("three", keep="first", maintain_order=True)
        .unique("four", keep="first", maintain_order=True)
        .sort("three")
    )


def _votes(grams: pl.LazyFrame) -> pl.DataFrame:
    """Columns three and four: the patients of every n-gram that one of either side has alone."""
    rare = (
        grams.unique()
        .group_by("in_iv", "gram")
        .agg(pl.col("patient").first(), patients=pl.len())
        .filter(pl.col("patients") == 1)
        .collect(engine="streaming")
    )
    three = rare.filter(~pl.col("in_iv")).select("gram", three="patient")
    four = rare.filter("in_iv").select("gram", four="patient")
    return three.join(four, on="gram", how="inner").select("three", "four")
