"""Greedy and beam search token for token against transformers' generate, on lively random weights.

Near-ties: where the two best choices of a step are closer than rounding, two correct programs may
part. A prompt on which the tokens differ passes only if our own log-probabilities of the two
outputs are that close, and then it is printed.
"""

import jax
import numpy as np
import pytest
import torch

from clinical_t5x.models import decoding
from clinical_t5x.models.encoder_decoder import EncoderDecoderModel

LENGTH = 32
NEAR_TIE = 1e-4


def prompts(count):
    rng = np.random.default_rng(11)
    tokens = rng.integers(2, 384, (count, 20)).astype(np.int32)
    lengths = rng.integers(4, 21, count)
    return np.where(np.arange(20) < lengths[:, None], tokens, 0).astype(np.int32)


def generate(pair, inputs, **options):
    tokens = torch.from_numpy(inputs).long()
    output = pair.theirs.generate(
        tokens,
        attention_mask=(tokens > 0).long(),
        max_new_tokens=LENGTH,
        do_sample=False,
        return_dict_in_generate=True,
        output_scores=True,
        **options,
    )
    sequences = output.sequences[:, 1:].numpy()
    padded = np.zeros((len(sequences), LENGTH), np.int32)
    padded[:, : sequences.shape[1]] = sequences
    # Its beam search fills up with end-of-sequence where the padding id is 0.
    after_end = np.cumsum(padded == 1, axis=1) - (padded == 1) > 0
    padded[after_end] = 0
    return padded, getattr(output, "sequences_scores", None)


def decode(pair, inputs, decode_fn, **options):
    model = EncoderDecoderModel(
        pair.ours.module, None, pair.ours.output_vocabulary, decode_fn=decode_fn
    )
    batch = {
        "encoder_input_tokens": inputs,
        "decoder_input_tokens": np.zeros((len(inputs), LENGTH), np.int32),
    }
    tokens, aux = model.predict_batch_with_aux(
        pair.params, batch, return_all_decodes=True, **options
    )
    return np.asarray(tokens), np.asarray(aux["scores"])


def choice_gaps(pair, inputs, ours, theirs):
    """How far apart, in nats, the two choices are where each pair of outputs first differs."""
    batch = {
        "encoder_input_tokens": inputs,
        "decoder_input_tokens": np.pad(theirs[:, :-1], ((0, 0), (1, 0))),
    }
    log_probs = np.asarray(jax.nn.log_softmax(pair.ours.logits(pair.params, batch)))
    rows, first = np.arange(len(ours)), (ours != theirs).argmax(axis=1)
    at_first = log_probs[rows, first]
    return np.abs(at_first[rows, ours[rows, first]] - at_first[rows, theirs[rows, first]])


def check_same(ours, theirs, gaps_of):
    different = np.flatnonzero((ours != theirs).any(axis=1))
    if len(different):
        gaps = gaps_of(different)
        print(f"\nnear-ties: prompts {different.tolist()}, gaps {gaps.tolist()}")
        assert (gaps < NEAR_TIE).all()


def check_lively(outputs):
    """The comparison means something: outputs differ, and end by themselves at varied lengths."""
    ended = (outputs == 1).any(axis=1)
    lengths = np.where(ended, (outputs == 1).argmax(axis=1), LENGTH)
    distinct = len({row.tobytes() for row in outputs})
    print(f"\n{len(outputs)} outputs, {distinct} distinct, {ended.sum()} ended", end="")
    assert ended.mean() >= 0.5
    assert distinct >= 0.75 * len(outputs)
    assert len(set(lengths[ended])) >= 8


@pytest.fixture
def inputs():
    return prompts(200)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_greedy_equals_transformers(pairs, inputs, version):
    pair = pairs(version, lively=True)
    theirs, _ = generate(pair, inputs, num_beams=1)
    ours, _ = decode(pair, inputs, decoding.temperature_sample)
    check_lively(theirs)
    ours = ours[:, -1]
    check_same(ours, theirs, lambda rows: choice_gaps(pair, inputs[rows], ours[rows], theirs[rows]))


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_beam_search_equals_transformers(pairs, inputs, version):
    pair = pairs(version, lively=True)
    theirs, their_scores = generate(pair, inputs, num_beams=4, length_penalty=0.6)
    ours, scores = decode(
        pair,
        inputs,
        decoding.beam_search,
        num_decodes=4,
        decoder_params={"length_penalty": "huggingface", "alpha": 0.6},
    )
    scores, their_scores = scores[:, -1], their_scores.numpy()
    check_same(ours[:, -1], theirs, lambda rows: np.abs(scores - their_scores)[rows])
    np.testing.assert_allclose(scores, their_scores, rtol=1e-5, atol=1e-5)


def test_all_returned_beams_equal_transformers(pairs):
    pair = pairs("1.1", lively=True)
    inputs = prompts(8)
    theirs, their_scores = generate(
        pair, inputs, num_beams=4, num_return_sequences=4, length_penalty=1.0
    )
    ours, scores = decode(
        pair,
        inputs,
        decoding.beam_search,
        num_decodes=4,
        decoder_params={"length_penalty": "huggingface", "alpha": 1.0},
    )
    np.testing.assert_array_equal(ours[:, ::-1].reshape(theirs.shape), theirs)
    np.testing.assert_allclose(
        np.ravel(scores[:, ::-1]), their_scores.numpy(), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("beams", [1, 4], ids=["greedy", "beam 4"])
def test_suppressed_tokens_equal_transformers(pairs, beams):
    pair, inputs = pairs("1.1", lively=True), prompts(24)
    options = {"num_beams": beams} | ({"length_penalty": 0.6} if beams > 1 else {})
    free, _ = generate(pair, inputs, **options)
    counts = np.bincount(free[free > 1])
    common = np.argsort(counts)[-5:].tolist()
    theirs, _ = generate(pair, inputs, suppress_tokens=common, **options)
    ours, _ = decode(
        pair,
        inputs,
        decoding.beam_search if beams > 1 else decoding.temperature_sample,
        num_decodes=beams,
        decoder_params={"suppressed_tokens": common}
        | ({"length_penalty": "huggingface", "alpha": 0.6} if beams > 1 else {}),
    )
    assert (free != theirs).any()
    assert not np.isin(ours, common).any()
    np.testing.assert_array_equal(ours[:, -1], theirs)


@pytest.mark.parametrize(
    ("topk", "topp", "temperature"), [(5, 0.0, 1.0), (50, 0.0, 0.7), (0, 0.9, 1.0), (0, 0.5, 1.3)]
)
def test_sampling_draws_from_the_distribution_of_transformers(topk, topp, temperature):
    from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    logits = np.float32(np.random.default_rng(0).normal(size=(6, 384)) * 3)
    warped = TemperatureLogitsWarper(temperature)(None, torch.from_numpy(logits))
    warper = TopKLogitsWarper(topk) if topk else TopPLogitsWarper(topp)
    expected = torch.softmax(warper(None, warped), -1).numpy()
    ours = jax.nn.log_softmax(logits) / temperature
    found = np.exp(np.asarray(decoding._restrict(ours, topk, topp)))
    np.testing.assert_array_equal(found > 0, expected > 0)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)
