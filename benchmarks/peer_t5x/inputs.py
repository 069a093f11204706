"""What both sides are given: a gin file in T5X's dialect, weights by T5X's names, batches."""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np

from clinical_t5x.interop import t5x_names
from clinical_t5x.models.config import T5Config

STEPS = 20
ROWS, INPUTS, TARGETS = 8, 64, 32
PRETRAINING_RATE = ("constant * rsqrt_decay", 1.0, 10000)
WARM_RATE = ("constant * linear_warmup * rsqrt_decay", 0.5, 10)
WARM_TO_LOW_RATE = ("constant * linear_warmup * rsqrt_decay", 0.005, 10)
CONSTANT_RATE = ("constant", 0.001, 1)


@dataclasses.dataclass(frozen=True)
class Shape:
    """Sizes of a network; matrices of 128 and more on both sides, so that Adafactor factors them."""

    version: str = "1.1"
    vocab_size: int = 2048
    emb_dim: int = 256
    num_heads: int = 4
    head_dim: int = 64
    mlp_dim: int = 512
    num_encoder_layers: int = 4
    num_decoder_layers: int = 4

    @property
    def config(self) -> T5Config:
        sizes = dataclasses.asdict(self)
        tied = sizes.pop("version") == "1.0"
        return T5Config(
            mlp_activations=("relu",) if tied else ("gelu", "linear"),
            logits_via_embedding=tied,
            **sizes,
        )

    def gin(self) -> str:
        sizes = dataclasses.asdict(self)
        version = sizes.pop("version").replace(".", "_")
        lines = [f"include 't5x/examples/t5/t5_{version}/small.gin'"]
        lines += ["include 't5x/configs/runs/pretrain.gin'", "", "network.T5Config:"]
        lines += ["  dtype = 'float32'"]
        return "\n".join([*lines, *(f"  {name} = {value}" for name, value in sizes.items())])


def run_gin(shape: Shape, rate=PRETRAINING_RATE, extra: str = "") -> str:
    """A run in T5X's dialect: T5X's own model and run files, included by their paths, and sizes."""
    factors, base, warmup = rate
    return f"""from __gin__ import dynamic_registration

import __main__ as train_script
import seqio
from t5x import adafactor
from t5x import decoding
from t5x import models
from t5x import trainer
from t5x import utils
from t5x.examples.t5 import network

{shape.gin()}

VOCABULARY = @seqio.ByteVocabulary()
DROPOUT_RATE = 0.0
MODEL_DIR = '/nowhere'
MIXTURE_OR_TASK_NAME = 'none'
TASK_FEATURE_LENGTHS = {{'inputs': {INPUTS}, 'targets': {TARGETS}}}
TRAIN_STEPS = {STEPS}

utils.create_learning_rate_scheduler:
  factors = '{factors}'
  base_learning_rate = {base}
  warmup_steps = {warmup}

{extra}
"""


def write(folder: pathlib.Path, gin: str, weights: dict, batches: list[dict]) -> pathlib.Path:
    """Write what both sides read into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.gin").write_text(gin)
    np.savez(folder / "weights.npz", **weights)
    features = {name: np.stack([batch[name] for batch in batches]) for name in batches[0]}
    np.savez(folder / "batches.npz", **features)
    return folder


def initial_weights(shape: Shape, seed: int) -> dict[str, np.ndarray]:
    """Random numbers of the sizes that T5's initialisers give; norms vary about 1."""
    rng = np.random.default_rng(seed)
    weights = {}
    for name, dims in t5x_names.t5x_shapes(shape.config).items():
        array = rng.standard_normal(dims)
        if name.endswith("scale"):
            array = 1.0 + 0.1 * array
        elif "relpos_bias" in name:
            array *= 0.2
        elif "embedding" not in name:
            array /= np.sqrt(dims[0])
            if "query" in name:
                array /= np.sqrt(shape.head_dim)
        weights[name] = np.float32(array)
    return weights


def lively_weights(shape: Shape, seed: int) -> dict[str, np.ndarray]:
    """Weights whose outputs vary and end by themselves; as initialised a T5 repeats one token.

    Small embeddings and large kernels make the layers decide, and a large output row for
    end-of-sequence ends outputs at varied lengths.
    """
    weights = initial_weights(shape, seed)
    for name, array in weights.items():
        if name.endswith("kernel") and "logits_dense" not in name:
            array *= 3.0
    weights["token_embedder/embedding"] *= 0.1
    weights["decoder/decoder_norm/scale"] *= 2.0
    if shape.version == "1.0":
        weights["decoder/decoder_norm/scale"] *= 10.0
        weights["token_embedder/embedding"][1] *= 3.2
    else:
        weights["decoder/logits_dense/kernel"][:, 1] *= 2.2
    return weights


def packed_batches(shape: Shape, seed: int, count: int = STEPS, *, pack=True) -> list[dict]:
    """Rows of several examples each, with segment ids and positions, padded at their ends."""
    rng = np.random.default_rng(seed)
    return [_batch(rng, shape.vocab_size, pack) for _ in range(count)]


def _batch(rng, vocab_size: int, pack: bool) -> dict[str, np.ndarray]:
    batch = {name: np.zeros((ROWS, INPUTS), np.int32) for name in ("tokens", "segments", "at")}
    inputs = batch
    targets = {name: np.zeros((ROWS, TARGETS), np.int32) for name in inputs}
    for row in range(ROWS):
        used_inputs = used_targets = 0
        for segment in range(1, (4 if pack else 1) + 1):
            longest = INPUTS if not pack else 24
            length = int(rng.integers(5, longest + 1))
            answer = int(rng.integers(3, (TARGETS if not pack else 14) + 1))
            if used_inputs + length > INPUTS or used_targets + answer > TARGETS:
                break
            _place(inputs, row, used_inputs, segment, _tokens(rng, length, vocab_size))
            _place(targets, row, used_targets, segment, _tokens(rng, answer, vocab_size))
            used_inputs, used_targets = used_inputs + length, used_targets + answer
    shifted = np.pad(targets["tokens"][:, :-1], ((0, 0), (1, 0)))
    features = {
        "encoder_input_tokens": inputs["tokens"],
        "decoder_target_tokens": targets["tokens"],
        "decoder_input_tokens": np.where(targets["at"] == 0, 0, shifted),
        "decoder_loss_weights": np.int32(targets["tokens"] > 0),
    }
    if not pack:
        return features
    return features | {
        "encoder_segment_ids": inputs["segments"],
        "decoder_segment_ids": targets["segments"],
        "encoder_positions": inputs["at"],
        "decoder_positions": targets["at"],
    }


def _place(feature: dict, row: int, start: int, segment: int, tokens: np.ndarray) -> None:
    span = slice(start, start + len(tokens))
    feature["tokens"][row, span] = tokens
    feature["segments"][row, span] = segment
    feature["at"][row, span] = np.arange(len(tokens))


def _tokens(rng, length: int, vocab_size: int) -> np.ndarray:
    """Frequent and rare tokens as in text (so that there is something to learn), and the end."""
    tokens = 2 + np.minimum(rng.zipf(1.3, length), vocab_size - 3)
    tokens[-1] = 1
    return tokens
