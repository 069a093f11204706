"""Which rows make an update, as a function of seed and epoch alone; rows padded to tensors.

Rows of like length share an update, so that little is padding: chance puts the rows into an order,
runs of many batches of it are sorted by length, cut into batches, and the batches shuffled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from clinical_t5x.baselines.finetuning.windows import Row

_BATCHES_SORTED_TOGETHER = 50


def batches_of_epoch(
    lengths: Sequence[int], batch_size: int, *, seed: int, epoch: int
) -> list[np.ndarray]:
    """The rows of every update of an epoch: each row once; one batch may be smaller.

    Args:
      lengths: tokens of each row.
      batch_size: rows of an update.
      seed, epoch: what the order depends on.
    """
    chance = np.random.default_rng([seed, epoch])
    order = chance.permutation(len(lengths))
    lengths = np.asarray(lengths)
    together = batch_size * _BATCHES_SORTED_TOGETHER
    batches = []
    for start in range(0, len(order), together):
        part = order[start : start + together]
        part = part[np.argsort(-lengths[part], kind="stable")]
        batches += [part[k : k + batch_size] for k in range(0, len(part), batch_size)]
    return [batches[k] for k in chance.permutation(len(batches))]


def number_of_updates(rows: int, batch_size: int) -> int:
    """Updates of an epoch: the number of `batches_of_epoch`."""
    together = batch_size * _BATCHES_SORTED_TOGETHER
    whole, rest = divmod(rows, together)
    return whole * _BATCHES_SORTED_TOGETHER + -(-rest // batch_size)


def padded(rows: Sequence[Row], pad_id: int, device: Any) -> dict[str, Any]:
    """A model's inputs for some rows, padded on the right to the longest: [B, L] each."""
    import torch

    width = max(len(row.ids) for row in rows)

    def filled(values: Sequence[Sequence[int]], padding: int) -> Any:
        whole = np.full((len(rows), width), padding, np.int64)
        for place, found in zip(whole, values, strict=True):
            place[: len(found)] = found
        return torch.from_numpy(whole).to(device)

    inputs = {
        "input_ids": filled([row.ids for row in rows], pad_id),
        "attention_mask": filled([[1] * len(row.ids) for row in rows], 0),
    }
    if rows[0].types is not None:
        inputs["token_type_ids"] = filled([row.types for row in rows], 0)
    return inputs
