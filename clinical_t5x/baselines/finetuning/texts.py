"""Texts become rows of token ids, with the model's own tokenizer and special tokens."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np

from clinical_t5x.baselines.finetuning.windows import OUTSIDE, Row
from clinical_t5x.console import UserError

_CACHED_WORDS = 1 << 18
_LEAST_ROOM = 8  # tokens of a context that a window shows, however long its question is


@dataclasses.dataclass(frozen=True)
class TextEncoder:
    """A tokenizer, and what the model behind it can read.

    Attributes:
      tokenizer: of Hugging Face, with offsets (a fast one).
      max_tokens: of a row, special tokens included.
      is_decoder: whether its tokens see only those before them.
    """

    tokenizer: Any
    max_tokens: int
    is_decoder: bool = False

    def __post_init__(self):
        if not self.tokenizer.is_fast:
            raise UserError(
                f"{type(self.tokenizer).__name__} gives no offsets; a fast tokenizer"
                " (tokenizer.json) is needed: see Hugging Face's convert_slow_tokenizer"
            )

    @functools.cached_property
    def special_tokens(self) -> int:
        """Tokens that are added to a single text."""
        return self.tokenizer.num_special_tokens_to_add(pair=False)

    @functools.cached_property
    def cost(self) -> Any:
        """text -> number of its tokens, without special ones; words come again and again."""

        def count(text: str) -> int:
            return len(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

        return functools.lru_cache(maxsize=_CACHED_WORDS)(count)

    def text(self, example: int, text: str, label: Any) -> tuple[Row, bool]:
        """A row of one text, and whether its end was cut."""
        return self._row(example, label, text)

    def pair(self, example: int, first: str, second: str, label: Any) -> tuple[Row, bool]:
        """A row of two texts in segments of their own, and whether one of them was cut."""
        return self._row(example, label, first, second)

    def _row(self, example: int, label: Any, *texts: str) -> tuple[Row, bool]:
        whole = self.tokenizer(*texts, verbose=False)
        cut = len(whole["input_ids"]) > self.max_tokens
        found = whole
        if cut:
            found = self.tokenizer(*texts, truncation=True, max_length=self.max_tokens)
        return Row(example, found["input_ids"], found.get("token_type_ids"), label), cut

    def windows(self, example: int, question: str, context: str, *, overlap: int) -> list[Row]:
        """Rows of a question with all of its context, in windows where it takes several.

        Neighbouring windows share `overlap` tokens (half a window at most): an answer of so many
        tokens lies wholly in one. Encoders mark "no answer" by their first token; decoders by an
        end of text after the context, the only token that has seen everything.
        """
        room = self.max_tokens - int(self.is_decoder)
        question = self._shortened(question, room)
        left = room - self._pair_specials - self.cost(question)
        found = self.tokenizer(
            question,
            context,
            truncation="only_second",
            max_length=room,
            stride=min(overlap, left // 2),
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            verbose=False,
        )
        types = found.get("token_type_ids")
        return [
            self._window(
                example,
                ids,
                None if types is None else types[k],
                found.sequence_ids(k),
                found["offset_mapping"][k],
            )
            for k, ids in enumerate(found["input_ids"])
        ]

    @functools.cached_property
    def _pair_specials(self) -> int:
        return self.tokenizer.num_special_tokens_to_add(pair=True)

    def _shortened(self, question: str, room: int) -> str:
        """The question, cut where it would leave too little room for the context."""
        most = max(1, min(room // 2, room - self._pair_specials - _LEAST_ROOM))
        if self.cost(question) <= most:
            return question
        found = self.tokenizer(
            question, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        for kept in range(most, 0, -1):  # a beginning may have more tokens by itself
            beginning = question[: found["offset_mapping"][kept - 1][1]]
            if self.cost(beginning) <= most:
                return beginning
        return ""

    def _window(
        self,
        example: int,
        ids: list[int],
        types: list[int] | None,
        sequences: list[int | None],
        offsets: list[tuple[int, int]],
    ) -> Row:
        inside = np.array([number == 1 for number in sequences])
        starts, ends = np.array(offsets, np.int64).reshape(-1, 2).T
        starts, ends = np.where(inside, starts, OUTSIDE), np.where(inside, ends, OUTSIDE)
        null = 0
        if self.is_decoder:
            ids = [*ids, self.tokenizer.eos_token_id]
            types = None if types is None else [*types, types[-1]]
            starts, ends = np.append(starts, OUTSIDE), np.append(ends, OUTSIDE)
            null = len(ids) - 1
        return Row(example, ids, types, None, starts, ends, null)
