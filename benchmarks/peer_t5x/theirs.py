"""What the comparison asks of Google's T5X; imported only by the interpreter that has it."""

from __future__ import annotations

import pathlib
import sys

import flax
import jax
import numpy as np
from side import halves, read_arrays, read_batches


def prepare(checkout: str) -> None:
    """Let `import t5x` mean the checkout that is compared with."""
    sys.path.insert(0, checkout)
    import t5x

    found = pathlib.Path(t5x.__file__).resolve()
    if pathlib.Path(checkout).resolve() not in found.parents:
        raise SystemExit(f"t5x was imported from {found}, not from {checkout}")


def losses(bound: dict, folder: pathlib.Path, start: int = 0, nudges: int = 0) -> dict:
    """Train over the batches from the weights: every step's loss, parameters and memory after.

    `nudges` is how often all is done once more from weights that differ in their last bits: how far
    the losses then part is what float32 can say about this run.
    """
    batches = read_batches(folder / "batches.npz")
    weights = read_arrays(folder / "weights.npz")
    trainer, fresh = _trainer(bound, batches[0])

    def train_from(weights):
        state = _with_params(fresh(), weights)
        trainer.train_state = state.replace_step(np.int32(start)) if start else state
        return train_over(trainer, batches, start)

    nudged = [train_from(_nudged(weights, seed))["losses"] for seed in range(nudges)]
    results = train_from(weights)
    trainer.close()
    return results | ({"nudged_losses": np.stack(nudged)} if nudged else {})


def _nudged(weights: dict[str, np.ndarray], seed: int) -> dict[str, np.ndarray]:
    """Each weight as it is, or the next float above or below."""
    rng = np.random.default_rng(seed)
    nudged = {}
    for name, array in weights.items():
        way = rng.integers(-1, 2, array.shape).astype(np.float32)
        nudged[name] = np.where(way == 0, array, np.nextafter(array, way * np.float32(np.inf)))
    return nudged


def train_over(trainer, batches, start: int) -> dict[str, np.ndarray]:
    reported = []
    for step, batch in enumerate(batches, start):
        metrics = trainer.train(iter([batch]), 1, start_step=step).result()
        reported.append(float(metrics["loss"].value))
    return {"losses": np.float64(reported)} | _arrays(trainer.train_state)


def _arrays(state) -> dict[str, np.ndarray]:
    """Parameters and Adafactor's memory, by T5X's names."""
    arrays = {}
    for name, array in flat(state.params).items():
        arrays[f"params/{name}"] = np.asarray(array)
    for name, array in _moments(state.param_states):
        arrays[f"memory/{name}"] = np.asarray(array)
    return arrays


def save(bound: dict, folder: pathlib.Path) -> dict[str, np.ndarray]:
    """Train over the first half of the batches and save in both layouts; then go on to the end."""
    from t5x import checkpoints

    first, second = halves(read_batches(folder / "batches.npz"))
    trainer, fresh = _trainer(bound, first[0])
    trainer.train_state = _with_params(fresh(), read_arrays(folder / "weights.npz"))
    train_over(trainer, first, 0)
    state, partitioner = trainer.train_state, bound["partitioner"]
    shapes = jax.eval_shape(fresh)
    (folder / "theirs_orbax").mkdir(exist_ok=True)  # where it is missing T5X takes the one above
    orbax = checkpoints.OrbaxCheckpointManagerInterface(
        str(folder / "theirs_orbax"), train_state=shapes, partitioner=partitioner
    )
    orbax.save(state)
    orbax.wait_until_finished()
    checkpoints.Checkpointer(shapes, partitioner, str(folder / "theirs_legacy")).save(state)
    return go_on(trainer, second)


def restore(
    bound: dict, folder: pathlib.Path, path: str, use_orbax: bool = True
) -> dict[str, np.ndarray]:
    """What T5X restores from a checkpoint, every name demanded; then the second half of training."""
    from t5x import utils

    _, second = halves(read_batches(folder / "batches.npz"))
    trainer, _, initializer = _trainer_and_initializer(bound, second[0])
    state, _ = utils.create_checkpoint_manager_and_restore(
        initializer,
        bound["partitioner"],
        utils.RestoreCheckpointConfig(path=path, mode="specific", dtype="float32"),
        path,
        None,
        use_orbax=use_orbax,
    )
    trainer.train_state = state
    return go_on(trainer, second)


def go_on(trainer, batches) -> dict[str, np.ndarray]:
    """The state as it is, and the losses of further steps."""
    results = {"step": np.int64(trainer.train_state.step)} | _arrays(trainer.train_state)
    results["losses"] = train_over(trainer, batches, int(results["step"]))["losses"]
    trainer.close()
    return results


def decode(bound: dict, folder: pathlib.Path, **options) -> dict[str, np.ndarray]:
    """All decodes and their scores, by the decode function that gin binds."""
    model, params = bound["model"], _nested(read_arrays(folder / "weights.npz"))

    @jax.jit
    def predict(params, batch):
        return model.predict_batch_with_aux(params, batch, return_all_decodes=True, **options)

    parts = [predict(params, batch) for batch in read_batches(folder / "batches.npz")]
    return {
        "tokens": np.concatenate([tokens for tokens, _ in parts]),
        "scores": np.concatenate([aux["scores"] for _, aux in parts]),
    }


def score(bound: dict, folder: pathlib.Path) -> dict[str, np.ndarray]:
    """Log-likelihood of the batches' targets."""
    params = _nested(read_arrays(folder / "weights.npz"))
    scores = jax.jit(bound["model"].score_batch)
    parts = [scores(params, batch) for batch in read_batches(folder / "batches.npz")]
    return {"scores": np.concatenate(parts)}


def _trainer(bound: dict, batch: dict):
    """T5X's trainer, and a function that makes a new state."""
    trainer, fresh, _ = _trainer_and_initializer(bound, batch)
    return trainer, fresh


def _trainer_and_initializer(bound: dict, batch: dict):
    """As `_trainer`, with the initializer of states: all as T5X's `train` makes them."""
    from t5x import utils

    model, partitioner = bound["model"], bound["partitioner"]
    initializer = utils.TrainStateInitializer(
        optimizer_def=model.optimizer_def,
        init_fn=model.get_initial_variables,
        input_shapes={name: array.shape for name, array in batch.items()},
        input_types={name: array.dtype for name, array in batch.items()},
        partitioner=partitioner,
    )
    trainer = bound["trainer_cls"](
        model=model,
        train_state=None,
        partitioner=partitioner,
        eval_names=(),
        summary_dir=None,
        train_state_axes=initializer.train_state_axes,
        rng=jax.random.PRNGKey(0),
    )
    return trainer, lambda: initializer.from_scratch(jax.random.PRNGKey(0)), initializer


def _with_params(state, weights: dict[str, np.ndarray]):
    """The state with these weights; names and shapes must be the model's."""
    own = {name: array.shape for name, array in flat(state.params).items()}
    given = {name: array.shape for name, array in weights.items()}
    if own != given:
        raise SystemExit(
            f"the weights are not this model's: {set(own.items()) ^ set(given.items())}"
        )
    params = _nested(weights)
    is_frozen = isinstance(state.params, flax.core.FrozenDict)
    return state.replace_params(flax.core.freeze(params) if is_frozen else params)


def _nested(weights: dict[str, np.ndarray]) -> dict:
    arrays = {name: jax.numpy.asarray(array) for name, array in weights.items()}
    return flax.traverse_util.unflatten_dict(arrays, sep="/")


def flat(tree) -> dict:
    return flax.traverse_util.flatten_dict(flax.core.unfreeze(tree), sep="/")


def _moments(param_states):
    for name, state in flat(param_states).items():
        for part in ("m", "v", "v_row", "v_col"):
            yield f"{name}/{part}", getattr(state, part)
