"""TFDS builder of a prepared corpus: one example a document."""

from __future__ import annotations

import os

import numpy as np
import tensorflow_datasets as tfds
from etils import epath
from tensorflow_datasets.core import dataset_builder

from clinical_t5x.console import Progress
from clinical_t5x.data.builders.note_shards import TEXT_COLUMNS, NoteShard, divide, write_shard
from clinical_t5x.data.builders.versions import CLINICAL_NOTES
from clinical_t5x.processes import ordered_map

SPLITS = ("train", "validation")
_WORTH_PROCESSES = 50_000  # documents; a process takes as long to start as some ten thousand


class ClinicalNotes(dataset_builder.FileReaderBuilder):
    """Clean clinical documents, split into train and validation by person.

    The corpus is shuffled when it is prepared: documents are written in the order they come, which
    needs neither TFDS's shuffling nor TensorFlow.
    """

    VERSION = tfds.core.Version(CLINICAL_NOTES)
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "The manual directory is a prepared corpus: python -m clinical_t5x.prepare writes it."
    )

    def _info(self) -> tfds.core.DatasetInfo:
        features = {name: tfds.features.Text() for name in TEXT_COLUMNS}
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict({**features, "num_words": np.int64}),
            description="Clean clinical documents of one prepared corpus.",
        )

    def _download_and_prepare(
        self,
        dl_manager: tfds.download.DownloadManager,
        download_config: tfds.download.DownloadConfig,
    ) -> None:
        documents = epath.Path(dl_manager.manual_dir) / "documents"
        infos = []
        for split in SPLITS:
            template = tfds.core.ShardedFileTemplate(
                data_dir=self.data_path,
                dataset_name=self.name,
                split=split,
                filetype_suffix="tfrecord",
            )
            paths = [
                str(template.sharded_filepath(shard_index=i, num_shards=download_config.num_shards))
                for i in range(download_config.num_shards)
            ]
            shards = divide(sorted(documents.glob(f"{split}-*.parquet")), paths)
            lengths = [shard.length for shard in shards]
            with Progress(f"{self.name} {split}", sum(lengths), unit="documents") as progress:
                num_bytes = _write(shards, progress)
            infos.append(
                tfds.core.SplitInfo(
                    name=split,
                    shard_lengths=lengths,
                    num_bytes=num_bytes,
                    filename_template=template,
                )
            )
        self.info.set_splits(tfds.core.SplitDict(infos))


def _write(shards: list[NoteShard], progress: Progress) -> int:
    """Write a split's files; returns the bytes of its examples."""
    num_bytes = 0
    many = sum(shard.length for shard in shards) >= _WORTH_PROCESSES
    with ordered_map(min(os.cpu_count() or 1, len(shards)) if many else 1) as run:
        for shard, written in zip(shards, run(write_shard, shards), strict=True):
            num_bytes += written
            progress.advance(shard.length)
    return num_bytes
