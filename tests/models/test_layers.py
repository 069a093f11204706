import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from clinical_t5x.models.config import T5Config
from clinical_t5x.models.dropout import Site, draw, dropout, of_layer
from clinical_t5x.models.layers import RMSNorm, matmul


def test_matmul_has_the_gradient_of_the_plain_product():
    keys = jax.random.split(jax.random.key(0), 3)
    x, kernel = jax.random.normal(keys[0], (2, 5, 3)), jax.random.normal(keys[1], (3, 4))
    direction = jax.random.normal(keys[2], (2, 5, 4))
    ours = jax.grad(lambda x, k: jnp.sum(matmul(x, k) * direction), (0, 1))(x, kernel)
    plain = jax.grad(lambda x, k: jnp.sum((x @ k) * direction), (0, 1))(x, kernel)
    for a, b in zip(ours, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_half_precision_activations_give_a_kernel_its_gradient_in_float32():
    """Not rounded to half precision before devices and microbatches add theirs up."""
    keys = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(keys[0], (4, 300, 16)).astype(jnp.bfloat16)
    kernel = jax.random.normal(keys[1], (16, 8))
    direction = jax.random.normal(keys[2], (4, 300, 8)).astype(jnp.bfloat16)
    found = jax.grad(lambda kernel: jnp.sum(jnp.float32(matmul(x, kernel) * direction)))(kernel)
    exact = np.einsum("bqi,bqo->io", np.float64(x), np.float64(direction))
    assert found.dtype == jnp.float32
    assert matmul(x, kernel).dtype == jnp.bfloat16
    assert np.linalg.norm(found - exact) < 1e-6 * np.linalg.norm(exact)


def test_rms_norm_scales_to_unit_mean_square_and_takes_no_mean_off():
    norm = RMSNorm(T5Config(vocab_size=128, emb_dim=8))
    x = 3.0 + jax.random.normal(jax.random.key(0), (4, 8))
    y = norm(x)
    np.testing.assert_allclose(jnp.mean(y**2, -1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(y / x, jnp.broadcast_to((y / x)[:, :1], x.shape), rtol=1e-5)


def test_rms_norm_computes_in_float32_for_bfloat16_activations():
    norm = RMSNorm(T5Config(vocab_size=128, emb_dim=512, dtype="bfloat16"))
    x = jnp.full((1, 512), 300.0, jnp.bfloat16)
    assert norm(x).dtype == jnp.bfloat16
    np.testing.assert_allclose(np.float32(norm(x)), 1.0, rtol=1e-2)


def test_dropout_keeps_the_mean_and_drops_the_same_units_at_every_position():
    x = jnp.ones((64, 7, 256))
    kept = draw(jax.random.key(1), 64, {"here": Site((1, 256), 0.25)})["here"]
    y = np.asarray(dropout(x, kept[0], 0.25))
    assert set(np.unique(y.round(5))) == {0.0, np.float32(1 / 0.75).round(5)}
    assert y.mean() == pytest.approx(1.0, abs=0.01)
    np.testing.assert_array_equal(y, np.broadcast_to(y[:, :1], y.shape))


def test_masks_of_sites_and_layers_have_their_own_rates_and_numbers():
    sites = {"a": Site((1, 500), 0.1), "b": (Site((4, 125), 0.6), None), "c": Site((9,), 0.0)}
    kept = draw(jax.random.key(2), 16, sites, layers=3)
    assert kept["c"] is None
    assert kept["b"][1] is None
    first, second = np.asarray(kept["a"]), np.asarray(kept["b"][0])
    assert (first.shape, second.shape) == ((3, 16, 1, 500), (3, 16, 4, 125))
    for mask, share in ((first, 0.9), (second, 0.4)):
        flat = mask.reshape(3, -1)
        np.testing.assert_allclose(flat.mean(axis=1), share, atol=0.02)
        for one, other in itertools.combinations(flat, 2):
            expected = share**2 + (1 - share) ** 2
            assert (one == other).mean() == pytest.approx(expected, abs=0.03)
    np.testing.assert_array_equal(of_layer(kept, 1)["a"], first[1])


def test_no_key_means_no_dropout():
    x = jnp.ones((2, 3))
    sites = {"here": Site((1, 3), 0.5)}
    assert dropout(x, draw(None, 2, sites)["here"], 0.5) is x


def test_parameters_keep_their_logical_axes_without_a_mesh():
    norm = RMSNorm(T5Config(vocab_size=128))
    assert nnx.state(norm)["scale"].get_metadata()["logical_axes"] == ("embed",)
