import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from clinical_t5x.models.config import T5Config
from clinical_t5x.models.position import RelativePositionBias, relative_position_bucket


def torch_buckets(distances, bidirectional):
    import torch
    from transformers.models.t5.modeling_t5 import T5Attention

    return T5Attention._relative_position_bucket(
        torch.from_numpy(distances), bidirectional=bidirectional
    ).numpy()


@pytest.mark.parametrize("bidirectional", [True, False])
def test_buckets_of_all_distances_equal_transformers(bidirectional):
    distances = np.arange(-2000, 2001)
    ours = relative_position_bucket(jnp.asarray(distances), bidirectional=bidirectional)
    np.testing.assert_array_equal(ours, torch_buckets(distances, bidirectional))


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("lengths", [(3, 9), (9, 3), (1, 1)])
def test_bias_of_all_pairs_is_the_bias_of_each_distance(bidirectional, lengths, drawn):
    queries, keys = lengths
    config = T5Config(vocab_size=128, num_heads=2)
    bias = drawn(RelativePositionBias(config, bidirectional=bidirectional))
    by_pair = bias.of_distances((jnp.arange(keys)[None] - jnp.arange(queries)[:, None]).ravel())
    np.testing.assert_allclose(
        bias(queries, keys), by_pair.reshape(2, queries, keys), rtol=1e-6, atol=1e-7
    )
    np.testing.assert_allclose(
        bias.of_step(jnp.asarray(queries - 1), keys), bias(queries, keys)[:, -1], rtol=1e-6
    )


def test_gradient_sums_over_the_pairs_of_a_bucket():
    bias = RelativePositionBias(T5Config(vocab_size=128, num_heads=1), bidirectional=True)
    graph, state = nnx.split(bias)
    gradient = jax.grad(lambda s: jnp.sum(nnx.merge(graph, s)(4, 6)))(nnx.to_pure_dict(state))
    pairs = np.arange(6)[None] - np.arange(4)[:, None]
    counts = np.bincount(torch_buckets(pairs, True).ravel(), minlength=32)
    np.testing.assert_allclose(gradient["rel_embedding"][0], counts, rtol=1e-5, atol=1e-5)
