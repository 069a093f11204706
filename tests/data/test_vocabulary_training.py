from collections import Counter

import pytest
from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.data import documents, vocabulary_training
from clinical_t5x.data.vocabulary import ClinicalVocabulary
from clinical_t5x.data.vocabulary_training import (
    VocabularyOptions,
    count_words,
    is_trained,
    train_model,
    train_vocabulary,
)
from clinical_t5x.storage import read_json
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


@pytest.fixture(scope="module")
def like_t5(corpus):
    """A vocabulary with T5's white space."""
    counts, _ = count_words(documents.shards_of(corpus, "train"), t5_whitespace=True)
    file = epath.Path(corpus).parent / "t5_whitespace.model"
    file.write_bytes(train_model(counts, VocabularyOptions(size=400, t5_whitespace=True)))
    return ClinicalVocabulary(file)


def test_t5_whitespace_counts_every_word_after_a_blank(tmp_path):
    tiny.write_corpus(epath.Path(tmp_path) / "c", ["a  b 12\ta\n a\n\n5mg "] * 10)
    shards = documents.shards_of(epath.Path(tmp_path) / "c", "train")
    counts, _ = count_words(shards, t5_whitespace=True)
    assert counts == Counter({" a": 27, " b": 9, " ": 18, "1": 9, "2": 9, "5": 9, "mg": 9})


def test_t5_whitespace_collapses_what_t5_collapses(like_t5):
    text = " PLAN:\n\n - repeat\tthe  CT \u00a0 in 2 weeks\r\n"
    assert like_t5.decode(like_t5.encode(text)) == "PLAN: - repeat the CT in 2 weeks"
    assert like_t5.encode("chest pain") == like_t5.encode("\n chest\n\tpain  ")
    pieces = {like_t5.tokenizer.id_to_piece(i) for i in range(like_t5.base_vocab_size)}
    assert not {"\n", "\t", "\u2581\u2581"} & pieces
    # A text begins with a blank, so that its first word is cut as any other.
    assert like_t5.encode("chest pain")[:1] == like_t5.encode("pain chest")[-1:]
    assert like_t5.encode("[Name]")[-1] == like_t5.encode("by [Name]")[-1]
    assert like_t5.decode(like_t5.encode("\u2581\U0001f489\u00e9")) == "\U0001f489\u00e9"


def test_t5_whitespace_keeps_blanks_beside_sentinels(like_t5):
    first, second = like_t5.sentinel_ids()[:2]
    ids = [*like_t5.encode("seen by"), first, *like_t5.encode("for chest pain"), second]
    assert like_t5.decode(ids) == "seen by<extra_id_0> for chest pain<extra_id_1>"


def test_seqio_reads_t5_whitespace_the_same(like_t5):
    import seqio

    theirs = seqio.SentencePieceVocabulary(like_t5.sentencepiece_model_file, extra_ids=100)
    text = "Labs:\tNa 138\n\n[Name]  seen"
    assert theirs.encode(text) == like_t5.encode(text)
    assert like_t5.encode_tf(text).numpy().tolist() == like_t5.encode(text)
    assert theirs.vocab_size == like_t5.vocab_size


def test_whitespace_option_leaves_old_vocabularies_valid(corpus, tmp_path):
    """A vocabulary without the option has the mark that it had before there was one."""
    directory = epath.Path(tmp_path) / "v"
    train_vocabulary(corpus, directory, VocabularyOptions(size=400))
    made_from = read_json(directory / "_COMPLETE.json")["made_from"]
    assert made_from == {
        "corpus": "c0",
        "options": {"size": 400, "max_words": 200_000_000, "lower_case": False, "seed": 0},
        "format": 2,
    }
    t5_like = VocabularyOptions(size=400, t5_whitespace=True)
    assert not is_trained(corpus, directory, t5_like)
    assert train_vocabulary(corpus, directory, t5_like)["options"]["t5_whitespace"]
    assert is_trained(corpus, directory, t5_like)


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
