"""What training tests share: a tiny T5, and batches that are a pure function of seed and step."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator

import jax
import numpy as np

from clinical_t5x.models.config import T5Config
from clinical_t5x.models.encoder_decoder import EncoderDecoderModel
from clinical_t5x.models.network import Transformer
from clinical_t5x.partitioning import PjitPartitioner
from clinical_t5x.training import state as states
from clinical_t5x.training.config import CheckpointConfig, DatasetConfig, SaveCheckpointConfig
from clinical_t5x.training.optimizer import Adafactor
from clinical_t5x.training.schedule import create_learning_rate_scheduler
from clinical_t5x.training.train import train
from clinical_t5x.training.trainer import Trainer

VOCAB, BATCH, INPUTS, TARGETS = 64, 8, 12, 6


def tiny_model(
    *, dropout_rate: float = 0.1, optimizer=None, loss_normalizing_factor=None, **config
) -> EncoderDecoderModel:
    sizes = {"emb_dim": 16, "num_heads": 4, "head_dim": 4, "mlp_dim": 32}
    layers = {"num_encoder_layers": 1, "num_decoder_layers": 1}
    network = T5Config(VOCAB, dropout_rate=dropout_rate, **(sizes | layers | config))
    optimizer = optimizer or Adafactor(min_dim_size_to_factor=8)
    return EncoderDecoderModel(
        Transformer(network),
        None,
        None,
        optimizer,
        z_loss=1e-4,
        loss_normalizing_factor=loss_normalizing_factor,
    )


class CountingBatches:
    """Learnable toy data: targets repeat the inputs' first tokens."""

    feature_lengths = {"inputs": INPUTS, "targets": TARGETS}  # noqa: RUF012
    rows_per_epoch = 20

    def __init__(self, seed: int, batch_size: int = BATCH):
        self.seed, self.batch_size = seed, batch_size
        self.manifest_hash = f"toy-{seed}"

    def batch(self, step: int, rows: slice | None = None) -> dict[str, np.ndarray]:
        rng = np.random.default_rng([self.seed, step])
        inputs = rng.integers(2, VOCAB, (self.batch_size, INPUTS), dtype=np.int32)
        inputs[:, INPUTS - rng.integers(1, 4) :] = 0
        targets = inputs[:, :TARGETS].copy()
        features = {
            "encoder_input_tokens": inputs,
            "decoder_target_tokens": targets,
            "decoder_input_tokens": np.pad(targets, ((0, 0), (1, 0)))[:, :-1],
            "decoder_loss_weights": (targets != 0).astype(np.int32),
        }
        return {name: value[rows or slice(None)] for name, value in features.items()}

    def one_pass(self, rows: slice | None = None) -> Iterator[dict[str, np.ndarray]]:
        for number in range(-(-self.rows_per_epoch // self.batch_size)):
            yield self.batch(1_000_000 + number, rows)


def open_toy_batches(task_name, *, seed, batch_size, **options) -> CountingBatches:
    return CountingBatches(seed, batch_size)


def dataset(split: str = "train", batch_size: int = BATCH, seed: int | None = None):
    lengths = {"inputs": INPUTS, "targets": TARGETS}
    return DatasetConfig("toy_v1", lengths, split, batch_size, split == "train", seed)


class QuickTrainer(Trainer):
    """Runs of `tiny_model()` in one process share their compiled update and their beginning."""

    compiled = {}  # noqa: RUF012
    beginnings = {}  # noqa: RUF012

    def compile(self, batch):
        # guards that judge alike have the same update, whatever they do about a bad batch
        guard = dataclasses.replace(self.guard, policy="skip", batches=1, limit=1, limit_steps=1)
        shapes = tuple((name, feature.shape, feature.dtype) for name, feature in batch.items())
        key = guard if self.guard.judges else None, shapes
        if key not in self.compiled:
            self.compiled[key] = super().compile(batch)
        self._compiled, self.compile_seconds = self.compiled[key], 0.0

    def init_state(self, rng):
        key = tuple(jax.random.key_data(rng).tolist())
        if key not in self.beginnings:
            super().init_state(rng)
            self.beginnings[key] = jax.device_get(self.train_state)
        shardings = states.shardings_of(self.abstract_state)
        self.train_state = jax.device_put(self.beginnings[key], shardings)


def quick_trainer(**options):
    """What `run` takes as `trainer_cls`, with the learning rate of `run`."""
    schedule = create_learning_rate_scheduler("constant", base_learning_rate=0.05)
    return functools.partial(
        QuickTrainer, learning_rate_fn=schedule, num_microbatches=None, **options
    )


def run(model_dir, *, total_steps=6, period=2, keep=None, seed=3, **options):
    """A training run on toy data, with everything that a test does not set at a small default."""
    schedule = create_learning_rate_scheduler("constant", base_learning_rate=0.05)
    settings = {
        "model": tiny_model(),
        "train_dataset_cfg": dataset(),
        "train_eval_dataset_cfg": None,
        "infer_eval_dataset_cfg": None,
        "checkpoint_cfg": CheckpointConfig(SaveCheckpointConfig(period=period, keep=keep)),
        "partitioner": PjitPartitioner(),
        "trainer_cls": functools.partial(Trainer, learning_rate_fn=schedule, num_microbatches=None),
        "model_dir": str(model_dir),
        "total_steps": total_steps,
        "eval_steps": 2,
        "eval_period": 0,
        "stats_period": 2,
        "random_seed": seed,
        "get_dataset_fn": open_toy_batches,
    }
    return train(**(settings | options))
