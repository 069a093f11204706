"""Batching by length, and our model as a predictor: every request once, no padding rows."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gin
from clinical_t5x.evaluation.predictor import (
    ModelPredictor,
    Request,
    bucket_length,
    length_batches,
)
from clinical_t5x.models.config import T5Config
from clinical_t5x.models.encoder_decoder import EncoderDecoderModel
from clinical_t5x.models.network import Transformer


class LetterVocabulary:
    """Ids 3 to 28 are letters; enough of a vocabulary to decode with."""

    pad_id, eos_id, unk_id, extra_ids, vocab_size = 0, 1, 2, 0, 29

    def decode(self, ids):
        return "".join(chr(ord("a") + token - 3) for token in ids if token >= 3)


@pytest.fixture(scope="module")
def model():
    config = T5Config(
        vocab_size=128,
        emb_dim=16,
        num_heads=2,
        num_encoder_layers=1,
        num_decoder_layers=1,
        head_dim=8,
        mlp_dim=32,
    )
    vocabulary = LetterVocabulary()
    return EncoderDecoderModel(Transformer(config), vocabulary, vocabulary, None)


@pytest.fixture(scope="module")
def params(model):
    return model.init_params(jax.random.key(3))


def _requests(count, longest=80):
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, longest, size=count)
    tokens = [np.append(rng.integers(3, 29, size=k - 1), 1).astype(np.int32) for k in lengths]
    return [Request(str(k), "", row) for k, row in enumerate(tokens)]


@given(st.lists(st.integers(1, 700), max_size=90), st.integers(1, 16))
def test_every_position_once_in_full_batches_of_few_shapes(lengths, batch_size):
    batches = list(length_batches(lengths, batch_size))
    seen = np.concatenate([positions for _, positions in batches]) if batches else []
    assert sorted(seen) == list(range(len(lengths)))
    assert all(len(positions) == batch_size for _, positions in batches[:-1])
    assert all(max(lengths[k] for k in positions) <= width for width, positions in batches)
    assert len({width for width, _ in batches}) <= 6


def test_a_padded_length_of_few_batches_gives_way_to_the_longer():
    lengths = [20] * 90 + [60] * 3 + [120] * 4
    widths = [width for width, _ in length_batches(lengths, 10)]
    assert widths == [120] + [32] * 9
    assert [width for width, _ in length_batches([20] * 30 + [60] * 30, 10)] == [64] * 6


def test_buckets_are_powers_of_two_up_to_the_longest():
    assert [bucket_length(k, 304) for k in (1, 32, 33, 200, 300)] == [32, 32, 64, 256, 304]


def test_generation_does_not_depend_on_how_requests_are_batched(model, params):
    requests = _requests(11)
    by_batch = {}
    for batch_size in (4, 16):
        predictor = ModelPredictor(model, params, batch_size=batch_size)
        found = list(predictor.generate(requests, max_target_tokens=10))
        assert sorted(position for position, _ in found) == list(range(11))
        by_batch[batch_size] = dict(found)
    for position in range(11):
        small, large = by_batch[4][position], by_batch[16][position]
        assert (small.text, small.n_tokens, small.at_limit) == (
            large.text,
            large.n_tokens,
            large.at_limit,
        )
        assert small.score == pytest.approx(large.score, rel=1e-4)


def test_b2_the_decoding_limit_is_the_one_asked_for(model, params):
    class NeverEnds(LetterVocabulary):
        eos_id = 120  # an id that the untrained model does not choose

    vocabulary = NeverEnds()
    endless = EncoderDecoderModel(model.module, vocabulary, vocabulary, None)
    predictor = ModelPredictor(endless, params, batch_size=2)
    ((_, generation),) = predictor.generate(_requests(1), max_target_tokens=48)
    assert generation.at_limit
    assert generation.n_tokens > 20


def test_score_is_the_log_likelihood_of_the_targets(model, params):
    requests = _requests(5, longest=30)
    targets = [np.array([4, 5, 1], np.int32), np.array([9, 1], np.int32)] * 2
    targets.append(np.array([1], np.int32))
    scores = ModelPredictor(model, params, batch_size=2).score(requests, targets)
    row = np.zeros((1, 8), np.int32)
    row[0, :3] = targets[0]
    inputs = np.zeros((1, 32), np.int32)
    inputs[0, : len(requests[0].tokens)] = requests[0].tokens
    batch = {
        "encoder_input_tokens": inputs,
        "decoder_input_tokens": np.pad(row, ((0, 0), (1, 0)))[:, :-1],
        "decoder_target_tokens": row,
        "decoder_loss_weights": (row != 0).astype(np.int32),
    }
    assert scores[0] == pytest.approx(float(model.score_batch(params, batch)[0]), rel=1e-4)
    assert np.isfinite(scores).all()


def test_identity_follows_parameters_and_options(model, params):
    first = ModelPredictor(model, params).identity()
    assert first == ModelPredictor(model, params, batch_size=3).identity()
    assert first != ModelPredictor(model, params, num_decodes=2).identity()
    other = jax.tree.map(lambda leaf: leaf + 1e-3, params)
    assert first != ModelPredictor(model, other).identity()


GIN_MODEL = """
from __gin__ import dynamic_registration
from clinical_t5x.models import decoding
from clinical_t5x.models import encoder_decoder
MODEL = @encoder_decoder.EncoderDecoderModel
encoder_decoder.EncoderDecoderModel.decode_fn = @decoding.beam_search
"""


def _decoded_under_gin(model, params, *bindings):
    """Generations and identity of a predictor whose model gin made."""
    vocabulary = model.output_vocabulary
    with gin.unlock_config():
        gin.parse_config([GIN_MODEL, *bindings])
    try:
        make = gin.query_parameter("%MODEL").scoped_configurable_fn
        built = make(module=model.module, input_vocabulary=vocabulary, output_vocabulary=vocabulary)
        predictor = ModelPredictor(built, params, batch_size=8)
        found = dict(predictor.generate(_requests(8), max_target_tokens=10))
        return [found[k].score for k in range(8)], predictor.identity()
    finally:
        gin.clear_config()


def test_what_gin_binds_of_decoding_is_obeyed_and_part_of_the_identity(model, params):
    """T5X's recipes choose beams by a binding of the method, which the call must leave open."""
    method = "encoder_decoder.EncoderDecoderModel.predict_batch_with_aux"
    one, first = _decoded_under_gin(model, params)
    four, second = _decoded_under_gin(model, params, f"{method}.num_decodes = 4")
    short, third = _decoded_under_gin(model, params, "decoding.beam_search.max_decode_len = 3")
    wide = ModelPredictor(model, params, batch_size=8, num_decodes=4)
    expected = dict(wide.generate(_requests(8), max_target_tokens=10))
    assert four == pytest.approx([expected[k].score for k in range(8)], rel=1e-5)
    assert four != one
    assert short != one
    assert len({first, second, third}) == 3
