"""Decoding against plain Python, on a language where each token depends on the two before it."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from clinical_t5x.models import decoding

VOCAB, LENGTH, EOS = 7, 6, 1


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Memory:
    """A cache that remembers the token before the last, so that reordering it matters."""

    before: jax.Array

    def gather_beams(self, sources):
        return Memory(jnp.take_along_axis(self.before, sources, axis=1))


def language(seed, batch=3, scale=2.0):
    """Log-probabilities `[batch, before, last, next]`."""
    logits = np.random.default_rng(seed).normal(size=(batch, VOCAB, VOCAB, VOCAB)) * scale
    logits[..., 0] = -20.0  # padding is never said
    return np.asarray(jax.nn.log_softmax(jnp.float32(logits)), np.float64)


def run(decode_fn, table, *, decodes=1, inputs=None, **options):
    batch = len(table)
    table = jnp.float32(table)

    def tokens_to_logits(tokens, memory):
        rows = jnp.arange(batch)[:, None]
        return table[rows, memory.before, tokens], Memory(tokens)

    def decode(inputs):
        cache = Memory(jnp.zeros((batch, decodes), jnp.int32))
        return decode_fn(
            inputs, cache, tokens_to_logits, eos_id=EOS, num_decodes=decodes, **options
        )

    inputs = jnp.zeros((batch, LENGTH), jnp.int32) if inputs is None else jnp.asarray(inputs)
    tokens, scores = jax.jit(decode)(inputs)
    return np.asarray(tokens), np.asarray(scores)


def extensions(table, sequence):
    before, last = ([0, 0, *sequence])[-2:]
    return table[before, last]


def reference_beams(table, beams, alpha, rule):
    """Beam search with lists, after the rules of T5X or of transformers."""
    penalty = {
        "t5x": lambda n: ((5 + n) / 6) ** alpha,
        "huggingface": lambda n: n**alpha,
    }[rule]
    live, ended = [(0.0, [])], []
    for step in range(LENGTH):
        candidates = [
            (score + gain, [*sequence, token])
            for score, sequence in live
            for token, gain in enumerate(extensions(table, sequence))
        ]
        candidates.sort(key=lambda item: -item[0])
        candidates = candidates[: 2 * beams]
        for rank, (score, sequence) in enumerate(candidates):
            at_limit = rule == "huggingface" and step + 1 == LENGTH
            may_end = sequence[-1] == EOS or at_limit
            if may_end and (rule == "t5x" or rank < beams):
                ended.append((score / penalty(step + 1), sequence))
        ended = sorted(ended, key=lambda item: -item[0])[:beams]
        live = [item for item in candidates if item[1][-1] != EOS][:beams]
        longest = LENGTH + 1 if rule == "t5x" else step + 1
        if len(ended) == beams and ended[-1][0] > live[0][0] / penalty(longest):
            break
    return ended or live


def padded(sequence):
    return np.pad(sequence, (0, LENGTH - len(sequence)))


@pytest.mark.parametrize("rule", ["t5x", "huggingface"])
@pytest.mark.parametrize("beams", [1, 2, 4])
@pytest.mark.parametrize("seed", range(4))
def test_beam_search_equals_the_reference(rule, beams, seed):
    table = language(seed)
    tokens, scores = run(decoding.beam_search, table, decodes=beams, alpha=0.6, length_penalty=rule)
    for row in range(len(table)):
        expected = reference_beams(table[row], beams, 0.6, rule)
        for rank, (score, sequence) in enumerate(expected):
            np.testing.assert_array_equal(tokens[row, beams - 1 - rank], padded(sequence))
            assert scores[row, beams - 1 - rank] == pytest.approx(score, abs=1e-4)


def test_wide_beams_without_length_penalty_find_the_likeliest_sequence():
    table = language(5, batch=1)
    tokens, scores = run(decoding.beam_search, table, decodes=120, alpha=0.0)

    def log_prob(sequence):
        return sum(extensions(table[0], sequence[:i])[token] for i, token in enumerate(sequence))

    whole = [
        (*body, EOS)
        for length in range(LENGTH)
        for body in itertools.product(range(2, VOCAB), repeat=length)
    ]
    best = max(whole, key=log_prob)
    np.testing.assert_array_equal(tokens[0, -1], padded(best))
    assert scores[0, -1] == pytest.approx(log_prob(best), abs=1e-4)


def test_running_hypotheses_are_returned_where_none_ended():
    table = language(0, batch=1)
    table[..., EOS] = -30.0
    tokens, scores = run(decoding.beam_search, table, decodes=2)
    assert (tokens[0] > 1).all()
    assert (scores[0] > -1e3).all()


def greedy_reference(table):
    sequence = []
    while len(sequence) < LENGTH and EOS not in sequence:
        sequence.append(int(extensions(table, sequence).argmax()))
    return sequence


@pytest.mark.parametrize("options", [{"topk": 1}, {"topk": 0, "temperature": 0.0}])
def test_greedy_takes_the_likeliest_token_each_time(options):
    table = language(1, batch=5)
    tokens, scores = run(decoding.temperature_sample, table, rescale_log_probs=False, **options)
    for row in range(5):
        expected = greedy_reference(table[row])
        np.testing.assert_array_equal(tokens[row, 0], padded(expected))
        total = sum(extensions(table[row], expected[:i])[t] for i, t in enumerate(expected))
        assert scores[row, 0] == pytest.approx(total, abs=1e-4)


def test_greedy_scores_zero_by_the_distribution_it_draws_from():
    _, scores = run(decoding.temperature_sample, language(1))
    np.testing.assert_array_equal(scores, 0.0)


def test_samples_have_the_models_frequencies():
    table = language(2, batch=1, scale=1.0)
    tokens, _ = run(
        decoding.temperature_sample, table, decodes=4000, topk=0, decode_rng=jax.random.key(3)
    )
    frequencies = np.bincount(tokens[0, :, 0], minlength=VOCAB) / 4000
    np.testing.assert_allclose(frequencies, np.exp(table[0, 0, 0]), atol=0.03)


@pytest.mark.parametrize(
    ("options", "kept"),
    [({"topk": 2}, [2, 3]), ({"topk": 0, "topp": 0.8}, [2, 3]), ({"topk": 0, "topp": 0.5}, [2])],
)
def test_sampling_is_restricted_to_the_likeliest_tokens(options, kept):
    probabilities = np.array([1e-9, 0.05, 0.6, 0.25, 0.05, 0.03, 0.02])
    table = np.broadcast_to(np.log(probabilities), (1, VOCAB, VOCAB, VOCAB))
    tokens, scores = run(decoding.temperature_sample, table, decodes=200, **options)
    assert set(np.unique(tokens)) == set(kept)
    share = probabilities / probabilities[kept].sum()
    expected = np.log(share[tokens]).sum(axis=-1)
    np.testing.assert_allclose(scores, expected, atol=1e-4)
    assert (np.diff(scores) >= 0).all()


def test_temperature_flattens():
    table = language(3, batch=1)
    cold, _ = run(decoding.temperature_sample, table, decodes=500, topk=0, temperature=0.2)
    hot, _ = run(decoding.temperature_sample, table, decodes=500, topk=0, temperature=5.0)
    assert len(np.unique(cold[0, :, 0])) < len(np.unique(hot[0, :, 0]))


def test_top_k_and_top_p_together_are_refused():
    with pytest.raises(ValueError, match=r"topk=2 and topp=0\.5"):
        run(decoding.temperature_sample, language(0), topk=2, topp=0.5)


def test_an_unknown_length_penalty_is_refused():
    with pytest.raises(ValueError, match="length_penalty is 'sqrt'"):
        run(decoding.beam_search, language(0), length_penalty="sqrt")


@pytest.mark.parametrize(
    ("decode_fn", "decodes"), [(decoding.temperature_sample, 1), (decoding.beam_search, 3)]
)
def test_a_prompt_is_forced_and_free_of_charge(decode_fn, decodes):
    table = language(4)
    inputs = np.zeros((3, LENGTH), np.int32)
    inputs[0, 1:4] = [5, EOS, 6]  # an end-of-sequence in the prompt does not end it
    inputs[1, 1:2] = [3]
    options = {"rescale_log_probs": False} if decodes == 1 else {"alpha": 0.0}
    tokens, scores = run(decode_fn, table, decodes=decodes, inputs=inputs, **options)
    free, _ = run(decode_fn, table, decodes=decodes, **options)
    np.testing.assert_array_equal(tokens[0, -1, :3], [5, EOS, 6])
    assert tokens[0, -1, 3] != 0
    assert tokens[1, -1, 0] == 3
    np.testing.assert_array_equal(tokens[2], free[2])
    said = [token for token in tokens[1, -1].tolist() if token]
    total = sum(extensions(table[1], said[:i])[said[i]] for i in range(1, len(said)))
    assert scores[1, -1] == pytest.approx(total, abs=1e-4)


@pytest.mark.parametrize(
    ("decode_fn", "decodes"), [(decoding.temperature_sample, 1), (decoding.beam_search, 3)]
)
def test_suppressed_tokens_do_not_occur(decode_fn, decodes):
    table = language(6)
    tokens, _ = run(decode_fn, table, decodes=decodes, suppressed_tokens=(2, 5))
    assert not np.isin(tokens, (2, 5)).any()


@pytest.mark.parametrize(
    ("decode_fn", "limit", "decodes"),
    [
        (decoding.temperature_sample, {"max_decode_steps": 2}, 1),
        (decoding.beam_search, {"max_decode_len": 2}, 2),
    ],
)
def test_a_limit_below_the_length_is_kept(decode_fn, limit, decodes):
    tokens, _ = run(decode_fn, language(7), decodes=decodes, **limit)
    assert tokens.shape[-1] == LENGTH
    assert not tokens[:, :, 2:].any()


@pytest.mark.parametrize(
    ("decode_fn", "decodes"), [(decoding.temperature_sample, 1), (decoding.beam_search, 2)]
)
def test_the_loop_stops_when_all_have_ended(decode_fn, decodes):
    """Counted by the decoder itself: a language that ends after two tokens asks for few steps."""
    steps = []
    table = np.full((1, VOCAB, VOCAB, VOCAB), -30.0, np.float32)
    table[:, :, 0, 3] = 0.0
    table[:, :, 3, EOS] = 0.0
    table[:, :, 3, 4] = -1.0
    table[:, :, 4, EOS] = 0.0

    def tokens_to_logits(tokens, memory):
        jax.debug.callback(lambda: steps.append(1))
        return jnp.asarray(table)[jnp.zeros_like(tokens), memory.before, tokens], Memory(tokens)

    cache = Memory(jnp.zeros((1, decodes), jnp.int32))
    inputs = jnp.zeros((1, 100), jnp.int32)
    tokens, _ = decode_fn(inputs, cache, tokens_to_logits, eos_id=EOS, num_decodes=decodes)
    jax.block_until_ready(tokens)
    jax.effects_barrier()
    np.testing.assert_array_equal(tokens[0, -1, :3], [3, EOS, 0])
    assert len(steps) <= 12
