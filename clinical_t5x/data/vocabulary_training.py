"""Training the vocabulary: word counts of the corpus, then SentencePiece's unigram training.

SentencePiece would hold every sentence in memory and build a suffix array over all of them, some
20 bytes a character. Its unigram pieces never cross a blank, so that a table of words and counts
says the same: it is counted in one pass over the corpus and stays bounded, rare words being dropped
when it grows too large.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from etils import epath

import clinical_t5x
from clinical_t5x.console import Progress, UserError
from clinical_t5x.data.documents import read_documents, shards_of
from clinical_t5x.data.vocabulary import (
    DEID_TAGS,
    EOS_ID,
    MODEL_FILE,
    PAD_ID,
    UNK_ID,
    ClinicalVocabulary,
    content_hash_of,
    forget_loaded_models,
)
from clinical_t5x.storage import (
    completion,
    is_complete,
    read_json,
    sha256_file,
    stage_directory,
    write_json_atomically,
)

# A word with the blanks before it; digits stand alone, since every digit is a piece of its own.
_WORD = re.compile(r" *[^ \n\t0-9]+|[0-9]| +")
_MOST_COUNTED_WORDS = 4_000_000
_MOST_TRAINING_WORDS = 1_000_000
_MEASURED_DOCUMENTS = 500
_SCORES_A_UNIT = 64

# Fixed, because the sums of the training depend on the number of threads in their last bits.
_TRAINING_THREADS = 8

# SentencePiece writes a blank as U+2581 and would read a real U+2581 as a blank. The model's own
# rules escape it (and the escape) on the way in and undo that on the way out.
_NORMALIZATION = "2581\tE000 E002\nE000\tE000 E001\n"
_DENORMALIZATION = "E000 E002\t2581\nE000 E001\tE000\n"


@dataclasses.dataclass(frozen=True)
class VocabularyOptions:
    """What decides a vocabulary, next to the corpus.

    Attributes:
      size: pieces, sentinels not counted; fewer where the corpus does not support as many.
      max_words: words that are read at most, in documents chosen by hash.
      lower_case: fold case and compatibility characters, as the paper's base model did by
        accident: not lossless.
      seed: chooses the documents when not all are read.
      t5_whitespace: treat white space as T5's own vocabulary does (NFKC, newlines, tabs and
        repeated blanks become one blank, a text begins with a blank): not lossless.
    """

    size: int = 32_000
    max_words: int = 200_000_000
    lower_case: bool = False
    seed: int = 0
    t5_whitespace: bool = False

    def __post_init__(self):
        if self.size < 1 or self.max_words < 1:
            raise UserError("--size and --max_words must be positive")


def train_vocabulary(
    corpus_dir: epath.Path, directory: epath.Path, options: VocabularyOptions
) -> dict[str, Any]:
    """Train a vocabulary on a prepared corpus and put it, complete, into `directory`.

    Nothing is done when it is there already, made from the same corpus with the same options.

    Returns:
      The vocabulary's manifest.

    Raises:
      UserError: no complete corpus, or a size that cannot hold even the single characters.
    """
    train_shards = shards_of(corpus_dir, "train")
    corpus = read_json(corpus_dir / "manifest.json")
    if not is_trained(corpus_dir, directory, options):
        fraction = min(1.0, options.max_words / max(1, corpus["splits"]["train"]["words"]))
        counts, documents = count_words(
            train_shards, fraction, options.seed, t5_whitespace=options.t5_whitespace
        )
        proto = train_model(counts, options)
        with stage_directory(directory, _made_from(corpus_dir, options)) as partial:
            (partial / MODEL_FILE).write_bytes(proto)
            manifest = _manifest(proto, partial / MODEL_FILE, counts, documents, options)
            manifest |= {
                "name": directory.name,
                "corpus": {"name": corpus_dir.name, "content_sha256": corpus["content_sha256"]},
                "synthetic": bool(corpus.get("synthetic", False)),
                "held_out": measure(partial / MODEL_FILE, corpus_dir),
            }
            write_json_atomically(partial / "manifest.json", manifest)
        forget_loaded_models()
    return read_json(directory / "manifest.json")


def is_trained(corpus_dir: epath.Path, directory: epath.Path, options: VocabularyOptions) -> bool:
    """Whether the vocabulary is there, made from this corpus with these options."""
    if completion(corpus_dir) is None:
        return False
    return is_complete(directory, _made_from(corpus_dir, options))


def _made_from(corpus_dir: epath.Path, options: VocabularyOptions) -> dict[str, Any]:
    corpus = read_json(corpus_dir / "manifest.json")
    chosen = dataclasses.asdict(options)
    if not options.t5_whitespace:
        del chosen["t5_whitespace"]  # vocabularies made before there was a choice stay valid
    return {"corpus": corpus["content_sha256"], "options": chosen, "format": 2}


def count_words(
    shards: list[epath.Path], fraction: float = 1.0, seed: int = 0, *, t5_whitespace: bool = False
) -> tuple[Counter[str], int]:
    """Words of the documents with the blanks before them, counted; and how many documents.

    Args:
      shards: Parquet files of documents.
      fraction: share of the documents to read, chosen by a hash of their ids.
      seed: makes another choice.
      t5_whitespace: count as if all white space were single blanks, one before the text too.
    """
    counts: Counter[str] = Counter()
    documents = 0
    with Progress("counting words", len(shards), unit="shards") as progress:
        for shard in shards:
            for batch in read_documents(shard, ("document_id", "text")):
                for document_id, text in zip(*map(_values, batch.columns), strict=True):
                    if fraction >= 1 or hash_fraction(document_id, seed) < fraction:
                        if t5_whitespace:
                            text = " " + " ".join(text.split())
                        counts.update(_WORD.findall(text))
                        documents += 1
                if len(counts) > _MOST_COUNTED_WORDS:
                    _drop_rarest(counts)
            progress.advance(note=f"{len(counts):,} words")
    return counts, documents


def train_model(counts: Counter[str], options: VocabularyOptions) -> bytes:
    """SentencePiece's unigram model of counted words, as the bytes of a model file.

    Raises:
      UserError: there are no words, or the size cannot hold even the single characters.
    """
    import sentencepiece

    if not counts:
        raise UserError("the corpus has no words to make a vocabulary from")
    model = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=_training_lines(counts),
                model_writer=model,
                input_format="tsv",
                model_type="unigram",
                vocab_size=options.size,
                hard_vocab_limit=False,
                pad_id=PAD_ID,
                eos_id=EOS_ID,
                unk_id=UNK_ID,
                bos_id=-1,
                # A piece of its own would keep its white space from being normalised.
                user_defined_symbols=[*([] if options.t5_whitespace else "\n\t"), *DEID_TAGS],
                byte_fallback=True,
                character_coverage=0.99999,  # the default spells ">" and "~" in bytes
                split_digits=True,
                add_dummy_prefix=False,
                remove_extra_whitespaces=False,
                allow_whitespace_only_pieces=not options.t5_whitespace,
                max_sentence_length=1 << 20,
                num_threads=_TRAINING_THREADS,
                minloglevel=2,
                **_normalization(Path(folder), options),
            )
        except RuntimeError as error:
            raise UserError(_training_error(str(error), options)) from error
    return _finished(model.getvalue(), options)


def measure(model_file: epath.Path, corpus_dir: epath.Path) -> dict[str, Any]:
    """How a vocabulary cuts held-out text: tokens a word, and bytes that had no piece."""
    vocabulary = ClinicalVocabulary(model_file)
    pieces = vocabulary.tokenizer.get_piece_size()
    byte_pieces = {i for i in range(pieces) if vocabulary.tokenizer.is_byte(i)}
    words = tokens = byte_tokens = documents = 0
    for text in _held_out_texts(corpus_dir):
        ids = vocabulary.encode(text)
        documents += 1
        words += len(text.split())
        tokens += len(ids)
        byte_tokens += sum(token in byte_pieces for token in ids)
    return {
        "documents": documents,
        "words": words,
        "tokens": tokens,
        "tokens_per_word": round(tokens / max(1, words), 3),
        "byte_tokens": byte_tokens,
    }


def _manifest(
    proto: bytes, file: epath.Path, counts: Counter, documents: int, options: VocabularyOptions
) -> dict[str, Any]:
    vocabulary = ClinicalVocabulary(file)
    return {
        "created_by": f"clinical_t5x {clinical_t5x.__version__}",
        "pieces": vocabulary.base_vocab_size,
        "pieces_asked_for": options.size,
        "extra_ids": vocabulary.extra_ids,
        "vocab_size": vocabulary.vocab_size,
        "content_sha256": content_hash_of(proto, vocabulary.extra_ids),
        "file_sha256": sha256_file(file),
        "options": dataclasses.asdict(options),
        "trained_on": {"documents": documents, "distinct_words": len(counts)},
    }


def _held_out_texts(corpus_dir: epath.Path) -> Iterator[str]:
    left = _MEASURED_DOCUMENTS
    for shard in shards_of(corpus_dir, "validation"):
        for batch in read_documents(shard, ("text",)):
            for text in _values(batch.columns[0])[:left]:
                left -= 1
                yield text
            if left <= 0:
                return


def _training_lines(counts: Counter[str]) -> Iterator[str]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    for word, count in ordered[:_MOST_TRAINING_WORDS]:
        yield f"{word}\t{count}"


def _normalization(folder: Path, options: VocabularyOptions) -> dict[str, str]:
    """Arguments of the training that say how text is normalised: by default not at all."""
    if options.t5_whitespace:
        return {"normalization_rule_name": "nmt_nfkc_cf" if options.lower_case else "nmt_nfkc"}
    if options.lower_case:
        return {"normalization_rule_name": "nfkc_cf"}
    (folder / "in.tsv").write_text(_NORMALIZATION)
    (folder / "out.tsv").write_text(_DENORMALIZATION)
    return {
        "normalization_rule_tsv": str(folder / "in.tsv"),
        "denormalization_rule_tsv": str(folder / "out.tsv"),
    }


def _finished(proto: bytes, options: VocabularyOptions) -> bytes:
    """The model without the names of temporary files, so that same input gives same bytes.

    Scores are rounded to a grid on which float32 adds exactly, over some thousand tokens. Otherwise
    the last bit of a sum decides between cuts of the same score (a line of dashes), and libraries
    that add in float64, as the one that transformers runs, cut some texts otherwise.

    T5's treatment of white space is set here: the training lines are words with their own blank, or
    without one after a digit, and a prefix put before each would spoil that.
    """
    from sentencepiece import sentencepiece_model_pb2

    model = sentencepiece_model_pb2.ModelProto.FromString(proto)
    if options.t5_whitespace:
        model.normalizer_spec.add_dummy_prefix = True
        model.normalizer_spec.remove_extra_whitespaces = True
    for piece in model.pieces:
        piece.score = round(piece.score * _SCORES_A_UNIT) / _SCORES_A_UNIT
    model.normalizer_spec.ClearField("normalization_rule_tsv")
    model.denormalizer_spec.ClearField("normalization_rule_tsv")
    return model.SerializeToString(deterministic=True)


def _training_error(message: str, options: VocabularyOptions) -> str:
    required = re.search(r"smaller than required_chars\. \d+ vs (\d+)", message)
    if required:
        return (
            f"--size {options.size} cannot hold the corpus' single characters, bytes and tags;"
            f" it must be more than {required.group(1)}"
        )
    return f"SentencePiece could not train the vocabulary: {message.splitlines()[0]}"


def hash_fraction(document_id: str, seed: int) -> float:
    """A number in [0, 1) that belongs to a document and a seed."""
    digest = hashlib.sha256(f"{seed}/{document_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _drop_rarest(counts: Counter[str]) -> None:
    """Drop words of the lowest counts until the table is half as large as it may grow."""
    floor = 1
    while len(counts) > _MOST_COUNTED_WORDS // 2:
        for word in [word for word, count in counts.items() if count <= floor]:
            del counts[word]
        floor += 1


def _values(column: Any) -> list:
    return column.to_pylist()
