"""Kernels beside XLA's attention.

The TPU's kernel runs in Pallas' interpreter, which does on a CPU what the kernel says; this does
not show that a TPU compiles it or how it rounds. cuDNN's needs an NVIDIA GPU: without one, what is
handed to it is tested by JAX's own plain implementation of the same function.
"""

import dataclasses
import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.pallas import tpu as pltpu

from clinical_t5x.models import attention_kernels
from clinical_t5x.models.attention import Attention
from clinical_t5x.models.config import T5Config
from clinical_t5x.models.dropout import draw, dropout, of_layer
from clinical_t5x.models.encoder_decoder import EncoderDecoderModel
from clinical_t5x.models.network import Transformer
from tests.models.conftest import random_batch

BATCH, HEADS, WIDTH = 2, 2, 8
HAS_GPU = jax.default_backend() == "gpu"
CONFIG = T5Config(
    vocab_size=128,
    emb_dim=16,
    num_heads=HEADS,
    head_dim=WIDTH,
    mlp_dim=32,
    num_encoder_layers=1,
    num_decoder_layers=1,
    dropout_rate=0.3,
)


def arrays(queries, keys, dtype="float32"):
    rng = np.random.default_rng(1)

    def normal(*shape):
        return jnp.asarray(rng.normal(size=shape), dtype)

    q, k, v = (normal(BATCH, n, HEADS, WIDTH) for n in (queries, keys, keys))
    bias = jnp.float32(rng.normal(size=(HEADS, queries, keys)))
    segments = np.sort(rng.integers(0, 3, (BATCH, max(queries, keys))))
    mask = segments[:, None, :queries, None] == segments[:, None, None, :keys]
    mask = mask & (segments[:, None, None, :keys] > 0)
    return (q, k, v, bias), jnp.asarray(mask)


def plain(q, k, v, bias, mask):
    """The definition; a query that may attend to nothing attends to all alike."""
    logits = jnp.einsum("bqhf,bkhf->bhqk", *map(jnp.float32, (q, k)))
    logits = logits if bias is None else logits + bias
    weights = jax.nn.softmax(logits + jnp.where(mask, 0.0, -1e10))
    return jnp.einsum("bhqk,bkhf->bqhf", weights, jnp.float32(v))


def results(attend, inputs, mask):
    """What comes out, and the gradients of a sum that weighs every number differently."""

    def total(*inputs):
        mixed = jnp.float32(attend(*inputs, mask))
        return jnp.sum(mixed * jnp.cos(jnp.arange(mixed.size)).reshape(mixed.shape)), mixed

    gradients, mixed = jax.grad(total, range(len(inputs)), has_aux=True)(*inputs)
    return mixed, gradients


def assert_close(found, expected, tolerance):
    found, expected = np.float64(found), np.float64(expected)
    assert np.linalg.norm(found - expected) <= tolerance * np.linalg.norm(expected)


@pytest.mark.parametrize(("queries", "keys"), [(20, 37), (130, 130)], ids=str)
def test_the_tpus_kernel_gives_the_same_numbers_and_gradients(queries, keys):
    inputs, mask = arrays(queries, keys)
    mixed, gradients = results(plain, inputs, mask)
    with pltpu.force_tpu_interpret_mode():
        found, found_gradients = results(attention_kernels.pallas_attention, inputs, mask)
    assert_close(found, mixed, 1e-5)
    for own, expected in zip(found_gradients, gradients, strict=True):
        assert_close(own, expected, 1e-5)


def test_what_cudnn_is_handed_gives_the_same_numbers_and_gradients():
    inputs, mask = arrays(21, 37, "bfloat16")  # odd lengths are filled up

    def handed(*arguments):
        return attention_kernels.cudnn_attention(*arguments, implementation="xla")

    compare_halves(handed, inputs, mask)


@pytest.mark.skipif(not HAS_GPU, reason="cuDNN's attention needs an NVIDIA GPU")
@pytest.mark.parametrize(("queries", "keys"), [(21, 37), (114, 512)], ids=str)
def test_cudnn_gives_the_same_numbers_and_gradients(queries, keys):
    inputs, mask = arrays(queries, keys, "bfloat16")
    compare_halves(attention_kernels.cudnn_attention, inputs, mask)


def compare_halves(attend, inputs, mask):
    """Within what bfloat16 loses on logits: their size times 2**-8."""
    mixed, gradients = results(plain, inputs, mask)
    found, found_gradients = results(attend, inputs, mask)
    assert_close(found, mixed, 0.02)
    for own, expected in zip(found_gradients, gradients, strict=True):
        assert_close(own, expected, 0.03)


def loss_and_gradients(config, batch):
    model = EncoderDecoderModel(Transformer(config), None, None)
    params = model.init_params(jax.random.key(0))
    loss = jax.value_and_grad(lambda params: model.loss_fn(params, batch, jax.random.key(1))[0])
    return jax.jit(loss)(params)


def packed():
    batch = random_batch(3, 2, 14, 9, vocab_size=128)
    for side, tokens in (("encoder", "encoder_input_tokens"), ("decoder", "decoder_target_tokens")):
        cuts = (np.arange(batch[tokens].shape[1]) >= 4) + 1
        batch[f"{side}_segment_ids"] = np.where(batch[tokens] > 0, cuts, 0).astype(np.int32)
    return batch


def test_a_model_trains_alike_with_the_tpus_kernel_packed_and_with_dropout(monkeypatch):
    """Encoder, causal and cross attention; position bias; and dropout from the same key."""
    batch = packed()
    loss, gradients = loss_and_gradients(CONFIG, batch)
    monkeypatch.setattr(attention_kernels, "platform_of", lambda x: "tpu")
    with pltpu.force_tpu_interpret_mode():
        found, found_gradients = loss_and_gradients(
            dataclasses.replace(CONFIG, attention_implementation="pallas"), batch
        )
    assert float(found) == pytest.approx(float(loss), rel=1e-6)
    jax.tree.map(lambda a, b: assert_close(a, b, 1e-5), found_gradients, gradients)


@pytest.mark.parametrize("name", ["cudnn", "pallas"])
def test_elsewhere_a_kernel_means_xla_and_the_log_says_so(name, caplog):
    attention_kernels._say_once.cache_clear()
    config = dataclasses.replace(CONFIG, attention_implementation=name)
    if HAS_GPU and name == "cudnn":
        pytest.skip("this machine has the device")
    with caplog.at_level(logging.WARNING):
        assert attention_kernels.kernel_for(config, jnp.ones(1)) is None
        assert attention_kernels.kernel_for(config, jnp.ones(1)) is None
    (record,) = caplog.records
    assert f"attention_implementation = '{name}' means 'xla' here" in record.getMessage()


@pytest.mark.parametrize(
    ("platform", "changes", "message"),
    [
        ("gpu", {"attention_implementation": "cudnn"}, "dtype = 'float32'"),
        (
            "gpu",
            {"attention_implementation": "cudnn", "dtype": "bfloat16", "head_dim": 20},
            "head_dim that is a multiple of 8",
        ),
        (
            "gpu",
            {
                "attention_implementation": "cudnn",
                "dtype": "bfloat16",
                "float32_attention_logits": True,
            },
            "float32_attention_logits = True",
        ),
        (
            "tpu",
            {"attention_implementation": "pallas", "head_dim": 192},
            "multiple of it; it is 192",
        ),
    ],
)
def test_what_a_kernel_does_not_take_is_refused_by_name(monkeypatch, platform, changes, message):
    monkeypatch.setattr(attention_kernels, "platform_of", lambda x: platform)
    config = dataclasses.replace(CONFIG, **changes)
    with pytest.raises(ValueError, match=message):
        attention_kernels.kernel_for(config, jnp.ones(1))


def test_an_unknown_implementation_is_refused():
    with pytest.raises(ValueError, match=r"attention_implementation is 'flash'; .*'pallas'"):
        T5Config(128, attention_implementation="flash")


def test_dropout_of_keys_is_t5s_dropout_of_attention_weights(drawn):
    """The same mask, `[B, H, 1, K]`, applied to the weights after the softmax."""
    attention = drawn(Attention(CONFIG))
    rng = np.random.default_rng(0)
    x, memory = (jnp.float32(rng.normal(size=(BATCH, n, CONFIG.emb_dim))) for n in (5, 7))
    (_, _, _, bias), mask = arrays(5, 7)
    kept = of_layer(draw(jax.random.key(4), BATCH, Attention.sites(CONFIG, 7)), 0)
    q, k, v = (
        attention.heads(part(of))
        for part, of in ((attention.query, x), (attention.key, memory), (attention.value, memory))
    )
    logits = jnp.einsum("bqhf,bkhf->bhqk", q, k) + bias + jnp.where(mask, 0.0, -1e10)
    weights = dropout(jax.nn.softmax(logits), kept["weights"][:, :, None], CONFIG.dropout_rate)
    assert (np.asarray(weights) == 0).any()
    mixed = jnp.einsum("bhqk,bkhf->bqhf", weights, v)
    expected = attention.out(mixed.reshape(BATCH, 5, -1))
    found = attention(x, memory, mask, bias, kept)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
