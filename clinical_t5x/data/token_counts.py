"""How many tokens a vocabulary makes of a prepared corpus: counted, not estimated."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from etils import epath

from clinical_t5x.console import Progress
from clinical_t5x.data.documents import read_documents, shards_of
from clinical_t5x.data.vocabulary import ClinicalVocabulary
from clinical_t5x.data.vocabulary_comparison.named import Named
from clinical_t5x.processes import ordered_map
from clinical_t5x.storage import read_json

_MANIFEST = "manifest.json"
# Fewer words are counted before a second process has started.
_WORDS_A_PROCESS = 2_000_000


def is_counted(corpus_dir: epath.Path, vocabulary: ClinicalVocabulary) -> bool:
    """Whether the corpus' manifest has the tokens of exactly this vocabulary."""
    counted = read_json(corpus_dir / _MANIFEST).get("tokens") or {}
    return counted.get("vocabulary_sha256") == vocabulary.content_hash


def with_tokens(corpus_dir: epath.Path, named: Named) -> dict[str, Any]:
    """Count the tokens of all documents, without ends of sequence.

    Args:
      corpus_dir: a complete corpus.
      named: the vocabulary and what it is called.

    Returns:
      The corpus' manifest with `tokens` in every split and category, and which vocabulary's
      tokens they are.

    Raises:
      UserError: there is no complete corpus, or the vocabulary cannot be read.
    """
    manifest = read_json(corpus_dir / _MANIFEST)
    file = named.vocabulary.sentencepiece_model_file
    content_hash = named.vocabulary.content_hash  # reads the file, and says if it is no vocabulary
    splits = {split: shards_of(corpus_dir, split) for split in manifest["splits"]}
    jobs = [(file, shard) for shards in splits.values() for shard in shards]
    words = sum(counts["words"] for counts in manifest["splits"].values())
    workers = min(os.cpu_count() or 1, len(jobs), 1 + words // _WORDS_A_PROCESS)
    documents = sum(counts["documents"] for counts in manifest["splits"].values())
    found: list[Counter[str]] = []
    with (
        Progress(f"Counting tokens of {named.label}", documents, unit="documents") as progress,
        ordered_map(workers) as run,
    ):
        for read, counts in run(_tokens_of_shard, jobs):
            found.append(counts)
            progress.advance(read)
    return _filled_in(manifest, splits, found) | {
        "tokens": {"vocabulary": named.label, "vocabulary_sha256": content_hash}
    }


def _tokens_of_shard(job: tuple[str, epath.Path]) -> tuple[int, Counter[str]]:
    """Documents, and tokens by category; one call takes one processor's time."""
    file, shard = job
    tokenizer = ClinicalVocabulary(file).tokenizer
    documents, tokens = 0, Counter()
    for batch in read_documents(shard, ("category", "text")):
        encoded = tokenizer.encode(batch.column("text").to_pylist(), num_threads=1)
        for category, ids in zip(batch.column("category").to_pylist(), encoded, strict=True):
            tokens[category] += len(ids)
        documents += batch.num_rows
    return documents, tokens


def _filled_in(
    manifest: dict[str, Any], splits: dict[str, list[epath.Path]], found: list[Counter[str]]
) -> dict[str, Any]:
    """The manifest with the tokens of all shards (in the order of `splits`) added up."""
    categories = sum(found, Counter())
    waiting = iter(found)
    of_split = {
        split: sum(next(waiting).total() for _ in shards) for split, shards in splits.items()
    }
    return manifest | {
        "splits": {
            split: counts | {"tokens": of_split[split]}
            for split, counts in manifest["splits"].items()
        },
        "categories": {
            category: counts | {"tokens": categories[category]}
            for category, counts in manifest["categories"].items()
        },
    }
