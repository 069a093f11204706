"""A toy training run as a process of its own, to be killed: MODEL_DIR STEPS DELAY."""

from __future__ import annotations

import os
import time

os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

from clinical_t5x import console
from tests.training import standin


class SlowBatches(standin.CountingBatches):
    """Toy batches that take a while, so that there is time to be killed in."""

    def __init__(self, seed: int, batch_size: int, delay: float):
        super().__init__(seed, batch_size)
        self._delay = delay

    def batch(self, step, rows=None):
        time.sleep(self._delay)
        return super().batch(step, rows)


def main(argv: list[str]) -> None:
    model_dir, steps, delay = argv

    def open_slow(task_name, *, seed, batch_size, **options):
        return SlowBatches(seed, batch_size, float(delay))

    standin.run(model_dir, total_steps=int(steps), period=1, keep=3, get_dataset_fn=open_slow)


if __name__ == "__main__":
    console.run_command(main)
