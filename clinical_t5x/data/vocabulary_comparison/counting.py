"""What one vocabulary makes of a document, as sums that can be added up."""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from typing import Any

import numpy as np

from clinical_t5x.data.vocabulary import DEID_TAGS, ClinicalVocabulary

BLANK = "\u2581"  # how SentencePiece writes a blank in its pieces

_REMEMBERED_WORDS = 100_000
_TEXT, _WHITESPACE, _BYTE, _UNKNOWN = range(4)


@dataclasses.dataclass
class Tally:
    """Sums over documents; a `run` is a stretch of letters, a word what stands between blanks.

    Attributes:
      documents: number of documents.
      words: words, counted as the corpus counts them.
      characters: characters of the documents, white space included.
      tokens: ids, without an end of sequence.
      whitespace_tokens: tokens of nothing but blanks, newlines and tabs.
      byte_tokens: tokens that spell a single byte, for want of a piece.
      unknown_tokens: tokens that stand for text without a piece, which is lost.
      runs: words of letters alone.
      whole_runs: those of them that are one piece after a blank.
      exact: documents that come back byte for byte from their tokens.
      exact_words: documents that come back but for their white space.
    """

    documents: int = 0
    words: int = 0
    characters: int = 0
    tokens: int = 0
    whitespace_tokens: int = 0
    byte_tokens: int = 0
    unknown_tokens: int = 0
    runs: int = 0
    whole_runs: int = 0
    exact: int = 0
    exact_words: int = 0

    def add(self, other: Tally) -> None:
        """Add another tally to this one."""
        for field in dataclasses.fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))

    def rates(self) -> dict[str, float]:
        """The numbers that a reader compares; shares are between 0 and 1."""
        tokens, words = max(1, self.tokens), max(1, self.words)
        documents = max(1, self.documents)
        return {
            "tokens_per_word": self.tokens / words,
            "tokens_per_word_without_whitespace": (self.tokens - self.whitespace_tokens) / words,
            "characters_per_token": self.characters / tokens,
            "whitespace_token_share": self.whitespace_tokens / tokens,
            "byte_token_share": self.byte_tokens / tokens,
            "unknown_token_share": self.unknown_tokens / tokens,
            "one_piece_word_share": self.whole_runs / max(1, self.runs),
            "exact_round_trip_share": self.exact / documents,
            "exact_words_round_trip_share": self.exact_words / documents,
        }

    def as_json(self) -> dict[str, Any]:
        """Sums and rates, the latter to six digits."""
        rounded = {name: round(value, 6) for name, value in self.rates().items()}
        return {**dataclasses.asdict(self), **rounded}


class Meter:
    """Measures documents with one vocabulary."""

    def __init__(self, vocabulary: ClinicalVocabulary):
        self._vocabulary = vocabulary
        self._kinds = _kinds_of_pieces(vocabulary.tokenizer)
        self._is_one_piece = functools.lru_cache(_REMEMBERED_WORDS)(self._encodes_to_one)

    def measure(self, text: str, runs: Counter[str]) -> Tally:
        """The tally of one document; `runs` counts its words of letters alone."""
        ids = self._vocabulary.encode(text)
        decoded = self._vocabulary.decode(ids)
        kinds = np.bincount(self._kinds[ids], minlength=4) if ids else np.zeros(4, int)
        words = text.split()
        exact = decoded == text
        return Tally(
            documents=1,
            words=len(words),
            characters=len(text),
            tokens=len(ids),
            whitespace_tokens=int(kinds[_WHITESPACE]),
            byte_tokens=int(kinds[_BYTE]),
            unknown_tokens=int(kinds[_UNKNOWN]),
            runs=runs.total(),
            whole_runs=sum(count for word, count in runs.items() if self._is_one_piece(word)),
            exact=int(exact),
            exact_words=int(exact or decoded.split() == words),
        )

    def _encodes_to_one(self, word: str) -> bool:
        return len(self._vocabulary.encode(" " + word)) == 1


def pieces_of(vocabulary: ClinicalVocabulary) -> set[str]:
    """The pieces that stand for text: no padding, end of sequence, unknown, or byte pieces."""
    processor = vocabulary.tokenizer
    return {
        processor.id_to_piece(i)
        for i in range(processor.get_piece_size())
        if not (processor.is_control(i) or processor.is_unknown(i) or processor.is_byte(i))
    }


def whole_tags(vocabulary: ClinicalVocabulary) -> dict[str, bool]:
    """Whether each de-identification tag is one piece, a blank before it aside."""
    return {
        tag: [piece for piece in _cut(vocabulary, tag) if piece != BLANK] in ([tag], [BLANK + tag])
        for tag in DEID_TAGS
    }


def cut_word(vocabulary: ClinicalVocabulary, word: str) -> list[str]:
    """The pieces of a word after a blank; the blank itself is shown only as a piece of its own."""
    pieces = _cut(vocabulary, " " + word)
    if pieces and pieces[0] != BLANK:
        pieces[0] = pieces[0].removeprefix(BLANK)
    return pieces


def _cut(vocabulary: ClinicalVocabulary, text: str) -> list[str]:
    processor = vocabulary.tokenizer
    return [processor.id_to_piece(token) for token in vocabulary.encode(text)]


def _kinds_of_pieces(processor: Any) -> np.ndarray:
    """For each id whether it is text, white space, a byte or unknown: (pieces,) of uint8."""
    kinds = np.full(processor.get_piece_size(), _TEXT, np.uint8)
    for i in range(len(kinds)):
        if processor.is_unknown(i):
            kinds[i] = _UNKNOWN
        elif processor.is_byte(i):
            kinds[i] = _BYTE
        elif processor.id_to_piece(i).replace(BLANK, " ").isspace():
            kinds[i] = _WHITESPACE
    return kinds
