"""How fast batches are made, beside tf.data through SeqIO, and beside what a training step needs.

    python benchmarks/input_speed.py

One task, made of random documents as long as clinical notes: 568 tokens of its stream become 512 of
inputs and 114 of targets by span corruption. "store" is what training does: a batch is a function of
seed and step over the memory-mapped token store. "seqio" is the same task by its own preprocessors in
tf.data, from token ids that SeqIO cached as TFRecords, shuffled, through seqio.EncDecFeatureConverter.
Each side is a process of its own that is bound to one core; they take turns, and a round's first
batches are not timed. A batch is 128 rows.

The second table says how many rows a second one host must make at 50 % of its chips' peak, from the
operation count of clinical_t5x.models.flops (batch 128, no recomputation).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np

from clinical_t5x import console

LENGTHS = {"inputs": 512, "targets": 114}
BATCH = 128
NAME = "random_documents"
_VOCABULARY = 32_100
_WARM_UP = 5
_MEAN_LENGTH = 700

# Devices of one host, as JAX names and counts them.
HOSTS = {
    "v3-8, one host": ("TPU v3", 8),
    "v4, one host of a pod": ("TPU v4", 4),
    "v5e, one host of a pod": ("TPU v5e", 4),
    "v5p, one host of a pod": ("TPU v5p", 4),
    "v6e, one host of a pod": ("TPU v6e", 4),
    "one H200": ("NVIDIA H200", 1),
    "eight H200": ("NVIDIA H200", 8),
}
MODELS = ("base", "large", "xl")


def main() -> None:
    """Measure both sides in turns and print the tables."""
    options = _parser().parse_args()
    console.quiet_third_parties()
    if options.side:
        rate = _measured(options.side, Path(options.work), options.seconds)
        print(json.dumps(rate))
        return
    with tempfile.TemporaryDirectory() as work:
        os.environ["CLINICAL_T5X_DATA"] = work
        _write_documents(Path(work), options.tokens)
        _in_process("store", work, 0.0)  # writes the token store
        found: dict[str, list[float]] = {"store": [], "seqio": []}
        for _ in range(options.rounds):
            for side, rates in found.items():
                rates.append(_in_process(side, work, options.seconds))
    print(f"{'':8} {'rows/s':>9} {'lowest':>9} {'highest':>9} {'batches/s':>10} {'tokens/s':>12}")
    for side, rates in found.items():
        middle = median(rates)
        print(
            f"{side:8} {middle:9,.0f} {min(rates):9,.0f} {max(rates):9,.0f} "
            f"{middle / BATCH:10.1f} {middle * sum(LENGTHS.values()):12,.0f}"
        )
    ratios = [ours / theirs for ours, theirs in zip(*found.values(), strict=True)]
    print(f"store / seqio, round by round: {median(ratios):.1f} ({min(ratios):.1f} to "
          f"{max(ratios):.1f})\n")  # fmt: skip
    _print_needs(median(found["store"]))


def _print_needs(available: float) -> None:
    from clinical_t5x.models.accelerators import peak_flops

    print(f"rows/s that a host needs at 50 % of its peak (one core makes {available:,.0f}):")
    print(f"{'':24}" + "".join(f"{name:>22}" for name in MODELS))
    operations = {name: _operations_of_a_row(name) for name in MODELS}
    for host, (kind, devices) in HOSTS.items():
        speed = 0.5 * devices * peak_flops(kind, "bfloat16")
        needs = [speed / operations[name] for name in MODELS]
        cells = [f"{need:,.0f} ({need / available:.1%} core)" for need in needs]
        print(f"{host:24}" + "".join(f"{cell:>22}" for cell in cells))


def _operations_of_a_row(name: str) -> float:
    from clinical_t5x.models.config import T5Config
    from clinical_t5x.models.flops import step_flops

    sizes = {
        "base": {"emb_dim": 768, "num_heads": 12, "mlp_dim": 2048, "num_encoder_layers": 12,
                 "num_decoder_layers": 12},
        "large": {"emb_dim": 1024, "num_heads": 16, "mlp_dim": 2816, "num_encoder_layers": 24,
                  "num_decoder_layers": 24},
        "xl": {"emb_dim": 2048, "num_heads": 32, "mlp_dim": 5120, "num_encoder_layers": 24,
               "num_decoder_layers": 24},
    }[name]  # fmt: skip
    config = T5Config(32_128, head_dim=64, mlp_activations=("gelu", "linear"), **sizes)
    flops = step_flops(
        config, batch_size=BATCH, inputs_length=LENGTHS["inputs"], targets_length=LENGTHS["targets"]
    )
    return flops.model / BATCH


# --- one side, in a process of its own ---


def _in_process(side: str, work: str, seconds: float) -> float:
    command = [sys.executable, __file__, f"--side={side}", f"--work={work}", f"--seconds={seconds}"]
    ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(ended.stdout.splitlines()[-1])


def _measured(side: str, work: Path, seconds: float) -> float:
    """Rows a second on one core."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    batches = {"store": _from_store, "seqio": _from_seqio}[side](work)
    for _ in range(_WARM_UP):
        next(batches)
    count, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        rows = next(batches)["encoder_input_tokens"]
        assert rows.shape == (BATCH, LENGTHS["inputs"]), rows.shape
        count += len(rows)
    return count / max(time.perf_counter() - begun, 1e-9)


def _from_store(work: Path) -> Iterator[dict[str, np.ndarray]]:
    from clinical_t5x.data import store_catalog
    from clinical_t5x.data.loader import open_batches

    if next(store_catalog.stores_of(NAME, "train"), None) is None:
        _register(work)
    batches = open_batches(
        NAME, split="train", feature_lengths=LENGTHS, batch_size=BATCH, pack=True, shuffle=True,
        seed=0,
    )  # fmt: skip
    step = 0
    while True:
        yield batches.batch(step)
        step += 1


def _from_seqio(work: Path) -> Iterator[dict[str, np.ndarray]]:
    _register(work)
    import seqio

    dataset = seqio.get_dataset(
        NAME, LENGTHS, seqio.EncDecFeatureConverter(pack=False), "train", shuffle=True,
        num_epochs=None, seed=0,
    )  # fmt: skip
    return dataset.batch(BATCH, drop_remainder=True).prefetch(2).as_numpy_iterator()


def _register(work: Path) -> None:
    import seqio
    import tensorflow as tf

    from clinical_t5x.data.span_corruption import SpanCorruption

    vocabulary = seqio.PassThroughVocabulary(_VOCABULARY, eos_id=1)
    vocabulary._extra_ids = 100  # its sentinels are the last ids, as those of T5's vocabulary
    seqio.TaskRegistry.add(
        NAME,
        seqio.TFExampleDataSource(
            {"train": str(work / "documents-*.tfrecord")},
            {"targets": tf.io.VarLenFeature(tf.int64)},
        ),
        preprocessors=[_dense, seqio.CacheDatasetPlaceholder(), SpanCorruption()],
        output_features={name: seqio.Feature(vocabulary) for name in LENGTHS},
    )


def _dense(dataset):
    import tensorflow as tf

    def one(example):
        return {"targets": tf.cast(tf.sparse.to_dense(example["targets"]), tf.int32)}

    return dataset.map(one, num_parallel_calls=tf.data.AUTOTUNE)


def _write_documents(work: Path, tokens: int) -> None:
    """Documents of random ids in TFRecords, as SeqIO's cache has them."""
    import tensorflow as tf

    random = np.random.default_rng(0)
    shards = 8
    for shard in range(shards):
        with tf.io.TFRecordWriter(str(work / f"documents-{shard}.tfrecord")) as writer:
            written = 0
            while written < tokens // shards:
                length = 1 + random.geometric(1 / _MEAN_LENGTH)
                ids = random.integers(3, _VOCABULARY - 100, length)
                value = tf.train.Feature(int64_list=tf.train.Int64List(value=ids))
                example = tf.train.Example(features=tf.train.Features(feature={"targets": value}))
                writer.write(example.SerializeToString())
                written += length


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=8_000_000, help="of the documents")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each side in a round")
    parser.add_argument("--side", choices=("store", "seqio"), help=argparse.SUPPRESS)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    main()
