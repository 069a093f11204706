"""Memory of a gradient with all logits at once and with the loss in parts, by XLA's account.

    python benchmarks/loss_memory.py                      # T5-small's shapes, 8 to 64 rows
    python benchmarks/loss_memory.py --rows 128 --vocabulary 32128 64256

Compiles only; nothing is run and no array is made. "table" is the gradient of the embedding, which
both need.
"""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import jax
import jax.numpy as jnp

from clinical_t5x.models.config import T5Config
from clinical_t5x.models.encoder_decoder import EncoderDecoderModel
from clinical_t5x.models.network import Transformer

MIB = 2**20
AT_ONCE = 1e9  # MiB: more logits than there can be


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[8, 16, 32, 64])
    parser.add_argument("--vocabulary", type=int, nargs="+", default=[32128])
    parser.add_argument("--inputs", type=int, default=64, help="few, so that logits stand out")
    parser.add_argument("--targets", type=int, default=114)
    parser.add_argument("--mebibytes", type=float, default=T5Config.logits_mebibytes)
    options = parser.parse_args()
    print(
        f"T5 1.0 small, scanned, remat full, {options.inputs}/{options.targets} tokens, float32; "
    )
    print(f"logits_mebibytes = {options.mebibytes:g}; MiB by XLA's account for a CPU\n")
    print("| vocabulary | rows | logits | table | temporary, at once | temporary, in parts |")
    print("|---|---|---|---|---|---|")
    for vocabulary in options.vocabulary:
        config = T5Config(
            vocabulary, logits_via_embedding=True, scan_layers=True, remat_policy="full"
        )
        for rows in options.rows:
            shape = (config, rows, options.inputs, options.targets)
            whole, parts = (temporary(*shape, most) for most in (AT_ONCE, options.mebibytes))
            logits = rows * options.targets * vocabulary * 4 / MIB
            table = vocabulary * config.emb_dim * 4 / MIB
            cells = (vocabulary, rows, *(f"{x:,.0f}" for x in (logits, table, whole, parts)))
            print(f"| {' | '.join(map(str, cells))} |", flush=True)


def temporary(config: T5Config, rows: int, inputs: int, targets: int, mebibytes: float) -> float:
    """MiB that the gradient of a batch needs beside parameters, batch and results."""
    config = dataclasses.replace(config, logits_mebibytes=mebibytes)
    model = EncoderDecoderModel(Transformer(config), None, None)
    batch = {
        "encoder_input_tokens": jax.ShapeDtypeStruct((rows, inputs), jnp.int32),
        "decoder_input_tokens": jax.ShapeDtypeStruct((rows, targets), jnp.int32),
        "decoder_target_tokens": jax.ShapeDtypeStruct((rows, targets), jnp.int32),
    }
    key = jax.eval_shape(lambda: jax.random.key(0))
    gradient = jax.jit(jax.grad(model.loss_fn, has_aux=True))
    compiled = gradient.lower(model.abstract_params(), batch, key).compile()
    return compiled.memory_analysis().temp_size_in_bytes / MIB


if __name__ == "__main__":
    main()
