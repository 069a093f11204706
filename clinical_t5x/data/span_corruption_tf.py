"""The SeqIO face of span corruption, in tf.data operations (see span_corruption.py)."""

from __future__ import annotations

from typing import Any

import seqio
import tensorflow as tf

from clinical_t5x.data.vocabulary import sentinel_ids_of


def corrupted_dataset(
    corruption: Any,
    dataset: tf.data.Dataset,
    sequence_length: dict[str, int],
    output_features: dict[str, seqio.Feature],
) -> tf.data.Dataset:
    """Concatenate documents, cut them into raw sequences and corrupt each of them.

    Args:
      corruption: the `SpanCorruption`.
      dataset: examples with `targets`, the token ids of one document.
      sequence_length: lengths of `inputs` and `targets`.
      output_features: SeqIO's features.

    Returns:
      Examples with int32 `inputs` and `targets`.
    """
    vocabulary = output_features["targets"].vocabulary
    raw_length = corruption.raw_length(sequence_length["inputs"], sequence_length["targets"])
    noise, spans = corruption.counts(raw_length)
    corruption.check_sentinels(raw_length, len(sentinel_ids_of(vocabulary)))
    sentinel_start = sentinel_ids_of(vocabulary)[0]

    @seqio.map_over_dataset(num_seeds=1)
    def corrupt(tokens: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        mask = random_mask(raw_length, noise, spans, seed)
        return corrupt_with_mask(tokens, mask, sentinel_start, vocabulary.eos_id)

    return corrupt(raw_sequences(dataset, raw_length, vocabulary.eos_id))


def raw_sequences(dataset: tf.data.Dataset, raw_length: int, eos_id: int) -> tf.data.Dataset:
    """Documents, each followed by the end-of-sequence id, cut every `raw_length` tokens."""

    def with_end(example: dict[str, tf.Tensor]) -> tf.data.Dataset:
        tokens = tf.concat([tf.cast(example["targets"], tf.int32), [eos_id]], axis=0)
        return tf.data.Dataset.from_tensor_slices(tokens)

    return dataset.flat_map(with_end).batch(raw_length, drop_remainder=True)


def random_mask(raw_length: int, noise: int, spans: int, seed: tf.Tensor) -> tf.Tensor:
    """A noise mask [R] that alternates kept and noise spans, beginning with a kept one."""
    draws = tf.random.stateless_uniform([raw_length - 2], seed)
    noise_lengths = _composition(draws[: noise - 1], noise, spans)
    kept_lengths = _composition(draws[noise - 1 :], raw_length - noise, spans)
    lengths = tf.reshape(tf.stack([kept_lengths, noise_lengths], axis=1), [-1])
    return tf.repeat(tf.range(2 * spans) % 2 == 1, lengths)


def corrupt_with_mask(
    tokens: tf.Tensor, mask: tf.Tensor, sentinel_start: int, eos_id: int
) -> dict[str, tf.Tensor]:
    """Inputs and targets of the raw tokens [R] whose noise is given by a mask [R]."""
    inputs = _spans_to_sentinels(tokens, mask, sentinel_start)
    targets = _spans_to_sentinels(tokens, tf.logical_not(mask), sentinel_start)
    return {
        "inputs": tf.concat([inputs, [eos_id]], axis=0),
        "targets": tf.concat([targets, [eos_id]], axis=0),
    }


def _composition(draws: tf.Tensor, total: int, parts: int) -> tf.Tensor:
    cuts = tf.sort(tf.argsort(draws)[: parts - 1] + 1)
    borders = tf.concat([[0], cuts, [total]], axis=0)
    return borders[1:] - borders[:-1]


def _spans_to_sentinels(tokens: tf.Tensor, mask: tf.Tensor, sentinel_start: int) -> tf.Tensor:
    starts = tf.logical_and(mask, tf.logical_not(tf.concat([[False], mask[:-1]], axis=0)))
    sentinels = sentinel_start + 1 - tf.cumsum(tf.cast(starts, tf.int32))
    replaced = tf.where(starts, sentinels, tokens)
    return tf.boolean_mask(replaced, tf.logical_or(starts, tf.logical_not(mask)))
