from collections import Counter

import pytest
from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.data import documents, vocabulary_training
from clinical_t5x.data.vocabulary import ClinicalVocabulary
from clinical_t5x.data.vocabulary_training import (
    VocabularyOptions,
    count_words,
    train_model,
    train_vocabulary,
)
from tests.data import tiny


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    directory = epath.Path(tmp_path_factory.mktemp("corpus")) / "test"
    tiny.write_corpus(directory, tiny.documents())
    return directory


def test_counts_keep_blanks_and_single_digits(tmp_path):
    tiny.write_corpus(epath.Path(tmp_path) / "c", ["a  b 12\ta\n a"] * 10)
    shards = documents.shards_of(epath.Path(tmp_path) / "c", "train")
    counts, number = count_words(shards)
    assert number == 9
    assert counts == Counter({"a": 18, "  b": 9, " ": 9, "1": 9, "2": 9, " a": 9})


def test_same_corpus_same_bytes(corpus):
    counts, _ = count_words(documents.shards_of(corpus, "train"))
    shuffled = Counter(dict(sorted(counts.items(), reverse=True)))
    options = VocabularyOptions(size=420)
    assert train_model(counts, options) == train_model(shuffled, options)


def test_sampling_is_seeded_and_bounded(corpus):
    shards = documents.shards_of(corpus, "train")
    whole, half, again, other = (
        count_words(shards, fraction, seed)
        for fraction, seed in ((1, 0), (0.5, 0), (0.5, 0), (0.5, 1))
    )
    assert half == again
    assert half != other
    assert 0.3 < half[1] / whole[1] < 0.7


def test_table_of_words_stays_bounded(tmp_path, monkeypatch):
    rare = ["the the the " + "abcdefghijklmnop"[i % 16] * (i + 1) for i in range(60)]
    tiny.write_corpus(epath.Path(tmp_path) / "c", rare)
    monkeypatch.setattr(vocabulary_training, "_MOST_COUNTED_WORDS", 20)
    counts, _ = count_words(documents.shards_of(epath.Path(tmp_path) / "c", "train"))
    assert len(counts) <= 20
    assert counts[" the"] == 2 * 54


def test_vocabulary_is_written_once(corpus, tmp_path):
    directory = epath.Path(tmp_path) / "v"
    options = VocabularyOptions(size=400)
    manifest = train_vocabulary(corpus, directory, options)
    assert manifest["pieces"] == 400
    assert manifest["vocab_size"] == 500
    assert manifest["synthetic"]
    held_out = manifest["held_out"]
    assert held_out["documents"] == 6
    assert held_out["tokens_per_word"] == pytest.approx(
        held_out["tokens"] / held_out["words"], abs=1e-3
    )
    vocabulary = ClinicalVocabulary(directory / "sentencepiece.model")
    assert vocabulary.content_hash == manifest["content_sha256"]

    written = (directory / "sentencepiece.model").stat().mtime
    assert train_vocabulary(corpus, directory, options) == manifest
    assert (directory / "sentencepiece.model").stat().mtime == written
    smaller = train_vocabulary(corpus, directory, VocabularyOptions(size=380))
    assert smaller["pieces"] == 380


def test_failed_training_leaves_the_old_vocabulary(corpus, tmp_path, monkeypatch):
    directory = epath.Path(tmp_path) / "v"
    manifest = train_vocabulary(corpus, directory, VocabularyOptions(size=400))

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(vocabulary_training, "measure", killed)
    with pytest.raises(KeyboardInterrupt):
        train_vocabulary(corpus, directory, VocabularyOptions(size=410))
    monkeypatch.undo()
    assert [path.name for path in epath.Path(tmp_path).iterdir()] == ["v"]
    assert train_vocabulary(corpus, directory, VocabularyOptions(size=400)) == manifest


def test_fewer_pieces_than_asked(corpus, tmp_path):
    manifest = train_vocabulary(corpus, epath.Path(tmp_path) / "v", VocabularyOptions(size=32_000))
    assert manifest["pieces"] < 2000
    assert manifest["pieces_asked_for"] == 32_000


def test_too_few_pieces_for_the_characters(corpus, tmp_path):
    with pytest.raises(UserError, match=r"--size 290 .* must be more than \d+"):
        train_vocabulary(corpus, epath.Path(tmp_path) / "v", VocabularyOptions(size=290))
    assert not (epath.Path(tmp_path) / "v").exists()


def test_lower_case_folds(corpus):
    counts, _ = count_words(documents.shards_of(corpus, "train"))
    proto = train_model(counts, VocabularyOptions(size=400, lower_case=True))
    file = epath.Path(corpus).parent / "lower.model"
    file.write_bytes(proto)
    vocabulary = ClinicalVocabulary(file)
    assert vocabulary.decode(vocabulary.encode("FINDINGS: [Name]\n")) == "findings: [Name]\n"


def test_no_corpus(tmp_path):
    with pytest.raises(UserError, match=r"no prepared corpus at .*clinical_t5x\.prepare"):
        train_vocabulary(
            epath.Path(tmp_path) / "none", epath.Path(tmp_path) / "v", VocabularyOptions()
        )


def test_missing_column_is_named(tmp_path):
    import polars as pl

    corpus = epath.Path(tmp_path) / "c"
    tiny.write_corpus(corpus, tiny.documents(20))
    shard = documents.shards_of(corpus, "train")[0]
    pl.read_parquet(str(shard)).drop("text").write_parquet(str(shard))
    with pytest.raises(UserError, match="no column text"):
        train_vocabulary(corpus, epath.Path(tmp_path) / "v", VocabularyOptions())
