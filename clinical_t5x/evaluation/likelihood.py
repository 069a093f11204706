"""Scores beside generations: as each batch is decoded its candidates are scored, and both go on.

So what a killed evaluation has on disk is finished, scores included, and what it repeats is at most
the batch in work (and examples that wait for a batch of their own, see `_with_answers`).
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from clinical_t5x.console import UserError
from clinical_t5x.evaluation.metrics.scoring import Scoring
from clinical_t5x.evaluation.predictor import (
    Candidate,
    Generation,
    LikelihoodPredictor,
    Predictor,
    Request,
)

_DIGITS = 7  # that are kept of a score: float32 has no more


@dataclasses.dataclass(frozen=True)
class ScoredGeneration:
    """A generation; the answer that is scored: itself, or where it is empty the best that is not;
    the candidates' log-likelihoods, in nats.
    """

    generation: Generation
    answer: Generation
    candidates: tuple[Any, ...]
    log_likelihoods: np.ndarray


def generate_and_score(
    predictor: Predictor,
    requests: Sequence[Request],
    scoring: Scoring,
    encode: Callable[[str], Sequence[int]],
    *,
    max_target_tokens: int,
) -> Iterator[tuple[int, ScoredGeneration]]:
    """Decode every request and score its candidates: (position in `requests`, both), each once.

    Args:
      predictor: what answers; it must be a `LikelihoodPredictor`.
      requests: the inputs.
      scoring: which candidates each has.
      encode: a target text's token ids, end of sequence included, as the task writes them.
      max_target_tokens: the decoding limit.

    Raises:
      UserError: the predictor has no likelihoods.
    """
    if not hasattr(predictor, "score_candidates"):
        raise UserError(
            f"{type(predictor).__name__} gives no likelihoods to score answers with: evaluate it"
            " without with_scores"
        )
    longest = max((len(request.tokens) for request in requests), default=0)
    found = predictor.generate(requests, max_target_tokens=max_target_tokens)
    if scoring.needs_answer:
        answered = _with_answers(predictor, requests, found, max_target_tokens)
    else:
        answered = ((position, generation, generation) for position, generation in found)
    texts: dict[str, np.ndarray] = {}

    def candidate(given: Any) -> Candidate:
        if isinstance(given, Generation):
            return Candidate(given.text, _with_end(given, encode))
        if given not in texts:
            texts[given] = np.asarray(encode(given), np.int32)
        return Candidate(given, texts[given])

    for batch in _batches(answered, predictor.batch_size):
        given = [tuple(scoring.candidates(answer)) for _, _, answer in batch]
        log_likelihoods = predictor.score_candidates(
            [requests[position] for position, _, _ in batch],
            [[candidate(one) for one in of_request] for of_request in given],
            longest=longest,
        )
        for (position, generation, answer), candidates, values in zip(
            batch, given, log_likelihoods, strict=True
        ):
            yield position, ScoredGeneration(generation, answer, candidates, values)


def rounded(scores: Sequence[float]) -> np.ndarray:
    """Scores as they are written, so that a resumed evaluation has the numbers of a fresh one."""
    return np.array([float(f"{value:.{_DIGITS}g}") for value in scores])


def _with_answers(
    predictor: LikelihoodPredictor,
    requests: Sequence[Request],
    found: Iterator[tuple[int, Generation]],
    max_target_tokens: int,
) -> Iterator[tuple[int, Generation, Generation]]:
    """(position, generation, its answer); those without an answer wait until they fill a batch."""
    waiting: list[tuple[int, Generation]] = []

    def answers() -> Iterator[tuple[int, Generation, Generation]]:
        asked = [requests[position] for position, _ in waiting]
        again = predictor.generate_answers(asked, max_target_tokens=max_target_tokens)
        for index, answer in again:
            yield *waiting[index], answer

    for position, generation in found:
        answer = generation if generation.text.strip() else generation.answer
        if answer is not None:
            yield position, generation, answer
            continue
        waiting.append((position, generation))
        if len(waiting) == predictor.batch_size:
            yield from answers()
            waiting = []
    if waiting:
        yield from answers()


def _with_end(generation: Generation, encode: Callable[[str], Sequence[int]]) -> np.ndarray:
    """The tokens that were generated, with the end unless they were cut off."""
    encoded = np.asarray(encode(generation.text), np.int32)
    if not generation.tokens:
        return encoded
    end = () if generation.at_limit else encoded[-1:]
    return np.asarray([*generation.tokens, *end], np.int32)


def _batches(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    items = iter(items)
    while batch := list(itertools.islice(items, size)):
        yield batch
