"""Rows of a batch: examples padded one a row, or several packed into a row.

A packed row holds whole examples one after the other; segment ids (from 1, 0 for padding) keep
attention apart and positions begin anew with every example, as T5X's packed features do.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_OPEN_ROWS = 1024


def pack_examples(
    inputs_lengths: np.ndarray, targets_lengths: np.ndarray, inputs_size: int, targets_size: int,
    *, seed: int,
) -> list[np.ndarray]:  # fmt: skip
    """Put every example into exactly one row, first fit over the rows that are open.

    Examples come in an order fixed by `seed`; at most 1,024 rows are open at a time, the fullest
    is closed first.

    Args:
      inputs_lengths, targets_lengths: tokens of every example, none longer than a row.
      inputs_size, targets_size: tokens that a row holds.
      seed: chooses the order.

    Returns:
      The examples of every row, as indices.
    """
    rows: list[list[int]] = []
    # Room of the open rows; numbers[k] is which row of `rows` the k-th open one is.
    room = np.zeros((0, 2), np.int64)
    numbers = np.zeros(0, np.int64)
    lengths = np.stack([inputs_lengths, targets_lengths], axis=1)
    for example in np.random.default_rng(seed).permutation(len(lengths)):
        fits = np.flatnonzero((room >= lengths[example]).all(axis=1))
        if len(fits):
            place = fits[0]
        else:
            if len(room) == _OPEN_ROWS:
                keep = np.arange(len(room)) != room.min(axis=1).argmin()
                room, numbers = room[keep], numbers[keep]
            place = len(room)
            room = np.append(room, [[inputs_size, targets_size]], axis=0)
            numbers = np.append(numbers, len(rows))
            rows.append([])
        room[place] -= lengths[example]
        rows[numbers[place]].append(int(example))
    return [np.array(row) for row in rows]


def trimmed(tokens: np.ndarray, length: int, eos_id: int) -> np.ndarray:
    """`tokens` cut to `length`, still with its end-of-sequence id at the end when cut."""
    if len(tokens) <= length:
        return tokens
    kept = np.array(tokens[:length])
    kept[-1] = eos_id
    return kept


def padded_features(
    inputs: Sequence[np.ndarray], targets: Sequence[np.ndarray],
    inputs_size: int, targets_size: int,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Batch features of one example a row, padded with 0: int32 [B, L] each."""
    encoder = _padded(inputs, inputs_size)
    decoder = _padded(targets, targets_size)
    return encoder_decoder_features(encoder, decoder)


def encoder_decoder_features(
    inputs_BL: np.ndarray, targets_BL: np.ndarray
) -> dict[str, np.ndarray]:
    """T5X's batch features of padded inputs and targets; the decoder reads targets shifted."""
    return {
        "encoder_input_tokens": inputs_BL,
        "decoder_target_tokens": targets_BL,
        "decoder_input_tokens": _shifted_right(targets_BL),
        "decoder_loss_weights": (targets_BL != 0).astype(np.int32),
    }


def packed_features(
    rows: Sequence[tuple[Sequence[np.ndarray], Sequence[np.ndarray]]],
    inputs_size: int, targets_size: int,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Batch features of several examples a row: each row is (its inputs, its targets)."""
    encoder = [_packed_row(inputs, inputs_size) for inputs, _ in rows]
    decoder = [_packed_row(targets, targets_size) for _, targets in rows]
    encoder_BL, encoder_segments, encoder_positions = map(np.stack, zip(*encoder, strict=True))
    decoder_BL, decoder_segments, decoder_positions = map(np.stack, zip(*decoder, strict=True))
    features = encoder_decoder_features(encoder_BL, decoder_BL)
    # Every segment's decoder input starts with 0, not with the end of the segment before it.
    features["decoder_input_tokens"] *= decoder_positions > 0
    return features | {
        "encoder_segment_ids": encoder_segments,
        "encoder_positions": encoder_positions,
        "decoder_segment_ids": decoder_segments,
        "decoder_positions": decoder_positions,
    }


def as_one_segment(features: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Features of padded rows as those of packed rows with one segment each."""
    added = {}
    for side, tokens in (("encoder", "encoder_input_tokens"), ("decoder", "decoder_target_tokens")):
        segments = (features[tokens] != 0).astype(np.int32)
        added[f"{side}_segment_ids"] = segments
        added[f"{side}_positions"] = segments * np.arange(segments.shape[1], dtype=np.int32)
    inputs = features["decoder_input_tokens"] * added["decoder_segment_ids"]
    return {**features, **added, "decoder_input_tokens": inputs}


def _padded(sequences: Sequence[np.ndarray], size: int) -> np.ndarray:
    padded = np.zeros((len(sequences), size), np.int32)
    for row, tokens in zip(padded, sequences, strict=True):
        row[: len(tokens)] = tokens
    return padded


def _shifted_right(tokens_BL: np.ndarray) -> np.ndarray:
    shifted = np.zeros_like(tokens_BL)
    shifted[:, 1:] = tokens_BL[:, :-1]
    return shifted


def _packed_row(
    sequences: Sequence[np.ndarray], size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    tokens, segments, positions = (np.zeros(size, np.int32) for _ in range(3))
    start = 0
    for number, sequence in enumerate(sequences, start=1):
        here = slice(start, start + len(sequence))
        tokens[here], segments[here] = sequence, number
        positions[here] = np.arange(len(sequence))
        start = here.stop
    return tokens, segments, positions
