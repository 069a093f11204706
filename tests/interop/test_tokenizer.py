"""The exported tokenizer against the vocabulary itself: the same ids for whatever text."""

import json
import random
import re
from collections import Counter

import pytest

from clinical_t5x.data.vocabulary import DEID_TAGS, ClinicalVocabulary
from clinical_t5x.data.vocabulary_training import VocabularyOptions, train_model
from clinical_t5x.interop import charsmap, tokenizer
from clinical_t5x.interop.source import CheckpointError

TEXT = (
    "the patient was admitted to hospital with chest pain and discharged home on aspirin 81 mg "
    "daily blood pressure 120 over 80 x-ray of the left lung showed no acute process follow up "
    "Dr. (see note) #3 a/b c:d <10 >5 =2 é ü µg ½ --- ___ *** ..."
)
WORDS = TEXT.split()
PARTS = [
    *WORDS, *DEID_TAGS, *"abcXYZ0123456789.,;:-_=*/()[]<>&#'\"", " ", "  ", "     ", "\n", "\n\n",
    "\t", " \n ", "▁", "▁▁", "\ue000", "\ue001", "\ue002", "\ue000\ue002", "e\u0301", "😀", "👩‍⚕️",
    "中", "ß", "\u00a0", "\u200b", "\x00", "\x07", "\x0b", "\x0c", "\x85", "\r", "\r\n", "\u2028",
    "\ufeff", "\ufffd", "\U0010ffff", "ｆｕｌｌ", "①", "ﬁ", "[Nam", "Name]", "[[Name]]", "</s>",
    "<pad>", "<unk>", "<s>", "<0x41>", "<0x0A>", "</s", "<extra_id_", "<extra_id_x>",
]  # fmt: skip
SPECIAL = ("</s>", "<pad>", "<unk>")


def texts(count, parts=PARTS):
    rng = random.Random(11)
    made = ["".join(rng.choices(parts, k=rng.randrange(40))) for _ in range(count)]
    return [text for text in made if not re.search(r"<extra_id_\d+>", text)]


def without_special(texts):
    """With T5's white space these words are tokens, as in transformers' T5: documented."""
    return [text for text in texts if not any(special in text for special in SPECIAL)]


def counts():
    found = Counter()
    for i, word in enumerate(WORDS):
        found[f" {word}"] = 900 - 7 * i
        found[word] = 20 + i
    return found + Counter({"    ": 50, "  ": 90})


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A function from options to the vocabulary and the tokenizer made from its file."""
    import transformers

    made = {}

    def export(**options):
        key = tuple(options.items())
        if key not in made:
            directory = tmp_path_factory.mktemp("tokenizer")
            file = directory / "sentencepiece.model"
            file.write_bytes(train_model(counts(), VocabularyOptions(size=420, **options)))
            vocabulary = ClinicalVocabulary(file)
            for name, content in tokenizer.tokenizer_files(file.read_bytes()).items():
                (directory / name).write_bytes(content)
            (directory / "config.json").write_text(json.dumps({"model_type": "t5"}))
            made[key] = vocabulary, transformers.AutoTokenizer.from_pretrained(directory)
        return made[key]

    return export


def test_any_text_gives_the_same_ids(exported):
    vocabulary, theirs = exported()
    for text in texts(4_000):
        ids = vocabulary.encode(text)
        assert theirs(text, add_special_tokens=False).input_ids == ids, repr(text)
        assert theirs(text).input_ids == [*ids, 1]
        assert theirs.decode(ids) == vocabulary.decode(ids) == text


def test_single_characters_give_the_same_ids(exported):
    vocabulary, theirs = exported()
    characters = [chr(i) for i in [*range(0x3000), *range(0xE000, 0xE010), *range(0xFE00, 0xFFFF)]]
    for text in characters:
        assert theirs(text, add_special_tokens=False).input_ids == vocabulary.encode(text)


def test_with_t5s_white_space_any_text_gives_the_same_ids(exported):
    vocabulary, theirs = exported(t5_whitespace=True)
    for text in without_special(texts(4_000)):
        ids = vocabulary.encode(text)
        assert theirs(text, add_special_tokens=False).input_ids == ids, repr(text)
        assert theirs.decode(ids) == vocabulary.decode(ids)


@pytest.mark.parametrize("options", [{}, {"t5_whitespace": True}], ids=["ours", "T5's"])
def test_runs_of_a_character_are_cut_alike(exported, options):
    """Many cuts of a run have the same score; which is taken must not hang on rounding."""
    vocabulary, theirs = exported(**options)
    rng = random.Random(2)
    for _ in range(1_000):
        runs = [rng.choice("-_.* \n") * rng.randint(1, 60) for _ in range(rng.randint(1, 30))]
        text = " ".join(runs + rng.choices([*DEID_TAGS, *WORDS], k=5)) * rng.choice((1, 1, 1, 20))
        ids = vocabulary.encode(text)
        assert theirs(text, add_special_tokens=False).input_ids == ids, repr(text)


def test_sentinels_have_the_highest_ids_and_stand_in_texts(exported):
    vocabulary, theirs = exported()
    highest = vocabulary.vocab_size - 1
    assert len(theirs) == vocabulary.vocab_size
    assert theirs.convert_tokens_to_ids("<extra_id_0>") == highest
    assert theirs.convert_tokens_to_ids("<extra_id_99>") == highest - 99
    text = "the <extra_id_0> pain<extra_id_1>\n<extra_id_99>"
    ids = theirs(text, add_special_tokens=False).input_ids
    assert [i for i in ids if i > highest - 100] == [highest, highest - 1, highest - 99]
    assert theirs.decode(ids) == vocabulary.decode(ids) == text
    assert theirs.decode([*ids, 1, 0], skip_special_tokens=True) == "the  pain\n"


def test_sentinels_in_t5s_white_space_as_transformers_has_them(exported):
    _, theirs = exported(t5_whitespace=True)
    tokens = theirs.tokenize("the <extra_id_0> of<extra_id_1>pain <extra_id_2> <extra_id_3>")
    assert tokens == [
        "▁the", "<extra_id_0>", "▁of", "<extra_id_1>", "▁pain", "<extra_id_2>", "<extra_id_3>",
    ]  # fmt: skip


@pytest.mark.parametrize("options", [{}, {"t5_whitespace": True}], ids=["ours", "T5's"])
def test_what_transformers_asks_of_a_t5_tokenizer(exported, options):
    _, theirs = exported(**options)
    assert (theirs.pad_token_id, theirs.eos_token_id, theirs.unk_token_id) == (0, 1, 2)
    batch = theirs(["the patient", "pain"], padding=True)
    assert set(batch) == {"input_ids", "attention_mask"}
    assert batch["input_ids"][1][-1] == 0
    assert sum(batch["attention_mask"][1]) == batch["input_ids"][1].index(1) + 1
    assert theirs("a", "b").input_ids == theirs("a").input_ids + theirs("b").input_ids
    assert len(theirs("pain " * 2_000).input_ids) > 1_500


def test_it_survives_being_saved_by_transformers(exported, tmp_path):
    import transformers

    vocabulary, theirs = exported()
    theirs.save_pretrained(tmp_path)
    again = transformers.AutoTokenizer.from_pretrained(tmp_path)
    for text in texts(200):
        assert again(text, add_special_tokens=False).input_ids == vocabulary.encode(text)


def test_sentinels_that_the_file_holds_are_its_own(exported, tmp_path):
    """As `vocabulary extend` writes them, with further tokens above."""
    import transformers

    from clinical_t5x.data.vocabulary_extension import extended_model

    base, _ = exported(t5_whitespace=True)
    proto = extended_model(base, ["\n", "[Zebra]"])
    file = tmp_path / "sentencepiece.model"
    file.write_bytes(proto)
    vocabulary = ClinicalVocabulary(file)
    for name, content in tokenizer.tokenizer_files(proto).items():
        (tmp_path / name).write_bytes(content)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert len(theirs) == vocabulary.vocab_size == tokenizer.piece_count(proto)
    assert theirs.convert_tokens_to_ids("<extra_id_0>") == base.vocab_size - 1
    assert vocabulary.encode("[Zebra]")[-1] == base.vocab_size + 1
    for text in without_special(texts(1_000, [*PARTS, "[Zebra]", "[Zebra"])):
        ids = vocabulary.encode(text)
        assert theirs(text, add_special_tokens=False).input_ids == ids, repr(text)


def test_what_is_no_t5_vocabulary_is_refused():
    import io

    import sentencepiece

    with pytest.raises(CheckpointError, match="no SentencePiece model"):
        tokenizer.tokenizer_files(b"\x00 something else")
    for options, message in (
        ({"model_type": "bpe", "pad_id": 0, "eos_id": 1, "unk_id": 2}, "no unigram model"),
        ({"model_type": "unigram"}, "special ids"),
    ):
        file = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(WORDS * 3), model_writer=file, vocab_size=60, bos_id=-1,
            hard_vocab_limit=False, minloglevel=2, **options,
        )  # fmt: skip
        with pytest.raises(CheckpointError, match=message):
            tokenizer.tokenizer_files(file.getvalue())


def test_tables_of_characters_are_taken_apart():
    from sentencepiece import sentencepiece_model_pb2

    proto = train_model(counts(), VocabularyOptions(size=420))
    model = sentencepiece_model_pb2.ModelProto.FromString(proto)
    rules = charsmap.charsmap_rules(model.normalizer_spec.precompiled_charsmap, most=64)
    assert dict(rules) == {"\u2581": "\ue000\ue002", "\ue000": "\ue000\ue001"}
    back = charsmap.charsmap_rules(model.denormalizer_spec.precompiled_charsmap, most=64)
    assert dict(back) == {"\ue000\ue002": "\u2581", "\ue000\ue001": "\ue000"}
    assert charsmap.charsmap_rules(b"", most=64) == []
    large = train_model(counts(), VocabularyOptions(size=420, t5_whitespace=True))
    table = sentencepiece_model_pb2.ModelProto.FromString(large).normalizer_spec
    assert charsmap.charsmap_rules(table.precompiled_charsmap, most=64) is None


def test_rules_are_ordered_so_that_none_sees_what_another_wrote():
    ordered = charsmap.one_after_another([("b", "ac"), ("a", "ad")])
    assert ordered == [("a", "ad"), ("b", "ac")]
    assert charsmap.one_after_another([("a", "b"), ("b", "a")]) is None
