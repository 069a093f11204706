"""clinical_t5x in a contest of speed."""

from __future__ import annotations

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

import jax
import jax.numpy as jnp
import ours
from side import configure, read_arrays, read_batches

from clinical_t5x.interop import t5x_names


def about() -> dict:
    return {"version": f"jax {jax.__version__}", "device": jax.devices()[0].device_kind}


def train(task: str):
    """The trainer's own step, compiled as a run compiles it."""
    ours.prepare("")
    folder = pathlib.Path(task)
    trainer = ours.make_trainer(configure(folder, []))
    trainer.init_state(jax.random.key(0))
    (batch,) = read_batches(folder / "batches.npz")
    rows = len(batch["encoder_input_tokens"])

    def steps(count: int) -> dict:
        for _ in range(count):
            sums = trainer.train_step(trainer.partitioner.place_batch(batch, rows))
        return {"loss": float(sums["loss"] / sums["num_targets"])}

    trainer.compile(trainer.partitioner.place_batch(batch, rows))
    steps(1)
    return about(), steps


def decode(task: str, beams: dict[str, int]):
    """Both ways of decoding, each compiled once."""
    ours.prepare("")
    folder = pathlib.Path(task)
    (batch,) = read_batches(folder / "batches.npz")
    models = {way: configure(folder / way, [])["model"] for way in beams}
    config = next(iter(models.values())).config
    weights = t5x_names.from_named(read_arrays(folder / "weights.npz"), config)
    params = jax.tree.map(jnp.asarray, weights)

    def work(way: str, calls: int) -> dict:
        for _ in range(calls):
            tokens, _ = models[way].predict_batch_with_aux(params, batch, num_decodes=beams[way])
            tokens.block_until_ready()
        return {"tokens": tokens.tolist()}

    for way in beams:
        work(way, 1)
    return about(), work
