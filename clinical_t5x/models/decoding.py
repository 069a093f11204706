"""Greedy decoding, sampling and beam search, compiled as one loop that stops when all have ended.

The names and parameters are T5X's where they mean something here. A decoder is a function
`tokens_to_logits(tokens [B, G], cache) -> (logits [B, G, V], cache)`; `cache` is a `DecodeCache`,
or anything with its `gather_beams`. The maximum length is always `inputs.shape[1]`.

B examples, G decodes of each, L maximum length, V vocabulary, C candidates (2 G).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

# A score that no sequence reaches; finite, so that sums and differences of it stay numbers.
NEG_INF = -1.0e7
_MIN_TEMPERATURE = 1e-4


def brevity_penalty(alpha: float, length) -> jax.Array:
    """T5's and T5X's length penalty, `((5 + length) / 6) ** alpha` (Wu et al. 2016, eq. 14)."""
    return jnp.power((5.0 + length) / 6.0, alpha)


def power_penalty(alpha: float, length) -> jax.Array:
    """Hugging Face's length penalty, `length ** alpha`."""
    return jnp.power(1.0 * length, alpha)


@dataclasses.dataclass(frozen=True)
class BeamRule:
    """The points on which libraries' beam searches differ.

    Attributes:
      penalty: `(alpha, length) -> divisor` of a hypothesis' log-probability.
      finish_from_reserve: a hypothesis may end also from the second G of the 2 G candidates.
      optimistic: the search goes on while a running hypothesis could win at the maximum length;
        otherwise while it would win as it is.
      finish_at_limit: hypotheses that reach the maximum length compete with the ended ones;
        otherwise they are returned only where none ended.
      share_suppressed: the probability of suppressed tokens is shared out among the others;
        otherwise theirs stays as it is.
    """

    penalty: Callable
    finish_from_reserve: bool
    optimistic: bool
    finish_at_limit: bool
    share_suppressed: bool


BEAM_RULES = {
    "t5x": BeamRule(brevity_penalty, True, True, False, True),
    "huggingface": BeamRule(power_penalty, False, False, True, False),
}


def _refuse_t5x_only(function: str, **given: Any) -> None:
    for name, value in given.items():
        if value is not None:
            raise ValueError(
                f"{function}.{name} is T5X's and is not supported: decoding here has its own state "
                "and starts at the first token; prompts go into the inputs"
            )


def _next_log_probs(logits, inputs, step, suppressed_tokens: Sequence[int], share: bool = True):
    """Log-probabilities `[B, G, V]` of the token after position `step`.

    Suppressed tokens cannot occur; `share` says whether the others get their probability. Where
    `inputs` has a token at `step + 1`, that one is forced, at no cost to the score.
    """
    log_probs = jax.nn.log_softmax(logits, axis=-1)
    if suppressed_tokens:
        log_probs = log_probs.at[..., jnp.asarray(suppressed_tokens)].set(NEG_INF)
        log_probs = jax.nn.log_softmax(log_probs, axis=-1) if share else log_probs
    forced_B = _forced_token(inputs, step)
    is_forced_token = jnp.arange(logits.shape[-1]) == forced_B[:, None]
    forced_BV = jnp.where(is_forced_token, 0.0, NEG_INF)
    return jnp.where((forced_B > 0)[:, None, None], forced_BV[:, None], log_probs)


def _likeliest(logits, inputs, step, suppressed_tokens: Sequence[int]):
    """The likeliest token `[B, G]` after position `step`, of equal ones the first.

    It is that of the logits: no distribution is needed. The largest logit and then its place are
    two plain reductions, which a CPU does several at a time, unlike one over pairs of both.
    """
    if suppressed_tokens:
        logits = logits.at[..., jnp.asarray(suppressed_tokens)].set(-jnp.inf)
    size = logits.shape[-1]
    largest = jnp.max(logits, axis=-1, keepdims=True)
    places = jnp.where(logits == largest, jnp.arange(size, dtype=jnp.int32), size - 1)
    forced_B = _forced_token(inputs, step)[:, None]
    return jnp.where(forced_B > 0, forced_B, jnp.min(places, axis=-1))


def _of_tokens(scores, tokens):
    """`[B, G]` of `[B, G, V]`."""
    return jnp.take_along_axis(scores, tokens[..., None], axis=-1)[..., 0]


def _forced_token(inputs, step):
    """The prompt's token for position `step + 1` of the shifted inputs, 0 where there is none."""
    length = inputs.shape[1]
    token = jax.lax.dynamic_index_in_dim(inputs, jnp.minimum(step + 1, length - 1), 1, False)
    return jnp.where(step + 1 < length, token, 0)


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class _SamplingState:
    step: jax.Array
    tokens: jax.Array  # [B, G, L]
    last: jax.Array  # [B, G]
    ended: jax.Array  # [B, G]
    log_prob: jax.Array  # [B, G]
    cache: Any


def temperature_sample(
    inputs: jax.Array,
    cache: Any,
    tokens_to_logits: Callable,
    eos_id: int,
    decode_rng: jax.Array | None = None,
    num_decodes: int = 1,
    temperature: float = 1.0,
    topk: int = 1,
    topp: float = 0.0,
    max_decode_steps: int | None = None,
    *,
    rescale_log_probs: bool = True,
    suppressed_tokens: Sequence[int] = (),
    max_decode_steps_hard_limit: int | None = None,
    cache_offset: int = 0,
    initial_index: None = None,
    state_callback_fn: None = None,
    logit_callback_fn: None = None,
) -> tuple[jax.Array, jax.Array]:
    """Draw each next token from the model's distribution; with `topk=1`, T5X's default, greedily.

    Args:
      inputs: int `[B, L]`, shifted right as decoder inputs are: position 0 is the start token 0,
        and a non-zero token at position i + 1 is forced as output i (a prompt). All zeros: no
        prompt.
      cache: cache with G = `num_decodes`.
      tokens_to_logits: one step of the decoder.
      eos_id: token that ends a sequence; after it there is padding 0.
      decode_rng: key for drawing; None is a fixed one.
      num_decodes: independent samples of each example.
      temperature: divides the logits; at 0 the likeliest token is taken.
      topk: draw from the k likeliest tokens; 0 for all.
      topp: draw from the fewest tokens whose probability adds up to at least this; 0 for all. Not
        with `topk`.
      max_decode_steps: stop after so many tokens (prompt included) even if L is larger.
      rescale_log_probs: True scores by the distribution drawn from (so that greedy sequences score
        0, as in T5X), False by the model's own.
      suppressed_tokens: ids that must not occur.
      max_decode_steps_hard_limit: where positive, `max_decode_steps` is cut to it.
      cache_offset: ignored, a parameter of T5X: the cache knows its own layout.
      initial_index, state_callback_fn, logit_callback_fn: parameters of T5X; must be None.

    Returns:
      Tokens int32 `[B, G, L]` and scores `[B, G]`, each example's decodes in ascending order of
      score.

    Raises:
      ValueError: for settings that exclude each other or that only T5X has.
    """
    if topk and topp:
        raise ValueError(f"topk={topk} and topp={topp} exclude each other; set one of them to 0")
    _refuse_t5x_only(
        "temperature_sample",
        initial_index=initial_index,
        state_callback_fn=state_callback_fn,
        logit_callback_fn=logit_callback_fn,
    )
    if max_decode_steps is not None and (max_decode_steps_hard_limit or 0) > 0:
        max_decode_steps = min(max_decode_steps, max_decode_steps_hard_limit)
    key = jax.random.key(0) if decode_rng is None else decode_rng
    batch, length = inputs.shape
    steps = length if max_decode_steps is None else min(length, max_decode_steps)
    shape = (batch, num_decodes)
    greedy = topk == 1 or temperature < _MIN_TEMPERATURE

    def advance(state: _SamplingState) -> _SamplingState:
        logits, cache = tokens_to_logits(state.last, state.cache)
        log_probs = _next_log_probs(logits, inputs, state.step, suppressed_tokens)
        in_prompt = (_forced_token(inputs, state.step) > 0)[:, None]
        if greedy:
            token = _likeliest(logits, inputs, state.step, suppressed_tokens)
            gain = jnp.zeros(shape) if rescale_log_probs else _of_tokens(log_probs, token)
        else:
            drawn = _restrict(log_probs / temperature, topk, topp)
            token = jax.random.categorical(jax.random.fold_in(key, state.step), drawn)
            gain = _of_tokens(drawn if rescale_log_probs else log_probs, token)
        token = jnp.where(state.ended, 0, token).astype(jnp.int32)
        return _SamplingState(
            step=state.step + 1,
            tokens=jax.lax.dynamic_update_index_in_dim(state.tokens, token, state.step, axis=2),
            last=token,
            ended=state.ended | ((token == eos_id) & ~in_prompt),
            log_prob=state.log_prob + jnp.where(state.ended, 0.0, gain),
            cache=cache,
        )

    state = jax.lax.while_loop(
        lambda state: (state.step < steps) & ~jnp.all(state.ended),
        advance,
        _no_samples(shape, length, cache),
    )
    order = jnp.argsort(state.log_prob, axis=1)
    return (
        jnp.take_along_axis(state.tokens, order[..., None], axis=1),
        jnp.take_along_axis(state.log_prob, order, axis=1),
    )


def _no_samples(shape: tuple[int, int], length: int, cache: Any) -> _SamplingState:
    return _SamplingState(
        step=jnp.zeros((), jnp.int32),
        tokens=jnp.zeros((*shape, length), jnp.int32),
        last=jnp.zeros(shape, jnp.int32),
        ended=jnp.zeros(shape, bool),
        log_prob=jnp.zeros(shape, jnp.float32),
        cache=cache,
    )


def _restrict(log_probs, topk: int, topp: float):
    """Log-probabilities renormalised over the top k, or over the smallest set of mass `topp`."""
    if topk:
        threshold = jax.lax.top_k(log_probs, topk)[0][..., -1:]
        log_probs = jnp.where(log_probs >= threshold, log_probs, NEG_INF)
    elif topp:
        descending = -jnp.sort(-jax.nn.log_softmax(log_probs, axis=-1), axis=-1)
        mass_before = jnp.cumsum(jnp.exp(descending), axis=-1) - jnp.exp(descending)
        kept = jnp.sum(mass_before < topp, axis=-1, keepdims=True)
        threshold = jnp.take_along_axis(descending, kept - 1, axis=-1)
        log_probs = jnp.where(
            jax.nn.log_softmax(log_probs, axis=-1) >= threshold, log_probs, NEG_INF
        )
    return jax.nn.log_softmax(log_probs, axis=-1)


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class _BeamState:
    step: jax.Array
    live_log_probs: jax.Array  # [B, G], descending
    live_tokens: jax.Array  # [B, G, L]
    last: jax.Array  # [B, G]
    ended_scores: jax.Array  # [B, G], descending
    ended_tokens: jax.Array  # [B, G, L]
    ended: jax.Array  # [B, G], False where the slot is still empty
    open: jax.Array  # [B], False once no running hypothesis can still win
    cache: Any


def beam_search(
    inputs: jax.Array,
    cache: Any,
    tokens_to_logits: Callable,
    eos_id: int,
    num_decodes: int = 4,
    alpha: float = 0.6,
    max_decode_len: int | None = None,
    decode_rng: jax.Array | None = None,
    *,
    length_penalty: str = "t5x",
    suppressed_tokens: Sequence[int] = (),
    min_log_prob: float = NEG_INF,
    max_decode_step: int = -1,
    cache_offset: int = 0,
    initial_index: None = None,
) -> tuple[jax.Array, jax.Array]:
    """Keep the `num_decodes` likeliest hypotheses and return them by length-penalised score.

    Args:
      inputs: int `[B, L]` as in `temperature_sample`; non-zero tokens are a forced prompt.
      cache: cache with G = `num_decodes`.
      tokens_to_logits: one step of the decoder.
      eos_id: token that ends a hypothesis; after it there is padding 0.
      num_decodes: beams, all of them returned.
      alpha: exponent of the length penalty.
      max_decode_len: stop after so many tokens even if L is larger.
      decode_rng: not used; accepted because every decode function is called with it.
      length_penalty: "t5x" for T5X's rules with its penalty `((5 + length) / 6) ** alpha`, or
        "huggingface" for those of transformers' generate with `length ** alpha`.
      suppressed_tokens: ids that must not occur.
      min_log_prob: the search ends when no running hypothesis of any example has a higher
        log-probability.
      max_decode_step: ignored, a parameter of T5X: it acts only together with `initial_index`.
      cache_offset: ignored, a parameter of T5X: the cache knows its own layout.
      initial_index: a parameter of T5X; must be None.

    Returns:
      Tokens int32 `[B, G, L]` and scores `[B, G]`, each example's decodes in ascending order of
      score (the best is last, as in T5X).

    Raises:
      ValueError: for an unknown penalty, or a setting that only T5X has.
    """
    del decode_rng
    _refuse_t5x_only("beam_search", initial_index=initial_index)
    if length_penalty not in BEAM_RULES:
        raise ValueError(f"length_penalty is {length_penalty!r}; it must be one of {[*BEAM_RULES]}")
    rule = BEAM_RULES[length_penalty]
    length = inputs.shape[1]
    steps = length if max_decode_len is None else min(length, max_decode_len)

    def advance(state: _BeamState) -> _BeamState:
        logits, cache = tokens_to_logits(state.last, state.cache)
        log_probs = _next_log_probs(
            logits, inputs, state.step, suppressed_tokens, rule.share_suppressed
        )
        candidates = _candidates(state, log_probs)
        in_prompt = (_forced_token(inputs, state.step) > 0)[:, None]
        ends = (candidates.tokens == eos_id) & ~in_prompt
        if rule.finish_at_limit:
            ends = ends | (state.step + 1 == steps)
        state = _extend(state, candidates, ends, cache)
        return _collect(state, candidates, ends, rule, alpha, steps)

    state = jax.lax.while_loop(
        lambda state: (
            (state.step < steps)
            & jnp.any(state.open)
            & jnp.any(state.live_log_probs > min_log_prob)
        ),
        advance,
        _start(inputs.shape[0], num_decodes, length, cache),
    )
    none_ended = ~jnp.any(state.ended, axis=1)
    tokens = jnp.where(none_ended[:, None, None], state.live_tokens, state.ended_tokens)
    scores = jnp.where(none_ended[:, None], state.live_log_probs, state.ended_scores)
    return tokens[:, ::-1], scores[:, ::-1]


def _start(batch: int, beams: int, length: int, cache) -> _BeamState:
    shape = (batch, beams)
    # All beams start alike; only the first is alive, so that they do not all say the same.
    first = jnp.where(jnp.arange(beams) == 0, 0.0, NEG_INF)
    return _BeamState(
        step=jnp.zeros((), jnp.int32),
        live_log_probs=jnp.broadcast_to(first, shape),
        live_tokens=jnp.zeros((*shape, length), jnp.int32),
        last=jnp.zeros(shape, jnp.int32),
        ended_scores=jnp.full(shape, NEG_INF),
        ended_tokens=jnp.zeros((*shape, length), jnp.int32),
        ended=jnp.zeros(shape, bool),
        open=jnp.ones((batch,), bool),
        cache=cache,
    )


@dataclasses.dataclass
class _Candidates:
    """An example's 2 G likeliest continuations, descending: enough to go on when G of them end."""

    log_probs: jax.Array  # [B, C]
    tokens: jax.Array  # [B, C]
    sources: jax.Array  # [B, C], the decode that each continues
    sequences: jax.Array  # [B, C, L]


def _candidates(state: _BeamState, log_probs_BGV) -> _Candidates:
    batch, beams, vocab_size = log_probs_BGV.shape
    total = (log_probs_BGV + state.live_log_probs[..., None]).reshape(batch, -1)
    log_probs_BC, flat_BC = jax.lax.top_k(total, 2 * beams)
    sources_BC, tokens_BC = flat_BC // vocab_size, flat_BC % vocab_size
    sequences = jnp.take_along_axis(state.live_tokens, sources_BC[..., None], axis=1)
    sequences = jax.lax.dynamic_update_index_in_dim(sequences, tokens_BC, state.step, axis=2)
    return _Candidates(log_probs_BC, tokens_BC, sources_BC, sequences)


def _extend(state: _BeamState, candidates: _Candidates, ends, cache) -> _BeamState:
    """Go on from the G best candidates that do not end."""
    beams = state.last.shape[1]
    log_probs, chosen = jax.lax.top_k(candidates.log_probs + NEG_INF * ends, beams)
    sources = jnp.take_along_axis(candidates.sources, chosen, axis=1)
    return dataclasses.replace(
        state,
        step=state.step + 1,
        live_log_probs=log_probs,
        live_tokens=jnp.take_along_axis(candidates.sequences, chosen[..., None], axis=1),
        last=jnp.take_along_axis(candidates.tokens, chosen, axis=1),
        cache=cache.gather_beams(sources),
    )


def _collect(state, candidates, ends, rule: BeamRule, alpha, steps) -> _BeamState:
    """Keep the G best ended hypotheses, and see whether a running one can still enter."""
    beams = state.last.shape[1]
    may_end = ends & state.open[:, None]
    if not rule.finish_from_reserve:
        may_end = may_end & (jnp.arange(2 * beams) < beams)
    # `state.step` has already advanced: it counts the tokens of a hypothesis that ends here.
    scores = jnp.where(may_end, candidates.log_probs / rule.penalty(alpha, state.step), NEG_INF)
    all_scores = jnp.concatenate([state.ended_scores, scores], axis=1)
    ended_scores, chosen = jax.lax.top_k(all_scores, beams)
    all_tokens = jnp.concatenate([state.ended_tokens, candidates.sequences], axis=1)
    all_ended = jnp.concatenate([state.ended, may_end], axis=1)
    ended = jnp.take_along_axis(all_ended, chosen, axis=1)

    longest = steps + 1 if rule.optimistic else state.step
    best_possible = state.live_log_probs[:, 0] / rule.penalty(alpha, longest)
    to_beat = jnp.where(jnp.all(ended, axis=1), ended_scores[:, -1], NEG_INF)
    return dataclasses.replace(
        state,
        ended_scores=ended_scores,
        ended_tokens=jnp.take_along_axis(all_tokens, chosen[..., None], axis=1),
        ended=ended,
        open=state.open & (best_possible >= to_beat),
    )
