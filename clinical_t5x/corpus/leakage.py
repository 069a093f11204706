"""What a finished corpus still shares with the benchmarks: n-grams of words, measured anew.

This pass knows nothing of how the corpus was made: it reads the documents as they lie on disk. Only
what boiler-plate is comes from the raw data, counted while they were read (`overlap`).
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.corpus import threads
from clinical_t5x.corpus.overlap import (
    BOILERPLATE_PATIENTS,
    DECIDING_SPLIT,
    DECIDING_WORDS,
    GRAM_WORDS,
    BenchmarkGrams,
    RawCounts,
    Texts,
)
from clinical_t5x.corpus.words import distinct, words_of

_BATCH_BYTES = 16 << 20
_WORKERS = min(4, max(2, os.cpu_count() or 1))


def measure(
    documents: epath.Path,
    texts: Texts,
    benchmarks: BenchmarkGrams,
    raw: RawCounts,
    *,
    also: Callable[[str, pl.DataFrame], None] | None = None,
) -> dict[str, Any]:
    """Measure n-gram overlap between a corpus and every benchmark split.

    Args:
        documents: the directory of the corpus' Parquet files.
        texts: the benchmarks' texts.
        benchmarks: their n-grams.
        raw: how many patients of the raw data have each.
        also: is given the name and the table of every file, in the order of their names: the files
            are large, and whoever else must read them all may do it here.

    Returns:
        The content of leakage.json: how many documents were read, and for every benchmark, split
        and size of n-gram the texts, grams (distinct), in_raw and in_corpus (those found in the raw
        data and in the corpus), boilerplate (of in_corpus, those that at least
        `BOILERPLATE_PATIENTS` patients of the raw data have), shared_beyond (the others of
        in_corpus) and texts_touched (texts with one of those).
    """
    seen, num_documents = _grams_in(documents, benchmarks, also)
    found: dict[str, dict] = {}
    for benchmark, splits in texts.items():
        for split, members in splits.items():
            entry = found.setdefault(benchmark, {})[split] = {"texts": len(members)}
            for size in GRAM_WORDS:
                grams, of_text = benchmarks.grams(benchmark, split, size)
                entry[str(size)] = _overlap(grams, of_text, seen[size], raw, size)
    left = sum(
        splits[DECIDING_SPLIT][str(DECIDING_WORDS)]["shared_beyond"]
        for splits in found.values()
        if DECIDING_SPLIT in splits
    )
    return {
        "gram_words": list(GRAM_WORDS),
        "boilerplate_patients": BOILERPLATE_PATIENTS,
        "limit": {"gram_words": DECIDING_WORDS, "split": DECIDING_SPLIT, "grams": 0},
        "within_limit": left == 0,
        "documents": num_documents,
        "benchmarks": found,
    }


def refuse_beyond_limit(report: dict[str, Any]) -> None:
    """Refuse a corpus that shares more with a test split than boiler-plate.

    Raises:
        UserError: with the benchmarks and numbers of n-grams.
    """
    if report["within_limit"]:
        return
    shared = {
        benchmark: splits[DECIDING_SPLIT][str(DECIDING_WORDS)]["shared_beyond"]
        for benchmark, splits in report["benchmarks"].items()
    }
    listed = ", ".join(f"{count:,} of {name}" for name, count in shared.items() if count)
    raise UserError(
        f"the corpus holds {DECIDING_WORDS}-grams of the test splits that are no boiler-plate: "
        f"{listed}; nothing was written. --overlap remove leaves the notes that hold them out, "
        "--overlap allow keeps them and says so"
    )


def _overlap(
    grams: np.ndarray, texts: np.ndarray, seen: np.ndarray, raw: RawCounts, size: int
) -> dict[str, int]:
    every = distinct(grams)
    in_corpus = every[seen[every]]
    usual = raw.boilerplate(size)
    beyond = seen & ~usual
    return {
        "grams": len(every),
        "in_raw": int((raw.patients[size][every] > 0).sum()),
        "in_corpus": len(in_corpus),
        "boilerplate": int(usual[in_corpus].sum()),
        "shared_beyond": int(beyond[every].sum()),
        "texts_touched": len(distinct(texts[beyond[grams]])),
    }


def _grams_in(
    documents: epath.Path,
    benchmarks: BenchmarkGrams,
    also: Callable[[str, pl.DataFrame], None] | None,
) -> tuple[dict[int, np.ndarray], int]:
    """For every size, which of the benchmarks' n-grams stand in the documents; how many these are.

    Returns:
        Booleans by size, and the number of documents.
    """
    seen = {size: np.zeros(len(table), bool) for size, table in benchmarks.tables.items()}
    num_documents = 0
    paths = sorted(path for path in documents.iterdir() if path.suffix == ".parquet")
    look = functools.partial(_grams_in_file, benchmarks=benchmarks)
    for path, (found, table) in zip(paths, threads.in_order(look, paths, _WORKERS), strict=True):
        num_documents += table.height
        for size, grams in found.items():
            seen[size][grams] = True
        if also is not None:
            also(path.name, table)
        del table  # before the next one is waited for
    return seen, num_documents


def _grams_in_file(
    path: epath.Path, benchmarks: BenchmarkGrams
) -> tuple[dict[int, np.ndarray], pl.DataFrame]:
    with path.open("rb") as file:
        table = pl.read_parquet(file)
    texts = table.get_column("text")
    found: dict[int, list[np.ndarray]] = {size: [] for size in GRAM_WORDS}
    if not any(map(len, benchmarks.tables.values())):
        texts = texts.clear()  # there is nothing to look for
    num_slices = max(1, -(-int(texts.str.len_bytes().sum()) // _BATCH_BYTES))
    rows = max(1, -(-len(texts) // num_slices))
    for first in range(0, len(texts), rows):
        for size, (here, _) in benchmarks.find(words_of(texts.slice(first, rows))).items():
            found[size].append(distinct(here))
    empty = np.zeros(0, np.int64)
    grams = {size: distinct(np.concatenate([empty, *parts])) for size, parts in found.items()}
    return grams, table
