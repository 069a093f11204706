"""What a prompt is: an instruction, how a record is laid out, and how a reply is read."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from clinical_t5x.baselines.prompting.answers import UNANSWERED, Answer

Record = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Prompt:
    """One wording for one benchmark.

    Attributes:
      name: with its version, as "definitions_v1".
      task: "mednli", "radqa" or "clip".
      instruction: stands once, before everything else; {aspect} is put in where there are aspects.
      layout: (record, aspect) -> the record as text, with the cue that the answer follows.
      gold: (record, aspect) -> the right answer as a demonstration gives it.
      kinds: (record, aspect) -> what sorts of answer the record is an example of; demonstrations
        are balanced over them.
      read: replies to all aspects of a record -> the answer. None is a reply that never came.
      stop: texts that begin the next example, at which a model that goes on is stopped.
      shorten: (record, share) -> the record with about that share of the text that may be cut.
      aspects: questions that are asked of every record, one request each.
      joint: between a record and its answer in demonstrations.
    """

    name: str
    task: str
    instruction: str
    layout: Callable[[Record, str], str]
    gold: Callable[[Record, str], str]
    kinds: Callable[[Record, str], Sequence[str]]
    read: Callable[[Sequence[str | None]], Answer]
    stop: tuple[str, ...]
    shorten: Callable[[Record, float], Record]
    aspects: tuple[str, ...] = ("",)
    joint: str = " "

    def instruction_for(self, aspect: str) -> str:
        """The instruction of one aspect."""
        return self.instruction.replace("{aspect}", aspect)


def reading_one(parse: Callable[[str], Answer]) -> Callable[[Sequence[str | None]], Answer]:
    """Reader of a prompt with a single request a record."""

    def read(replies: Sequence[str | None]) -> Answer:
        (reply,) = replies
        return Answer(UNANSWERED, parsed=False) if reply is None else parse(reply)

    return read


def first_words(text: str, share: float) -> str:
    """The first words of a text, about that share of them; its line breaks become blanks."""
    words = text.split()
    return " ".join(words[: int(len(words) * share)])


def last_words(text: str, share: float) -> str:
    """The last words of a text, about that share of them."""
    words = text.split()
    return " ".join(words[len(words) - int(len(words) * share) :])
