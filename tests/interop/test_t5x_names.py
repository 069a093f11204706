"""T5X's names as facts, and the way from them to our tree and back."""

import dataclasses

import jax
import numpy as np
import pytest

from clinical_t5x.interop import t5x_names
from clinical_t5x.models.config import T5Config
from clinical_t5x.models.encoder_decoder import EncoderDecoderModel
from clinical_t5x.models.network import Transformer

SMALL_1_0 = T5Config(vocab_size=32128, logits_via_embedding=True)
TINY_1_1 = T5Config(
    vocab_size=128,
    emb_dim=8,
    num_heads=2,
    head_dim=3,
    mlp_dim=16,
    num_encoder_layers=2,
    num_decoder_layers=3,
    mlp_activations=("gelu", "linear"),
)

# What T5X lists for its small 1.0 model: everything outside layers, and layer 0 of both stacks.
T5X_SMALL_1_0 = {
    "decoder/decoder_norm/scale": (512,),
    "decoder/layers_0/encoder_decoder_attention/key/kernel": (512, 512),
    "decoder/layers_0/encoder_decoder_attention/out/kernel": (512, 512),
    "decoder/layers_0/encoder_decoder_attention/query/kernel": (512, 512),
    "decoder/layers_0/encoder_decoder_attention/value/kernel": (512, 512),
    "decoder/layers_0/mlp/wi/kernel": (512, 2048),
    "decoder/layers_0/mlp/wo/kernel": (2048, 512),
    "decoder/layers_0/pre_cross_attention_layer_norm/scale": (512,),
    "decoder/layers_0/pre_mlp_layer_norm/scale": (512,),
    "decoder/layers_0/pre_self_attention_layer_norm/scale": (512,),
    "decoder/layers_0/self_attention/key/kernel": (512, 512),
    "decoder/layers_0/self_attention/out/kernel": (512, 512),
    "decoder/layers_0/self_attention/query/kernel": (512, 512),
    "decoder/layers_0/self_attention/value/kernel": (512, 512),
    "decoder/relpos_bias/rel_embedding": (8, 32),
    "encoder/encoder_norm/scale": (512,),
    "encoder/layers_0/attention/key/kernel": (512, 512),
    "encoder/layers_0/attention/out/kernel": (512, 512),
    "encoder/layers_0/attention/query/kernel": (512, 512),
    "encoder/layers_0/attention/value/kernel": (512, 512),
    "encoder/layers_0/mlp/wi/kernel": (512, 2048),
    "encoder/layers_0/mlp/wo/kernel": (2048, 512),
    "encoder/layers_0/pre_attention_layer_norm/scale": (512,),
    "encoder/layers_0/pre_mlp_layer_norm/scale": (512,),
    "encoder/relpos_bias/rel_embedding": (8, 32),
    "token_embedder/embedding": (32128, 512),
}


def model_of(config):
    return EncoderDecoderModel(Transformer(config), None, None)


def flat(tree):
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {"/".join(key.key for key in path): tuple(leaf.shape) for path, leaf in leaves}


def test_small_1_0_has_the_names_and_shapes_that_t5x_lists():
    shapes = t5x_names.t5x_shapes(SMALL_1_0)
    assert len(shapes) == 131
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == 60_506_624
    first = {name: shape for name, shape in shapes.items() if name in T5X_SMALL_1_0}
    assert first == T5X_SMALL_1_0
    others = {name for name in shapes if name not in first}
    renamed = {name.replace(f"layers_{i}/", "layers_0/") for name in others for i in range(6)}
    assert renamed - others <= set(T5X_SMALL_1_0)


def test_1_1_has_two_input_kernels_and_its_own_logits():
    shapes = t5x_names.t5x_shapes(TINY_1_1)
    assert shapes["encoder/layers_0/mlp/wi_0/kernel"] == (8, 16)
    assert shapes["decoder/layers_2/mlp/wi_1/kernel"] == (8, 16)
    assert "encoder/layers_0/mlp/wi/kernel" not in shapes
    assert shapes["decoder/logits_dense/kernel"] == (8, 128)


@pytest.mark.parametrize("config", [SMALL_1_0, TINY_1_1], ids=["1.0", "1.1"])
def test_our_unrolled_tree_has_t5x_names(config):
    assert flat(model_of(config).abstract_params()) == t5x_names.t5x_shapes(config)


@pytest.mark.parametrize("scan", [False, True], ids=["unrolled", "scanned"])
def test_there_and_back_is_bit_exact(scan):
    config = dataclasses.replace(TINY_1_1, scan_layers=scan)
    model = model_of(config)
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda a: np.float32(rng.normal(size=a.shape)), model.abstract_params())
    named = t5x_names.to_named(params, config)
    assert {name: array.shape for name, array in named.items()} == t5x_names.t5x_shapes(config)
    back = t5x_names.from_named(named, config)
    assert jax.tree.structure(back) == jax.tree.structure(params)
    jax.tree.map(np.testing.assert_array_equal, back, params)


def test_every_difference_is_listed():
    named = {name: np.zeros(shape) for name, shape in t5x_names.t5x_shapes(TINY_1_1).items()}
    named["decoder/extra"] = named.pop("decoder/decoder_norm/scale")
    named["token_embedder/embedding"] = np.zeros((100, 8))
    with pytest.raises(ValueError) as error:
        t5x_names.from_named(named, TINY_1_1)
    assert "missing: decoder/decoder_norm/scale (8,)" in str(error.value)
    assert "unknown: decoder/extra (8,)" in str(error.value)
    assert "token_embedder/embedding is (100, 8), wanted (128, 8)" in str(error.value)
