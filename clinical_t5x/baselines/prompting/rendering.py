"""Prompts put together, within a budget of tokens."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from clinical_t5x.baselines.prompting.prompts import Prompt, Record

Message = dict[str, str]
_SMALLEST_STEP = 0.02  # of the share of a record that is kept


@dataclasses.dataclass(frozen=True)
class Rendered:
    """A prompt as it is sent.

    Attributes:
      instruction: stands first.
      demonstrations: (record as text, its answer) each.
      question: the record that is asked about, as text.
      joint: between a record and its answer.
    """

    instruction: str
    demonstrations: tuple[tuple[str, str], ...]
    question: str
    joint: str = " "

    @property
    def text(self) -> str:
        """As one text, for models that go on writing it."""
        shown = [f"{block}{self.joint}{answer}" for block, answer in self.demonstrations]
        return "\n\n".join([self.instruction, *shown, self.question])

    @property
    def messages(self) -> list[Message]:
        """As a conversation; no system message, which not all models know."""
        turns = [*self.demonstrations, (self.question, "")]
        found: list[Message] = []
        for number, (block, answer) in enumerate(turns):
            content = block if number else f"{self.instruction}\n\n{block}"
            found.append({"role": "user", "content": content})
            if number < len(self.demonstrations):
                found.append({"role": "assistant", "content": answer})
        return found


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A prompt that fits its budget, and what that took.

    Attributes:
      rendered: the prompt.
      tokens: of it.
      dropped: number of demonstrations that were left out.
      cut: whether the record itself had to lose words.
    """

    rendered: Rendered
    tokens: int
    dropped: int
    cut: bool


def render(prompt: Prompt, record: Record, aspect: str, examples: Sequence[Record]) -> Rendered:
    """A prompt about one record."""
    shown = tuple((prompt.layout(e, aspect), prompt.gold(e, aspect)) for e in examples)
    return Rendered(
        prompt.instruction_for(aspect), shown, prompt.layout(record, aspect), prompt.joint
    )


def fit(
    prompt: Prompt,
    record: Record,
    aspect: str,
    examples: Sequence[Record],
    *,
    budget: int,
    count: Callable[[Rendered], int],
) -> Fitted:
    """The prompt with as many of the demonstrations as the budget has room for.

    The last demonstrations are left out first. Only where the record alone is too long does it lose
    words, as few as it takes.

    Args:
      prompt: the wording.
      record: what is asked about.
      aspect: the question about it.
      examples: demonstrations, in order.
      budget: tokens of the whole prompt.
      count: tokens of a prompt.
    """
    for kept in range(len(examples), -1, -1):
        rendered = render(prompt, record, aspect, examples[:kept])
        tokens = count(rendered)
        if tokens <= budget:
            return Fitted(rendered, tokens, len(examples) - kept, cut=False)
    share = budget / tokens
    while True:
        shorter = prompt.shorten(record, share)
        rendered = render(prompt, shorter, aspect, ())
        tokens = count(rendered)
        if tokens <= budget or share <= 0:
            return Fitted(rendered, tokens, len(examples), cut=True)
        share = max(0.0, share - _SMALLEST_STEP)
