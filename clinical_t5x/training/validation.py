"""Evaluations in the course of training: the held-out loss."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Mapping
from typing import Any

import jax

from clinical_t5x.training.loop import Evaluation
from clinical_t5x.training.metric_log import per_token
from clinical_t5x.training.trainer import Trainer


def held_out_loss(batches: Any, task: str, batch_size: int, steps: int) -> Evaluation:
    """The loss on the same held-out batches every time.

    Args:
      batches: The held-out data, not shuffled.
      task: Its name, for the log.
      batch_size: Rows of a batch.
      steps: At most so many batches, and at most one pass over the data.
    """

    def evaluate(trainer: Trainer, step: int) -> Mapping[str, Mapping[str, float]]:
        partitioner = trainer.partitioner
        rows = partitioner.local_rows(batch_size)
        sums = [
            trainer.eval_step(partitioner.place_batch(features, batch_size))
            for features in itertools.islice(batches.one_pass(rows), steps)
        ]
        total: collections.Counter[str] = collections.Counter()
        for part in jax.device_get(sums):
            total.update({name: float(value) for name, value in part.items()})
        return {f"eval/{task}": per_token(total)}

    return evaluate
