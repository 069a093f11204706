"""One process of a toy training run on several hosts: RANK COUNT PORT OPTIONS(JSON).

Every process has one CPU device; they talk over 127.0.0.1. Options: `model_dir`, `steps`, `order`
(file of this rank's rows, one line a step), `sigterm` ({rank: step}: SIGTERM to itself there),
`unreadable` ({rank: step}: cannot read the arrays of this checkpoint), `bad` (step of a bad batch).
"""

from __future__ import annotations

import functools
import json
import os
import signal
import sys
import zlib

os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
os.environ["NPROC"] = "64"  # threads that wait for the other process must leave some to go on with

import numpy as np

from clinical_t5x import console
from tests.training import standin


class RecordedBatches(standin.CountingBatches):
    """Toy batches; which rows this process took is written down, a signal may come with one."""

    def __init__(self, seed, batch_size, rank, options):
        super().__init__(seed, batch_size)
        self._order = open(options["order"], "a") if options.get("order") else None  # noqa: SIM115
        self._sigterm_at = options.get("sigterm", {}).get(str(rank))
        self._bad = options.get("bad")

    def batch(self, step, rows=None):
        features = super().batch(step, rows)
        if self._sigterm_at == step + 1:
            os.kill(os.getpid(), signal.SIGTERM)
        if self._order is not None and step < 1_000_000:
            inputs = features["encoder_input_tokens"]
            line = {"step": step + 1, "first": rows.start, "rows": [zlib.crc32(r) for r in inputs]}
            print(json.dumps(line), file=self._order, flush=True)
        weights = features["decoder_loss_weights"].astype(np.float32)
        factor = np.inf if self._bad == step + 1 else 1.0
        return features | {"decoder_loss_weights": weights * factor}


def make_unreadable(path: str) -> None:
    """Let this process fail to read what lies below `path`, as a host whose disk is broken."""
    import orbax.checkpoint as ocp

    read = ocp.PyTreeCheckpointHandler.restore

    def restore(self, directory, *args, **kwargs):
        if str(directory).startswith(path):
            raise OSError("input/output error")
        return read(self, directory, *args, **kwargs)

    ocp.PyTreeCheckpointHandler.restore = restore


def main(argv: list[str]) -> None:
    rank, count, port, options = int(argv[0]), int(argv[1]), argv[2], json.loads(argv[3])
    if count > 1:
        import jax

        jax.distributed.initialize(f"127.0.0.1:{port}", count, rank)

    from clinical_t5x.training.guard import LossGuard
    from clinical_t5x.training.schedule import create_learning_rate_scheduler
    from clinical_t5x.training.trainer import Trainer

    if str(rank) in options.get("unreadable", {}):
        make_unreadable(f"{options['model_dir']}/checkpoint_{options['unreadable'][str(rank)]}/")
    schedule = create_learning_rate_scheduler("constant", base_learning_rate=0.05)

    def open_recorded(task_name, *, seed, batch_size, **_):
        return RecordedBatches(seed, batch_size, rank, options)

    standin.run(
        options["model_dir"],
        total_steps=options["steps"],
        period=2,
        stats_period=1,
        get_dataset_fn=open_recorded,
        trainer_cls=functools.partial(
            Trainer,
            learning_rate_fn=schedule,
            num_microbatches=None,
            loss_guard=LossGuard("roll_back", window=2),
        ),
    )


if __name__ == "__main__":
    console.run_command(main, sys.argv[1:])
