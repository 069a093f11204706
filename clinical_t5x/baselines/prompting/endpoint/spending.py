"""What requests cost, in whatever currency the prices are given in."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterable, Sequence

from clinical_t5x.baselines.prompting.answering import Query
from clinical_t5x.baselines.prompting.replies import Reply

_MILLION = 1e6


@dataclasses.dataclass(frozen=True)
class Price:
    """Of a million tokens read and written."""

    read: float = 0.0
    written: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.read or self.written)

    def of(self, prompt_tokens: float, completion_tokens: float) -> float:
        """The price of so many tokens."""
        return (prompt_tokens * self.read + completion_tokens * self.written) / _MILLION

    def of_replies(self, replies: Iterable[Reply]) -> float:
        """The price of replies that came."""
        return sum(self.of(one.prompt_tokens, one.completion_tokens) for one in replies)

    def most_of(self, query: Query) -> float:
        """The price of a request whose reply is as long as it may be."""
        return self.of(query.tokens, query.max_tokens)


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What is still to be asked.

    Attributes:
      requests: number of them.
      prompt_tokens: of all.
      most_completion_tokens: of all, if every reply is as long as it may be.
    """

    requests: float = 0
    prompt_tokens: float = 0
    most_completion_tokens: float = 0

    @classmethod
    def of(cls, queries: Sequence[Query]) -> Estimate:
        """Of these requests."""
        return cls(
            len(queries),
            sum(query.tokens for query in queries),
            sum(query.max_tokens for query in queries),
        )

    def __add__(self, other: Estimate) -> Estimate:
        mine, theirs = dataclasses.astuple(self), dataclasses.astuple(other)
        return Estimate(*(a + b for a, b in zip(mine, theirs, strict=True)))

    def times(self, factor: float) -> Estimate:
        """So many times as much."""
        return Estimate(*(factor * value for value in dataclasses.astuple(self)))

    def most(self, price: Price) -> float:
        """The price, if every reply is as long as it may be."""
        return price.of(self.prompt_tokens, self.most_completion_tokens)


class Purse:
    """What a run may spend; shared by threads.

    Args:
      price: of tokens.
      most: that may be spent in all; None is no limit.
      spent: already.
    """

    def __init__(self, price: Price, most: float | None = None, spent: float = 0.0):
        self.price, self.most = price, most
        self._spent, self._reserved, self._waiting_for = spent, 0.0, 0
        self._changed = threading.Condition()

    def reserve(self, query: Query) -> bool:
        """Put the most that a request may cost aside; False where there is not that much left.

        What others have put aside may come back: that is waited for.
        """
        cost = self.price.most_of(query)
        with self._changed:
            while self.most is not None and self._spent + self._reserved + cost > self.most:
                if not self._waiting_for:
                    return False
                self._changed.wait()
            self._reserved += cost
            self._waiting_for += 1
            return True

    def settle(self, query: Query, reply: Reply | None) -> None:
        """Pay for a reply, or take back what was put aside for one that never came."""
        with self._changed:
            self._waiting_for -= 1
            self._reserved -= self.price.most_of(query)
            if not self._waiting_for:
                self._reserved = 0.0  # sums and differences of fractions leave crumbs
            if reply is not None:
                self._spent += self.price.of(reply.prompt_tokens, reply.completion_tokens)
            self._changed.notify_all()
