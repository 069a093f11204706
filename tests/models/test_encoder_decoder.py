import dataclasses
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from clinical_t5x.models.config import T5Config
from clinical_t5x.models.decoding import temperature_sample
from clinical_t5x.models.encoder_decoder import (
    EncoderDecoderModel,
    get_input_vocabulary,
    get_output_vocabulary,
)
from clinical_t5x.models.network import Transformer

CONFIG = T5Config(
    vocab_size=384,
    emb_dim=16,
    num_heads=2,
    head_dim=8,
    mlp_dim=32,
    num_encoder_layers=1,
    num_decoder_layers=1,
    logits_via_embedding=True,
)
VOCABULARY = types.SimpleNamespace(vocab_size=300, extra_ids=10, eos_id=1)


def model_of(config=CONFIG, **options):
    return EncoderDecoderModel(Transformer(config), VOCABULARY, VOCABULARY, **options)


@pytest.fixture(scope="module")
def params():
    return model_of().init_params(jax.random.key(0))


def test_sums_count_targets_and_leave_sentinels_and_end_out_of_content(params, batches):
    batch = batches(1, 3, 6, 5, vocab_size=290)
    batch["decoder_target_tokens"][0] = [295, 20, 290, 289, 1]
    batch["decoder_loss_weights"] = (batch["decoder_target_tokens"] > 0).astype(np.int32)
    model = model_of(z_loss=1e-3)
    loss, sums = jax.jit(model.loss_fn)(params, batch)
    real = batch["decoder_loss_weights"] > 0
    content = real & ~np.isin(batch["decoder_target_tokens"], [1, *range(290, 300)])
    _, aux = model.score_batch(params, batch, return_intermediates=True)
    scores = np.asarray(aux["token_scores"])
    predicted = np.asarray(jax.jit(model.logits)(params, batch)).argmax(-1)
    assert float(loss) == pytest.approx(float(sums["loss"]), rel=1e-6)
    assert float(sums["num_targets"]) == real.sum()
    assert float(sums["cross_ent_loss"]) == pytest.approx(-scores.sum(), rel=1e-5)
    assert float(sums["loss"] - sums["z_loss"]) == pytest.approx(-scores.sum(), rel=1e-5)
    assert float(sums["z_loss"]) > 0
    assert float(sums["accuracy"]) == (predicted == batch["decoder_target_tokens"])[real].sum()
    assert float(sums["content_num_targets"]) == content.sum()
    assert float(sums["content_loss"]) == pytest.approx(-scores[content].sum(), rel=1e-5)


def test_only_the_loss_is_normalised_not_the_sums(params, batches):
    batch = batches(1, 3, 6, 5)
    loss, sums = jax.jit(model_of().loss_fn)(params, batch)
    normalised = model_of(loss_normalizing_factor="NUM_REAL_TARGET_TOKENS")
    per_token, same = jax.jit(normalised.loss_fn)(params, batch)
    assert float(per_token) == pytest.approx(float(loss / sums["num_targets"]), rel=1e-6)
    assert jax.tree.map(float, same) == jax.tree.map(float, sums)


def test_a_vocabulary_larger_than_the_embedding_is_refused_with_the_size_to_set():
    with pytest.raises(ValueError, match=r"300 ids but .* is 256; .*vocab_size = 384"):
        model_of(dataclasses.replace(CONFIG, vocab_size=256))


def test_an_unknown_normalising_factor_is_refused_before_training():
    with pytest.raises(ValueError, match="'PER_TOKEN'"):
        model_of(loss_normalizing_factor="PER_TOKEN")


@pytest.mark.parametrize("scan", [False, True], ids=["unrolled", "scanned"])
def test_logical_axes_name_every_dim(scan):
    model = model_of(dataclasses.replace(CONFIG, scan_layers=scan))
    axes = model.logical_axes()
    shapes = model.abstract_params()
    is_names = lambda node: isinstance(node, tuple)  # noqa: E731
    paired = jax.tree.map(lambda names, array: (names, array.shape), axes, shapes, is_leaf=is_names)
    for names, shape in jax.tree.leaves(paired, is_leaf=is_names):
        assert len(names) == len(shape)
    layer = axes["decoder"]["layers" if scan else "layers_0"]
    stacked = ("layers",) if scan else ()
    assert layer["mlp"]["wi"]["kernel"] == (*stacked, "embed", "mlp")
    assert layer["self_attention"]["out"]["kernel"] == (*stacked, "joined_kv", "embed")
    assert axes["encoder"]["relpos_bias"]["rel_embedding"] == ("heads", "relpos_buckets")
    assert axes["token_embedder"]["embedding"] == ("vocab", "embed")


def test_parameters_are_a_plain_tree_of_float32(params):
    assert type(params) is dict
    assert jax.tree.structure(params) == jax.tree.structure(model_of().abstract_params())
    assert {array.dtype for array in jax.tree.leaves(params)} == {jnp.dtype("float32")}


def test_prediction_returns_the_best_decode_and_its_score(params, batches):
    model, batch = model_of(), batches(1, 3, 6, 5)
    tokens, aux = model.predict_batch_with_aux(
        params, batch, num_decodes=3, return_all_decodes=True
    )
    best, best_aux = model.predict_batch_with_aux(params, batch, num_decodes=3)
    assert tokens.shape == (3, 3, 5)
    assert (np.diff(aux["scores"], axis=1) >= 0).all()
    np.testing.assert_array_equal(best, tokens[:, -1])
    np.testing.assert_array_equal(best_aux["scores"], aux["scores"][:, -1])
    np.testing.assert_array_equal(
        model.predict_batch(params, batch), model.predict_batch_with_aux(params, batch)[0]
    )


def test_the_maximum_length_is_that_of_the_decoder_inputs(params, batches):
    batch = batches(1, 2, 6, 37)
    assert model_of().predict_batch(params, batch).shape == (2, 37)


def test_decoder_parameters_override_the_models_defaults(params, batches):
    batch = batches(1, 3, 6, 5)
    model = model_of(
        decode_fn=temperature_sample, default_decoder_params={"topk": 0, "temperature": 2.0}
    )
    key = jax.random.key(3)
    drawn = model.predict_batch(params, batch, key)
    np.testing.assert_array_equal(drawn, model.predict_batch(params, batch, key))
    greedy, _ = model.predict_batch_with_aux(params, batch, key, decoder_params={"topk": 1})
    np.testing.assert_array_equal(
        greedy, model_of(decode_fn=temperature_sample).predict_batch(params, batch)
    )
    assert (np.asarray(drawn) != np.asarray(greedy)).any()


def test_prompts_come_out_again(params, batches):
    batch = batches(1, 2, 6, 5)
    batch["decoder_input_tokens"] = np.array([[0, 44, 55, 0, 0], [0, 0, 0, 0, 0]])
    tokens, _ = model_of().predict_batch_with_aux(params, batch, prompt_with_targets=True)
    np.testing.assert_array_equal(tokens[0, :2], [44, 55])


def test_an_end_of_sequence_is_no_part_of_a_prompt(params, batches):
    """Targets as prompts bring theirs along; T5X drops it, so that the model goes on instead."""
    batch = batches(1, 2, 6, 5)
    predict = model_of().predict_batch_with_aux
    batch["decoder_input_tokens"] = np.array([[0, 44, 1, 0, 0], [0, 1, 0, 0, 0]])
    with_end, _ = predict(params, batch, prompt_with_targets=True)
    batch["decoder_input_tokens"] = np.array([[0, 44, 0, 0, 0], [0, 0, 0, 0, 0]])
    without, _ = predict(params, batch, prompt_with_targets=True)
    np.testing.assert_array_equal(with_end, without)


def test_prediction_is_compiled_once_for_a_shape(params, batches):
    model = model_of()
    for seed in range(3):
        model.predict_batch_with_aux(
            params, batches(seed, 2, 6, 5), decoder_params={"suppressed_tokens": [4, 5]}
        )
    assert model._predict._cache_size() == 1


def test_vocabularies_are_found_by_t5x_functions():
    model = model_of()
    assert get_input_vocabulary(model) is VOCABULARY
    assert get_output_vocabulary(model) is VOCABULARY
