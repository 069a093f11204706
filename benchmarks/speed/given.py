"""What all entrants are given: sizes, batches, a gin file in T5X's dialect, options."""

from __future__ import annotations

import argparse
import datetime
import os
import pathlib
import platform
import sys

import inputs
import numpy as np
from contest import Entrant
from inputs import Shape

SIZES = {
    "tiny": {"emb_dim": 128, "num_heads": 4, "head_dim": 32, "mlp_dim": 512, "layers": 2},
    "small": {"emb_dim": 512, "num_heads": 8, "head_dim": 64, "mlp_dim": 2048, "layers": 6},
    "base": {"emb_dim": 768, "num_heads": 12, "head_dim": 64, "mlp_dim": 3072, "layers": 12},
    "large": {"emb_dim": 1024, "num_heads": 16, "head_dim": 64, "mlp_dim": 4096, "layers": 24},
}  # T5 1.0
VOCABULARY = 32128
ENTRANTS = ("ours", "transformers", "compiled", "t5x")


def shape_of(size: str) -> Shape:
    sizes = dict(SIZES[size])
    layers = sizes.pop("layers")
    return Shape("1.0", VOCABULARY, num_encoder_layers=layers, num_decoder_layers=layers, **sizes)


def sizes_of(shape: Shape, *, dtype: str, dropout: float) -> dict:
    """The same as keyword arguments of `T5Config`."""
    sizes = {name: value for name, value in vars(shape).items() if name != "version"}
    return sizes | {
        "mlp_activations": ["relu"],
        "logits_via_embedding": True,
        "dtype": dtype,
        "dropout_rate": dropout,
    }


def gin_of(shape: Shape, *, dtype: str, dropout: float) -> str:
    return inputs.run_gin(
        shape, extra=f"DROPOUT_RATE = {dropout}\nnetwork.T5Config.dtype = '{dtype}'"
    )


def packed_batch(rows: int, inputs_length: int, targets_length: int) -> dict[str, np.ndarray]:
    """Rows that are full, as span corruption packs them: three examples a row, no padding."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(2, VOCABULARY - 128, (rows, inputs_length))
    targets = rng.integers(2, VOCABULARY - 128, (rows, targets_length))
    segments = [np.arange(length) * 3 // length + 1 for length in (inputs_length, targets_length)]
    starts = np.diff(segments[1], prepend=0) != 0
    features = {
        "encoder_input_tokens": tokens,
        "decoder_target_tokens": targets,
        "decoder_input_tokens": np.where(starts, 0, np.roll(targets, 1, axis=1)),
        "decoder_loss_weights": np.ones_like(targets),
        "encoder_segment_ids": np.broadcast_to(segments[0], tokens.shape),
        "decoder_segment_ids": np.broadcast_to(segments[1], targets.shape),
    }
    for side in ("encoder", "decoder"):
        ids = features[f"{side}_segment_ids"]
        first = np.maximum.accumulate(
            np.where(np.diff(ids, prepend=0) != 0, np.arange(ids.shape[1]), 0), axis=1
        )
        features[f"{side}_positions"] = np.arange(ids.shape[1]) - first
    return {name: np.int32(array) for name, array in features.items()}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--t5x", type=pathlib.Path, help="a clone of google-research/t5x")
    parser.add_argument("--python", help="the interpreter that imports it")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--size", choices=SIZES, help="T5-small on a CPU, T5-large on a GPU")
    parser.add_argument("--batch", type=int, help="8 rows on a CPU")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), help="bfloat16 on a GPU")
    parser.add_argument("--only", nargs="*", choices=ENTRANTS, help="who takes part")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, help="of PyTorch; as many as it takes itself")
    parser.add_argument("--work", type=pathlib.Path, help="where files go and stay")
    parser.add_argument("--json", type=pathlib.Path, help="write all figures there")


def complete(parser: argparse.ArgumentParser, options: argparse.Namespace, batch: int) -> None:
    """Fill in what depends on the device, and refuse half of a T5X."""
    on_gpu = options.device == "gpu"
    options.size = options.size or ("large" if on_gpu else "small")
    options.dtype = options.dtype or ("bfloat16" if on_gpu else "float32")
    options.batch = options.batch or batch
    if (options.t5x is None) != (options.python is None):
        parser.error("--t5x CHECKOUT and --python PYTHON_OF_ITS_ENVIRONMENT go together")
    if options.t5x and not (options.t5x / "t5x" / "train.py").is_file():
        parser.error(f"--t5x {options.t5x} is no clone of google-research/t5x (no t5x/train.py)")
    if options.only and "t5x" in options.only and not options.t5x:
        parser.error("t5x takes part with --t5x CHECKOUT --python PYTHON_OF_ITS_ENVIRONMENT")
    if not options.t5x:
        print("Google's T5X does not take part (--t5x, --python)", file=sys.stderr)


def t5x_entrant(options: argparse.Namespace, **told) -> Entrant:
    checkout = options.t5x.resolve()
    told = {"checkout": str(checkout), **told}
    return Entrant("Google's T5X", "entrant_t5x", options.python, checkout, told)


def takes_part(name: str, options: argparse.Namespace) -> bool:
    if name == "t5x" and not options.t5x:
        return False
    return not options.only or name in options.only


def machine(processes) -> dict:
    """What figures must be read with."""
    return {
        "date": datetime.date.today().isoformat(),
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
        "versions": {process.entrant.name: process.about["version"] for process in processes},
        "device": processes[0].about["device"],
    }
