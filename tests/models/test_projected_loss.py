"""The loss in parts beside the loss from all logits at once, and what it holds in memory."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from clinical_t5x.models import losses
from clinical_t5x.models.config import T5Config
from clinical_t5x.models.encoder_decoder import EncoderDecoderModel
from clinical_t5x.models.network import Transformer
from clinical_t5x.models.projected_loss import (
    Projection,
    positions_at_once,
    projected_cross_entropy,
)
from tests.models.conftest import random_batch, vocabulary

BATCH, LENGTH, WIDTH, VOCAB = 3, 7, 16, 384
MIB = 2**20


def numbers(vocab_dim):
    rng = np.random.default_rng(3)
    x = jnp.float32(rng.normal(size=(BATCH, LENGTH, WIDTH)))
    table = rng.normal(size=(VOCAB, WIDTH) if vocab_dim == 0 else (WIDTH, VOCAB))
    targets = jnp.asarray(rng.integers(0, VOCAB, (BATCH, LENGTH)))
    weights = jnp.float32(rng.random((BATCH, LENGTH)) * (rng.random((BATCH, LENGTH)) > 0.3))
    return x, jnp.float32(table), targets, weights


def by_all_logits(rule, x, table, targets, weights):
    logits = x @ (table.T if rule.vocab_dim == 0 else table)
    loss, z_part = losses.cross_entropy_with_logits(
        logits, targets, rule.z_loss, rule.label_smoothing
    )
    return jnp.sum(loss * weights), (loss, z_part, jnp.argmax(logits, -1) == targets)


def assert_close(found, expected, tolerance=1e-6):
    found, expected = np.float64(found), np.float64(expected)
    assert np.linalg.norm(found - expected) <= tolerance * np.linalg.norm(expected)


@pytest.mark.parametrize("vocab_dim", [0, 1], ids=["tied", "untied"])
@pytest.mark.parametrize("positions", [1, 3, 7], ids=lambda count: f"{count} at once")
@pytest.mark.parametrize("z_loss,smoothing", [(0.0, 0.0), (1e-2, 0.1)])
def test_values_and_gradients_are_those_from_all_logits(vocab_dim, positions, z_loss, smoothing):
    rule = Projection(vocab_dim, z_loss, smoothing, positions)
    x, table, targets, weights = numbers(vocab_dim)

    def value_and_gradients(function):
        def total(x, table, weights):
            return function(rule, x, table, targets, weights)

        return jax.jit(jax.value_and_grad(total, (0, 1, 2), has_aux=True))(x, table, weights)

    (total, parts), gradients = value_and_gradients(projected_cross_entropy)
    (expected, expected_parts), expected_gradients = value_and_gradients(by_all_logits)
    undifferentiated, _ = projected_cross_entropy(rule, x, table, targets, weights)
    assert_close(total, expected)
    assert_close(undifferentiated, expected)
    for found, wanted in zip(parts, expected_parts, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)
    for found, wanted in zip(gradients, expected_gradients, strict=True):
        assert_close(found, wanted)


def test_the_gradient_follows_what_becomes_of_the_sum():
    rule = Projection(0, 0.0, 0.0, 2)
    x, table, targets, weights = numbers(0)

    def logarithm(x, table):
        return jnp.log(projected_cross_entropy(rule, x, table, targets, weights)[0])

    total, _ = by_all_logits(rule, x, table, targets, weights)
    plain = jax.grad(lambda x: by_all_logits(rule, x, table, targets, weights)[0])(x)
    assert_close(jax.grad(logarithm)(x, table), plain / total)


def test_an_untrained_table_has_no_gradient_made_for_it():
    x, table, targets, weights = numbers(0)

    def total(x):
        return projected_cross_entropy(Projection(0, 0.0, 0.0, 2), x, table, targets, weights)[0]

    of_table_shape = f"f32[{VOCAB},{WIDTH}]"
    jaxpr = jax.make_jaxpr(jax.grad(total))(x)
    (scan,) = [equation for equation in jaxpr.eqns if equation.primitive.name == "scan"]
    assert of_table_shape not in {str(variable.aval) for variable in scan.outvars}


def model_of(**changes):
    config = T5Config(
        vocab_size=VOCAB,
        emb_dim=32,
        num_heads=2,
        head_dim=16,
        mlp_dim=64,
        num_encoder_layers=1,
        num_decoder_layers=1,
        dropout_rate=0.1,
    )
    config = dataclasses.replace(
        config,
        **{name: changes.pop(name) for name in [*changes] if hasattr(config, name)},
    )
    words = vocabulary()
    return EncoderDecoderModel(Transformer(config), words, words, **changes)


def packed():
    batch = random_batch(5, 3, 12, 9)
    for side, tokens in (("encoder", "encoder_input_tokens"), ("decoder", "decoder_target_tokens")):
        cuts = (np.arange(batch[tokens].shape[1]) >= 4) + 1
        batch[f"{side}_segment_ids"] = np.where(batch[tokens] > 0, cuts, 0).astype(np.int32)
    return batch


def test_a_models_loss_metrics_and_gradients_do_not_depend_on_the_parts():
    options = {
        "logits_via_embedding": True,
        "loss_normalizing_factor": "AVERAGE_PER_SEQUENCE",
        "z_loss": 1e-3,
    }
    batch, key = packed(), jax.random.key(2)
    params = model_of(**options).init_params(jax.random.key(0))

    def run(mebibytes):
        model = model_of(logits_mebibytes=mebibytes, label_smoothing=0.1, **options)
        loss = jax.jit(jax.value_and_grad(model.loss_fn, has_aux=True))(params, batch, key)
        return loss, model.score_batch(params, batch)

    # 3 rows x 2 positions x 384 words x 4 bytes: parts of 2 positions, the last one filled up
    ((loss, sums), gradients), scores = run(2 * 3 * VOCAB * 4 / MIB)
    ((whole, whole_sums), whole_gradients), whole_scores = run(256.0)
    assert_close(loss, whole)
    assert sums.keys() == whole_sums.keys()
    for name, total in whole_sums.items():
        assert_close(sums[name], total)
    jax.tree.map(assert_close, gradients, whole_gradients)
    assert_close(scores, whole_scores)


def temporary_bytes(vocab_size, length, mebibytes):
    config = T5Config(
        vocab_size, emb_dim=16, num_heads=2, head_dim=8, mlp_dim=32, num_encoder_layers=1,
        num_decoder_layers=1, logits_via_embedding=True, logits_mebibytes=mebibytes,
    )  # fmt: skip
    model = EncoderDecoderModel(Transformer(config), None, None)
    params = model.abstract_params()
    batch = {
        name: jax.ShapeDtypeStruct((8, length), jnp.int32)
        for name in ("encoder_input_tokens", "decoder_input_tokens", "decoder_target_tokens")
    }
    gradient = jax.jit(jax.grad(lambda params, batch: model.loss_fn(params, batch)[0]))
    return gradient.lower(params, batch).compile().memory_analysis().temp_size_in_bytes


def test_memory_does_not_grow_with_vocabulary_times_targets():
    """By XLA's account on a CPU; does not show what a GPU's or TPU's compiler makes of it."""
    part = 1.0  # MiB
    logits = {(v, q): 8 * q * v * 4 / MIB for v in (8192, 32768) for q in (32, 128)}
    small, most = (temporary_bytes(*shape, part) / MIB for shape in (min(logits), max(logits)))
    whole = temporary_bytes(*max(logits), 1e6) / MIB
    assert logits[max(logits)] == 128
    assert whole > 128
    # The rest is the table's gradient, 2 MiB of its own size a copy, and activations.
    tables = 3 * 32768 * 16 * 4 / MIB
    activations = 16 * small
    assert most < 8 * part + tables + min(activations, 16)
    assert most < whole / 5


@pytest.mark.parametrize(
    ("mebibytes", "positions"),
    [(256, 114), (111.6, 57), (28, 23), (0.9, 1), (0.001, 1)],
)
def test_parts_are_as_large_as_allowed_and_alike(mebibytes, positions):
    x = jax.ShapeDtypeStruct((8, 114, 512), jnp.float32)
    found = jax.eval_shape(lambda x: jnp.zeros(positions_at_once(x, 32128, mebibytes)), x)
    assert found.shape == (positions,)


def test_an_amount_of_nothing_is_refused_by_name():
    with pytest.raises(ValueError, match=r"T5Config\.logits_mebibytes is 0"):
        T5Config(128, logits_mebibytes=0)
