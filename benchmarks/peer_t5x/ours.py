"""What the comparison asks of clinical_t5x, under the same names as `theirs`."""

from __future__ import annotations

import dataclasses
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from side import halves, read_arrays, read_batches

from clinical_t5x.data.quiet_import import import_tensorflow
from clinical_t5x.interop import t5x_names
from clinical_t5x.interop.native import write_native
from clinical_t5x.interop.recognise import open_checkpoint
from clinical_t5x.interop.t5x_checkpoint import LAYOUTS, write_t5x
from clinical_t5x.launch import facade
from clinical_t5x.training import adapters, checkpoints

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
    # The trainer reports sums over tokens; T5X reports the loss that it minimises.
    minimised = jax.jit(lambda params, batch: trainer.model.loss_fn(params, batch, None)[0])
    reported = []
    for batch in batches:
        reported.append(float(minimised(trainer.train_state.params, batch)))
        trainer.train_step(batch)
    return {"losses": np.float64(reported)} | _arrays(trainer)


def _arrays(trainer) -> dict[str, np.ndarray]:
    """Parameters and Adafactor's memory, by T5X's names."""
    state, config = trainer.train_state, trainer.model.config
    arrays = {}
    for name, array in t5x_names.to_named(state.params, config).items():
        arrays[f"params/{name}"] = np.asarray(array)
    for part in MOMENTS:
        for name, array in t5x_names.to_named(getattr(state.opt_state, part), config).items():
            arrays[f"memory/{name}/{part}"] = np.asarray(array)
    return arrays


def save(bound: dict, folder: pathlib.Path, way: str) -> dict[str, np.ndarray]:
    """Train over the first half of the batches, save, and write that in T5X's layouts; go on."""
    first, second = halves(read_batches(folder / "batches.npz"))
    trainer = make_trainer(bound)
    trainer.state_from_params(_params(bound, folder), 0)
    train_over(trainer, first)
    store = checkpoints.CheckpointStore(folder / f"ours_{way}")
    store.save(trainer.train_state, {adapters.CONFIG: dataclasses.asdict(trainer.model.config)})
    store.wait()
    source = open_checkpoint(store.path(len(first)))
    for layout in LAYOUTS:
        write_t5x(source, folder / f"ours_{way}_{layout}", layout=layout, overwrite=True)
    store.close()
    results = {"step": np.int64(source.step)} | _arrays(trainer)
    return results | {"losses": train_over(trainer, second)["losses"]}


def restore(bound: dict, folder: pathlib.Path, path: str, name: str) -> dict[str, np.ndarray]:
    """What we read from a T5X checkpoint; the second half of training from it, memory and all."""
    _, second = halves(read_batches(folder / "batches.npz"))
    source, config = open_checkpoint(path), bound["model"].config
    results = {"step": np.int64(source.step)}
    results |= {f"params/{tensor}": source.read(tensor) for tensor in source.infos}
    results |= {f"memory/{part}": source.optimizer.read(part) for part in source.optimizer.infos}
    write_native(source, folder / name, scan_layers=config.scan_layers, overwrite=True)
    trainer = make_trainer(bound)
    store = checkpoints.CheckpointStore(folder / name)
    trainer.train_state, _ = store.restore_latest(trainer.abstract_state, {})
    store.close()
    # as a run begins that names the checkpoint: parameters alone
    params, _ = checkpoints.restore_params(path, bound["model"], bound["partitioner"])
    results["loss_of_params"] = np.float64(bound["model"].loss_fn(params, second[0], None)[0])
    return results | {"losses": train_over(trainer, second)["losses"]}


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
