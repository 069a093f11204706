"""Batches for training and examples for evaluation, read from token stores.

`open_batches(...).batch(step)` is a pure function of the seed and the step: it can be asked for any
step in any order, on any host, and answers the same. TensorFlow and SeqIO are imported only when a
store has to be written first.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from clinical_t5x.console import UserError
from clinical_t5x.data import packing, sampler, store_catalog
from clinical_t5x.data.home import reading_from
from clinical_t5x.data.span_corruption import SpanCorruption
from clinical_t5x.data.token_store import STREAM, TokenStore
from clinical_t5x.storage import fingerprint

# Held-out loss must not depend on a run's seed: outside of training the noise is always the same.
_FIXED_NOISE_SEED = 0


class RowSource(Protocol):
    """Where rows of batches come from: `size` rows in an epoch."""

    size: int

    def features(self, places: np.ndarray, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Batch features of the rows at `places`, for global example `indices`."""


@dataclasses.dataclass(frozen=True)
class Batches:
    """The batches of a split, as a pure function of the step.

    Attributes:
      feature_lengths: tokens a row holds of inputs and targets.
      rows_per_epoch: rows after which every example was seen once.
      manifest_hash: SHA-256 of the store and of the options that decide the order.
      batch_size: rows of a batch, over all hosts.
      seed: decides order and noise.
      shuffle: whether every epoch has an order of its own.
      summary: measured counts: tokens, truncated examples, rows.
    """

    rows: RowSource
    feature_lengths: dict[str, int]
    manifest_hash: str
    batch_size: int
    seed: int
    shuffle: bool
    summary: dict[str, Any]

    @property
    def rows_per_epoch(self) -> int:
        """Rows after which every example was seen once."""
        return self.rows.size

    def batch(self, step: int, rows: slice | None = None) -> dict[str, np.ndarray]:
        """The features of batch `step`: int32 [B, L] each.

        Args:
          step: number of the batch, from 0; epochs follow one another without a gap.
          rows: the part of the global batch that is wanted; all of it by default.
        """
        indices = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        return self._features(indices if rows is None else indices[rows])

    def one_pass(self, rows: slice | None = None) -> Iterator[dict[str, np.ndarray]]:
        """Every row once, in order; the last batch is filled up with rows of padding."""
        for start in range(0, self.rows_per_epoch, self.batch_size):
            indices = np.arange(start, start + self.batch_size)
            indices = indices if rows is None else indices[rows]
            features = self._features(np.minimum(indices, self.rows_per_epoch - 1))
            real = (indices < self.rows_per_epoch).astype(np.int32)[:, None]
            yield {name: values * real for name, values in features.items()}

    def _features(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        places = sampler.place_in_order(
            indices, self.rows_per_epoch, self.seed, shuffle=self.shuffle
        )
        return self.rows.features(places, indices)


@dataclasses.dataclass(frozen=True)
class Examples:
    """Every example of a split once, in order, for evaluation.

    Attributes:
      inputs, targets: token ids with end of sequence, cut to the feature lengths where given.
      truncated: number of examples of which something was cut.
      feature_lengths: lengths given, or the longest found.
      task_version: name of the task, which carries its version, and a hash of its definition.
      manifest_hash: SHA-256 of the store.
    """

    inputs: list[np.ndarray]
    targets: list[np.ndarray]
    truncated: int
    feature_lengths: dict[str, int]
    task_version: str
    manifest_hash: str
    _store: TokenStore

    @functools.cached_property
    def records(self) -> list[dict[str, Any]]:
        """What belongs to each example: id, unit, texts as read and to be written, gold."""
        return self._store.records()


def open_store(
    task_name: str,
    *,
    split: str,
    feature_lengths: Mapping[str, int] | None = None,
    module: str | None = None,
) -> TokenStore:
    """The token store of a task's split in the current data home, written first if need be.

    Args:
      task_name: name of a SeqIO task.
      split: one of its splits.
      feature_lengths: only matter to tasks whose own preprocessors ask for them.
      module: module that registers the task when imported.
    """
    directory = None
    if "seqio" not in sys.modules:
        # The task cannot have been registered with other arguments in this process, so what a
        # store says it was made from is all there is to know.
        directory = store_catalog.fresh_store(task_name, split, feature_lengths)
    if directory is None:
        from clinical_t5x.data.materialise import materialise

        directory = materialise(
            task_name, split=split, feature_lengths=feature_lengths, module=module
        )
    return TokenStore(directory)


def open_batches(
    task_name: str,
    *,
    split: str,
    feature_lengths: Mapping[str, int] | None,
    batch_size: int,
    pack: bool,
    shuffle: bool,
    seed: int,
    data_dir: str | os.PathLike | None = None,
    module: str | None = None,
) -> Batches:
    """Open a split for training: batches as a pure function of (seed, step).

    Args:
      task_name: name of a SeqIO task.
      split: one of its splits.
      feature_lengths: tokens of `inputs` and `targets` in a row; the longest found when None.
      batch_size: rows of a batch over all hosts.
      pack: put several examples into a row (pre-training rows are always full).
      shuffle: give every epoch an order of its own.
      seed: decides order and noise.
      data_dir: the data home, when not the default one.
      module: module that registers the task when imported.

    Raises:
      UserError: unknown task or split, missing data, lengths that leave no room.
    """
    with reading_from(data_dir):
        lengths = dict(feature_lengths) if feature_lengths else None
        store = open_store(task_name, split=split, feature_lengths=lengths, module=module)
        if store.kind == STREAM:
            rows: Any = _StreamRows(store, lengths, seed if split == "train" else None)
            pack = False
        else:
            rows = (_PackedRows if pack else _SingleRows)(store, lengths, seed)
    if rows.size == 0:
        raise UserError(
            f"the split {split!r} of {task_name} gives no row: {rows.summary}; prepare more"
            " documents or choose shorter TASK_FEATURE_LENGTHS"
        )
    order = {"lengths": rows.lengths, "pack": pack, "shuffle": shuffle}
    return Batches(
        rows=rows,
        feature_lengths=rows.lengths,
        manifest_hash=fingerprint({"store": store.content_hash, **order}),
        batch_size=batch_size,
        seed=seed,
        shuffle=shuffle,
        summary={**rows.summary, "rows": rows.size},
    )


def open_examples(
    task_name: str,
    *,
    split: str,
    feature_lengths: Mapping[str, int] | None = None,
    data_dir: str | os.PathLike | None = None,
    module: str | None = None,
) -> Examples:
    """Open a split for evaluation: every example once, in order.

    Args and errors: as `open_batches`.
    """
    with reading_from(data_dir):
        lengths = dict(feature_lengths) if feature_lengths else None
        store = open_store(task_name, split=split, feature_lengths=lengths, module=module)
    if store.kind == STREAM:
        raise UserError(
            f"{task_name} is a pre-training task: it has no examples to evaluate one by one"
        )
    examples = _TrimmedExamples(store, lengths)
    return Examples(
        inputs=[examples.sequence("inputs", i) for i in range(examples.size)],
        targets=[examples.sequence("targets", i) for i in range(examples.size)],
        truncated=int(examples.cut.sum()),
        feature_lengths=examples.lengths,
        task_version=f"{task_name}@{store.manifest['definition'][:12]}",
        manifest_hash=store.content_hash,
        _store=store,
    )


class _StreamRows:
    """Rows of a pre-training stream: raw sequences cut from the documents and corrupted."""

    def __init__(self, store: TokenStore, lengths: dict[str, int] | None, seed: int | None):
        if not lengths:
            raise UserError(
                f"{store.manifest['task']} needs TASK_FEATURE_LENGTHS, such as"
                " {'inputs': 512, 'targets': 114}"
            )
        self._corruption = SpanCorruption(**store.manifest["content"]["span_corruption"])
        self._raw = self._corruption.raw_length(lengths["inputs"], lengths["targets"])
        self._corruption.check_sentinels(self._raw, store.manifest["extra_ids"])
        self._sentinel_start = store.manifest["vocab_size"] - 1
        self._eos_id = store.manifest["eos_id"]
        self._seed = seed
        self.lengths = {"inputs": lengths["inputs"], "targets": lengths["targets"]}
        tokens = store.features["tokens"].tokens
        self.size = len(tokens) // self._raw
        self._chunks = tokens[: self.size * self._raw].reshape(self.size, self._raw)
        self.summary = {
            "tokens": len(tokens),
            "raw_tokens_per_row": self._raw,
            "tokens_left_over": len(tokens) - self.size * self._raw,
        }

    def features(self, places: np.ndarray, indices: np.ndarray) -> dict[str, np.ndarray]:
        seed, names = self._seed, indices
        if seed is None:
            seed, names = _FIXED_NOISE_SEED, places
        inputs, targets = self._corruption.corrupt(
            self._chunks[places],
            self._corruption.masks(self._raw, seed, names),
            sentinel_start=self._sentinel_start,
            eos_id=self._eos_id,
        )
        return packing.encoder_decoder_features(
            _widened(inputs, self.lengths["inputs"]), _widened(targets, self.lengths["targets"])
        )


class _TrimmedExamples:
    """Examples of a store, cut to the feature lengths with the end of sequence kept."""

    def __init__(self, store: TokenStore, lengths: dict[str, int] | None):
        self._features = store.features
        self._eos_id = store.manifest["eos_id"]
        self.size = store.manifest["items"]
        self.lengths = {
            name: (lengths or {}).get(name) or int(self._features[name].lengths.max(initial=1))
            for name in ("inputs", "targets")
        }
        cut = {name: self._features[name].lengths > size for name, size in self.lengths.items()}
        self.cut = cut["inputs"] | cut["targets"]
        self.summary = {
            "examples": self.size,
            "tokens": {name: len(feature.tokens) for name, feature in self._features.items()},
            "truncated": {name: int(where.sum()) for name, where in cut.items()},
        }

    def sequence(self, name: str, index: int) -> np.ndarray:
        """Token ids of one example's feature."""
        return packing.trimmed(self._features[name][index], self.lengths[name], self._eos_id)

    def lengths_of(self, name: str) -> np.ndarray:
        """Tokens of every example's feature after cutting."""
        return np.minimum(self._features[name].lengths, self.lengths[name])


class _SingleRows(_TrimmedExamples):
    """One example a row."""

    def __init__(self, store: TokenStore, lengths: dict[str, int] | None, seed: int):
        super().__init__(store, lengths)

    def features(self, places: np.ndarray, indices: np.ndarray) -> dict[str, np.ndarray]:
        return packing.padded_features(
            [self.sequence("inputs", place) for place in places],
            [self.sequence("targets", place) for place in places],
            self.lengths["inputs"],
            self.lengths["targets"],
        )


class _PackedRows(_TrimmedExamples):
    """Several examples a row; which ones share a row is fixed by the seed."""

    def __init__(self, store: TokenStore, lengths: dict[str, int] | None, seed: int):
        super().__init__(store, lengths)
        lengths_of = {name: self.lengths_of(name) for name in self.lengths}
        self._rows = packing.pack_examples(
            lengths_of["inputs"], lengths_of["targets"],
            self.lengths["inputs"], self.lengths["targets"], seed=seed,
        )  # fmt: skip
        self.size = len(self._rows)
        filled = {
            name: round(float(found.sum()) / max(1, self.size * self.lengths[name]), 4)
            for name, found in lengths_of.items()
        }
        self.summary["filled"] = filled

    def features(self, places: np.ndarray, indices: np.ndarray) -> dict[str, np.ndarray]:
        rows = [
            (
                [self.sequence("inputs", example) for example in self._rows[place]],
                [self.sequence("targets", example) for example in self._rows[place]],
            )
            for place in places
        ]
        return packing.packed_features(rows, self.lengths["inputs"], self.lengths["targets"])


def _widened(tokens_BL: np.ndarray, size: int) -> np.ndarray:
    """Pad rows to `size`; full rows, the usual case, are returned as they are."""
    if tokens_BL.shape[1] == size:
        return tokens_BL
    return np.pad(tokens_BL, ((0, 0), (0, size - tokens_BL.shape[1])))
