"""`python -m t5x.train` of Google's T5X up to its first completed step, which it tells of.

python benchmarks/peer_t5x/first_step.py --gin_file=... --gin.MODEL_DIR=...
"""

from __future__ import annotations

import runpy
import sys

SAID = "first step after"


def main() -> None:
    import jax

    from t5x import trainer

    train = trainer.BaseTrainer.train

    def one_step(self, batch_iter, num_steps, start_step=None):
        train(self, batch_iter, 1, start_step)
        jax.block_until_ready(self.train_state)
        print(f"{SAID} all that T5X does before it", flush=True)
        sys.exit()

    trainer.BaseTrainer.train = one_step
    runpy.run_module("t5x.train", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
