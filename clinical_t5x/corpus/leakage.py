"""What a finished corpus still shares with the benchmarks: n-grams of words, measured anew.

This pass knows nothing of how the corpus was made: it reads the documents as they lie on disk.
"""

from __future__ import annotations

import concurrent.futures
import functools
import os
from collections.abc import Mapping

import numpy as np
import polars as pl
from etils import epath

from clinical_t5x.corpus.words import HashSet, words_of

GRAM_WORDS = 13
BOILERPLATE_PATIENTS = 20
_BATCH_BYTES = 16 << 20
_WORKERS = min(4, max(2, os.cpu_count() or 1))

Texts = Mapping[str, Mapping[str, list[str]]]  # benchmark -> split -> texts


def measure(documents: epath.Path, benchmarks: Texts, size: int = GRAM_WORDS) -> dict[str, dict]:
    """Measure n-gram overlap between a corpus and every benchmark split.

    Args:
        documents: the directory of the corpus' Parquet files.
        benchmarks: the benchmarks' texts.
        size: words of an n-gram, counted without tags, digits and punctuation.

    Returns:
        For every benchmark and split: texts, grams (distinct), grams_in_corpus, of these
        boilerplate (in at least `BOILERPLATE_PATIENTS` patients of the corpus), shared_beyond
        (the others), and texts_touched (texts with a gram of shared_beyond).
    """
    of_split = {
        (benchmark, split): _grams_of(texts, size)
        for benchmark, splits in benchmarks.items()
        for split, texts in splits.items()
    }
    everything = np.concatenate([np.zeros(0, np.uint64), *(g for g, _ in of_split.values())])
    table = HashSet(everything)
    patients = _patients_by_gram(documents, table, size)
    found: dict[str, dict] = {}
    for (benchmark, split), (grams, texts) in of_split.items():
        counts = patients[np.searchsorted(table.hashes, grams)]
        beyond = (counts > 0) & (counts < BOILERPLATE_PATIENTS)
        found.setdefault(benchmark, {})[split] = {
            "texts": len(benchmarks[benchmark][split]),
            "grams": _distinct(grams, np.ones(len(grams), bool)),
            "grams_in_corpus": _distinct(grams, counts > 0),
            "boilerplate": _distinct(grams, counts >= BOILERPLATE_PATIENTS),
            "shared_beyond": _distinct(grams, beyond),
            "texts_touched": len(np.unique(texts[beyond])),
        }
    return found


def _grams_of(texts: list[str], size: int) -> tuple[np.ndarray, np.ndarray]:
    """Distinct (n-gram, text) pairs."""
    hashes, _, index = words_of(pl.Series("text", texts, dtype=pl.String)).grams(size)
    return hashes, index


def _distinct(grams: np.ndarray, chosen: np.ndarray) -> int:
    return len(np.unique(grams[chosen]))


def _patients_by_gram(documents: epath.Path, table: HashSet, size: int) -> np.ndarray:
    """In how many patients of the corpus every n-gram of the table occurs."""
    counts = np.zeros(len(table), np.int64)
    if not len(table):
        return counts
    paths = sorted(documents.glob("*.parquet"))
    with concurrent.futures.ThreadPoolExecutor(_WORKERS) as pool:
        found = pool.map(functools.partial(_pairs_of_file, table=table, size=size), paths)
        by_gram = pl.concat(found).unique().group_by("gram").len()
    counts[by_gram.get_column("gram").to_numpy()] = by_gram.get_column("len").to_numpy()
    return counts


def _pairs_of_file(path: epath.Path, table: HashSet, size: int) -> pl.DataFrame:
    """Which n-grams of the table which patients of a file have: columns gram and patient_id."""
    with path.open("rb") as file:
        frame = pl.read_parquet(file, columns=["patient_id", "text"])
    num_bytes = frame.get_column("text").str.len_bytes().sum()
    num_slices = max(1, -(-num_bytes // _BATCH_BYTES))
    pairs = [pl.DataFrame(schema={"gram": pl.Int64, "patient_id": pl.String})]
    for part in frame.iter_slices(max(1, -(-frame.height // num_slices))):
        hashes, _, texts = words_of(part.get_column("text")).grams(size)
        places, grams = table.find(hashes)
        hits = part.select("patient_id")[texts[places]].with_columns(gram=pl.Series(grams))
        pairs.append(hits.select("gram", "patient_id").unique())
    return pl.concat(pairs)
