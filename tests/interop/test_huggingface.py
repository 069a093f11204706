import dataclasses

import jax
import numpy as np
import pytest

from clinical_t5x.interop import huggingface
from clinical_t5x.models.config import T5Config
from clinical_t5x.models.encoder_decoder import EncoderDecoderModel
from clinical_t5x.models.network import Transformer

TIED = T5Config(
    vocab_size=128,
    emb_dim=8,
    num_heads=2,
    head_dim=3,
    mlp_dim=16,
    num_encoder_layers=2,
    num_decoder_layers=3,
    logits_via_embedding=True,
)
UNTIED = dataclasses.replace(TIED, logits_via_embedding=False, mlp_activations=("gelu", "linear"))
CONFIGS = pytest.mark.parametrize("config", [TIED, UNTIED], ids=["1.0", "1.1"])


def transformers_model(config):
    import transformers

    return transformers.T5ForConditionalGeneration(
        transformers.T5Config(
            vocab_size=config.vocab_size,
            d_model=config.emb_dim,
            d_kv=config.head_dim,
            d_ff=config.mlp_dim,
            num_heads=config.num_heads,
            num_layers=config.num_encoder_layers,
            num_decoder_layers=config.num_decoder_layers,
            feed_forward_proj="relu" if config.logits_via_embedding else "gated-gelu",
            tie_word_embeddings=config.logits_via_embedding,
        )
    )


def random_state_dict(config):
    rng = np.random.default_rng(0)
    return {
        name: rng.standard_normal(shape).astype(np.float32)
        for name, shape in huggingface.hf_shapes(config).items()
    }


@CONFIGS
def test_names_and_shapes_are_those_of_transformers(config):
    theirs = {
        name: tuple(array.shape) for name, array in transformers_model(config).state_dict().items()
    }
    copies = {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight"}
    copies |= {"lm_head.weight"} if config.logits_via_embedding else set()
    assert huggingface.hf_shapes(config) == {
        name: shape for name, shape in theirs.items() if name not in copies
    }


@CONFIGS
@pytest.mark.parametrize("scan", [False, True], ids=["unrolled", "scanned"])
def test_there_and_back_is_bit_exact(config, scan):
    config = dataclasses.replace(config, scan_layers=scan)
    state_dict = random_state_dict(config)
    params = huggingface.to_params(state_dict, config)
    model = EncoderDecoderModel(Transformer(config), None, None)
    assert jax.tree.structure(params) == jax.tree.structure(model.abstract_params())
    back = huggingface.from_params(params, config)
    assert back.keys() == state_dict.keys()
    for name, array in state_dict.items():
        np.testing.assert_array_equal(back[name], array)
        assert back[name].flags.c_contiguous


def test_half_precision_arrays_stay_as_they_are():
    state_dict = {name: a.astype(np.float16) for name, a in random_state_dict(TIED).items()}
    params = huggingface.to_params(state_dict, TIED)
    assert {array.dtype for array in jax.tree.leaves(params)} == {np.dtype("float16")}


def test_tied_copies_may_be_there():
    state_dict = random_state_dict(TIED)
    shared = state_dict["shared.weight"]
    for copy in ("lm_head.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"):
        state_dict[copy] = shared
    params = huggingface.to_params(state_dict, TIED)
    np.testing.assert_array_equal(params["token_embedder"]["embedding"], shared)
    del state_dict["shared.weight"]
    params = huggingface.to_params(state_dict, TIED)
    np.testing.assert_array_equal(params["token_embedder"]["embedding"], shared)


def test_a_copy_that_differs_is_refused():
    state_dict = random_state_dict(TIED)
    state_dict["lm_head.weight"] = state_dict["shared.weight"] + 1
    with pytest.raises(ValueError, match=r"lm_head\.weight differs from shared\.weight"):
        huggingface.to_params(state_dict, TIED)


def test_a_state_dict_of_another_version_is_refused_with_the_names():
    with pytest.raises(ValueError, match=r"missing: lm_head\.weight"):
        huggingface.to_params(random_state_dict(TIED), UNTIED)


@CONFIGS
def test_configuration_comes_from_the_file_of_either_age(config):
    new = transformers_model(config).config.to_dict()
    assert huggingface.t5_config(new, dropout_rate=0.1) == config
    old = {name: value for name, value in new.items() if name != "scale_decoder_outputs"}
    old["tie_word_embeddings"] = config.logits_via_embedding
    assert huggingface.t5_config(old) == config
    assert huggingface.t5_config(old, scan_layers=True).scan_layers


@pytest.mark.parametrize(
    ("name", "value"),
    [("feed_forward_proj", "tanh"), ("relative_attention_num_buckets", 64)],
)
def test_what_no_t5_has_is_refused(name, value):
    config = {"vocab_size": 128, "d_model": 8, "num_heads": 2, "d_kv": 4, "d_ff": 16}
    with pytest.raises(ValueError, match=name):
        huggingface.t5_config(config | {"num_layers": 2, name: value})
