"""Run in a process of its own on eight pretended CPU devices; prints distances as JSON.

The number of devices is fixed when JAX starts, so that tests cannot change it in their process.
"""

from __future__ import annotations

import json
import os

os.environ["XLA_FLAGS"] = " ".join(
    (
        os.environ.get("XLA_FLAGS", ""),
        "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0",
    )
)
os.environ["NPROC"] = "64"  # devices that wait for each other need threads to go on with

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.pallas import tpu as pltpu
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from clinical_t5x.models import attention_kernels, projected_loss
from clinical_t5x.models.activations import activation_constraint
from clinical_t5x.partitioning import PjitPartitioner
from tests.models.test_attention_kernels import plain
from tests.models.test_projected_loss import model_of, packed

MESH = (2, 2, 2)
ROWS_X_WORDS = 8 * 384 * 4 / 2**20  # MiB of the logits of one position of all rows


def distance(found, expected) -> float:
    """Relative to the norm of what is expected; absolute where that is nothing but zeros."""
    found, expected = np.float64(found), np.float64(expected)
    return float(np.linalg.norm(found - expected) / (np.linalg.norm(expected) or 1.0))


def loss_in_parts() -> dict:
    """Loss, metrics and gradients on a mesh, the vocabulary split over it, beside one device."""
    batch = {name: np.tile(rows, (3, 1))[:8] for name, rows in packed().items()}
    partitioner = PjitPartitioner(ici_mesh_shape=MESH)
    whole = model_of(logits_via_embedding=True, z_loss=1e-3)
    # each of eight devices may hold its eighth of the logits of two positions
    mebibytes = 2 * ROWS_X_WORDS / 8
    parts = model_of(logits_via_embedding=True, z_loss=1e-3, logits_mebibytes=mebibytes)
    params = whole.init_params(jax.random.key(0))
    shardings = partitioner.shardings(whole.abstract_params(), whole.logical_axes())
    on_mesh = jax.device_put(params, shardings)
    batch_on_mesh = {
        name: jax.device_put(rows, partitioner.batch_sharding) for name, rows in batch.items()
    }
    seen = []
    positions_at_once = projected_loss.positions_at_once

    def noted(*arguments):
        seen.append(positions_at_once(*arguments))
        return seen[-1]

    projected_loss.positions_at_once = noted
    step = jax.jit(jax.value_and_grad(parts.loss_fn, has_aux=True))
    with activation_constraint(partitioner.constrain):  # as training does
        (loss, sums), gradients = step(on_mesh, batch_on_mesh, jax.random.key(1))
    projected_loss.positions_at_once = positions_at_once
    step = jax.jit(jax.value_and_grad(whole.loss_fn, has_aux=True))
    (expected, expected_sums), expected_gradients = step(params, batch, jax.random.key(1))
    return {
        "positions": seen[0],
        "vocabulary": tuple(shardings["token_embedder"]["embedding"].spec),
        "loss": distance(loss, expected),
        "sums": max(distance(sums[name], expected_sums[name]) for name in sums),
        "gradients": max(jax.tree.leaves(jax.tree.map(distance, gradients, expected_gradients))),
    }


def pallas_on_a_mesh() -> dict:
    """The TPU's kernel, interpreted, where rows and heads are split."""
    mesh = jax.make_mesh((2, 2), ("data", "tensor"), axis_types=(AxisType.Auto,) * 2)
    rng = np.random.default_rng(0)
    q, k, v = (np.float32(rng.normal(size=(2, n, 2, 8))) for n in (5, 7, 7))
    bias, mask = np.float32(rng.normal(size=(2, 5, 7))), rng.random((2, 1, 5, 7)) > 0.2
    rows = NamedSharding(mesh, PartitionSpec("data"))
    placed = [jax.device_put(array, rows) for array in (q, k, v)]

    def results(attend, inputs):
        def total(*inputs):
            return jnp.sum(jnp.sin(attend(*inputs, jnp.asarray(mask))))

        return jax.jit(jax.value_and_grad(total, (0, 1, 2, 3)))(*inputs)

    expected, expected_gradients = results(plain, [q, k, v, bias])
    with pltpu.force_tpu_interpret_mode():
        found, gradients = results(attention_kernels.pallas_attention, [*placed, bias])
    return {
        "value": distance(found, expected),
        "gradients": max(map(distance, gradients, expected_gradients)),
    }


if __name__ == "__main__":
    print(json.dumps({"loss": loss_in_parts(), "pallas": pallas_on_a_mesh()}))
