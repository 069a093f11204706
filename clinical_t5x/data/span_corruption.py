"""T5's span corruption, as one object with two faces: a SeqIO preprocessor and a numpy function.

Spans of a token sequence are replaced in the inputs by sentinels; the targets hold the sentinels
with the tokens they stand for (Raffel et al. 2020, section 3.1.4; the authors used it unchanged):

    tokens   a b c d e f g h        noise  . . x x . . . x
    inputs   a b <0> e f g <1> EOS
    targets  <0> c d <1> h EOS

Both faces draw a mask from the same distribution, each with its own random numbers, and give the
same inputs and targets for the same mask. Shapes: B sequences of R raw tokens, I input and T target
tokens; every sequence of a batch has the same number of noise tokens and spans, so that none is
padded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from clinical_t5x.console import UserError
from clinical_t5x.data.sampler import example_generator


class SpanCorruption:
    """Replace spans by sentinels: noise in 15 % of the tokens, spans of 3 tokens on average.

    Attributes:
      noise_density: fraction of the raw tokens that are noise.
      mean_span_length: average number of tokens of a noise span.
    """

    # Not a dataclass: SeqIO sets the fields of those instead of calling them with its arguments.
    def __init__(self, noise_density: float = 0.15, mean_span_length: float = 3.0):
        self.noise_density = noise_density
        self.mean_span_length = mean_span_length

    def __repr__(self) -> str:
        return f"SpanCorruption({self.noise_density}, {self.mean_span_length})"

    def counts(self, raw_length: int) -> tuple[int, int]:
        """How many noise tokens and how many noise spans a raw sequence has."""
        noise = round(raw_length * self.noise_density)
        noise = min(max(noise, 1), raw_length - 1)
        spans = max(1, round(noise / self.mean_span_length))
        return noise, min(spans, raw_length - noise)

    def lengths(self, raw_length: int) -> tuple[int, int]:
        """Lengths of inputs and targets made from `raw_length` tokens, end of sequence included."""
        noise, spans = self.counts(raw_length)
        return raw_length - noise + spans + 1, noise + spans + 1

    def raw_length(self, inputs_length: int, targets_length: int) -> int:
        """The most raw tokens whose inputs and targets both fit: 568 for 512 and 114."""
        raw = 1
        while self.lengths(raw + 1)[0] <= inputs_length:
            raw += 1
        while raw > 1 and self.lengths(raw)[1] > targets_length:
            raw -= 1
        if raw < 2:
            raise UserError(
                f"TASK_FEATURE_LENGTHS of {inputs_length} inputs and {targets_length} targets"
                " leave no room for span corruption; give longer ones, such as 512 and 114"
            )
        return raw

    def check_sentinels(self, raw_length: int, extra_ids: int) -> None:
        """Raise unless the vocabulary has a sentinel for every noise span."""
        spans = self.counts(raw_length)[1]
        if spans > extra_ids:
            raise UserError(
                f"span corruption of {raw_length} tokens needs {spans} sentinels, the vocabulary"
                f" has {extra_ids} (extra_ids); shorten TASK_FEATURE_LENGTHS or add extra_ids"
            )

    def masks(self, raw_length: int, seed: int, indices: Sequence[int]) -> np.ndarray:
        """Noise masks of the examples at global `indices`: bool [B, R], True where noise."""
        draws = np.stack([self._draws(raw_length, seed, int(index)) for index in indices])
        noise, spans = self.counts(raw_length)
        noise_lengths = _compositions(draws[:, : noise - 1], noise, spans)
        kept_lengths = _compositions(draws[:, noise - 1 :], raw_length - noise, spans)
        return _interleaved_mask(kept_lengths, noise_lengths, raw_length)

    def _draws(self, raw_length: int, seed: int, index: int) -> np.ndarray:
        # One uniform number for every place where a noise span or a kept span may end.
        return example_generator(seed, index).random(raw_length - 2)

    def corrupt(
        self, tokens_BR: np.ndarray, masks_BR: np.ndarray, *, sentinel_start: int, eos_id: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Inputs [B, I] and targets [B, T] of token sequences whose noise is given by masks.

        Args:
          tokens_BR: token ids.
          masks_BR: True where noise; all rows with equally many noise tokens and spans, beginning
            with a kept token and ending with a noise token.
          sentinel_start: id of the first sentinel; the following ones count down.
          eos_id: appended to inputs and targets.

        Returns:
          int32 arrays.
        """
        inputs = _spans_to_sentinels(tokens_BR, masks_BR, sentinel_start)
        targets = _spans_to_sentinels(tokens_BR, ~masks_BR, sentinel_start)
        return _append(inputs, eos_id), _append(targets, eos_id)

    def __call__(
        self, dataset: Any, sequence_length: dict[str, int], output_features: dict[str, Any]
    ) -> Any:
        """The SeqIO face: documents of token ids become corrupted inputs and targets.

        Args:
          dataset: tf.data examples with `targets`, the token ids of a document.
          sequence_length: lengths of `inputs` and `targets`.
          output_features: SeqIO's features, of which `targets` names the vocabulary.

        Returns:
          tf.data examples with `inputs` and `targets`, end of sequence included.
        """
        from clinical_t5x.data.span_corruption_tf import corrupted_dataset

        return corrupted_dataset(self, dataset, sequence_length, output_features)


def _compositions(draws: np.ndarray, total: int, parts: int) -> np.ndarray:
    """Split `total` into `parts` positive lengths, uniformly over all ways to do so.

    The parts - 1 smallest of total - 1 uniform numbers [B, total - 1] mark the cuts.
    """
    batch = len(draws)
    if parts == 1:
        return np.full((batch, 1), total)
    cuts = np.sort(np.argpartition(draws, parts - 2, axis=1)[:, : parts - 1] + 1, axis=1)
    borders = np.concatenate([np.zeros((batch, 1), int), cuts, np.full((batch, 1), total)], axis=1)
    return np.diff(borders, axis=1)


def _interleaved_mask(
    kept_lengths: np.ndarray, noise_lengths: np.ndarray, raw_length: int
) -> np.ndarray:
    """Mask of sequences that alternate kept and noise spans [B, S], beginning with a kept one."""
    batch, spans = kept_lengths.shape
    lengths = np.stack([kept_lengths, noise_lengths], axis=2).reshape(batch, 2 * spans)
    starts = np.cumsum(lengths, axis=1)[:, :-1]
    changes = np.zeros((batch, raw_length), np.int8)
    np.put_along_axis(changes, starts, 1, axis=1)
    return np.cumsum(changes, axis=1) % 2 == 1


def _spans_to_sentinels(
    tokens_BR: np.ndarray, masks_BR: np.ndarray, sentinel_start: int
) -> np.ndarray:
    """Replace every run of True by one sentinel; the sentinels of a row count down."""
    starts = masks_BR.copy()
    starts[:, 1:] &= ~masks_BR[:, :-1]
    sentinels = sentinel_start + 1 - np.cumsum(starts, axis=1)
    replaced = np.where(starts, sentinels, tokens_BR)
    return replaced[starts | ~masks_BR].reshape(len(tokens_BR), -1)


def _append(tokens: np.ndarray, eos_id: int) -> np.ndarray:
    ends = np.full((len(tokens), 1), eos_id, np.int32)
    return np.concatenate([tokens.astype(np.int32), ends], axis=1)
