"""Documents go to disk: one shard after the other, in a fixed shuffled order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl
from etils import epath

from clinical_t5x.corpus import staged_parts, threads
from clinical_t5x.corpus.splits import TRAIN, VALIDATION
from clinical_t5x.corpus.words import mixed

DOCUMENT_COLUMNS = (
    "document_id", "patient_id", "person_id", "source", "category", "description", "charttime",
    "text", "num_words",
)  # fmt: skip
_WORKERS = 2  # each holds a shard of texts


def shard_path(documents: epath.Path, split: str, shard: int, num_shards: int) -> epath.Path:
    """The file of a shard of documents."""
    return documents / f"{split}-{shard:05}-of-{num_shards:05}.parquet"


def write_shards(
    kept: Mapping[tuple, pl.DataFrame],
    persons: pl.DataFrame,
    texts: Path,
    documents: epath.Path,
    num_shards: int,
) -> Iterator[int]:
    """Write all documents; yields the documents written, shard by shard.

    Args:
        kept: (shard,) -> its documents: row and split.
        persons: patient_id and person_id of the patients who are not their own persons.
        texts: directory of staged texts.
        documents: directory to write to (must exist).
        num_shards: shards of every split.
    """
    pieces = sorted(texts.glob(f"*{staged_parts.SUFFIX}"))
    none = next(iter(kept.values())).clear()

    def write(shard: int) -> int:
        here = kept.get((shard,), none)
        parts = [
            staged_parts.read_part(path, shard).join(here, on="row", how="inner") for path in pieces
        ]
        table = _as_documents(pl.concat(parts), persons)
        for split in (TRAIN, VALIDATION):
            part = table.filter(pl.col("split") == split).select(DOCUMENT_COLUMNS)
            with shard_path(documents, split, shard, num_shards).open("wb") as file:
                part.write_parquet(file, statistics=False)
        count = len(table)
        del parts, table, part
        return count

    yield from threads.in_order(write, range(num_shards), _WORKERS)


def _as_documents(notes: pl.DataFrame, persons: pl.DataFrame) -> pl.DataFrame:
    """Notes of a shard with their documents' and persons' ids, in the shard's order."""
    order = pl.Series(mixed(notes.get_column("row").to_numpy() ^ 0x5EED))
    return (
        notes.with_columns(order=order, num_words=pl.col("num_words").cast(pl.Int64))
        .sort("order", "row")
        .join(persons, on="patient_id", how="left", maintain_order="left")
        .with_columns(
            document_id=pl.concat_str("source", pl.lit("/"), "note_id"),
            person_id=pl.col("person_id").fill_null(pl.col("patient_id")),
        )
    )


class ContentDigest:
    """SHA-256 over the documents' content, independent of how Parquet stores it."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, name: str, table: pl.DataFrame) -> None:
        """Add a file of documents; files are added in the order of their names."""
        self._digest.update(name.encode())
        for column in DOCUMENT_COLUMNS:
            values = table.get_column(column).cast(pl.String)
            joined = values.str.join("\x1e").cast(pl.Binary).to_arrow()[0]
            self._digest.update(joined.as_buffer())  # which is no copy
            self._digest.update(b"\x1d")

    def hexdigest(self) -> str:
        """64 hex digits."""
        return self._digest.hexdigest()
