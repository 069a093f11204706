"""A benchmark's data set of which a task sees a part: fractions and folds as a SeqIO source.

Which units the part holds is found out when data are first read, from the data set itself, so that
a task can be registered before there are data.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import seqio
import tensorflow as tf
from etils import epath

from clinical_t5x.data.sources import PREPARE, PreparedDataSource
from clinical_t5x.data.store_catalog import dataset_fingerprint
from clinical_t5x.data.subsets import EXAMPLES, UNITS, Subset, Unit, choose, tally

_ROWS_AT_A_TIME = 4096
_NO_LABEL = "none"


@dataclasses.dataclass(frozen=True)
class _Strata:
    """How a benchmark is cut up.

    Attributes:
      feature: what puts its examples into strata.
      kind: how TFDS stores that feature.
      of: value of that feature -> the strata an example belongs to.
      counted: what shares are counted in, EXAMPLES or UNITS.
    """

    feature: str
    kind: Any
    of: Callable[[Any], Iterable[str]]
    counted: str


_TEXT = tf.io.FixedLenFeature([], tf.string)
_STRATA: Mapping[str, _Strata] = {
    "mednli": _Strata("label", _TEXT, lambda label: _texts([label]), EXAMPLES),
    "radqa": _Strata(
        "is_impossible",
        tf.io.FixedLenFeature([], tf.int64),
        lambda impossible: ["unanswerable" if impossible else "answerable"],
        EXAMPLES,
    ),
    "clip": _Strata(
        "labels",
        tf.io.RaggedFeature(tf.string),
        lambda labels: _texts(labels) or [_NO_LABEL],
        UNITS,
    ),
}
BENCHMARKS = tuple(_STRATA)


def benchmark_source(dataset: str, version: str, subset: Subset) -> PreparedDataSource:
    """The source of one of the three benchmarks, or of a part of it.

    Args:
      dataset: "mednli", "radqa" or "clip".
      version: of the data set.
      subset: what of the training data.
    """
    if not subset.is_whole:
        return SubsetDataSource(dataset, version, subset)
    splits = {split: split for split in ("train", "validation", "test")}
    return PreparedDataSource(dataset, version, splits=splits)


class SubsetDataSource(PreparedDataSource):
    """Some units of a prepared benchmark; the test split is always whole.

    Args:
      dataset: "mednli", "radqa" or "clip".
      version: of the data set.
      subset: what of the training data.
      made_by: the command that makes the data set, for the error when it is missing.
    """

    # A token store is stale when the choice would be another one.
    RELIES_ON = ("clinical_t5x.data.subsets", "clinical_t5x.data.subset_source")

    def __init__(self, dataset: str, version: str, subset: Subset, *, made_by: str = PREPARE):
        self.subset = subset
        splits = {split: split for split in ("train", "validation", "test")}
        super().__init__(dataset, version, splits=splits, made_by=made_by)

    @property
    def is_folded(self) -> bool:
        """Whether train and validation are not the published splits."""
        return self.subset.folds is not None

    def published_units(self) -> dict[str, list[Unit]]:
        """All units of the published train and validation splits."""
        self.check()
        place = self.directory
        mark = dataset_fingerprint(place)
        return {
            split: _units(str(place), mark, self.dataset, split)
            for split in ("train", "validation")
        }

    def units(self) -> dict[str, list[Unit]]:
        """The units that are taken, by split; of validation all, unless there are folds."""
        published = self.published_units()
        counted = _STRATA[self.dataset].counted
        return choose(self.subset, published["train"], published["validation"], counted)

    def get_dataset(
        self,
        split: str = "train",
        shuffle: bool = True,
        seed: int | None = None,
        shard_info: seqio.ShardInfo | None = None,
        **ignored: Any,
    ) -> tf.data.Dataset:
        """The records of a split's units, in the data set's order unless shuffled.

        The arguments are SeqIO's; shards are cut from the chosen records, not from files, as the
        few units of a part may all lie in one file.
        """
        published = self._published_splits(split)
        parts = [super(SubsetDataSource, self).get_dataset(s, shuffle, seed) for s in published]
        dataset = functools.reduce(tf.data.Dataset.concatenate, parts)
        if self._is_cut(split):
            names = tf.constant([unit.name for unit in self.units()[split]])
            dataset = dataset.filter(lambda record: tf.reduce_any(record["unit"] == names))
        if shard_info is not None and shard_info.num_shards > 1:
            dataset = dataset.shard(shard_info.num_shards, shard_info.index)
        return dataset

    def num_input_examples(self, split: str) -> int:
        """Number of records of a split."""
        if not self._is_cut(split):
            return super().num_input_examples(split)
        return sum(unit.examples for unit in self.units()[split])

    def list_shards(self, split: str) -> list[str]:
        """One shard a split, so that SeqIO shares out records where there are several hosts."""
        return [split]

    def _is_cut(self, split: str) -> bool:
        return split == "train" or (split == "validation" and self.is_folded)

    def _published_splits(self, split: str) -> tuple[str, ...]:
        """The published splits in which a split's records stand."""
        return ("train", "validation") if self._is_cut(split) and self.is_folded else (split,)

    def __repr__(self) -> str:
        return f"SubsetDataSource({self.dataset!r}, {self.version!r}, {self.subset})"


@functools.lru_cache(maxsize=16)
def _units(directory: str, fingerprint: str, dataset: str, split: str) -> list[Unit]:
    """The units of a published split; `fingerprint` is that of the data set as it is now."""
    del fingerprint  # part of the key: a data set that was written anew is read anew
    import tensorflow_datasets as tfds

    strata = _STRATA[dataset]
    files = tfds.builder_from_directory(epath.Path(directory)).info.splits[split].filepaths
    # Two features out of the serialised records: TFDS would decode whole records, 14 times slower.
    features = {"unit": _TEXT, strata.feature: strata.kind}
    found: list[tuple[str, Iterable[str]]] = []
    for batch in tf.data.TFRecordDataset(list(map(str, files))).batch(_ROWS_AT_A_TIME):
        columns = tf.io.parse_example(batch, features)
        values = map(strata.of, _values(columns[strata.feature]))
        found += zip(_texts(columns["unit"].numpy()), values, strict=True)
    return tally(found)


def _values(column: Any) -> list[Any]:
    return column.to_list() if isinstance(column, tf.RaggedTensor) else list(column.numpy())


def _texts(values: Iterable[bytes]) -> list[str]:
    return [value.decode("utf-8") for value in values]
