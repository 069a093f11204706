"""A toy training run as a process of its own, to be killed: MODEL_DIR STEPS DELAY ORDER.

Every update appends a line to the file ORDER: its step and a checksum of the batch it was made of.
"""

from __future__ import annotations

import functools
import os
import time
import zlib

os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

import numpy as np

from clinical_t5x import console
from clinical_t5x.training.schedule import create_learning_rate_scheduler
from clinical_t5x.training.trainer import Trainer
from tests.training import standin


class SlowBatches(standin.CountingBatches):
    """Toy batches that take a while, so that there is time to be killed in."""

    def __init__(self, seed: int, batch_size: int, delay: float):
        super().__init__(seed, batch_size)
        self._delay = delay

    def batch(self, step, rows=None):
        time.sleep(self._delay)
        return super().batch(step, rows)


class RecordingTrainer(Trainer):
    """Writes down which batch every update was made of."""

    def __init__(self, *args, order, **options):
        super().__init__(*args, **options)
        self._order = open(order, "a")  # noqa: SIM115

    def train_step(self, batch, **options):
        found = zlib.crc32(np.asarray(batch["encoder_input_tokens"]).tobytes())
        print(int(self.train_state.step) + 1, found, file=self._order, flush=True)
        return super().train_step(batch, **options)


def main(argv: list[str]) -> None:
    model_dir, steps, delay, order = argv

    def open_slow(task_name, *, seed, batch_size, **options):
        return SlowBatches(seed, batch_size, float(delay))

    standin.run(
        model_dir,
        total_steps=int(steps),
        period=1,
        keep=3,
        get_dataset_fn=open_slow,
        trainer_cls=functools.partial(
            RecordingTrainer,
            learning_rate_fn=create_learning_rate_scheduler("constant", base_learning_rate=0.05),
            num_microbatches=None,
            order=order,
        ),
    )


if __name__ == "__main__":
    console.run_command(main)
