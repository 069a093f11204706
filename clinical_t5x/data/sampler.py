"""Which example comes when: order and randomness as pure functions of a seed and an index.

A training stream is numbered by one global example index. Its epoch is index // size, its place in
the epoch goes through a permutation that belongs to (seed, epoch), and its random numbers come from
a Philox generator with the key (seed, index). Nothing depends on the batch, the host or what came
before, so a run resumes at any step at once, on any number of hosts.
"""

from __future__ import annotations

import math

import numpy as np

_ROUNDS = 6
_PURPOSE_ORDER = 0x6F72646572  # keeps the permutation's keys apart from other uses of the seed


def mix(values: np.ndarray) -> np.ndarray:
    """Scramble 64-bit integers, one to one (the finaliser of splitmix64; Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        values = values + np.uint64(0x9E3779B97F4A7C15)
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return values ^ (values >> np.uint64(31))


def permute(positions: np.ndarray, size: int, key: tuple[int, ...]) -> np.ndarray:
    """Map positions in [0, size) one to one onto [0, size), as a permutation chosen by `key`.

    A Feistel network on pairs (left, right) with left < a and right < b, where a * b is the least
    such product not below `size` with a about its root: the two sides are shifted in turn by a hash
    of the other. The few results outside of the range walk on until they fall inside.

    Args:
      positions: integers, shape [N].
      size: how many elements are permuted.
      key: integers that name the permutation.

    Returns:
      int64, shape [N].
    """
    round_keys = np.random.SeedSequence([_PURPOSE_ORDER, *key]).generate_state(_ROUNDS, np.uint64)
    a = math.isqrt(size - 1) + 1
    b = -(-size // a)
    a, b = np.uint64(a), np.uint64(b)
    values = np.asarray(positions).astype(np.uint64)
    outside = np.ones(values.shape, bool)
    while outside.any():
        left, right = np.divmod(values[outside], b)
        for even_key, odd_key in round_keys.reshape(-1, 2):
            left = (left + mix(right ^ even_key) % a) % a
            right = (right + mix(left ^ odd_key) % b) % b
        values[outside] = left * b + right
        outside = values >= np.uint64(size)
    return values.astype(np.int64)


def place_in_order(indices: np.ndarray, size: int, seed: int, *, shuffle: bool) -> np.ndarray:
    """Which of `size` elements stands at each global index: every epoch holds each of them once.

    Args:
      indices: global example indices, shape [N].
      size: elements in an epoch.
      seed: chooses the order of every epoch.
      shuffle: whether to shuffle at all; else epochs repeat in order.

    Returns:
      int64 in [0, size), shape [N].
    """
    indices = np.asarray(indices, np.int64)
    epochs, positions = np.divmod(indices, size)
    if not shuffle:
        return positions
    chosen = np.empty_like(positions)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        chosen[here] = permute(positions[here], size, (seed, int(epoch)))
    return chosen


def example_generator(seed: int, index: int) -> np.random.Generator:
    """The random numbers of the example at one global index: independent of all the others."""
    return np.random.Generator(np.random.Philox(key=np.array([seed, index], np.uint64)))
