"""Runs on eight pretended CPU devices, in a process of its own, and prints what it saw as JSON.

The number of devices is fixed when JAX starts, so that tests cannot change it in their process.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import sys
import tempfile

# Level 0: most of the time here is compilation, and its result runs for a fraction of a second.
os.environ["XLA_FLAGS"] = " ".join(
    (
        os.environ.get("XLA_FLAGS", ""),
        "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0",
    )
)

# With a thread a core, eight devices that wait for each other leave none to go on with.
os.environ["NPROC"] = "64"

import jax
import numpy as np

from clinical_t5x.models import lora
from clinical_t5x.partitioning import PjitPartitioner
from clinical_t5x.training import checkpoints, compiled_programs, runtime
from clinical_t5x.training import state as states
from clinical_t5x.training.trainer import Trainer
from tests.training import standin

MESHES = {
    "one": (1, 1, 1),
    "data": (8, 1, 1),
    "fsdp": (1, 8, 1),
    "tensor": (2, 1, 4),
    "all": (2, 2, 2),
    "slices": (1, 2, 2),  # of each of two pretended slices
}
BATCH = 16


def partitioner_of(shape):
    if shape == (1, 1, 1):
        return PjitPartitioner().on_devices(jax.devices()[:1])
    over_slices = (2, 1, 1) if shape == MESHES["slices"] else None
    return PjitPartitioner(ici_mesh_shape=shape, dcn_mesh_shape=over_slices)


def trainer_on(shape, num_microbatches=None, **config):
    trainer = Trainer(
        model=standin.tiny_model(**config),
        train_state=None,
        partitioner=partitioner_of(shape),
        eval_names=(),
        summary_dir=None,
        train_state_axes=None,
        rng=runtime.random_key(0, runtime.DROPOUT_STREAM),
        learning_rate_fn=lambda step: 0.01,
        num_microbatches=num_microbatches,
    )
    trainer.init_state(runtime.random_key(0, runtime.INIT_STREAM))
    return trainer


def losses(trainer, steps, first=0):
    batches = standin.CountingBatches(0, BATCH)
    rows = trainer.partitioner.local_rows(BATCH)
    found = []
    for step in range(first, first + steps):
        batch = trainer.partitioner.place_batch(batches.batch(step, rows), BATCH)
        sums = trainer.train_step(batch)
        found.append(float(sums["loss"]) / float(sums["num_targets"]))
    return found


def parameters_differ(first, second):
    """Largest absolute difference over all parameters."""
    pairs = zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    return max(float(np.max(np.abs(np.asarray(a) - np.asarray(b)))) for a, b in pairs)


def spread(trainer):
    """The share of the parameters' bytes that one device holds."""
    leaves = jax.tree.leaves(trainer.train_state.params)
    held = sum(leaf.addressable_shards[0].data.nbytes for leaf in leaves)
    return held / sum(leaf.nbytes for leaf in leaves)


def mesh_shapes(names, steps):
    """Losses, with dropout, on these meshes; and the share of the parameters a device holds."""
    report = {}
    for name in names:
        trainer = trainer_on(MESHES[name])
        report[name] = {"losses": losses(trainer, steps), "share": spread(trainer)}
    return report


def microbatches():
    """Losses without dropout for 1, 2 and 4 microbatches on two meshes."""
    return {
        f"{name} {count}": losses(trainer_on(MESHES[name], count, dropout_rate=0.0), 3)
        for name, count in (("one", 1), ("one", 4), ("data", 2))
    }


def adapted():
    """Adapters on one device and on a mesh: losses, and how the mesh splits and merges them."""
    config = {"lora_rank": 2, "lora_targets": ("q", "wi", "wo"), "scan_layers": True}
    report = {}
    for name in ("one", "all"):
        trainer = trainer_on(MESHES[name], **config)
        query = trainer.train_state.params["encoder"]["layers"]["attention"]["query"]
        with tempfile.TemporaryDirectory() as directory:
            store = checkpoints.CheckpointStore(directory)
            found = losses(trainer, 3)
            position = {"config": dataclasses.asdict(trainer.model.config)}
            store.save(trainer.train_state, position)
            store.close()
            plain = standin.tiny_model(scan_layers=True)
            merged, _ = checkpoints.restore_params(directory, plain, trainer.partitioner)
        expected = lora.merged(jax.device_get(trainer.train_state.params), trainer.model.config)
        report[name] = {
            "losses": found,
            "spec": [str(tuple(query[part].sharding.spec)) for part in (lora.A, lora.B)],
            "merged_apart": parameters_differ(merged, expected),
        }
    return report


def another_mesh():
    """Save on one mesh, go on there and on another."""
    with tempfile.TemporaryDirectory() as directory:
        first = trainer_on(MESHES["all"])
        losses(first, 2)
        store = checkpoints.CheckpointStore(directory)
        store.save(first.train_state, {})
        store.wait()
        second = trainer_on(MESHES["fsdp"])
        second.train_state, _ = store.restore_latest(second.abstract_state, {})
        store.close()
    moved = parameters_differ(first.train_state.params, second.train_state.params)
    return {"moved": moved, "here": losses(first, 5, 2), "there": losses(second, 5, 2)}


def odd_sizes():
    """What is logged about dims that do not divide."""
    records = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())
    logging.getLogger("clinical_t5x").addHandler(handler)
    partitioner = PjitPartitioner(ici_mesh_shape=(1, 8, 1))
    shapes = {"odd": jax.ShapeDtypeStruct((12, 16), np.float32)}
    axes = {"odd": ("embed", "mlp")}
    spec = partitioner.shardings(shapes, axes)["odd"].spec
    return {"spec": str(tuple(spec)), "log": records}


def born_sharded():
    """Whether parameters lie where the rules say as soon as they exist."""
    trainer = trainer_on(MESHES["all"])
    wanted = states.shardings_of(trainer.abstract_state)
    made = jax.tree.map(lambda leaf: leaf.sharding, trainer.train_state)
    same = jax.tree.map(
        lambda a, b, leaf: a.is_equivalent_to(b, leaf.ndim), wanted, made, trainer.train_state
    )
    return all(jax.tree.leaves(same))


if __name__ == "__main__":
    compiled_programs.keep_compiled_programs()
    if sys.argv[1] == "long":
        print(json.dumps({"meshes": mesh_shapes(MESHES, 20)}))
    else:
        found = {
            "meshes": mesh_shapes(("one", "fsdp", "all", "slices"), 3),
            "microbatches": microbatches(),
            "adapted": adapted(),
            "another_mesh": another_mesh(),
            "odd_sizes": odd_sizes(),
            "born_sharded": born_sharded(),
        }
        print(json.dumps(found))
