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
    """

    text: str
    score: float | None = None
    n_tokens: int = 0
    at_limit: bool = False


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
        self._batch_size = round_up(batch_size, self._batch_devices())
        self._num_decodes = num_decodes
        self._decoder_params = dict(decoder_params or {})
        self._score_batch: Any = None

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
        limit = round_up(max_target_tokens, 8)
        # gin gives a method its bound parameters only where the call leaves them out
        options = {
            "decoder_params": self._decoder_params or None,
            "num_decodes": self._num_decodes,
        }
        options = {name: value for name, value in options.items() if value is not None}
        lengths = [len(request.tokens) for request in requests]
        for width, positions in length_batches(lengths, self._batch_size):
            inputs = self._rows([requests[k].tokens for k in positions], width)
            prompt = np.zeros((self._batch_size, limit), np.int32)
            tokens, aux = self._model.predict_batch_with_aux(
                self._params,
                self._place({"encoder_input_tokens": inputs, "decoder_input_tokens": prompt}),
                **options,
            )
            tokens, scores = _to_host(tokens), _to_host(aux["scores"])
            for row, position in enumerate(positions):
                yield int(position), self._generation(tokens[row], float(scores[row]))

    def _generation(self, ids: np.ndarray, score: float) -> Generation:
        vocabulary = self._model.output_vocabulary
        ends = np.flatnonzero(ids == vocabulary.eos_id)
        kept = ids[: ends[0]] if len(ends) else ids
        kept = [int(token) for token in kept if token != vocabulary.pad_id]
        return Generation(vocabulary.decode(kept), score, len(kept), at_limit=not len(ends))

    def score(self, requests: Sequence[Request], targets: Sequence[np.ndarray]) -> np.ndarray:
        """Log-likelihood of each request's target tokens, in nats: [N]."""
        import jax

        if self._score_batch is None:
            self._score_batch = jax.jit(self._model.score_batch)
        width_targets = round_up(max((len(target) for target in targets), default=1), 8)
        scores = np.full(len(requests), np.nan)
        lengths = [len(request.tokens) for request in requests]
        for width, positions in length_batches(lengths, self._batch_size):
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

    def _rows(self, sequences: Sequence[np.ndarray], width: int) -> np.ndarray:
        """Pad sequences to int32 [batch size, width]; the rows that are left are one pad long."""
        rows = np.zeros((self._batch_size, width), np.int32)
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
