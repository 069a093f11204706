"""TFDS builder of a prepared corpus: one example a document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from clinical_t5x.console import Progress
from clinical_t5x.data.builders.versions import CLINICAL_NOTES
from clinical_t5x.data.documents import count_documents, read_documents

TEXT_COLUMNS = (
    "document_id", "patient_id", "person_id", "source", "category", "description", "charttime",
    "text",
)  # fmt: skip
COLUMNS = (*TEXT_COLUMNS, "num_words")


class ClinicalNotes(tfds.core.GeneratorBasedBuilder):
    """Clean clinical documents, split into train and validation by person."""

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

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        documents = epath.Path(dl_manager.manual_dir) / "documents"
        return {
            split: self._generate_examples(split, sorted(documents.glob(f"{split}-*.parquet")))
            for split in ("train", "validation")
        }

    def _generate_examples(
        self, split: str, shards: list[epath.Path]
    ) -> Iterator[tuple[str, dict]]:
        total = sum(count_documents(shard) for shard in shards)
        with Progress(f"{self.name} {split}", total, unit="documents") as progress:
            for shard in shards:
                for batch in read_documents(shard, COLUMNS):
                    for document in batch.to_pylist():
                        yield document["document_id"], document
                    progress.advance(len(batch))
