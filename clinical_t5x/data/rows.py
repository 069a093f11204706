"""Rows of batches, by kind of task: cut from a stream, one example each, packed, mixed.

A row source knows how many rows make an epoch and gives the batch features of any rows asked for.
Legend: B rows, L tokens of a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from clinical_t5x.console import UserError
from clinical_t5x.data import packing, sampler
from clinical_t5x.data.span_corruption import SpanCorruption
from clinical_t5x.data.token_store import TokenStore

# Held-out loss must not depend on a run's seed: outside of training the noise is always the same.
_FIXED_NOISE_SEED = 0

# A mixture's rates are kept exactly over every so many rows.
_MIXTURE_PERIOD = 1000


class RowSource(Protocol):
    """Where rows come from.

    Attributes:
      size: rows of an epoch.
      lengths: tokens a row holds of inputs and targets.
      summary: measured counts.
    """

    size: int
    lengths: dict[str, int]
    summary: dict[str, Any]

    def features(self, places: np.ndarray, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Batch features of the rows at `places`, for global example `indices`, both [B]."""


class OrderedRows:
    """A row source in the order of a seed: rows by global example index."""

    def __init__(self, source: RowSource, seed: int, *, shuffle: bool):
        self._source, self._seed, self._shuffle = source, seed, shuffle
        self.size = source.size

    def at(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Batch features of the rows at global example indices [B]."""
        places = sampler.place_in_order(indices, self.size, self._seed, shuffle=self._shuffle)
        return self._source.features(places, indices)


class MixedRows:
    """Several ordered row sources, mixed at fixed rates by arithmetic on the index.

    In every 1,000 rows each part has its share, one row at least, spread evenly; `size` rows see
    every part at least once as a whole.
    """

    def __init__(self, parts: Sequence[OrderedRows], rates: Sequence[float]):
        self._parts = list(parts)
        self._slots, self._ranks, self._counts = _mixture_period(rates)
        turns = [
            part.size / count for part, count in zip(parts, self._counts, strict=True) if count
        ]
        self.size = int(np.ceil(max(turns) * _MIXTURE_PERIOD))

    def at(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Batch features of the rows at global example indices [B]."""
        turns, slots = np.divmod(np.asarray(indices, np.int64), _MIXTURE_PERIOD)
        features: dict[str, np.ndarray] = {}
        for number in np.unique(self._slots[slots]):
            here = self._slots[slots] == number
            own = turns[here] * self._counts[number] + self._ranks[slots[here]]
            for name, values in self._parts[number].at(own).items():
                whole = features.setdefault(
                    name, np.zeros((len(indices), *values.shape[1:]), values.dtype)
                )
                whole[here] = values
        return features


def _mixture_period(rates: Sequence[float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which part has each slot of a period, its rank among the part's slots, slots of each part."""
    shares = np.asarray(rates, float) / np.sum(rates) * _MIXTURE_PERIOD
    counts = np.where(shares > 0, np.maximum(np.floor(shares), 1), 0).astype(np.int64)
    largest_rest = np.argsort(-(shares - counts), kind="stable")
    counts[largest_rest[: max(0, _MIXTURE_PERIOD - counts.sum())]] += 1
    counts[counts.argmax()] -= counts.sum() - _MIXTURE_PERIOD  # what small parts were rounded up
    parts = np.repeat(np.arange(len(counts)), counts)
    ranks = np.concatenate([np.arange(count) for count in counts])
    order = np.argsort((ranks + 0.5) / counts[parts], kind="stable")
    return parts[order], ranks[order], counts


class StreamRows:
    """Rows of a pre-training stream: raw sequences cut from the documents and corrupted.

    Args:
      store: a store of documents.
      lengths: tokens of inputs and targets.
      seed: of the noise; None for noise that depends on the row alone.
      segments: give segments and positions too, for a mixture with packed rows.
    """

    def __init__(
        self,
        store: TokenStore,
        lengths: Mapping[str, int] | None,
        seed: int | None,
        *,
        segments: bool = False,
    ):
        if not lengths:
            raise UserError(
                f"{store.manifest['task']} needs TASK_FEATURE_LENGTHS, such as"
                " {'inputs': 512, 'targets': 114}"
            )
        self._corruption = SpanCorruption(**store.manifest["content"]["span_corruption"])
        self._raw = self._corruption.raw_length(lengths["inputs"], lengths["targets"])
        self._corruption.check_sentinels(self._raw, store.manifest["extra_ids"])
        # stores written before there were tokens above the sentinels do not say where these begin
        last = store.manifest["vocab_size"] - 1
        self._sentinel_start = store.manifest.get("sentinel_start", last)
        self._eos_id = store.manifest["eos_id"]
        self._seed, self._segments = seed, segments
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
        """Batch features: full rows where the lengths belong together, as 512 and 114 do."""
        seed, names = self._seed, indices
        if seed is None:
            seed, names = _FIXED_NOISE_SEED, places
        inputs, targets = self._corruption.corrupt(
            self._chunks[places],
            self._corruption.masks(self._raw, seed, names),
            sentinel_start=self._sentinel_start,
            eos_id=self._eos_id,
        )
        features = packing.encoder_decoder_features(
            _widened(inputs, self.lengths["inputs"]), _widened(targets, self.lengths["targets"])
        )
        return packing.as_one_segment(features) if self._segments else features


class SingleRows:
    """One example a row, cut to the feature lengths with the end of sequence kept.

    Args:
      store: a store of examples.
      lengths: tokens of inputs and targets; the longest found where not given.
    """

    def __init__(self, store: TokenStore, lengths: Mapping[str, int] | None):
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
            "longest": {
                name: int(feature.lengths.max(initial=0))
                for name, feature in self._features.items()
            },
        }

    def sequence(self, name: str, index: int) -> np.ndarray:
        """Token ids of one example's feature."""
        return packing.trimmed(self._features[name][index], self.lengths[name], self._eos_id)

    def lengths_of(self, name: str) -> np.ndarray:
        """Tokens of every example's feature after cutting."""
        return np.minimum(self._features[name].lengths, self.lengths[name])

    def features(self, places: np.ndarray, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Batch features, padded with 0."""
        inputs, targets = (
            [self.sequence(name, place) for place in places] for name in ("inputs", "targets")
        )
        return packing.padded_features(
            inputs, targets, self.lengths["inputs"], self.lengths["targets"]
        )


class PackedRows:
    """Several examples a row; which ones share a row is fixed by the seed.

    Args:
      store: a store of examples.
      lengths: tokens of inputs and targets; the longest found where not given.
      seed: of the packing.
    """

    def __init__(self, store: TokenStore, lengths: Mapping[str, int] | None, seed: int):
        self._examples = SingleRows(store, lengths)
        self.lengths = self._examples.lengths
        found = {name: self._examples.lengths_of(name) for name in self.lengths}
        self._rows = packing.pack_examples(
            found["inputs"], found["targets"],
            self.lengths["inputs"], self.lengths["targets"], seed=seed,
        )  # fmt: skip
        self.size = len(self._rows)
        filled = {
            name: round(float(tokens.sum()) / max(1, self.size * self.lengths[name]), 4)
            for name, tokens in found.items()
        }
        self.summary = {**self._examples.summary, "filled": filled}

    def features(self, places: np.ndarray, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Batch features with segments and positions."""
        rows = [
            tuple(
                [self._examples.sequence(name, example) for example in self._rows[place]]
                for name in ("inputs", "targets")
            )
            for place in places
        ]
        return packing.packed_features(rows, self.lengths["inputs"], self.lengths["targets"])


def _widened(tokens_BL: np.ndarray, size: int) -> np.ndarray:
    """Pad rows to `size`; full rows, the usual case, are returned as they are."""
    if tokens_BL.shape[1] == size:
        return tokens_BL
    return np.pad(tokens_BL, ((0, 0), (0, size - tokens_BL.shape[1])))
