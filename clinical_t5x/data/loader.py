"""Batches for training and examples for evaluation, read from token stores.

`open_batches(...).batch(step)` is a pure function of the seed and the step: it can be asked for any
step in any order, on any host, and answers the same. TensorFlow and SeqIO are imported only when a
store has to be written first.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from clinical_t5x.console import UserError
from clinical_t5x.data import store_catalog
from clinical_t5x.data.home import reading_from
from clinical_t5x.data.rows import MixedRows, OrderedRows, PackedRows, SingleRows, StreamRows
from clinical_t5x.data.token_store import STREAM, TokenStore
from clinical_t5x.storage import fingerprint


@dataclasses.dataclass(frozen=True)
class Batches:
    """The batches of a split, as a pure function of the step.

    Attributes:
      ordered: the rows by global example index.
      feature_lengths: tokens a row holds of inputs and targets.
      batch_size: rows of a batch, over all hosts.
      manifest_hash: SHA-256 of the stores and of the options that decide the order, next to seed
        and batch size.
      vocabularies: content hash of the vocabulary of inputs and of targets, as
        `ClinicalVocabulary.content_hash` has it.
      summary: measured counts by task: tokens, truncated examples, rows.
      from_documents: whether rows are cut from running text (pre-training), not single examples.
      subset: which part of the training split the task holds (`subsets.Subset.description`); None
        for the whole, and for mixtures.
    """

    ordered: OrderedRows | MixedRows
    feature_lengths: dict[str, int]
    batch_size: int
    manifest_hash: str
    vocabularies: dict[str, str]
    summary: dict[str, Any]
    from_documents: bool = False
    subset: dict[str, Any] | None = None

    @property
    def rows_per_epoch(self) -> int:
        """Rows after which every example was seen once."""
        return self.ordered.size

    def batch(self, step: int, rows: slice | None = None) -> dict[str, np.ndarray]:
        """The features of batch `step`: int32 [B, L] each.

        Args:
          step: number of the batch, from 0; epochs follow one another without a gap.
          rows: the part of the global batch that is wanted; all of it by default.
        """
        indices = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        return self.ordered.at(indices if rows is None else indices[rows])

    def one_pass(self, rows: slice | None = None) -> Iterator[dict[str, np.ndarray]]:
        """Every row once; the last batch is filled up with rows of padding.

        Args:
          rows: the part of each global batch that is wanted.
        """
        for start in range(0, self.rows_per_epoch, self.batch_size):
            indices = np.arange(start, start + self.batch_size)
            indices = indices if rows is None else indices[rows]
            features = self.ordered.at(np.minimum(indices, self.rows_per_epoch - 1))
            real = (indices < self.rows_per_epoch).astype(np.int32)[:, None]
            yield {name: values * real for name, values in features.items()}


@dataclasses.dataclass(frozen=True)
class Examples:
    """Every example of a split once, in order, for evaluation.

    Attributes:
      inputs, targets: token ids with end of sequence, cut to the feature lengths where given.
      truncated: number of examples of which something was cut, here or by the task.
      feature_lengths: lengths given, or the longest found.
      task_version: name of the task, which carries its version, and a hash of its definition.
      manifest_hash: SHA-256 of the store.
      vocabularies: as for `Batches`.
      records: what belongs to each example: id, unit, texts as read and to be written, gold.
      synthetic: whether the data set was made from the synthetic PhysioNet.
    """

    inputs: list[np.ndarray]
    targets: list[np.ndarray]
    records: list[dict[str, Any]]
    truncated: int
    feature_lengths: dict[str, int]
    task_version: str
    manifest_hash: str
    vocabularies: dict[str, str]
    synthetic: bool = False


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
      task_name: name of a SeqIO task, or of a mixture of them.
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
    if batch_size < 1:
        raise UserError(f"BATCH_SIZE is {batch_size}; it must be at least 1")
    lengths = dict(feature_lengths) if feature_lengths else None
    with reading_from(data_dir):
        rates = _mixture_rates(task_name, split, module)
        if rates and (lengths is None or not {"inputs", "targets"} <= lengths.keys()):
            raise UserError(f"the mixture {task_name} needs TASK_FEATURE_LENGTHS")
        parts, hashes, vocabularies, summary = [], {}, {}, {}
        for number, name in enumerate(rates or {task_name: 1.0}):
            store = open_store(name, split=split, feature_lengths=lengths, module=module)
            part_seed = seed + number * 1_000_003  # parts of a mixture have noise of their own
            source = _row_source(store, lengths, part_seed, pack=pack, mixed=bool(rates))
            vocabularies[name] = store.manifest["content"]["vocabularies"]
            parts.append(OrderedRows(source, part_seed, shuffle=shuffle))
            hashes[name] = store.content_hash
            summary[name] = {**source.summary, "rows": source.size}
    if any(found != vocabularies[name] for found in vocabularies.values()):
        raise UserError(f"the tasks of the mixture {task_name} have different vocabularies")
    packed = isinstance(source, PackedRows)
    order = {"lengths": source.lengths, "packed": packed, "shuffle": shuffle, "rates": rates}
    return Batches(
        ordered=MixedRows(parts, list(rates.values())) if rates else parts[0],
        feature_lengths=source.lengths,
        batch_size=batch_size,
        manifest_hash=fingerprint({"stores": hashes, **order}),
        vocabularies=vocabularies[name],
        summary=summary,
        from_documents=isinstance(source, StreamRows),
        subset=None if rates else store_catalog.subset_of(store.directory),
    )


def _row_source(
    store: TokenStore, lengths: dict[str, int] | None, seed: int, *, pack: bool, mixed: bool
) -> StreamRows | SingleRows | PackedRows:
    split = store.manifest["split"]
    if store.kind == STREAM:
        noise_seed = seed if split == "train" else None
        source = StreamRows(store, lengths, noise_seed, segments=pack and mixed)
    else:
        source = PackedRows(store, lengths, seed) if pack else SingleRows(store, lengths)
    if source.size == 0:
        raise UserError(
            f"the split {split!r} of {store.manifest['task']} gives no row ({source.summary});"
            " prepare more documents or choose shorter TASK_FEATURE_LENGTHS"
        )
    return source


def _mixture_rates(task_name: str, split: str, module: str | None) -> dict[str, float]:
    """Rates of a mixture's tasks by name; nothing for a task."""
    if next(store_catalog.stores_of(task_name, split), None) is not None:
        return {}  # only tasks have stores, and a look at them costs no import of SeqIO
    from clinical_t5x.data.materialise import load_task

    provider = load_task(task_name, module)
    tasks = getattr(provider, "tasks", None)
    if tasks is None:
        return {}
    return {task.name: float(provider.get_rate(task)) for task in tasks if split in task.splits}


def open_examples(
    task_name: str,
    *,
    split: str,
    feature_lengths: Mapping[str, int] | None = None,
    data_dir: str | os.PathLike | None = None,
    module: str | None = None,
) -> Examples:
    """Open a split for evaluation: every example once, in order.

    Args:
      task_name, split, data_dir, module: as for `open_batches`; mixtures have no examples.
      feature_lengths: where given, longer examples are cut, and counted as `truncated`.

    Raises:
      UserError: unknown task or split, missing data, a pre-training task.
    """
    lengths = dict(feature_lengths) if feature_lengths else None
    with reading_from(data_dir):
        store = open_store(task_name, split=split, feature_lengths=lengths, module=module)
    if store.kind == STREAM:
        raise UserError(
            f"{task_name} is a pre-training task: it has no examples to evaluate one by one"
        )
    rows = SingleRows(store, lengths)
    records = store.records()
    cut_by_task = np.array([bool(record.get("sentence_cut")) for record in records], bool)
    return Examples(
        inputs=[rows.sequence("inputs", i) for i in range(rows.size)],
        targets=[rows.sequence("targets", i) for i in range(rows.size)],
        records=records,
        truncated=int((rows.cut | cut_by_task).sum()),
        feature_lengths=rows.lengths,
        task_version=f"{task_name}@{store.manifest['definition'][:12]}",
        manifest_hash=store.content_hash,
        vocabularies=store.manifest["content"]["vocabularies"],
        synthetic=store.manifest.get("synthetic", False),
    )
