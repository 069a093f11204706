"""Who answers, in one form: queries in, replies out, each query asked once in the life of a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Protocol

from clinical_t5x.baselines.prompting.rendering import Rendered
from clinical_t5x.baselines.prompting.replies import Reply, ReplyStore


@dataclasses.dataclass(frozen=True)
class Query:
    """One request.

    Attributes:
      rendered: the prompt.
      tokens: of it, counted or estimated.
      max_tokens: at most so many may be written.
      stop: texts at which a model that goes on is stopped.
    """

    rendered: Rendered
    tokens: int
    max_tokens: int
    stop: tuple[str, ...] = ()


class Answerer(Protocol):
    """A model or a server.

    Attributes:
      name: what results call the model.
      counts_exactly: whether tokens are counted by the model's own tokenizer.
    """

    name: str
    counts_exactly: bool

    def identity(self) -> str:
        """What must be equal for replies to be this one's."""

    def room(self, max_tokens: int) -> int:
        """Tokens that a prompt may have where a reply may have `max_tokens`."""

    def count_tokens(self, rendered: Rendered) -> int:
        """Tokens of a prompt."""

    def count_answer(self, text: str) -> int:
        """Tokens of an answer, its end included."""

    def key(self, query: Query) -> str:
        """A hash of everything that decides about the reply."""

    def ask(self, queries: Sequence[Query], store: ReplyStore) -> Iterator[tuple[int, Reply]]:
        """Answer different queries: (position, reply), in any order, each put into `store` first.

        Raises:
          UserError: nothing can be answered: wrong key, no such model.
          Stopped: the server gave up for now, or there is no money left; what came is kept.
        """

    def close(self) -> None:
        """Ask nothing more; what is under way is waited for and kept."""


def ask_once(
    answerer: Answerer, queries: Sequence[Query], store: ReplyStore
) -> Iterator[tuple[int, Reply]]:
    """Every query's reply, from the store where it is there; equal queries are asked once."""
    positions: dict[str, list[int]] = {}
    for position, query in enumerate(queries):
        positions.setdefault(answerer.key(query), []).append(position)
    missing = []
    for key, places in positions.items():
        reply = store.get(key)
        if reply is None:
            missing.append(key)
            continue
        yield from ((place, reply) for place in places)
    asked = [queries[positions[key][0]] for key in missing]
    if not asked:
        return
    for number, reply in answerer.ask(asked, store):
        yield from ((place, reply) for place in positions[missing[number]])
