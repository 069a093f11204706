"""The checksum of an array that our checkpoints keep, computed in numpy and in parts.

Training computes the same on the devices (`training.checkpoints`): the sum over all entries of
their bits times an odd weight that depends on the place, modulo 2**32.
"""

from __future__ import annotations

import numpy as np

_BLOCK = 1 << 20  # entries that are weighted at a time
_BITS = {1: np.uint8, 2: np.uint16, 4: np.uint32}


def checksum(array: np.ndarray) -> int:
    """The checksum of a whole array of 1, 2 or 4 bytes an entry."""
    array = np.asarray(array)
    return _weighted_sum(array[None], _weights(1, range(1), 0))


def layer_checksum(array: np.ndarray, layer: int, layers: int) -> int:
    """What one layer adds to the checksum of the array that stacks all layers."""
    array = np.asarray(array)
    return _weighted_sum(array[None], _weights(1, range(layer, layer + 1), layers))


def _weights(weight: int, places: range, size: int) -> np.ndarray:
    """The weights of some places of a dim, under the weight of the dims before; uint32."""
    first = (int(weight) * (2 * size + 1)) % 2**32
    return np.uint32(first) + np.arange(places.start, places.stop, dtype=np.uint32)


def _weighted_sum(array: np.ndarray, weights: np.ndarray) -> int:
    """The sum over an array whose first dim's weights are known."""
    if array.size > _BLOCK and array.ndim > 1 and len(array) == 1:
        rows = array[0]
        step = max(1, _BLOCK // max(1, rows[0].size))
        return (
            sum(
                _weighted_sum(
                    rows[start : start + step],
                    _weights(weights[0], range(start, min(start + step, len(rows))), len(rows)),
                )
                for start in range(0, len(rows), step)
            )
            % 2**32
        )
    bits = np.ascontiguousarray(array).view(_BITS[array.dtype.itemsize]).astype(np.uint32)
    for size in array.shape[1:]:
        weights = weights[..., None] * np.uint32(2 * size + 1) + np.arange(size, dtype=np.uint32)
    weights = weights * np.uint32(2) + np.uint32(1)
    return int(np.sum(bits.reshape(weights.shape) * weights, dtype=np.uint32))
