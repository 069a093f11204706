"""What is sent, and what a reply must look like: OpenAI's completions and chat APIs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from clinical_t5x.baselines.prompting.answering import Query
from clinical_t5x.baselines.prompting.endpoint.address import CHAT
from clinical_t5x.baselines.prompting.replies import Reply

_IDENTIFIER = re.compile(r"[\w.:-]{1,60}")
FILTERED, TOO_LONG = "content_filter", "context_length"


class MalformedReplyError(Exception):
    """A reply that is not one: to be asked for again. The message holds nothing of the reply."""


def body_of(api: str, model: str, query: Query, extra: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a request.

    Args:
      api: "completions" or "chat".
      model: the server's name of it.
      query: what is asked.
      extra: further fields; None takes a field away, such as one that the server does not know.
    """
    body: dict[str, Any] = {"model": model, "max_tokens": query.max_tokens, "temperature": 0}
    if api == CHAT:
        body["messages"] = query.rendered.messages
    else:
        body["prompt"] = query.rendered.text
        body["stop"] = list(query.stop)
    merged = {**body, **extra}
    return {name: value for name, value in merged.items() if value is not None}


def reply_of(api: str, data: bytes, query: Query, count_answer: Callable[[str], int]) -> Reply:
    """The reply in a body of a server.

    Tokens are the server's; where it counts none, they are estimated.

    Raises:
      MalformedReplyError: it is not JSON, or does not hold one choice with a text.
    """
    document = _json_object(data)
    choices = document.get("choices")
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        found = len(choices) if isinstance(choices, list) else "no"
        raise MalformedReplyError(f"{found} choices for one prompt")
    choice = choices[0]
    reason = choice.get("finish_reason")
    message = choice.get("message") if api == CHAT else choice
    text = message.get("content" if api == CHAT else "text") if isinstance(message, dict) else None
    refused = isinstance(message, dict) and isinstance(message.get("refusal"), str)
    if reason == FILTERED or (text is None and refused):
        failure = FILTERED if reason == FILTERED else "refusal"
        return Reply("", *_usage(document, query, 0), failure=failure)
    if text is None and reason == "length":  # the whole reply was thoughts
        text = ""
    if not isinstance(text, str):
        raise MalformedReplyError("a choice without a text")
    counts = _usage(document, query, count_answer(text))
    return Reply(text, *counts, at_limit=reason == "length")


def _usage(document: Mapping[str, Any], query: Query, estimate: int) -> tuple[int, int]:
    """Tokens of prompt and reply, as the server says or as estimated."""
    usage = document.get("usage")
    usage = usage if isinstance(usage, dict) else {}

    def told(name: str, otherwise: int) -> int:
        value = usage.get(name)
        return value if isinstance(value, int) and value >= 0 else otherwise

    return told("prompt_tokens", query.tokens), told("completion_tokens", estimate)


def error_code(data: bytes) -> str:
    """The codes that a server gives for an error, such as "invalid_request_error".

    Its words are left out, since they may repeat the prompt; codes are single words.
    """
    try:
        error = _json_object(data).get("error")
    except MalformedReplyError:
        return ""
    found: list[str] = []
    while isinstance(error, dict):
        for name in ("code", "type", "param"):
            value = error.get(name)
            if isinstance(value, str) and _IDENTIFIER.fullmatch(value) and value not in found:
                found.append(value)
        error = error.get("innererror") or error.get("inner_error")
    return " ".join(found)


def failure_of(code: str, data: bytes) -> str | None:
    """Why one request was refused, where that says nothing about others; None where it does."""
    if FILTERED in code or "ResponsibleAIPolicyViolation" in code:
        return FILTERED
    if "context_length" in code or "context_window" in code or b"maximum context length" in data:
        return TOO_LONG
    return None


def _json_object(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise MalformedReplyError("a reply that is not JSON") from None
    if not isinstance(value, dict):
        raise MalformedReplyError("a reply that is no JSON object")
    return value
