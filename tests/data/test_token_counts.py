"""Tokens of a corpus, against an encoding of every document by itself."""

from collections import Counter

import polars as pl
import pytest
import sentencepiece
from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.data import documents, token_counts
from clinical_t5x.data.vocabulary import ClinicalVocabulary
from clinical_t5x.data.vocabulary_comparison.named import Named
from clinical_t5x.data.vocabulary_training import VocabularyOptions, count_words, train_model
from clinical_t5x.storage import read_json, write_json_atomically
from tests.data import tiny


@pytest.fixture
def corpus(tmp_path):
    """Every third document is of a category of its own."""
    directory = epath.Path(tmp_path) / "ward"
    tiny.write_corpus(directory, tiny.documents(100))
    words = Counter()
    number = Counter()
    for split in ("train", "validation"):
        for shard in documents.shards_of(directory, split):
            table = pl.read_parquet(str(shard)).with_row_index()
            category = pl.when(pl.col("index") % 3 == 0).then(pl.lit("")).otherwise("category")
            table.with_columns(category=category).drop("index").write_parquet(str(shard))
    for row in rows_of(directory):
        words[row["category"]] += row["num_words"]
        number[row["category"]] += 1
    manifest = read_json(directory / "manifest.json")
    manifest["categories"] = {
        name: {"documents": number[name], "words": words[name]} for name in sorted(words)
    }
    write_json_atomically(directory / "manifest.json", manifest)
    return directory


@pytest.fixture
def named(corpus):
    counts, _ = count_words(documents.shards_of(corpus, "train"))
    file = corpus.parent / "spiece.model"
    file.write_bytes(train_model(counts, VocabularyOptions(size=420)))
    return Named("ours", ClinicalVocabulary(file))


def rows_of(directory, split="*"):
    table = pl.read_parquet(str(directory / "documents" / f"{split}-*.parquet"))
    return table.iter_rows(named=True)


def by_hand(directory, named, split="*"):
    """Tokens by category; the library that counts them, a document at a time."""
    processor = sentencepiece.SentencePieceProcessor(
        model_file=named.vocabulary.sentencepiece_model_file
    )
    tokens = Counter()
    for row in rows_of(directory, split):
        tokens[row["category"]] += len(processor.encode(row["text"]))
    return tokens


def test_every_split_and_category_has_its_tokens(corpus, named):
    before = read_json(corpus / "manifest.json")
    manifest = token_counts.with_tokens(corpus, named)
    everything = by_hand(corpus, named)
    assert len(everything) == 2
    for category, counts in manifest["categories"].items():
        assert counts == before["categories"][category] | {"tokens": everything[category]}
    for split, counts in manifest["splits"].items():
        tokens = by_hand(corpus, named, split).total()
        assert tokens > counts["words"]
        assert counts == before["splits"][split] | {"tokens": tokens}
    counted = manifest.pop("tokens")
    assert counted == {"vocabulary": "ours", "vocabulary_sha256": named.vocabulary.content_hash}
    assert manifest.keys() == before.keys()
    assert read_json(corpus / "manifest.json") == before


def test_processes_find_what_one_finds(corpus, named, monkeypatch):
    alone = token_counts.with_tokens(corpus, named)
    monkeypatch.setattr(token_counts, "_WORDS_A_PROCESS", 1)
    monkeypatch.setattr(token_counts.os, "cpu_count", lambda: 2)
    assert token_counts.with_tokens(corpus, named) == alone


def test_another_vocabulary_is_not_counted_yet(corpus, named):
    assert not token_counts.is_counted(corpus, named.vocabulary)
    write_json_atomically(corpus / "manifest.json", token_counts.with_tokens(corpus, named))
    assert token_counts.is_counted(corpus, named.vocabulary)
    counts, _ = count_words(documents.shards_of(corpus, "validation"))
    other = corpus.parent / "other.model"
    other.write_bytes(train_model(counts, VocabularyOptions(size=400)))
    assert not token_counts.is_counted(corpus, ClinicalVocabulary(other))


def test_what_is_no_vocabulary_is_said(corpus):
    file = corpus.parent / "spiece.model"
    file.write_bytes(b"no model")
    with pytest.raises(UserError, match="not a SentencePiece model"):
        token_counts.with_tokens(corpus, Named("odd", ClinicalVocabulary(file)))
