"""A SentencePiece vocabulary as the tokenizer files that transformers reads.

`AutoTokenizer` runs `tokenizer.json`, a description that is carried out by another library than
SentencePiece. It is written here so that the same text gives the same ids: the same normalisation,
the same scores, the whole text in one search for the best pieces (transformers' own conversion cuts
at white space first, which loses newlines and repeated blanks).

Two kinds of vocabulary are told apart. One that keeps its input as it is (ours) reads "</s>" as
text, as SentencePiece does. One that normalises white space (T5's) follows transformers' T5, where
such words in a text are the special tokens. In both, "<extra_id_0>" in a text is the sentinel.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from typing import Any

from clinical_t5x.interop import charsmap as charsmaps
from clinical_t5x.interop.source import CheckpointError

MODEL_FILE = "spiece.model"

# Types of pieces in SentencePiece's model file.
_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _BYTE = 1, 2, 3, 4, 6
_PAD, _EOS, _UNK = 0, 1, 2
_UNIGRAM = 1
_MOST_RULES = 64
# What stands for a line end or tab that is a piece of its own while a table of Unicode's normal
# forms, which takes both for blanks, is applied, and blanks at a text's ends are taken off: private
# characters, which no such table changes.
_HIDING_PLACES = {"\n": "\ue00a", "\t": "\ue009"}
_BLANK = "\u2581"

# SentencePiece's score of a user-defined piece, as its float32 has it: above all others, so that it
# is found wherever it stands, but the fewer of them the better.
_USER_DEFINED_SCORE = -0.10000000149011612
# Pieces that SentencePiece never finds in a text get a score that no path can afford.
_NEVER = -1e6
_ALWAYS = 0.0


def tokenizer_files(model_proto: bytes, sentinels: int = 100) -> dict[str, bytes]:
    """Name and content of the files of a tokenizer.

    Args:
      model_proto: the content of a SentencePiece unigram model file with T5's special ids.
      sentinels: how many sentinels are put on top of its pieces, the first at the highest id; none
        are where the file holds its own.

    Raises:
      CheckpointError: it is not such a model.
    """
    model = _parsed(model_proto)
    pieces = _pieces(model, sentinels)
    special = _sentinel_names(pieces)
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **_special_tokens(pieces),
        "additional_special_tokens": special,
        "split_special_tokens": _keeps_text(model),
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "attention_mask"],
    }
    special_map = {**_special_tokens(pieces), "additional_special_tokens": special}
    return {
        MODEL_FILE: model_proto,
        "tokenizer.json": _json(_tokenizer(model, pieces)),
        "tokenizer_config.json": _json(config),
        "special_tokens_map.json": _json(special_map),
    }


def piece_count(model_proto: bytes, sentinels: int = 100) -> int:
    """Number of ids of a vocabulary, sentinels included."""
    return len(_pieces(_parsed(model_proto), sentinels))


def _parsed(model_proto: bytes) -> Any:
    from google.protobuf.message import DecodeError
    from sentencepiece import sentencepiece_model_pb2

    try:
        model = sentencepiece_model_pb2.ModelProto.FromString(model_proto)
    except DecodeError:
        raise CheckpointError("the vocabulary is no SentencePiece model") from None
    types = [piece.type for piece in model.pieces[:3]]
    if types != [_CONTROL, _CONTROL, _UNKNOWN]:
        raise CheckpointError("the vocabulary has not T5's special ids: pad 0, eos 1, unknown 2")
    if model.trainer_spec.model_type != _UNIGRAM:
        raise CheckpointError("the vocabulary is no unigram model, as T5's are")
    return model


def _keeps_text(model: Any) -> bool:
    """Whether white space stays as it is: ours, not T5's."""
    spec = model.normalizer_spec
    return not (spec.add_dummy_prefix or spec.remove_extra_whitespaces)


def _pieces(model: Any, sentinels: int) -> list[tuple[str, float]]:
    """Every id's text and score."""
    scores = {_NORMAL: None, _USER_DEFINED: _USER_DEFINED_SCORE}
    found = []
    for piece in model.pieces:
        score = scores.get(piece.type, _NEVER)
        if piece.type == _CONTROL and piece.piece.startswith("<extra_id_"):
            score = _ALWAYS
        found.append((piece.piece, piece.score if score is None else score))
    if not _sentinel_names(found):
        found += [(f"<extra_id_{i}>", _ALWAYS) for i in range(sentinels - 1, -1, -1)]
    return found


def _sentinel_names(pieces: Sequence[tuple[str, float]]) -> list[str]:
    there = {piece for piece, _ in pieces}
    names = []
    while f"<extra_id_{len(names)}>" in there:
        names.append(f"<extra_id_{len(names)}>")
    return names


def _special_tokens(pieces: Sequence[tuple[str, float]]) -> dict[str, str]:
    return {
        "eos_token": pieces[_EOS][0],
        "pad_token": pieces[_PAD][0],
        "unk_token": pieces[_UNK][0],
    }


def _tokenizer(model: Any, pieces: Sequence[tuple[str, float]]) -> dict[str, Any]:
    """The content of `tokenizer.json`."""
    ids = {piece: i for i, (piece, _) in enumerate(pieces)}
    special = [pieces[i][0] for i in (_PAD, _EOS, _UNK)] + _sentinel_names(pieces)
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": ids[token],
                "content": token,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for token in sorted(special, key=ids.__getitem__)
        ],
        "normalizer": {"type": "Sequence", "normalizers": _normalizers(model)},
        "pre_tokenizer": _apart(model),
        "post_processor": _end_of_sequence(pieces[_EOS][0]),
        "decoder": {"type": "Sequence", "decoders": _decoders(model)},
        "model": {
            "type": "Unigram",
            "unk_id": _UNK,
            "vocab": [[piece, score] for piece, score in pieces],
            "byte_fallback": any(piece.type == _BYTE for piece in model.pieces),
        },
    }


def _apart(model: Any) -> dict[str, Any] | None:
    """Cuts a text within what only looks like a special or byte piece ("</s>", "<0x41>").

    Where a character of it has no piece of its own, the way around the piece would lead over an
    unknown character, which costs more than any piece does.
    """
    unfound = [piece.piece for piece in model.pieces if piece.type in (_CONTROL, _UNKNOWN, _BYTE)]
    unfound = [text for text in unfound if not text.startswith("<extra_id_")]
    single = {piece.piece for piece in model.pieces if piece.type == _NORMAL}
    if set("".join(unfound)) <= single:
        return None
    rests = [re.escape(text[1:]) for text in unfound if not text.startswith("<0x")]
    if any(piece.type == _BYTE for piece in model.pieces):
        rests.append("0x[0-9A-F]{2}>")
    pattern = {"Regex": f"<(?={'|'.join(rests)})"}
    return {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}


def _end_of_sequence(eos: str) -> dict[str, Any]:
    """Every sequence, and each of a pair, ends with the end-of-sequence token."""

    def part(name: str) -> list[dict[str, Any]]:
        return [
            {"Sequence": {"id": name, "type_id": 0}},
            {"SpecialToken": {"id": eos, "type_id": 0}},
        ]

    return {
        "type": "TemplateProcessing",
        "single": part("A"),
        "pair": part("A") + part("B"),
        "special_tokens": {eos: {"id": eos, "ids": [_EOS], "tokens": [eos]}},
    }


def _normalizers(model: Any) -> list[dict[str, Any]]:
    """SentencePiece's normalisation step by step; it leaves user-defined pieces as they are."""
    spec = model.normalizer_spec
    there = {piece.piece for piece in model.pieces if piece.type == _USER_DEFINED}
    hidden = {mark: sign for mark, sign in _HIDING_PLACES.items() if mark in there}
    rules = _few_rules(spec.precompiled_charsmap)
    if rules is None:
        charsmap = base64.b64encode(spec.precompiled_charsmap).decode()
        steps = [_replace(mark, place) for mark, place in hidden.items()]
        steps.append({"type": "Precompiled", "precompiled_charsmap": charsmap})
    else:
        hidden = {}
        steps = [_replace(source, target) for source, target in rules]
    if spec.remove_extra_whitespaces:
        steps += [_replace_all("^ +| +$", ""), _replace_all(" {2,}", " ")]
    steps += [_replace(place, mark) for mark, place in hidden.items()]
    if spec.add_dummy_prefix:
        steps.append({"type": "Prepend", "prepend": _BLANK})
    return [*steps, _replace(" ", _BLANK)]


def _decoders(model: Any) -> list[dict[str, Any]]:
    steps = [_replace(_BLANK, " "), {"type": "ByteFallback"}, {"type": "Fuse"}]
    if model.normalizer_spec.add_dummy_prefix:
        steps.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    rules = _few_rules(model.denormalizer_spec.precompiled_charsmap)
    return steps + [_replace(source, target) for source, target in rules or ()]


def _few_rules(charsmap: bytes) -> charsmaps.Rules | None:
    """The replacements of a small table; None for a large one, as Unicode's normal forms are."""
    rules = charsmaps.charsmap_rules(charsmap, most=_MOST_RULES)
    return None if rules is None else charsmaps.one_after_another(rules)


def _replace(source: str, target: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"String": source}, "content": target}


def _replace_all(expression: str, target: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"Regex": expression}, "content": target}


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
