"""What makes predictions: the protocol that every system answers, and our own model behind it.

A predictor gets requests (text and tokens of an input) and gives back generations, in any order,
each once. Ours sorts by length, so that a few compiled shapes serve all batches; rows that only
fill a batch are dropped here and never reach a metric.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from clinical_t5x.storage import fingerprint

_SHORTEST_BUCKET = 32
_NO_LIMIT = 1 << 30
_FEWEST_BATCHES = 8  # of a padded length, for its compilation to pay


@dataclasses.dataclass(frozen=True)
class Request:
    """One input: its text, and its token ids with end-of-sequence ([T] int32)."""

    id: str
    text: str
    tokens: np.ndarray


@dataclasses.dataclass(frozen=True)
class Generation:
    """What was generated for one request.

    Attributes:
      text: decoded, without end-of-sequence and padding.
      score: the decoder's score (a log-likelihood), or None.
      n_tokens: tokens before end-of-sequence.
      at_limit: whether it was cut off by the length limit.
      tokens: their ids, where the system has ids.
      answer: where the text is empty, the best of the search's other results that is not.
    """

    text: str
    score: float | None = None
    n_tokens: int = 0
    at_limit: bool = False
    tokens: tuple[int, ...] = ()
    answer: Generation | None = None


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A target whose likelihood is asked for: its text, and its ids, mostly with the end ([T])."""

    text: str
    tokens: np.ndarray


class Predictor(Protocol):
    """A system under evaluation."""

    def identity(self) -> str:
        """What must be equal for predictions on disk to be this predictor's."""

    def generate(
        self, requests: Sequence[Request], *, max_target_tokens: int
    ) -> Iterator[tuple[int, Generation]]:
        """Yield (position in `requests`, generation), each position exactly once, in any order."""

    def score(self, requests: Sequence[Request], targets: Sequence[np.ndarray]) -> np.ndarray:
        """Log-likelihood of each request's target tokens (with end-of-sequence), nats: [N]."""


class LikelihoodPredictor(Predictor, Protocol):
    """A predictor whose answers can also be scored by likelihood (see `likelihood`).

    `batch_size` is the number of requests that it likes to get at once.
    """

    batch_size: int

    def score_candidates(
        self,
        requests: Sequence[Request],
        candidates: Sequence[Sequence[Candidate]],
        *,
        longest: int | None = None,
    ) -> list[np.ndarray]:
        """Log-likelihood of each request's own candidates in nats, an array for each request.

        `longest` is the length of the longest input of all calls, so that few shapes serve all.
        """

    def generate_answers(
        self, requests: Sequence[Request], *, max_target_tokens: int
    ) -> Iterator[tuple[int, Generation]]:
        """As `generate`, but no answer is the empty one."""


def bucket_length(length: int, longest: int) -> int:
    """The padded length of a sequence: the next power of two from 32 on, at most `longest`."""
    bucket = _SHORTEST_BUCKET
    while bucket < length:
        bucket *= 2
    return min(bucket, max(longest, length))


def length_batches(lengths: Sequence[int], batch_size: int) -> Iterator[tuple[int, np.ndarray]]:
    """Group sequences of similar length: (padded length, positions) for each batch.

    Every position comes exactly once; all batches are full but the last. Longest first, so that a
    batch that does not fit into memory fails at once and estimates of time left are cautious. A
    padded length that few batches would have gives way to the next longer one: a shape takes
    seconds to compile.
    """
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
    longest = round_up(max(lengths, default=0), 8)
    starts = range(0, len(order), batch_size)
    widths = [bucket_length(int(lengths[order[start]]), longest) for start in starts]
    for start, width in zip(starts, _merged(widths), strict=True):
        yield width, order[start : start + batch_size]


def _merged(widths: Sequence[int]) -> list[int]:
    """Widths, falling, of which each but the largest is that of several batches."""
    merged = list(widths)
    distinct = sorted(set(widths))
    for width, longer in itertools.pairwise(distinct):
        if merged.count(width) < _FEWEST_BATCHES:
            merged = [longer if found == width else found for found in merged]
    return merged


def round_up(number: int, multiple: int) -> int:
    """The smallest multiple of `multiple` that is at least `number`."""
    return -(-number // multiple) * multiple


class ModelPredictor:
    """Our encoder-decoder model and its parameters as a `Predictor`.

    Args:
      model: an `EncoderDecoderModel`.
      params: its parameters, placed as they should be used.
      batch_size: rows of every batch, rounded up to fill the devices of the mesh.
      partitioner: where batches are placed; None leaves them to the default device.
      num_decodes: beams; None takes the model's default.
      decoder_params: parameters of the decode function, over the model's defaults.
    """

    def __init__(
        self,
        model: Any,
        params: Any,
        *,
        batch_size: int = 32,
        partitioner: Any = None,
        num_decodes: int | None = None,
        decoder_params: Mapping[str, Any] | None = None,
    ):
        self._model, self._params = model, params
        self._sharding = None if partitioner is None else partitioner.batch_sharding
        self.batch_size = round_up(batch_size, self._batch_devices())
        self._num_decodes = num_decodes
        self._decoder_params = dict(decoder_params or {})
        self._score_batch: Any = None
        self._best_first: Any = None

    def identity(self) -> str:
        """A hash of the parameters (by sums of each array) and of the decoding options."""
        import jax
        import jax.numpy as jnp

        def sums(params):
            flat = [leaf.astype(jnp.float32).ravel() for leaf in jax.tree.leaves(params)]
            return jnp.stack([jnp.stack([leaf.sum(), jnp.abs(leaf).sum()]) for leaf in flat])

        parameters = hashlib.sha256(_to_host(jax.jit(sums)(self._params)).tobytes()).hexdigest()
        options = {"num_decodes": self._num_decodes, "decoder_params": repr(self._decoder_params)}
        return fingerprint({"parameters": parameters, **options, **_decoding_of(self._model)})

    def _batch_devices(self) -> int:
        """Over how many devices the rows of a batch are split."""
        if self._sharding is None:
            return 1
        whole = 1 << 20
        return whole // self._sharding.shard_shape((whole, 1))[0]

    def generate(
        self, requests: Sequence[Request], *, max_target_tokens: int
    ) -> Iterator[tuple[int, Generation]]:
        """Decode every request; the limit is `max_target_tokens`, end-of-sequence included."""
        yield from self._decode(requests, max_target_tokens, answers_only=False)

    def generate_answers(
        self, requests: Sequence[Request], *, max_target_tokens: int
    ) -> Iterator[tuple[int, Generation]]:
        """As `generate`, but the first token is the likeliest that does not end the answer.

        An answer of blanks alone remains possible.
        """
        yield from self._decode(requests, max_target_tokens, answers_only=True)

    def _decode(
        self, requests: Sequence[Request], max_target_tokens: int, *, answers_only: bool
    ) -> Iterator[tuple[int, Generation]]:
        limit = round_up(max_target_tokens, 8)
        # gin gives a method its bound parameters only where the call leaves them out
        options = {
            "decoder_params": self._decoder_params or None,
            "num_decodes": self._num_decodes,
            "prompt_with_targets": answers_only or None,
        }
        options = {name: value for name, value in options.items() if value is not None}
        lengths = [len(request.tokens) for request in requests]
        for width, positions in length_batches(lengths, self.batch_size):
            inputs = self._rows([requests[k].tokens for k in positions], width)
            prompt = np.zeros((self.batch_size, limit), np.int32)
            if answers_only:
                prompt[:, 1] = self._first_tokens(inputs)
            tokens, aux = self._model.predict_batch_with_aux(
                self._params,
                self._place({"encoder_input_tokens": inputs, "decoder_input_tokens": prompt}),
                return_all_decodes=True,
                **options,
            )
            tokens, scores = _to_host(tokens), _to_host(aux["scores"])
            for row, position in enumerate(positions):
                yield int(position), self._best(tokens[row], scores[row])

    def _best(self, ids: np.ndarray, scores: np.ndarray) -> Generation:
        """The best of all decodes, which are in ascending order: ids [G, L], scores [G]."""
        best = self._generation(ids[-1], float(scores[-1]))
        if best.text.strip():
            return best
        for others, score in zip(ids[-2::-1], scores[-2::-1], strict=True):
            other = self._generation(others, float(score))
            if other.text.strip():
                return dataclasses.replace(best, answer=other)
        return best

    def _generation(self, ids: np.ndarray, score: float) -> Generation:
        vocabulary = self._model.output_vocabulary
        ends = np.flatnonzero(ids == vocabulary.eos_id)
        kept = ids[: ends[0]] if len(ends) else ids
        kept = [int(token) for token in kept if token != vocabulary.pad_id]
        text = vocabulary.decode(kept)
        return Generation(text, score, len(kept), at_limit=not len(ends), tokens=tuple(kept))

    def _first_tokens(self, inputs: np.ndarray) -> np.ndarray:
        """The likeliest first token of each row that neither ends the answer nor is padding."""
        import jax
        import jax.numpy as jnp

        vocabulary = self._model.output_vocabulary
        size = vocabulary.vocab_size
        if self._best_first is None:

            def best_first(params, batch):
                logits = self._model.logits(params, batch)[:, 0]
                is_answer = jnp.arange(logits.shape[-1]) < size
                is_answer = is_answer.at[jnp.array([vocabulary.eos_id, vocabulary.pad_id])].set(
                    False
                )
                return jnp.argmax(jnp.where(is_answer, logits, -jnp.inf), axis=-1)

            self._best_first = jax.jit(best_first)
        start = np.zeros((len(inputs), 1), np.int32)
        batch = self._place({"encoder_input_tokens": inputs, "decoder_input_tokens": start})
        return _to_host(self._best_first(self._params, batch))

    def score(self, requests: Sequence[Request], targets: Sequence[np.ndarray]) -> np.ndarray:
        """Log-likelihood of each request's target tokens, in nats: [N]."""
        import jax

        if self._score_batch is None:
            self._score_batch = jax.jit(self._model.score_batch)
        width_targets = round_up(max((len(target) for target in targets), default=1), 8)
        scores = np.full(len(requests), np.nan)
        lengths = [len(request.tokens) for request in requests]
        for width, positions in length_batches(lengths, self.batch_size):
            rows = self._rows([targets[k] for k in positions], width_targets)
            batch = {
                "encoder_input_tokens": self._rows([requests[k].tokens for k in positions], width),
                "decoder_input_tokens": np.pad(rows, ((0, 0), (1, 0)))[:, :-1],
                "decoder_target_tokens": rows,
                "decoder_loss_weights": (rows != 0).astype(np.int32),
            }
            values = _to_host(self._score_batch(self._params, self._place(batch)))
            scores[positions] = values[: len(positions)]
        return scores

    def score_candidates(
        self,
        requests: Sequence[Request],
        candidates: Sequence[Sequence[Candidate]],
        *,
        longest: int | None = None,
    ) -> list[np.ndarray]:
        """Log-likelihood of each request's own candidates, in nats; each input is encoded once.

        A row of the decoder holds all candidates of a request, one after another.
        """
        found: list[Any] = [None] * len(requests)
        lengths = [len(request.tokens) for request in requests]
        longest = round_up(max([*lengths, longest or 0]), 8)
        for _, positions in length_batches(lengths, self.batch_size):
            inputs = [requests[k].tokens for k in positions]
            rows = [_side_by_side(candidates[k]) for k in positions]
            width = max(bucket_length(len(tokens), longest) for tokens in inputs)
            targets, shifted, numbers = (
                self._rows(part, bucket_length(max(map(len, part)), _NO_LIMIT))
                for part in zip(*rows, strict=True)
            )
            batch = {
                "encoder_input_tokens": self._rows(inputs, width),
                "decoder_input_tokens": shifted,
                "decoder_target_tokens": targets,
                "decoder_segment_ids": numbers,
            }
            values = _to_host(self._model.score_candidates(self._params, self._place(batch)))
            for row, position in enumerate(positions):
                count = len(candidates[position])
                sums = np.bincount(numbers[row], weights=values[row], minlength=count + 1)
                found[position] = sums[1 : count + 1]
        return found

    def _rows(self, sequences: Sequence[np.ndarray], width: int) -> np.ndarray:
        """Pad sequences to int32 [batch size, width]; the rows that are left are one pad long."""
        rows = np.zeros((self.batch_size, width), np.int32)
        for row, sequence in zip(rows, sequences, strict=False):
            row[: len(sequence)] = sequence
        # An all-padding row would attend to nothing; one end-of-sequence keeps it finite.
        rows[len(sequences) :, 0] = self._model.output_vocabulary.eos_id
        return rows

    def _place(self, batch: dict[str, np.ndarray]) -> dict[str, Any]:
        if self._sharding is None:
            return batch
        import jax

        return {
            name: jax.make_array_from_callback(rows.shape, self._sharding, rows.__getitem__)
            for name, rows in batch.items()
        }


def _side_by_side(candidates: Sequence[Candidate]) -> tuple[np.ndarray, ...]:
    """A decoder row of several targets: targets, each shifted right, and their numbers from 1."""
    targets = [np.asarray(candidate.tokens, np.int32) for candidate in candidates]
    shifted = [np.append(np.int32(0), tokens[:-1]) for tokens in targets]
    numbers = [np.full(len(tokens), k, np.int32) for k, tokens in enumerate(targets, start=1)]
    return tuple(np.concatenate(part) for part in (targets, shifted, numbers))


def _decoding_of(model: Any) -> dict[str, str]:
    """The model's own decoding: its function, parameters, and what gin binds of both, as text."""
    import gin

    decode_fn = model.decode_fn
    described = {
        "decode_fn": getattr(decode_fn, "__qualname__", repr(type(decode_fn))),
        "default_decoder_params": repr(sorted(model.default_decoder_params.items())),
    }
    for function in (type(model).predict_batch_with_aux, decode_fn):
        with contextlib.suppress(ValueError):  # gin does not know it: nothing is bound
            bound = gin.get_bindings(function, resolve_references=False)
            described[f"gin {function.__qualname__}"] = repr(sorted(bound.items()))
    return described


def _to_host(array: Any) -> np.ndarray:
    """A whole array on this host, gathered when it lies on several."""
    if getattr(array, "is_fully_addressable", True):
        return np.asarray(array)
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.process_allgather(array, tiled=True))
