"""Google's T5X in a contest of speed; runs under the interpreter that has it."""

from __future__ import annotations

import functools
import pathlib

import jax
import theirs
from side import configure, read_arrays, read_batches
from theirs import _nested as nested
from theirs import _trainer as make_trainer


def about() -> dict:
    return {"version": f"jax {jax.__version__}", "device": jax.devices()[0].device_kind}


def train(task: str, checkout: str):
    """T5X's trainer, as its `train` makes it."""
    theirs.prepare(checkout)
    folder = pathlib.Path(task)
    (batch,) = read_batches(folder / "batches.npz")
    trainer, fresh = make_trainer(configure(folder, []), batch)
    trainer.train_state = fresh()
    targets = batch["decoder_loss_weights"].sum()  # the loss is a sum over them
    done = 0

    def steps(count: int) -> dict:
        nonlocal done
        metrics = trainer.train(iter([batch] * count), count, start_step=done).result()
        done += count
        jax.block_until_ready(trainer.train_state.params)
        return {"loss": float(metrics["loss"].value) / targets}

    steps(1)
    return about(), steps


def decode(task: str, checkout: str, beams: dict[str, int]):
    theirs.prepare(checkout)
    folder = pathlib.Path(task)
    (batch,) = read_batches(folder / "batches.npz")
    params = nested(read_arrays(folder / "weights.npz"))

    def predict_fn(way: str):
        model = configure(folder / way, [])["model"]
        options = {"num_decodes": beams[way]}
        return jax.jit(functools.partial(model.predict_batch_with_aux, **options))

    predict = {way: predict_fn(way) for way in beams}

    def work(way: str, calls: int) -> dict:
        for _ in range(calls):
            tokens, _ = predict[way](params, batch)
            tokens.block_until_ready()
        return {"tokens": tokens.tolist()}

    for way in beams:
        work(way, 1)
    return about(), work
