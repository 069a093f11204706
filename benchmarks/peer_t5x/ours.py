"""What the comparison asks of clinical_t5x, under the same names as `theirs`."""

from __future__ import annotations

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from side import read_arrays, read_batches

from clinical_t5x.data.quiet_import import import_tensorflow
from clinical_t5x.interop import t5x_names
from clinical_t5x.launch import facade

MOMENTS = ("m", "v", "v_row", "v_col")


def prepare(checkout: str) -> None:
    """Let `t5x` in gin files mean this project."""
    facade.provide()
    import_tensorflow()


def losses(bound: dict, folder: pathlib.Path, start: int = 0) -> dict[str, np.ndarray]:
    """Train over the batches from the weights: every step's loss, parameters and memory after."""
    trainer = make_trainer(bound, start)
    trainer.state_from_params(_params(bound, folder), start)
    return train_over(trainer, read_batches(folder / "batches.npz"))


def make_trainer(bound: dict, first_step: int = 0):
    return bound["trainer_cls"](
        model=bound["model"],
        train_state=None,
        partitioner=bound["partitioner"],
        eval_names=(),
        summary_dir=None,
        train_state_axes=None,
        rng=jax.random.key(0),
        first_step=first_step,
    )


def train_over(trainer, batches) -> dict[str, np.ndarray]:
    config = trainer.model.config
    # The trainer reports sums over tokens; T5X reports the loss that it minimises.
    minimised = jax.jit(lambda params, batch: trainer.model.loss_fn(params, batch, None)[0])
    reported = []
    for batch in batches:
        reported.append(float(minimised(trainer.train_state.params, batch)))
        trainer.train_step(batch)
    results = {"losses": np.float64(reported)}
    for name, array in t5x_names.to_named(trainer.train_state.params, config).items():
        results[f"params/{name}"] = np.asarray(array)
    for part in MOMENTS:
        tree = getattr(trainer.train_state.opt_state, part)
        for name, array in t5x_names.to_named(tree, config).items():
            results[f"memory/{name}/{part}"] = np.asarray(array)
    return results


def decode(bound: dict, folder: pathlib.Path, **options) -> dict[str, np.ndarray]:
    """All decodes and their scores, by the decode function that gin binds."""
    model, params = bound["model"], _params(bound, folder)
    parts = [
        model.predict_batch_with_aux(params, batch, return_all_decodes=True, **options)
        for batch in read_batches(folder / "batches.npz")
    ]
    return {
        "tokens": np.concatenate([tokens for tokens, _ in parts]),
        "scores": np.concatenate([aux["scores"] for _, aux in parts]),
    }


def score(bound: dict, folder: pathlib.Path) -> dict[str, np.ndarray]:
    """Log-likelihood of the batches' targets."""
    model, params = bound["model"], _params(bound, folder)
    parts = [model.score_batch(params, batch) for batch in read_batches(folder / "batches.npz")]
    return {"scores": np.concatenate(parts)}


def _params(bound: dict, folder: pathlib.Path):
    named = read_arrays(folder / "weights.npz")
    return jax.tree.map(jnp.asarray, t5x_names.from_named(named, bound["model"].config))
