"""Plans for eight pretended CPU devices, in a process of its own; prints what it found as JSON.

The number of devices is fixed when JAX starts, so that tests cannot change it in their process.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile

import jax
import numpy as np

from clinical_t5x.launch.flags import parse_flags
from clinical_t5x.plan.run import PlannedRun, planned_run
from clinical_t5x.plan.search import search
from clinical_t5x.plan.topology import read_topology
from clinical_t5x.plan.verdict import plan_run

EIGHT = read_topology("cpu:8")
MESHES = {"data": (8, 1, 1), "fsdp": (1, 8, 1)}


def made(leaf: jax.ShapeDtypeStruct) -> jax.Array:
    """A real array of zeros where the run's own would be."""
    return jax.device_put(np.zeros(leaf.shape, leaf.dtype), leaf.sharding)


def held(tree) -> int:
    """Bytes of arrays that one device really holds."""
    return sum(leaf.addressable_shards[0].data.nbytes for leaf in jax.tree.leaves(tree))


def on_mesh(run: PlannedRun, shape) -> dict:
    """A plan's figures beside those of arrays that were really made."""
    run = run.on(run.partitioner.with_mesh_shape(shape))
    plan = plan_run(run, EIGHT, mfu=0.4)
    state = jax.tree.map(made, plan.run.trainer().abstract_state)
    return {
        "fits": plan.fits,
        "planned": dataclasses.asdict(plan.memory),
        "held": {"parameters": held(state.params), "optimizer": held(state.opt_state)},
        "collectives": {one.kind: one.bytes for one in plan.compiled.collectives},
        "seconds": plan.compiled.seconds,
    }


def searched(run: PlannedRun) -> dict:
    """What a search proposes, and what it had to compile."""
    found = search(run, [EIGHT], mfu=0.4)
    return {
        "mesh": found.best.mesh,
        "remat": found.best.run.model.config.remat_policy,
        "method": found.best.method,
        "compiled": [plan.compiled.seconds for plan in found.compiled],
    }


def main() -> None:
    smallest = {
        "emb_dim": 32, "num_heads": 4, "head_dim": 8, "mlp_dim": 64, "num_encoder_layers": 1,
        "num_decoder_layers": 1,
    }  # fmt: skip
    bindings = [f"--gin.network.T5Config.{name}={value}" for name, value in smallest.items()]
    # scanned, as a search has it, so that it finds what was compiled
    bindings += [
        "--gin.network.T5Config.scan_layers=True",
        "--gin.BATCH_SIZE=16",
        "--gin.train/utils.DatasetConfig.pack=False",
    ]
    with tempfile.TemporaryDirectory() as home:
        flags = parse_flags("train", ["--gin_file=gin/demo.gin", f"--data_dir={home}", *bindings])
        with planned_run(flags, "cpu") as run:
            report = {name: on_mesh(run, shape) for name, shape in MESHES.items()}
            report["again"] = on_mesh(run, MESHES["data"])
            report["searched"] = searched(run)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
