"""A prompted model behind the `Predictor` protocol, and the account of what it took."""

from __future__ import annotations

import collections
import functools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from clinical_t5x.baselines.prompting.answering import Answerer, Query, ask_once
from clinical_t5x.baselines.prompting.answers import Answer
from clinical_t5x.baselines.prompting.prompts import Prompt, Record
from clinical_t5x.baselines.prompting.rendering import Fitted, fit
from clinical_t5x.baselines.prompting.replies import Reply, ReplyStore
from clinical_t5x.console import UserError
from clinical_t5x.evaluation.predictor import Generation, Request
from clinical_t5x.storage import fingerprint

_MARGIN = 16  # tokens over the longest known answer, for words that a model puts around it
_FEWEST = 32
_SMALLEST_PROMPT = 64
_AT_ONCE = 2048  # records whose prompts are in memory


class PromptPredictor:
    """Answers requests by prompts about the raw records behind them.

    Args:
      answerer: who is asked.
      prompt: the wording.
      demonstrations: worked examples by aspect.
      records: raw records of the split.
      store: of the replies.
      longest_answer: tokens of the longest answer in the training split, by this answerer's count.
      max_new_tokens: the limit of a reply, if another than what the answers take.
    """

    def __init__(
        self,
        answerer: Answerer,
        prompt: Prompt,
        demonstrations: Mapping[str, Sequence[Record]],
        records: Sequence[Record],
        store: ReplyStore,
        *,
        longest_answer: int,
        max_new_tokens: int | None = None,
    ):
        self._answerer, self._prompt, self._store = answerer, prompt, store
        self._demonstrations = demonstrations
        self._records = {record["id"]: record for record in records}
        self._max_tokens = max_new_tokens or max(_FEWEST, longest_answer + _MARGIN)
        self._room = answerer.room(self._max_tokens)
        if self._room < _SMALLEST_PROMPT:
            raise UserError(
                f"{answerer.name} has no room for a prompt beside a reply of {self._max_tokens}"
                " tokens, which the longest answers take: a larger --context_tokens, if the model"
                " has it, or a smaller --max_new_tokens, which cuts long answers"
            )

    def identity(self) -> str:
        """Equal for equal model, prompt, demonstrations and limit."""
        shown = {
            aspect: [record["id"] for record in records]
            for aspect, records in self._demonstrations.items()
        }
        return fingerprint(
            {
                "answerer": self._answerer.identity(),
                "prompt": self._prompt.name,
                "demonstrations": shown,
                "max_tokens": self._max_tokens,
                "room": self._room,
            }
        )

    def generate(
        self, requests: Sequence[Request], *, max_target_tokens: int
    ) -> Iterator[tuple[int, Generation]]:
        """Each request's answer in the task's form.

        The limit is that of the task's own vocabulary; replies have one of their own, from the
        longest training answer as the model that is asked counts it.
        """
        for start in range(0, len(requests), _AT_ONCE):
            part = requests[start : start + _AT_ONCE]
            for position, generation in self._answered([request.id for request in part]):
                yield start + position, generation

    def _answered(self, ids: Sequence[str]) -> Iterator[tuple[int, Generation]]:
        owners = [k for k in range(len(ids)) for _ in self._prompt.aspects]
        queries = [query for name in ids for query in self.queries(name)]
        found: dict[int, dict[int, Reply]] = collections.defaultdict(dict)
        for number, reply in ask_once(self._answerer, queries, self._store):
            owner = owners[number]
            found[owner][number] = reply
            if len(found[owner]) == len(self._prompt.aspects):
                replies = found.pop(owner)
                yield owner, self._generation([replies[k] for k in sorted(replies)])

    def _generation(self, replies: Sequence[Reply]) -> Generation:
        return Generation(
            text=self._read(replies).text,
            n_tokens=sum(reply.completion_tokens for reply in replies),
            at_limit=any(reply.at_limit for reply in replies),
        )

    def _read(self, replies: Sequence[Reply]) -> Answer:
        return self._prompt.read([None if reply.failure else reply.text for reply in replies])

    def score(self, requests: Sequence[Request], targets: Sequence[np.ndarray]) -> np.ndarray:
        """A prompted model only writes."""
        raise UserError("a prompted model gives no likelihoods of texts")

    def queries(self, record_id: str) -> list[Query]:
        """The requests about one record, one for each aspect of the prompt."""
        return [
            Query(fitted.rendered, fitted.tokens, self._max_tokens, self._prompt.stop)
            for fitted in self._fitted(record_id)
        ]

    @functools.lru_cache(maxsize=4096)  # noqa: B019 - a predictor lives as long as its run
    def _fitted(self, record_id: str) -> tuple[Fitted, ...]:
        return tuple(
            fit(
                self._prompt,
                self._records[record_id],
                aspect,
                self._demonstrations[aspect],
                budget=self._room,
                count=self._answerer.count_tokens,
            )
            for aspect in self._prompt.aspects
        )

    def missing(self, ids: Sequence[str]) -> list[Query]:
        """The different requests about these records that have no reply yet."""
        found = {}
        for name in ids:
            for query in self.queries(name):
                key = self._answerer.key(query)
                if key not in self._store:
                    found[key] = query
        return list(found.values())

    def account(self, ids: Sequence[str]) -> dict[str, int]:
        """What asking about these records took and met, in whole numbers.

        Tokens are those of different requests, so that nothing counts twice.
        """
        counts: collections.Counter[str] = collections.Counter()
        replies: dict[str, Reply] = {}
        for name in ids:
            fitted, queries = self._fitted(name), self.queries(name)
            given = [self._store[key] for key in map(self._answerer.key, queries)]
            replies |= dict(zip(map(self._answerer.key, queries), given, strict=True))
            failures = sorted({reply.failure for reply in given if reply.failure})
            counts["demonstrations_dropped"] += sum(one.dropped for one in fitted)
            counts["queried_records_cut"] += any(one.cut for one in fitted)
            counts["unanswered"] += bool(failures)
            counts["unparsed"] += not failures and not self._read(given).parsed
            counts.update(f"unanswered_{failure}" for failure in failures)
        return {
            "requests": len(replies),
            "prompt_tokens": sum(reply.prompt_tokens for reply in replies.values()),
            "completion_tokens": sum(reply.completion_tokens for reply in replies.values()),
            "replies_at_limit": sum(reply.at_limit for reply in replies.values()),
            "max_completion_tokens": self._max_tokens,
            **counts,
        }
