"""One network, run in all its ways: the ways must agree with each other."""

import dataclasses
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.ad_checkpoint import print_saved_residuals

from clinical_t5x.interop import t5x_names
from clinical_t5x.models import cache, decoding
from clinical_t5x.models.activations import activation_constraint
from clinical_t5x.models.config import T5Config
from clinical_t5x.models.encoder_decoder import EncoderDecoderModel
from clinical_t5x.models.network import Transformer

CONFIG = T5Config(
    vocab_size=384,
    emb_dim=32,
    num_heads=2,
    head_dim=16,
    mlp_dim=64,
    num_encoder_layers=2,
    num_decoder_layers=2,
    mlp_activations=("gelu", "linear"),
)

# The shape of what a copy in a program of XLA makes.
_COPY = re.compile(r"= \w+\[([\d,]+)\]\S* copy\(")


def model_of(**changes):
    config = dataclasses.replace(CONFIG, **changes)
    return EncoderDecoderModel(Transformer(config), None, None)


def parameters(model):
    return model.init_params(jax.random.key(0))


@pytest.fixture(scope="module")
def params():
    return parameters(model_of())


def restack(params, config):
    """The same numbers in the layout of another configuration."""
    return t5x_names.from_named(t5x_names.to_named(params, CONFIG), config)


def loss_and_gradients(model, params, batch):
    def loss(params):
        return model.loss_fn(params, batch, jax.random.key(5))[0]

    loss, gradients = jax.jit(jax.value_and_grad(loss))(params)
    return loss, t5x_names.to_named(gradients, model.config)


@pytest.fixture(scope="module")
def unrolled(params, batches):
    return loss_and_gradients(model_of(), params, batches(1, 2, 12, 8))


def assert_close(found, expected, tolerance):
    for name, array in expected.items():
        difference = np.linalg.norm(np.float64(found[name]) - np.float64(array))
        assert difference <= tolerance * np.linalg.norm(np.float64(array)), name


SIZES = {  # T5X.md; the vocabulary padded to 32,128
    ("1.0", "small"): (60_506_624, 512, 8, 64, 2048, 6),
    ("1.0", "base"): (222_903_552, 768, 12, 64, 3072, 12),
    ("1.0", "large"): (737_668_096, 1024, 16, 64, 4096, 24),
    ("1.0", "3B"): (2_851_598_336, 1024, 32, 128, 16384, 24),
    ("1.0", "11B"): (11_307_321_344, 1024, 128, 128, 65536, 24),
    ("1.1", "small"): (76_961_152, 512, 6, 64, 1024, 8),
    ("1.1", "base"): (247_577_856, 768, 12, 64, 2048, 12),
    ("1.1", "large"): (783_150_080, 1024, 16, 64, 2816, 24),
    ("1.1", "xl"): (2_849_757_184, 2048, 32, 64, 5120, 24),
    ("1.1", "xxl"): (11_135_332_352, 4096, 64, 64, 10240, 24),
}


@pytest.mark.parametrize(("version", "size"), SIZES, ids=lambda part: part)
def test_parameter_counts_of_the_published_sizes(version, size):
    count, emb_dim, num_heads, head_dim, mlp_dim, layers = SIZES[version, size]
    config = T5Config(
        vocab_size=32128,
        emb_dim=emb_dim,
        num_heads=num_heads,
        head_dim=head_dim,
        mlp_dim=mlp_dim,
        num_encoder_layers=layers,
        num_decoder_layers=layers,
        mlp_activations=("relu",) if version == "1.0" else ("gelu", "linear"),
        logits_via_embedding=version == "1.0",
        scan_layers=layers > 6,
    )
    params = EncoderDecoderModel(Transformer(config), None, None).abstract_params()
    arrays = jax.tree.leaves(params)
    assert sum(array.size for array in arrays) == count
    assert sum(map(math.prod, t5x_names.t5x_shapes(config).values())) == count
    assert {array.dtype for array in arrays} == {jnp.dtype("float32")}


def test_scanned_draws_the_same_numbers_as_unrolled(params):
    scanned = model_of(scan_layers=True)
    found = t5x_names.to_named(parameters(scanned), scanned.config)
    for name, array in t5x_names.to_named(params, CONFIG).items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize(
    "changes",
    [
        {"remat_policy": "full"},
        {"scan_layers": True, "remat_policy": "minimal"},
    ],
    ids=str,
)
def test_scan_and_remat_change_nothing(params, batches, unrolled, changes):
    loss, gradients = unrolled
    model = model_of(**changes)
    found, found_gradients = loss_and_gradients(
        model, restack(params, model.config), batches(1, 2, 12, 8)
    )
    assert float(found) == pytest.approx(float(loss), rel=1e-6)
    assert_close(found_gradients, gradients, 2e-6)


def test_dropout_depends_on_the_key_only(params, batches):
    model, batch = model_of(), batches(1, 2, 12, 8)
    loss = jax.jit(lambda key: model.loss_fn(params, batch, key)[0])
    assert loss(jax.random.key(1)) == loss(jax.random.key(1))
    assert loss(jax.random.key(1)) != loss(jax.random.key(2))


def test_a_packed_row_scores_as_its_examples_do_alone(params, batches):
    model, batch = model_of(), batches(2, 3, 10, 7)
    alone = model.score_batch(params, batch)

    def pack(name):
        rows = [row[: np.count_nonzero(real)] for row, real in zip(batch[name], keep, strict=True)]
        packed = np.concatenate(rows)
        return np.pad(packed, (0, 4))[None], np.concatenate(
            [np.full(len(row), i + 1) for i, row in enumerate(rows)] + [np.zeros(4, int)]
        )[None]

    keep = batch["encoder_input_tokens"] > 0
    inputs, input_segments = pack("encoder_input_tokens")
    keep = batch["decoder_target_tokens"] > 0
    targets, target_segments = pack("decoder_target_tokens")
    packed = {
        "encoder_input_tokens": inputs,
        "decoder_target_tokens": targets,
        "decoder_input_tokens": pack("decoder_input_tokens")[0],
        "encoder_segment_ids": input_segments,
        "decoder_segment_ids": target_segments,
    }
    _, aux = model.score_batch(params, packed, return_intermediates=True)
    by_segment = [np.sum(aux["token_scores"][target_segments == i + 1]) for i in range(3)]
    np.testing.assert_allclose(by_segment, alone, rtol=1e-5)


def test_segments_of_one_side_only_are_refused(params, batches):
    batch = batches(2, 1, 10, 7)
    batch["encoder_segment_ids"] = np.ones_like(batch["encoder_input_tokens"])
    with pytest.raises(ValueError, match="segment ids"):
        model_of().score_batch(params, batch)


@pytest.mark.parametrize("scan", [False, True], ids=["unrolled", "scanned"])
def test_cached_decoding_equals_the_whole_pass(params, batches, scan):
    model = model_of(scan_layers=scan)
    params = restack(params, model.config)
    batch = batches(3, 2, 12, 6)
    expected = jax.jit(model.logits)(params, batch)
    network = model.bind(params)
    cache = network.init_cache(batch["encoder_input_tokens"], num_decodes=1, max_length=6)
    step = jax.jit(lambda tokens, cache: network.decode_step(tokens, cache))
    for position in range(6):
        logits, cache = step(batch["decoder_input_tokens"][:, position, None], cache)
        np.testing.assert_allclose(logits[:, 0], expected[:, position], rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("scan", [False, True], ids=["unrolled", "scanned"])
def test_reordered_beams_go_on_from_their_sources(params, batches, scan):
    model = model_of(scan_layers=scan)
    network = model.bind(restack(params, model.config))
    inputs = batches(3, 2, 12, 6)["encoder_input_tokens"]
    cache = network.init_cache(inputs, num_decodes=2, max_length=4)
    _, cache = network.decode_step(jnp.asarray([[7, 8], [9, 10]]), cache)
    last = jnp.asarray([[5, 6], [5, 6]])
    straight, _ = network.decode_step(last, cache)
    swapped, _ = network.decode_step(
        last[:, ::-1], cache.gather_beams(jnp.asarray([[1, 0], [1, 0]]))
    )
    np.testing.assert_allclose(swapped[:, ::-1], straight, rtol=1e-5, atol=1e-5)


def test_beams_share_the_encoded_keys_and_values(params, batches):
    network = model_of().bind(params)
    inputs = batches(3, 2, 12, 6)["encoder_input_tokens"]
    begun = network.init_cache(inputs, num_decodes=4, max_length=6)
    assert {kept.key.shape for kept in begun.encoded} == {(2, 2, 16, 12)}
    assert {kept.value.shape for kept in begun.encoded} == {(2, 2, 12, 16)}
    assert {kept.key.shape for kept in begun.decoded} == {(2, 2, 16, 24)}
    assert {kept.value.shape for kept in begun.decoded} == {(2, 2, 24, 16)}


def test_a_single_decode_reads_keys_as_they_follow_each_other(params, batches):
    inputs = batches(3, 2, 12, 6)["encoder_input_tokens"]
    begun = model_of().bind(params).init_cache(inputs, num_decodes=1, max_length=6)
    assert {kept.key.shape for kept in begun.encoded} == {(2, 2, 12, 16)}
    assert {kept.key.shape for kept in begun.decoded} == {(2, 2, 6, 16)}


def test_what_was_decoded_is_never_moved():
    """Beams that go on from others take over where their past lies; `index` positions are past."""
    sources = cache.no_sources(1, 3, 4)
    empty = cache.KeyValue(jnp.zeros((1, 2, 5, 12)), jnp.zeros((1, 2, 12, 5)))
    begun = cache.DecodeCache(jnp.int32(0), sources, (empty,), (empty,), jnp.ones((1, 3)), False)
    after_one = begun.advance(begun.decoded).gather_beams(jnp.asarray([[2, 2, 0]]))
    after_two = after_one.advance(begun.decoded).gather_beams(jnp.asarray([[1, 0, 1]]))
    np.testing.assert_array_equal(after_two.sources[0], [[2, 1, 0, 0], [2, 0, 1, 1], [2, 1, 2, 2]])
    assert after_two.decoded is begun.decoded
    keys = after_two.is_past().reshape(3, 4, 3)
    np.testing.assert_array_equal(keys[0].argmax(-1), [2, 1, 0, 0])
    np.testing.assert_array_equal(keys.sum(-1), [[1, 1, 1, 0]] * 3)


def test_no_step_of_decoding_copies_the_cache(params, batches):
    """In XLA's program the loop's body has no copy as large as one layer's keys.

    It says nothing of other devices' compilers.
    """
    model = model_of()
    batch = batches(3, 2, 12, 64)
    for decode_fn, decodes in ((decoding.temperature_sample, 1), (decoding.beam_search, 3)):

        def decode(params, batch, decode_fn=decode_fn, decodes=decodes):
            network = model.bind(params)
            inputs = batch["encoder_input_tokens"]
            empty = network.init_cache(inputs, num_decodes=decodes, max_length=64)
            zeros = jnp.zeros((2, 64), jnp.int32)
            return decode_fn(zeros, empty, network.decode_step, 1, num_decodes=decodes)

        program = jax.jit(decode).lower(params, batch).compile().as_text()
        body = program[: program.index("\nENTRY ")]
        assert "dynamic-update-slice" in body
        layer = 2 * decodes * 2 * 64 * 16
        copied = [math.prod(map(int, shape.split(","))) for shape in _COPY.findall(body)]
        assert not [size for size in copied if size >= layer]


def test_bfloat16_stays_close_to_float32(params, batches):
    """Bounds: 2 % of the logits' norm, 1 % of each sequence's score; logits are float32."""
    batch = batches(1, 4, 12, 8)
    exact, half = model_of(), model_of(dtype="bfloat16")
    logits, half_logits = (jax.jit(m.logits)(params, batch) for m in (exact, half))
    assert half_logits.dtype == jnp.float32
    assert np.linalg.norm(half_logits - logits) < 0.02 * np.linalg.norm(logits)
    np.testing.assert_allclose(
        half.score_batch(params, batch), exact.score_batch(params, batch), rtol=0.01
    )


@pytest.mark.parametrize("mebibytes", [256.0, 0.01], ids=["whole", "in parts"])
def test_in_bfloat16_loss_metrics_and_gradients_stay_float32(params, batches, mebibytes):
    batch, key = batches(1, 4, 12, 8), jax.random.key(5)
    half = model_of(dtype="bfloat16", logits_mebibytes=mebibytes)
    step = jax.jit(jax.value_and_grad(half.loss_fn, has_aux=True))
    (loss, sums), gradients = step(params, batch, key)
    assert {x.dtype for x in jax.tree.leaves((loss, sums, gradients))} == {jnp.dtype("float32")}
    exact, exact_gradients = loss_and_gradients(model_of(), params, batch)
    assert float(loss) == pytest.approx(float(exact), rel=0.01)
    for name, array in t5x_names.to_named(gradients, CONFIG).items():
        difference = np.linalg.norm(array - exact_gradients[name])
        assert difference < 0.05 * np.linalg.norm(exact_gradients[name]), name
        # none was rounded to half precision on its way
        rounded = np.asarray(jnp.float32(jnp.bfloat16(array)))
        assert np.mean(rounded[array != 0] == array[array != 0]) < 0.1, name


def test_initial_numbers_have_t5x_scales():
    config = T5Config(vocab_size=1024, emb_dim=256, num_encoder_layers=1, num_decoder_layers=1)
    model = EncoderDecoderModel(Transformer(config), None, None)
    named = t5x_names.to_named(parameters(model), config)
    expected = {
        "token_embedder/embedding": 1.0,
        "encoder/layers_0/attention/query/kernel": 1 / 16 / 8,  # fan_in and sqrt(head_dim)
        "encoder/layers_0/attention/key/kernel": 1 / 16,
        "decoder/layers_0/encoder_decoder_attention/out/kernel": 1 / np.sqrt(512),
        "decoder/layers_0/mlp/wi/kernel": 1 / 16,
        "decoder/layers_0/mlp/wo/kernel": 1 / np.sqrt(2048),
        "decoder/logits_dense/kernel": 1 / 16,
        "encoder/relpos_bias/rel_embedding": 1 / np.sqrt((8 + 32) / 2),
    }
    for name, scale in expected.items():
        tolerance = 0.15 if "relpos" in name else 0.02
        assert float(jnp.std(named[name])) == pytest.approx(scale, rel=tolerance), name
    np.testing.assert_array_equal(named["encoder/encoder_norm/scale"], 1.0)
    # The truncated normal is cut at two standard deviations of the normal underneath.
    assert float(jnp.abs(named["decoder/layers_0/mlp/wi/kernel"]).max()) < 2.3 / 16
    assert float(jnp.abs(named["encoder/layers_0/attention/key/kernel"]).max()) > 3.0 / 16


def test_a_partitioner_sees_the_activations(params, batches):
    seen = set()

    def constraint(x, logical_axes):
        assert x.ndim == len(logical_axes)
        seen.add(logical_axes)
        return x

    with activation_constraint(constraint):
        jax.eval_shape(model_of().logits, params, batches(1, 2, 12, 8))
    names = {("batch", "length", "embed"), ("batch", "length", "vocab"), ("vocab", "whole_embed")}
    assert seen == names


@pytest.mark.parametrize("scan", [False, True], ids=["unrolled", "scanned"])
def test_minimal_remat_keeps_nothing_for_each_pair_of_positions(capsys, scan):
    """Neither attention's logits nor the position bias, but once for the stack and all examples."""
    model = model_of(remat_policy="minimal", scan_layers=scan)
    examples, inputs, targets = 3, 48, 24
    lengths = {"encoder_input": inputs, "decoder_input": targets, "decoder_target": targets}
    batch = {
        f"{name}_tokens": jax.ShapeDtypeStruct((examples, length), jnp.int32)
        for name, length in lengths.items()
    }

    def loss(params, batch):
        return model.loss_fn(params, batch, None)[0]

    print_saved_residuals(loss, model.abstract_params(), batch)
    shapes = re.findall(r"^f32\[([\d,]+)\]", capsys.readouterr().out, re.MULTILINE)
    kept = [tuple(map(int, shape.split(","))) for shape in shapes]
    assert any(shape[-3:] == (examples, inputs, model.config.mlp_dim) for shape in kept)
    for length in (inputs, targets):
        squares = [shape for shape in kept if shape[-2:] == (length, length)]
        assert squares == [(model.config.num_heads, length, length)]
