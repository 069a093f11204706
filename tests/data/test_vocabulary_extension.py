import json

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clinical_t5x.console import UserError
from clinical_t5x.data.home import reading_from, vocabulary_directory
from clinical_t5x.data.span_corruption import SpanCorruption
from clinical_t5x.data.vocabulary import DEID_TAGS, ClinicalVocabulary, sentinel_ids_of
from clinical_t5x.data.vocabulary_extension import (
    extend_vocabulary,
    extended_model,
    extension_of,
)
from tests.data import tiny

# Words of the corpus with tags between, beside and inside them.
PARTS = ["chest pain", "Dr.", "[", "]", " ", "  ", "\n", "[name]", "[Nam", "e]", "é", "138", "＃",
         "[Name", "<extra_id_0>", "]]", *DEID_TAGS]  # fmt: skip
texts = st.one_of(st.text(), st.lists(st.sampled_from(PARTS)).map("".join))


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A vocabulary of T5's kind: cased pieces without tags, T5's white space."""
    import sentencepiece

    prefix = tmp_path_factory.mktemp("base") / "spiece"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(
            [*tiny.documents(), "a [Nam] [b, c]; # [x] [Na Name e] x]] [[", *"ABC"]
        ),
        model_prefix=str(prefix),
        vocab_size=300,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    return ClinicalVocabulary(f"{prefix}.model")


@pytest.fixture(scope="module")
def home(base, tmp_path_factory):
    """A data home with the base extended by the tags and the newline."""
    home = tmp_path_factory.mktemp("home")
    extend_vocabulary(base, vocabulary_directory("tagged", home), [*DEID_TAGS, "\n"])
    return home


@pytest.fixture(scope="module")
def extended(home):
    with reading_from(home):
        return ClinicalVocabulary(ClinicalVocabulary(name="tagged").sentencepiece_model_file)


def test_ids_of_the_base_and_its_sentinels_stay(base, extended):
    assert extended.vocab_size == base.vocab_size + 16
    assert extended.extra_ids == base.extra_ids == 100
    assert extended.sentinel_ids() == base.sentinel_ids()
    assert extended.sentinel_ids()[0] == base.vocab_size - 1
    for i in range(base.base_vocab_size):
        assert extended.tokenizer.id_to_piece(i) == base.tokenizer.id_to_piece(i)
    assert (extended.pad_id, extended.eos_id, extended.unk_id) == (0, 1, 2)


@settings(max_examples=300, deadline=None)
@given(text=texts)
@example(text="Seen by Dr. [Name] at [LOC], on[#].")
def test_only_what_was_added_is_cut_otherwise(base, extended, text):
    ids = extended.encode(text)
    tagged = "\n" in text or any(tag in text for tag in DEID_TAGS)
    if not tagged and max(ids, default=0) < base.vocab_size:  # NFKC can make a tag of other signs
        assert ids == base.encode(text)
    found = sum(text.count(tag) for tag in DEID_TAGS) + text.count("\n")
    assert sum(token >= base.vocab_size for token in ids) >= found
    assert not set(ids) & set(extended.sentinel_ids())


@settings(max_examples=60, deadline=None)
@given(text=texts)
def test_tensorflow_and_seqio_agree(extended, text):
    import seqio

    ids = extended.encode(text)
    assert extended.encode_tf(text).numpy().tolist() == ids
    assert extended.decode_tf(np.array(ids, np.int32)).numpy().decode() == extended.decode(ids)
    theirs = seqio.SentencePieceVocabulary(extended.sentencepiece_model_file, extra_ids=0)
    assert theirs.encode(text) == ids


def test_tags_stand_anywhere_and_by_case(base, extended):
    name, place = extended.encode("[Name]")[-1], extended.encode("[LOC]")[-1]
    assert (name, place) == (base.vocab_size, base.vocab_size + 3)
    ids = extended.encode("Dr.[Name]x[LOC],[name]")
    assert [token for token in ids if token >= base.vocab_size] == [name, place]
    assert extended.decode(ids) == "Dr.[Name]x[LOC],[name]"


def test_longest_token_wins(base):
    proto = extended_model(base, ["[A]", "[A][B]"])
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_proto=proto)
    assert processor.encode("[A][B]")[-1] == base.vocab_size + 1
    assert processor.encode("[A] [B]")[1] == base.vocab_size


def test_decoding_writes_sentinels_out_and_bears_any_id(base, extended):
    first, second = extended.sentinel_ids()[:2]
    words = extended.encode("chest pain [Name]")
    text = extended.decode([first, *words, second, extended.vocab_size + 5, 0, 1, 7])
    assert text == "<extra_id_0> chest pain [Name]<extra_id_1>"
    silent = extended.decode_tf(np.array([*words, second, extended.vocab_size + 5, 1, 7], np.int32))
    assert silent.numpy().decode() == "chest pain [Name]"


def test_former_pieces_are_the_bases(base, extended):
    extension = extension_of(extended)
    assert extension.base_size == base.vocab_size
    for tag, former in zip(DEID_TAGS, extension.former_pieces[:15], strict=True):
        assert list(former) == [i for i in base.encode(tag) if i != base.unk_id]
        assert former
    assert extension.former_pieces[15] == ()  # the base sees no newline
    assert extension_of(base) is None


def test_manifest_says_what_was_added(home, base, extended):
    manifest = json.loads((vocabulary_directory("tagged", home) / "manifest.json").read_text())
    assert manifest["content_sha256"] == extended.content_hash != base.content_hash
    assert manifest["vocab_size"] == extended.vocab_size
    assert manifest["base"] == {
        "file": "spiece.model", "content_sha256": base.content_hash, "vocab_size": base.vocab_size,
    }  # fmt: skip
    assert [one["token"] for one in manifest["added"]] == [*DEID_TAGS, "\n"]
    assert [one["id"] for one in manifest["added"]] == [
        *range(base.vocab_size, extended.vocab_size)
    ]


def test_same_command_twice_is_one_vocabulary(base, tmp_path):
    place = vocabulary_directory("twice", tmp_path)
    assert extend_vocabulary(base, place, DEID_TAGS) == extend_vocabulary(base, place, DEID_TAGS)
    with pytest.raises(UserError, match="another vocabulary; choose another --name"):
        extend_vocabulary(base, place, DEID_TAGS[:3])


@pytest.mark.parametrize("token", ["", " ", "two words", "\u2581", "a\x00"])
def test_impossible_tokens_are_refused(base, token):
    with pytest.raises(UserError, match="cannot be a token"):
        extended_model(base, [token])


def test_pieces_of_the_base_are_refused(base):
    with pytest.raises(UserError, match="piece of the base already"):
        extended_model(base, [base.tokenizer.id_to_piece(40).replace("\u2581", "") or "e"])


def test_tokens_that_a_piece_would_hide_are_refused(base, tmp_path):
    from sentencepiece import sentencepiece_model_pb2

    model = sentencepiece_model_pb2.ModelProto.FromString(base.tokenizer.serialized_model_proto())
    for piece in ("\u00df[", "me]"):  # nothing else spells the sharp s
        model.pieces.add(piece=piece, score=-3.0, type=1)
    (tmp_path / "over.model").write_bytes(model.SerializeToString())
    reaching_over = ClinicalVocabulary(tmp_path / "over.model")
    with pytest.raises(UserError, match="would not be found"):
        extended_model(reaching_over, ["[me]"])
    assert extended_model(reaching_over, ["{me}"])


def test_nothing_to_add_and_extending_twice_are_refused(extended, tiny_home):
    with pytest.raises(UserError, match="extended already"):
        extended_model(extended, ["[more]"])
    with reading_from(tiny_home), pytest.raises(UserError, match="nothing to add"):
        extended_model(ClinicalVocabulary(), DEID_TAGS)


def test_span_corruption_uses_the_right_sentinels(base, extended):
    import seqio
    import tensorflow as tf

    tokens = np.array(extended.encode("chest pain [Name] " * 40)[:60], np.int32)
    lengths = dict(zip(("inputs", "targets"), SpanCorruption().lengths(60), strict=True))
    features = {name: seqio.Feature(extended) for name in lengths}
    dataset = tf.data.Dataset.from_tensors({"targets": tokens[:-1]})
    example = next(SpanCorruption()(dataset, lengths, features).as_numpy_iterator())
    sentinels = [token for token in example["targets"] if token in extended.sentinel_ids()]
    assert sentinels == base.sentinel_ids()[: len(sentinels)]
    assert len(sentinels) == SpanCorruption().counts(60)[1]
    assert any(token >= base.vocab_size for token in [*example["inputs"], *example["targets"]])


def test_sentinels_of_seqio_vocabularies_are_the_last(base):
    import seqio

    theirs = seqio.SentencePieceVocabulary(base.sentencepiece_model_file, extra_ids=100)
    assert sentinel_ids_of(theirs) == sentinel_ids_of(base) == base.sentinel_ids()


def test_files_with_broken_sentinels_are_refused(base, tmp_path):
    from sentencepiece import sentencepiece_model_pb2

    model = sentencepiece_model_pb2.ModelProto.FromString(base.tokenizer.serialized_model_proto())
    for name in ("<extra_id_0>", "<extra_id_1>"):  # counting up
        model.pieces.add(piece=name, score=0.0, type=3)
    (tmp_path / "up.model").write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match="do not count down"):
        ClinicalVocabulary(tmp_path / "up.model").sentinel_ids()
