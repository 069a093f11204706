"""A server as an `Answerer`: many requests at a time, patient, and careful with money."""

from __future__ import annotations

import concurrent.futures
import itertools
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from clinical_t5x.baselines.prompting.answering import Query
from clinical_t5x.baselines.prompting.endpoint.address import Address
from clinical_t5x.baselines.prompting.endpoint.patience import RateLimit, wait_before
from clinical_t5x.baselines.prompting.endpoint.sending import PassingError, Sender
from clinical_t5x.baselines.prompting.endpoint.spending import Purse
from clinical_t5x.baselines.prompting.endpoint.wire import body_of
from clinical_t5x.baselines.prompting.rendering import Rendered
from clinical_t5x.baselines.prompting.replies import Reply, ReplyStore
from clinical_t5x.console import Progress, Stopped, UserError
from clinical_t5x.storage import fingerprint

DEFAULT_CONTEXT = 4096  # tokens: what most servers give a model at least
_BYTES_PER_TOKEN = 3.0  # of clinical English, on the careful side
_AROUND_A_MESSAGE = 8  # tokens that a chat template may add


class Server:
    """A model behind an HTTP API.

    Args:
      address: of the API; `check_allowed` is the caller's to ask.
      api: "completions" or "chat".
      model: the server's name of it.
      key: the secret, or None.
      request_fields: further fields of a request; None takes one away.
      context_tokens: of a prompt and its reply together.
      tokenizer: counts tokens of a text; None estimates them from its length.
      concurrency: requests at a time.
      rate_limit: over all of them.
      purse: what may be spent.
      timeout: seconds without a byte, of one attempt.
      attempts: at a request, before the run stops.

    Attributes:
      attempts_that_failed: by what happened, in this process.
    """

    def __init__(
        self,
        address: Address,
        api: str,
        model: str,
        *,
        key: str | None = None,
        request_fields: Mapping[str, Any] | None = None,
        context_tokens: int | None = None,
        tokenizer: Callable[[str], int] | None = None,
        concurrency: int = 8,
        rate_limit: RateLimit | None = None,
        purse: Purse,
        timeout: float = 120.0,
        attempts: int = 8,
    ):
        self.name = model
        self._context_tokens = context_tokens or DEFAULT_CONTEXT
        self.counts_exactly = tokenizer is not None
        self.attempts_that_failed: Counter[str] = Counter()
        self._address, self._api = address, api
        self._fields = dict(request_fields or {})
        self._count = tokenizer or _estimated_tokens
        self._concurrency, self._attempts = concurrency, attempts
        self._rate = rate_limit or RateLimit()
        self._purse = purse
        self._stop = threading.Event()
        self._pool = concurrent.futures.ThreadPoolExecutor(concurrency)
        self._sender = Sender(address, api, key, timeout)
        self._rng = random.Random()  # of waits alone: it decides about no result

    def identity(self) -> str:
        """API, model and fields. Not the address: a server may move."""
        return fingerprint({"api": self._api, "model": self.name, "fields": self._fields})

    def room(self, max_tokens: int) -> int:
        """Tokens that a prompt may have beside a reply of `max_tokens`."""
        return self._context_tokens - max_tokens

    def count_tokens(self, rendered: Rendered) -> int:
        """Tokens of a prompt, counted or estimated."""
        around = _AROUND_A_MESSAGE * (2 * len(rendered.demonstrations) + 1)
        return self._count(rendered.text) + (around if self._api == "chat" else 0)

    def count_answer(self, text: str) -> int:
        """Tokens of an answer with its end, counted or estimated."""
        return self._count(text) + 1

    def key(self, query: Query) -> str:
        """A hash of the request's body and the API."""
        return fingerprint({"api": self._api, "body": self._body(query)})

    def _body(self, query: Query) -> dict[str, Any]:
        return body_of(self._api, self.name, query, self._fields)

    def ask(self, queries: Sequence[Query], store: ReplyStore) -> Iterator[tuple[int, Reply]]:
        """Ask many at a time; what comes back is in `store` before it is yielded.

        `close` waits for what is under way, since it is paid for.
        """
        waiting = iter(enumerate(queries))
        running: dict[concurrent.futures.Future, int] = {}
        with Progress(f"ask {self.name}", len(queries), unit="requests") as progress:
            while True:
                for number, query in itertools.islice(waiting, self._concurrency - len(running)):
                    running[self._pool.submit(self._answer, query, store)] = number
                if not running:
                    return
                done, _ = concurrent.futures.wait(
                    running, return_when=concurrent.futures.FIRST_COMPLETED
                )
                for future in done:
                    number = running.pop(future)
                    reply = future.result()
                    progress.advance(note=self._note())
                    yield number, reply

    def close(self) -> None:
        """Ask nothing more, and wait for the replies to what was asked."""
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _answer(self, query: Query, store: ReplyStore) -> Reply:
        """One request, with as many attempts as it may take."""
        key = self.key(query)
        if not self._purse.reserve(query):
            raise Stopped(
                f"the next request might cost more than is left of {self._purse.most:g}"
                " (--max_cost); what was answered is kept. Run again with more"
            )
        reply = None
        try:
            for attempt in range(1, self._attempts + 1):
                self._rate.wait(query.tokens + query.max_tokens, self._stop.wait)
                if self._stop.is_set():
                    raise Stopped("asked to stop; run the same command again to go on")
                store.note_asked(key)
                try:
                    reply = self._sender.send(
                        self._body(query), query, request=key, count=self.count_answer
                    )
                except PassingError as error:
                    last = error
                    if error.refused:
                        store.note_refused(key)
                    self.attempts_that_failed[str(error)] += 1
                    if attempt < self._attempts:
                        self._pause(attempt, error)
                else:
                    store.add(key, reply)
                    return reply
            raise Stopped(
                f"{self._address.shown} gave no reply in {self._attempts} attempts (the last:"
                f" {last}); what was answered is kept. Run the same command again to go on"
            )
        finally:
            self._purse.settle(query, reply)

    def _pause(self, attempt: int, error: PassingError) -> None:
        wait = wait_before(attempt, error.wait, self._rng)
        if error.busy and error.wait is not None:
            self._rate.hold(error.wait)  # the others need not find out for themselves
        self._stop.wait(wait)

    def _note(self) -> str:
        failed = self.attempts_that_failed.total()
        return f"{failed} repeated" if failed else ""


def _estimated_tokens(text: str) -> int:
    return int(len(text.encode()) / _BYTES_PER_TOKEN) + 1


def counter_of(tokenizer: str) -> Callable[[str], int]:
    """Counts tokens with a Hugging Face tokenizer.

    Raises:
      UserError: there is none, or transformers is missing.
    """
    try:
        from transformers import AutoTokenizer
    except ModuleNotFoundError:
        raise UserError(
            "--tokenizer needs transformers: pip install 'clinical_t5x[baselines]'; without it"
            " tokens are estimated"
        ) from None
    try:
        found = AutoTokenizer.from_pretrained(tokenizer)
    except (OSError, ValueError) as error:
        raise UserError(f"--tokenizer {tokenizer}: {type(error).__name__}") from error
    return lambda text: len(found.encode(text))
