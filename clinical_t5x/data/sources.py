"""SeqIO's view of the data sets that `prepare` writes.

SeqIO's own TfdsDataSource fixes the data directory when a task is registered and would generate a
missing data set at first use. This one asks for the data home at every use, never generates, and
says which command makes what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import seqio
from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.data.home import tfds_directory
from clinical_t5x.data.store_catalog import dataset_fingerprint

PREPARE = "python -m clinical_t5x.prepare --physionet DIR"


class PreparedDataSource(seqio.TfdsDataSource):
    """A TFDS data set below the data home, read only.

    Args:
      dataset: name, or name/config, of the data set.
      version: its version.
      splits: SeqIO split -> TFDS split or slice.
      made_by: the command that makes the data set, for the error when it is missing.
    """

    def __init__(
        self,
        dataset: str,
        version: str,
        splits: Mapping[str, str],
        *,
        made_by: str = PREPARE,
    ):
        self.dataset, self.version = dataset, version
        self._made_by = made_by
        self._split_map = dict(splits)
        super().__init__(f"{dataset}:{version}", splits=self._split_map, read_only=True)

    @property
    def tfds_dataset(self) -> seqio.LazyTfdsLoader:
        """SeqIO's loader of the data set as it lies in the data home now."""
        self.check()
        return _Loader(
            f"{self.dataset}:{self.version}",
            data_dir=str(tfds_directory()),
            split_map=self._split_map,
            read_only=True,
        )

    @property
    def directory(self) -> epath.Path:
        """Where the data set lies; T5X's --tfds_data_dir goes before the data home."""
        loader = _Loader(f"{self.dataset}:{self.version}", data_dir=str(tfds_directory()))
        return epath.Path(loader.data_dir) / self.dataset / self.version

    def check(self) -> None:
        """Raise UserError when the data set is not there."""
        if not (self.directory / "dataset_info.json").exists():
            raise UserError(
                f"the data set {self.dataset} (version {self.version}) is not at"
                f" {self.directory}; make it with: {self._made_by}"
            )

    def __repr__(self) -> str:
        return f"PreparedDataSource({self.dataset!r}, {self.version!r}, splits={self._split_map})"


class _Loader(seqio.LazyTfdsLoader):
    """SeqIO's loader, whose builders are kept only as long as the data set stays the same."""

    def _get_builder_key(self, dataset: str | None, data_dir: str | None) -> Any:
        name, _, version = (dataset or "").partition(":")
        return dataset, data_dir, dataset_fingerprint(epath.Path(data_dir) / name / version)
