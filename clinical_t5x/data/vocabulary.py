"""The vocabulary: text to token ids and back, without losing a byte.

SentencePiece unigram pieces, cased, with every byte as a fallback piece, newline, tab and the 15
de-identification tags as pieces of their own, and T5's sentinels on top. No normalisation: what
`decode` returns is what `encode` was given, which T5's own vocabulary does not promise (it drops
newlines, tabs and repeated spaces; a vocabulary can be trained to do as T5's). All of this is in
the model file, so that `seqio.SentencePieceVocabulary` reads the same file to the same ids.

The class is light: sentencepiece is loaded at first use, tensorflow_text only by the `_tf` methods,
so that a gin file can name a vocabulary without importing TensorFlow. It has the interface of
`seqio.Vocabulary`; tasks and models take either.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterable
from typing import Any

from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.data.home import vocabulary_directory

PAD_ID = 0
EOS_ID = 1
UNK_ID = 2
MODEL_FILE = "sentencepiece.model"

# The tags that replace de-identified spans, spelled as in the paper's
# code. "[MISC]" also stands for MIMIC-IV's blanks, whose types are not public.
DEID_TAGS = (
    "[Name]", "[Reg#]", "[Company]", "[LOC]", "[Age]", "[#]", "[DR]", "[State]", "[CI]",
    "[Country]", "[URL]", "[YR]", "[MO]", "[DAY]", "[MISC]",
)  # fmt: skip


class ClinicalVocabulary:
    """A SentencePiece vocabulary with T5's special ids: pad 0, end of sequence 1, unknown 2.

    Sentinel i has the id `vocab_size - 1 - i`, as in T5. A file that holds sentinels itself (as
    `vocabulary extend` writes, which puts further tokens above them) keeps its own, and none are
    added. The text "<extra_id_0>" is not read as a sentinel: it is text like any other.

    Args:
      sentencepiece_model_file: the model file; None reads the one called `name` in the data home.
      extra_ids: number of sentinels on top of the file's pieces, unless the file holds its own.
      name: which vocabulary of the data home is read when no file is given.
    """

    def __init__(
        self,
        sentencepiece_model_file: str | os.PathLike | None = None,
        extra_ids: int = 100,
        name: str = "clinical",
    ):
        self._file = os.fspath(sentencepiece_model_file) if sentencepiece_model_file else None
        self._added_ids = extra_ids
        self.name = name

    @property
    def sentencepiece_model_file(self) -> str:
        """Path of the model file: as given, or the one of that name in the data home."""
        return self._file or os.fspath(vocabulary_directory(self.name) / MODEL_FILE)

    @property
    def pad_id(self) -> int:
        """Id of padding."""
        return PAD_ID

    @property
    def eos_id(self) -> int:
        """Id of the end of a sequence."""
        return EOS_ID

    @property
    def unk_id(self) -> int:
        """Id of the unknown piece; byte pieces cover everything, so `encode` never returns it."""
        return UNK_ID

    @property
    def bos_id(self) -> None:
        """There is no begin-of-sequence id: T5 starts decoding with the padding id."""
        return None

    @property
    def extra_ids(self) -> int:
        """Number of sentinels."""
        return len(self._loaded().sentinels) or self._added_ids

    @property
    def base_vocab_size(self) -> int:
        """Number of pieces without the sentinels."""
        return self.vocab_size - self.extra_ids

    @property
    def _base_vocab_size(self) -> int:
        return self.base_vocab_size

    @property
    def vocab_size(self) -> int:
        """Number of ids, sentinels included."""
        loaded = self._loaded()
        return loaded.processor.get_piece_size() + (0 if loaded.sentinels else self._added_ids)

    @property
    def content_hash(self) -> str:
        """SHA-256 over the model file and the number of sentinels: equal vocabularies agree."""
        return content_hash_of(self._loaded().proto, self.extra_ids)

    @property
    def tokenizer(self) -> Any:
        """The sentencepiece processor, which knows no sentinels."""
        return self._loaded().processor

    def sentinel_ids(self) -> list[int]:
        """Ids of the sentinels, counting down: sentinel 0, the first in a text, has the highest."""
        return list(self._sentinels(self._loaded()))

    def _sentinels(self, loaded: _LoadedModel) -> range:
        count = len(loaded.sentinels) or self._added_ids
        last = loaded.processor.get_piece_size() + self._added_ids - 1
        first = loaded.sentinels[0] if loaded.sentinels else last
        return range(first, first - count, -1)

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`, without an end-of-sequence id."""
        return self._loaded().processor.encode(text)

    def decode(self, ids: Iterable[int]) -> str:
        """Text of `ids` up to the first end-of-sequence id; sentinels read `<extra_id_i>`.

        Padding and ids beyond the vocabulary (a model's padded rows) give no text.
        """
        loaded = self._loaded()  # once: it looks up the data home in use
        processor, sentinels = loaded.processor, self._sentinels(loaded)
        pieces = processor.get_piece_size()
        parts: list[str] = []
        pending: list[int] = []
        for token in ids:
            token = int(token)
            if token == EOS_ID:
                break
            if token in sentinels:
                parts += [_part(processor, pending, parts), f"<extra_id_{sentinels.index(token)}>"]
                pending = []
            elif token < pieces:
                pending.append(token)
        parts.append(_part(processor, pending, parts))
        return "".join(parts)

    def encode_tf(self, text: Any) -> Any:
        """Token ids of a string tensor: int32, ragged for a batch of strings."""
        return self._tf_tokenizer().tokenize(text)

    def decode_tf(self, ids: Any) -> Any:
        """Strings of a tensor of ids, up to the first end-of-sequence id, sentinels left out."""
        import tensorflow as tf

        ids = tf.cast(ids, tf.int32)
        ended = tf.cumsum(tf.cast(tf.equal(ids, EOS_ID), tf.int32), axis=-1) > 0
        silent = ended | (ids >= self.tokenizer.get_piece_size())
        return self._tf_tokenizer().detokenize(tf.where(silent, PAD_ID, ids))

    def _tf_tokenizer(self) -> Any:
        import tensorflow_text

        return tensorflow_text.SentencepieceTokenizer(model=self._loaded().proto)

    def _loaded(self) -> _LoadedModel:
        return _load(self.sentencepiece_model_file)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ClinicalVocabulary):
            return NotImplemented
        if self._place() == other._place():
            return True
        return self.content_hash == other.content_hash

    # Equal vocabularies may lie in different files; hashing by content would read the file.
    __hash__ = None

    def _place(self) -> tuple[str, int]:
        return self.sentencepiece_model_file, self._added_ids

    def __repr__(self) -> str:
        return (
            f"ClinicalVocabulary({self._file!r}, extra_ids={self._added_ids}, name={self.name!r})"
        )


def sentinel_ids_of(vocabulary: Any) -> list[int]:
    """Ids of the sentinels, first to last, of our vocabulary or one of SeqIO's (the last ids)."""
    if hasattr(vocabulary, "sentinel_ids"):
        return vocabulary.sentinel_ids()
    size = vocabulary.vocab_size
    return [size - 1 - i for i in range(vocabulary.extra_ids or 0)]


def _part(processor: Any, ids: list[int], before: list[str]) -> str:
    """Text of a run of pieces, of which `before` is what precedes it.

    A model with T5's white space drops the blank that a text begins with. A part after a sentinel
    does not begin the text: the unknown piece stands in for what is before it.
    """
    if not before:
        return processor.decode(ids)
    return processor.decode([UNK_ID, *ids]).removeprefix(processor.decode([UNK_ID]))


def content_hash_of(model_proto: bytes, extra_ids: int) -> str:
    """SHA-256 of a SentencePiece model and its number of sentinels: 64 hex digits."""
    return hashlib.sha256(model_proto + b"\nextra_ids=%d" % extra_ids).hexdigest()


class _LoadedModel:
    """A model file in memory: its bytes, the processor made from them, its own sentinels' ids."""

    def __init__(self, proto: bytes, processor: Any, sentinels: list[int]):
        self.proto = proto
        self.processor = processor
        self.sentinels = sentinels


def read_model(path: str | os.PathLike) -> bytes:
    """The bytes of a SentencePiece model file; UserError when there is none."""
    file = epath.Path(path)
    if not file.exists():
        raise UserError(
            f"there is no vocabulary at {path}; make one from the prepared corpus with:"
            " python -m clinical_t5x.vocabulary"
        )
    return file.read_bytes()


@functools.lru_cache(maxsize=8)
def _load(path: str) -> _LoadedModel:
    import sentencepiece

    proto = read_model(path)
    try:
        processor = sentencepiece.SentencePieceProcessor(model_proto=proto)
    except RuntimeError as error:
        raise UserError(f"{path} is not a SentencePiece model; make it anew") from error
    special = (processor.pad_id(), processor.eos_id(), processor.unk_id())
    if special != (PAD_ID, EOS_ID, UNK_ID):
        raise UserError(
            f"{path} has pad, eos, unk = {special}; a T5 vocabulary has {(PAD_ID, EOS_ID, UNK_ID)}"
        )
    return _LoadedModel(proto, processor, _own_sentinels(processor, path))


def _own_sentinels(processor: Any, path: str) -> list[int]:
    """Ids of the pieces `<extra_id_0>`, `<extra_id_1>`, ... (mT5's files have them after a blank).

    Raises:
      UserError: their ids do not count down one by one, as everything that uses them supposes.
    """
    for form in ("<extra_id_%d>", "\u2581<extra_id_%d>"):
        found = []
        while processor.piece_to_id(form % len(found)) != UNK_ID:
            found.append(processor.piece_to_id(form % len(found)))
        if found and found != list(range(found[0], found[0] - len(found), -1)):
            raise UserError(f"{path} holds sentinels whose ids do not count down one by one")
        if found:
            return found
    return []


def forget_loaded_models() -> None:
    """Drop models kept in memory, after a model file has been replaced."""
    _load.cache_clear()
