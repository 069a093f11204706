"""TFDS builder of a prepared corpus: one example a document."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow_datasets as tfds
from etils import epath
from tensorflow_datasets.core import dataset_builder

from clinical_t5x.console import Progress
from clinical_t5x.data.builders.tfrecords import example_writer, write_record
from clinical_t5x.data.builders.versions import CLINICAL_NOTES
from clinical_t5x.data.documents import count_documents, read_documents

TEXT_COLUMNS = (
    "document_id", "patient_id", "person_id", "source", "category", "description", "charttime",
    "text",
)  # fmt: skip
COLUMNS = (*TEXT_COLUMNS, "num_words")
SPLITS = ("train", "validation")


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
            shards = sorted(documents.glob(f"{split}-*.parquet"))
            lengths = _shard_lengths(shards, download_config.num_shards)
            with Progress(f"{self.name} {split}", sum(lengths), unit="documents") as progress:
                num_bytes = _write_split(shards, lengths, template, progress)
            infos.append(
                tfds.core.SplitInfo(
                    name=split,
                    shard_lengths=lengths,
                    num_bytes=num_bytes,
                    filename_template=template,
                )
            )
        self.info.set_splits(tfds.core.SplitDict(infos))


def _shard_lengths(shards: Sequence[epath.Path], num_shards: int) -> list[int]:
    """How many documents every shard of the data set has: as many as the others, or one more."""
    total = sum(map(count_documents, shards))
    return [(i + 1) * total // num_shards - i * total // num_shards for i in range(num_shards)]


def _write_split(
    shards: Sequence[epath.Path],
    lengths: Sequence[int],
    template: tfds.core.ShardedFileTemplate,
    progress: Progress,
) -> int:
    """Write a split's files; returns the bytes of its examples."""
    examples = _examples(shards)
    num_bytes = 0
    for index, length in enumerate(lengths):
        path = template.sharded_filepath(shard_index=index, num_shards=len(lengths))
        with epath.Path(path).open("wb") as file:
            for _ in range(length):
                example = next(examples)
                write_record(file, example)
                num_bytes += len(example)
        progress.advance(length)
    return num_bytes


def _examples(shards: Sequence[epath.Path]) -> Iterator[bytes]:
    serialise = example_writer({**dict.fromkeys(TEXT_COLUMNS, str), "num_words": int})
    for shard in shards:
        for batch in read_documents(shard, COLUMNS):
            columns = [batch.column(name).to_pylist() for name in COLUMNS]
            yield from map(serialise, zip(*columns, strict=True))
