"""What the builders of the benchmarks share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import tensorflow_datasets as tfds
from etils import epath

from clinical_t5x.console import track
from clinical_t5x.data import benchmarks


class BenchmarkBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Records of `clinical_t5x.data.benchmarks` as a TFDS data set.

    Attributes:
      BENCHMARK: its name there.
      FEATURES: TFDS features by name.
    """

    BENCHMARK: ClassVar[str]
    FEATURES: ClassVar[dict[str, Any]]
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "The manual directory holds the PhysioNet files as `wget -r` leaves them."
    )

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(dict(self.FEATURES)),
            description=type(self).__doc__,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        records = benchmarks.read(self.BENCHMARK, epath.Path(dl_manager.manual_dir))
        return {
            split: self._generate_examples(
                track(records[split], f"{self.BENCHMARK} {split}", unit="records")
            )
            for split in records
        }

    def _generate_examples(self, records: Iterable[dict]) -> Iterator[tuple[str, dict]]:
        for record in records:
            yield record["id"], record
