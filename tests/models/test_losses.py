import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_t5x.models import losses

VOCAB = 11


def by_definition(logits, targets, z_loss, smoothing):
    """Loss with a one-hot target and log-probabilities, in float64."""
    logits = np.asarray(logits, np.float64)
    log_z = np.log(np.exp(logits).sum(-1))
    log_probs = logits - log_z[..., None]
    low = smoothing / (VOCAB - 1)
    wanted = np.where(np.arange(VOCAB) == targets[..., None], 1 - smoothing, low)
    floor = (wanted * np.log(wanted + 1e-20)).sum(-1)
    return floor - (wanted * log_probs).sum(-1) + z_loss * log_z**2, z_loss * log_z**2


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([0.0, 1e-4, 0.1]), st.sampled_from([0.0, 0.1, 0.5]))
def test_cross_entropy_follows_its_definition(seed, z_loss, smoothing):
    rng = np.random.default_rng(seed)
    logits = np.float32(rng.normal(size=(3, 4, VOCAB)) * 3)
    targets = rng.integers(0, VOCAB, (3, 4))
    found = losses.cross_entropy_with_logits(
        jnp.asarray(logits), jnp.asarray(targets), z_loss, smoothing
    )
    for ours, exact in zip(found, by_definition(logits, targets, z_loss, smoothing), strict=True):
        np.testing.assert_allclose(ours, exact, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(("z_loss", "smoothing"), [(0.0, 0.0), (0.01, 0.1)])
def test_gradient_is_that_of_the_definition(z_loss, smoothing):
    rng = np.random.default_rng(0)
    logits = jnp.float32(rng.normal(size=(2, 3, VOCAB)))
    targets = jnp.asarray(rng.integers(0, VOCAB, (2, 3)))
    weights = jnp.float32(rng.random((2, 3)))

    def plain(logits):
        log_probs = jax.nn.log_softmax(logits)
        wanted = jnp.where(
            jnp.arange(VOCAB) == targets[..., None], 1 - smoothing, smoothing / (VOCAB - 1)
        )
        z_part = z_loss * jax.nn.logsumexp(logits, axis=-1) ** 2
        return jnp.sum(weights * (z_part - jnp.sum(wanted * log_probs, -1)))

    def ours(logits):
        loss, _ = losses.cross_entropy_with_logits(logits, targets, z_loss, smoothing)
        return jnp.sum(loss * weights)

    np.testing.assert_allclose(jax.grad(ours)(logits), jax.grad(plain)(logits), atol=1e-6)


def test_a_perfect_smoothed_prediction_costs_nothing():
    wanted = np.full(VOCAB, 0.1 / (VOCAB - 1))
    wanted[3] = 0.9
    loss, _ = losses.cross_entropy_with_logits(
        jnp.log(jnp.float32(wanted))[None], jnp.asarray([3]), 0.0, 0.1
    )
    np.testing.assert_allclose(loss, 0.0, atol=1e-6)


PADDED = {
    "decoder_target_tokens": jnp.asarray([[5, 6, 1, 0], [7, 1, 0, 0]]),
    "decoder_loss_weights": jnp.asarray([[1, 1, 1, 0], [1, 1, 0, 0]]),
}
PACKED = {
    "decoder_target_tokens": jnp.asarray([[5, 6, 1, 7, 1, 0]]),
    "decoder_loss_weights": jnp.asarray([[1, 1, 1, 1, 1, 0]]),
    "decoder_segment_ids": jnp.asarray([[1, 1, 1, 2, 2, 0]]),
}


@pytest.mark.parametrize(
    ("factor", "divisor"),
    [
        (None, 1),
        (233472, 233472),
        ("NUM_REAL_TARGET_TOKENS", 5),
        ("num_total_target_tokens", 8),
        (losses.SpecialLossNormalizingFactor.NUM_REAL_TARGET_TOKENS, 5),
    ],
)
def test_divisors(factor, divisor):
    found, weights = losses.normalizing_factor_and_weights(factor, PADDED)
    assert float(found) == divisor
    np.testing.assert_array_equal(weights, PADDED["decoder_loss_weights"])


def test_average_per_sequence_is_the_same_packed_and_padded():
    third, half = 1 / 3, 1 / 2
    factor, weights = losses.normalizing_factor_and_weights("AVERAGE_PER_SEQUENCE", PADDED)
    np.testing.assert_allclose(weights, [[third, third, third, 0], [half, half, 0, 0]])
    assert float(factor) == pytest.approx(2)
    factor, weights = losses.normalizing_factor_and_weights("AVERAGE_PER_SEQUENCE", PACKED)
    np.testing.assert_allclose(weights, [[third, third, third, half, half, 0]])
    assert float(factor) == pytest.approx(2)


def test_without_weights_padding_does_not_count():
    batch = {"decoder_target_tokens": PADDED["decoder_target_tokens"]}
    np.testing.assert_array_equal(losses.target_weights(batch), PADDED["decoder_loss_weights"])


def test_an_unknown_factor_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'AVERAGE'.*AVERAGE_PER_SEQUENCE"):
        losses.parse_normalizing_factor("AVERAGE")
