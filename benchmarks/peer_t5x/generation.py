"""Greedy decoding, beam search, prompts and scoring on weights whose outputs vary and end."""

from __future__ import annotations

import dataclasses

import inputs
import numpy as np
from inputs import Shape
from peer import Finding, Peer, distance
from side import read_arrays

PROMPTS, AT_ONCE, LENGTH = 200, 20, 32
NOTHING_THERE = -1e6  # a score below is that of an empty place among the beams
SCORE_BOUND = 1e-5
SMALL = {"num_encoder_layers": 2, "num_decoder_layers": 2}
SHAPES = [
    Shape("1.0", **SMALL),
    Shape("1.1", **SMALL),
    Shape("1.1", num_heads=3, head_dim=48, num_encoder_layers=3, num_decoder_layers=1),
]


@dataclasses.dataclass(frozen=True)
class Way:
    """One way to decode: what gin binds, and arguments of `predict_batch_with_aux`."""

    name: str
    decode_fn: str
    gin: str = ""
    options: tuple = ()


NUM_DECODES = "models.EncoderDecoderModel.predict_batch_with_aux.num_decodes = 4"
MODEL_SCORES = "decoding.temperature_sample.rescale_log_probs = False"
PROMPTED = (("prompt_with_targets", True),)
WAYS = [
    Way("greedy", "temperature_sample", MODEL_SCORES),
    Way("greedy after prompts", "temperature_sample", MODEL_SCORES, PROMPTED),
    Way("beam 4", "beam_search", NUM_DECODES),
    Way("beam 4, alpha 1", "beam_search", f"{NUM_DECODES}\ndecoding.beam_search.alpha = 1.0"),
]


def compare(peer: Peer) -> list[Finding]:
    """Findings for every shape and way: how many outputs differ, and how far scores are apart."""
    jobs, labels = [], []
    for shape in SHAPES:
        weights = inputs.lively_weights(shape, seed=7)
        for way in WAYS:
            bound = f"models.EncoderDecoderModel.decode_fn = @decoding.{way.decode_fn}\n{way.gin}"
            folder = peer.work / "generation" / f"{SHAPES.index(shape)}_{WAYS.index(way)}"
            gin = inputs.run_gin(shape, extra=bound)
            inputs.write(folder, gin, weights, _prompts(shape.vocab_size))
            jobs.append({"do": "decode", "folder": str(folder), "options": dict(way.options)})
            labels.append((shape, way, folder))
        folder = peer.work / "generation" / f"{SHAPES.index(shape)}_score"
        batches = inputs.packed_batches(shape, seed=9, count=4, pack=False)
        inputs.write(folder, inputs.run_gin(shape), inputs.initial_weights(shape, 5), batches)
        jobs.append({"do": "score", "folder": str(folder)})
        labels.append((shape, None, folder))
    for side in ("theirs", "ours"):
        peer.run(side, [job | {"output": side} for job in jobs], "generation")
    findings = []
    for shape, way, folder in labels:
        findings += _findings(_name(shape), way, folder)
    return findings


def _name(shape: Shape) -> str:
    layers = f"{shape.num_encoder_layers}+{shape.num_decoder_layers} layers"
    return f"{shape.version}, {layers}, {shape.num_heads} heads of {shape.head_dim}"


def _findings(shape: str, way: Way | None, folder) -> list[Finding]:
    ours, theirs = (read_arrays(folder / f"{side}.npz") for side in ("ours", "theirs"))
    real = theirs["scores"] > NOTHING_THERE
    assert (real == (ours["scores"] > NOTHING_THERE)).all()
    # By the norm: scores of hundreds of nats and of hundredths stand side by side, and a small one is
    # what is left of large logits.
    apart = distance(ours["scores"][real], theirs["scores"][real])
    if way is None:
        return [Finding("generation", f"{shape}: scores of targets", apart, SCORE_BOUND)]
    different = int((ours["tokens"] != theirs["tokens"]).any(axis=(1, 2)).sum())
    best = theirs["tokens"][:, -1]
    distinct = len({row.tobytes() for row in best})
    ended = int((best == 1).any(axis=1).sum())
    note = f"of {len(best)} prompts; {distinct} outputs differ, {ended} end by themselves"
    what = f"{shape}, {way.name}"
    return [
        Finding(
            "generation", f"{what}: prompts with other tokens in any decode", different, 0, note
        ),
        Finding("generation", f"{what}: scores of all decodes", apart, SCORE_BOUND),
    ]


def _prompts(vocab_size: int) -> list[dict]:
    """Inputs of varied length; a beginning of the output, with an end, for those who want one."""
    rng = np.random.default_rng(11)
    batches = []
    for _ in range(PROMPTS // AT_ONCE):
        tokens = rng.integers(2, vocab_size, (AT_ONCE, 20)).astype(np.int32)
        lengths = rng.integers(4, 21, AT_ONCE)
        begin = np.zeros((AT_ONCE, LENGTH), np.int32)
        begin[:, 1:4] = rng.integers(2, vocab_size, (AT_ONCE, 3))
        begin[::2, 3] = 1  # half of them say that the text ends there, which is no beginning
        batches.append(
            {
                "encoder_input_tokens": np.where(np.arange(20) < lengths[:, None], tokens, 0),
                "decoder_input_tokens": begin,
            }
        )
    return batches
