import copy
import subprocess
import sys
from pathlib import Path

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_t5x.console import UserError
from clinical_t5x.corpus import deid_tags
from clinical_t5x.data.home import reading_from
from clinical_t5x.data.vocabulary import DEID_TAGS, ClinicalVocabulary

HARD = ["[Name]", "[#]", "\u2581", "\ue000", "\ue001", "\ue002", " ", "  ", "\n", "\t", "\r\n",
        "é", "\u00a0", "\u3000", "<0x0A>", "</s>", "<extra_id_0>", "7", "ing", "\x00"]  # fmt: skip
texts = st.one_of(
    st.text(alphabet=st.characters(exclude_categories=("Cs",))),
    st.lists(st.sampled_from(HARD)).map("".join),
)


@pytest.fixture(scope="module")
def vocabulary(tiny_home):
    with reading_from(tiny_home):
        return ClinicalVocabulary(ClinicalVocabulary().sentencepiece_model_file)


@settings(max_examples=500, deadline=None)
@given(text=texts)
def test_decoding_gives_back_every_byte(vocabulary, text):
    assert vocabulary.decode(vocabulary.encode(text)) == text


def test_benchmark_of_the_round_trip_passes_and_can_fail(tiny_home, tmp_path):
    """Every document of the corpus and what was made to break a vocabulary, as people run it."""
    script = Path(__file__).parents[2] / "benchmarks" / "vocabulary_round_trip.py"
    arguments = ["--data_dir", str(tiny_home), "--random_texts", "200"]

    def run(*more):
        command = [sys.executable, str(script), *arguments, *more]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    passed = run("--vocabulary", "clinical")
    assert passed.returncode == 0, passed.stdout + passed.stderr
    assert "documents: 60 of 60 came back" in passed.stdout
    assert "every byte came back" in passed.stdout

    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a b c d e f g", "h i j k"] * 20),
        model_prefix=str(tmp_path / "lossy"),
        vocab_size=20,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    failed = run("--vocabulary", str(tmp_path / "lossy.model"))
    assert failed.returncode == 1
    assert "did not come back" in failed.stdout


@settings(max_examples=60, deadline=None)
@given(text=texts)
def test_tensorflow_and_seqio_agree(vocabulary, text):
    import seqio

    ids = vocabulary.encode(text)
    assert vocabulary.encode_tf(text).numpy().tolist() == ids
    assert vocabulary.decode_tf(vocabulary.encode_tf(text)).numpy().decode() == text
    theirs = seqio.SentencePieceVocabulary(vocabulary.sentencepiece_model_file, extra_ids=0)
    assert theirs.encode(text) == ids
    assert theirs.decode(ids) == text


def test_special_ids_and_pieces(vocabulary):
    assert (vocabulary.pad_id, vocabulary.eos_id, vocabulary.unk_id) == (0, 1, 2)
    assert vocabulary.bos_id is None
    assert vocabulary.vocab_size == vocabulary.base_vocab_size + 100
    for symbol in (*DEID_TAGS, "\n", "\t"):
        assert len(vocabulary.encode(symbol)) == 1
    assert vocabulary.encode("ab12") == [
        *vocabulary.encode("ab"),
        *vocabulary.encode("1"),
        *vocabulary.encode("2"),
    ]


def test_tags_are_those_of_the_corpus():
    assert set(DEID_TAGS) == set(deid_tags.TAGS)


def test_sentinels_count_down_from_the_top(vocabulary):
    sentinels = vocabulary.sentinel_ids()
    assert sentinels[0] == vocabulary.vocab_size - 1
    assert sentinels[-1] == vocabulary.base_vocab_size
    assert vocabulary.decode([sentinels[0], *vocabulary.encode("a"), sentinels[1]]) == (
        "<extra_id_0>a<extra_id_1>"
    )
    assert not set(vocabulary.encode("<extra_id_0>")) & set(sentinels)


def test_decoding_stops_at_the_end_and_bears_any_id(vocabulary):
    ids = [*vocabulary.encode("chest"), 0, vocabulary.vocab_size + 27, 1, *vocabulary.encode("x")]
    assert vocabulary.decode(ids) == "chest"


def test_equal_by_content_not_by_place(vocabulary, tmp_path):
    copied = tmp_path / "other.model"
    with open(vocabulary.sentencepiece_model_file, "rb") as file:
        copied.write_bytes(file.read())
    assert ClinicalVocabulary(copied) == vocabulary
    assert ClinicalVocabulary(copied, extra_ids=50) != vocabulary
    assert copy.deepcopy(vocabulary).content_hash == vocabulary.content_hash


def test_missing_model_names_the_command(tmp_path):
    vocabulary = ClinicalVocabulary(tmp_path / "none.model")
    with pytest.raises(UserError, match=r"none\.model.*python -m clinical_t5x\.vocabulary"):
        vocabulary.encode("x")


def test_file_that_is_no_model(tmp_path):
    broken = tmp_path / "broken.model"
    broken.write_bytes(b"not a model")
    with pytest.raises(UserError, match=r"broken\.model is not a SentencePiece model"):
        _ = ClinicalVocabulary(broken).vocab_size


def test_model_with_other_special_ids_is_refused(tmp_path):
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a b c d e f g", "h i j k"] * 20),
        model_prefix=str(tmp_path / "m"),
        vocab_size=16,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    with pytest.raises(UserError, match="pad, eos, unk"):
        _ = ClinicalVocabulary(tmp_path / "m.model").vocab_size


def test_importing_and_encoding_needs_no_tensorflow(vocabulary):
    code = (
        "import sys; from clinical_t5x.data.vocabulary import ClinicalVocabulary;"
        f"ClinicalVocabulary({vocabulary.sentencepiece_model_file!r}).encode('a');"
        "sys.exit('tensorflow' in sys.modules or 'jax' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
