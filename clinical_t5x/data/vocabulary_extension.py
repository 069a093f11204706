"""A vocabulary with more tokens: T5's own, say, with the de-identification tags as tokens.

Every id of the base stays what it was. The sentinels, which T5's file does not hold, are written
into the new file at the ids that they have on top of the base (T5: 32,000 to 32,099), and the added
tokens come above them, where T5's embedding has 28 rows to spare. An added token is found wherever
it stands, in words too, by case, the longest first; all else is cut as before. The file alone says
all this, so that whatever reads SentencePiece files reads it to the same ids.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

from etils import epath

import clinical_t5x
from clinical_t5x.console import UserError
from clinical_t5x.data.vocabulary import (
    MODEL_FILE,
    UNK_ID,
    ClinicalVocabulary,
    content_hash_of,
    forget_loaded_models,
)
from clinical_t5x.storage import (
    is_complete,
    read_json,
    sha256_file,
    stage_directory,
    write_json_atomically,
)

# Types of pieces in SentencePiece's model file.
_NORMAL, _CONTROL, _USER_DEFINED = 1, 3, 4


@dataclasses.dataclass(frozen=True)
class Extension:
    """What was added to a vocabulary.

    Attributes:
      base_size: ids of the base, sentinels included; the added tokens have the ids from here on.
      former_pieces: of each added token, in the order of ids, the base's ids for its text; none for
        what the base does not see, as T5 a newline, or does not know.
    """

    base_size: int
    former_pieces: tuple[tuple[int, ...], ...]


def extend_vocabulary(
    base: ClinicalVocabulary, directory: epath.Path, tokens: Sequence[str]
) -> dict[str, Any]:
    """Write `base` with more tokens, complete with its manifest, into `directory`.

    Args:
      base: the vocabulary to extend.
      directory: nothing is done when it holds this very vocabulary already.
      tokens: each becomes one id, in this order; those that already are one are left out.

    Returns:
      The new vocabulary's manifest.

    Raises:
      UserError: there is nothing to add, a token cannot be added, or `directory` holds something
        else.
    """
    proto = extended_model(base, tokens)
    made_from = {"base": base.content_hash, "extended": hashlib.sha256(proto).hexdigest()}
    if is_complete(directory, made_from):
        return read_json(directory / "manifest.json")
    if directory.exists():  # checkpoints may rely on it
        raise UserError(f"{directory} holds another vocabulary; choose another --name")
    with stage_directory(directory, made_from) as partial:
        (partial / MODEL_FILE).write_bytes(proto)
        vocabulary = ClinicalVocabulary(partial / MODEL_FILE, base.extra_ids)
        extension = extension_of(vocabulary)
        processor = vocabulary.tokenizer
        manifest = {
            "created_by": f"clinical_t5x {clinical_t5x.__version__}",
            "name": directory.name,
            "pieces": vocabulary.base_vocab_size,
            "extra_ids": vocabulary.extra_ids,
            "vocab_size": vocabulary.vocab_size,
            "content_sha256": content_hash_of(proto, vocabulary.extra_ids),
            "file_sha256": sha256_file(partial / MODEL_FILE),
            "base": {
                "file": os.path.basename(base.sentencepiece_model_file),
                "content_sha256": base.content_hash,
                "vocab_size": base.vocab_size,
            },
            "added": [
                {"id": token, "token": processor.id_to_piece(token), "former_ids": list(former)}
                for token, former in enumerate(extension.former_pieces, extension.base_size)
            ],
        }
        write_json_atomically(partial / "manifest.json", manifest)
    forget_loaded_models()
    return read_json(directory / "manifest.json")


def extended_model(base: ClinicalVocabulary, tokens: Sequence[str]) -> bytes:
    """The model file of `base` with its sentinels and `tokens` as pieces of its own.

    Raises:
      UserError: there is nothing to add, or a token cannot be added.
    """
    if extension_of(base) is not None:
        raise UserError(
            f"{base.sentencepiece_model_file} is extended already; extend what it was made from, "
            "with all tokens at once"
        )
    model = _parsed(base.tokenizer.serialized_model_proto())
    known = {piece.piece: piece.type for piece in model.pieces}
    if base.vocab_size > len(model.pieces):  # they are not in the file yet
        for i in reversed(range(base.extra_ids)):
            model.pieces.add(piece=f"<extra_id_{i}>", score=0.0, type=_CONTROL)
    added = [token for token in dict.fromkeys(tokens) if known.get(token) != _USER_DEFINED]
    if not added:
        raise UserError("all of these tokens are in the vocabulary already: nothing to add")
    for token in added:
        _refuse_token(token, known)
        model.pieces.add(piece=token, score=0.0, type=_USER_DEFINED)
    model.trainer_spec.vocab_size = len(model.pieces)
    proto = model.SerializeToString(deterministic=True)
    _check(proto, added, model)
    return proto


def extension_of(vocabulary: ClinicalVocabulary) -> Extension | None:
    """What was added to the vocabulary above its sentinels, or None; read from its file alone."""
    processor = vocabulary.tokenizer
    sentinels = vocabulary.sentinel_ids()
    first = sentinels[0] + 1 if sentinels else processor.get_piece_size()
    if first >= processor.get_piece_size():
        return None
    model = _parsed(processor.serialized_model_proto())
    added = [piece.piece for piece in model.pieces[first:]]
    del model.pieces[first:]
    base = _processor(model.SerializeToString())
    former = (tuple(i for i in base.encode(token) if i != UNK_ID) for token in added)
    return Extension(first, tuple(former))


def _parsed(proto: bytes) -> Any:
    from sentencepiece import sentencepiece_model_pb2

    return sentencepiece_model_pb2.ModelProto.FromString(proto)


def _processor(proto: bytes) -> Any:
    import sentencepiece

    return sentencepiece.SentencePieceProcessor(model_proto=proto)


def _refuse_token(token: str, known: dict[str, int]) -> None:
    if not token or set(token) & {" ", "\u2581", "\x00"}:
        raise UserError(f"{token!r} cannot be a token: it is empty, or holds a blank (or U+2581)")
    if token in known:
        raise UserError(
            f"{token!r} is a piece of the base already, for use within words; it cannot be added"
        )


def _check(proto: bytes, added: Sequence[str], model: Any) -> None:
    """Refuse a token that would not be found everywhere.

    SentencePiece prefers added tokens by their score alone. A piece that reaches over one of the
    token's ends wins where nothing else spells what is before or after; hence all are tried.
    """
    processor = _processor(proto)
    pieces = [piece.piece for piece in model.pieces if piece.type == _NORMAL]
    for token in added:
        number = processor.piece_to_id(token)
        for text in _contexts(token, pieces):
            if number not in processor.encode(text):
                raise UserError(
                    f"{token!r} would not be found in {text!r}, which the base cuts across its "
                    "ends; choose another spelling"
                )


def _contexts(token: str, pieces: Sequence[str]) -> Iterator[str]:
    """Texts in which the token might be missed: at pieces that share its beginning or its end."""
    yield from (token, f"a{token}a", f"a {token} a", token + token)
    beginnings = {token[:end] for end in range(1, len(token) + 1)}
    endings = {token[start:] for start in range(len(token))}
    for piece in pieces:
        text = piece.replace("\u2581", " ")
        for cut in range(1, len(text)):
            if text[cut:] in beginnings:
                yield text[:cut] + token
            if text[:cut] in endings:
                yield token + text[cut:]
