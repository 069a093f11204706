"""Documents go to disk: one shard after the other, in a fixed shuffled order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
from etils import epath

from clinical_t5x.corpus.words import mixed

DOCUMENT_COLUMNS = (
    "document_id", "patient_id", "person_id", "source", "category", "description", "charttime",
    "text", "num_words",
)  # fmt: skip


def shard_path(documents: epath.Path, split: str, shard: int, num_shards: int) -> epath.Path:
    """The file of a shard of documents."""
    return documents / f"{split}-{shard:05}-of-{num_shards:05}.parquet"


def write_shards(
    kept: pl.DataFrame, texts: Path, documents: epath.Path, num_shards: int
) -> Iterator[int]:
    """Write all documents; yields the documents written, shard by shard.

    Args:
        kept: metadata of the documents: row, shard, split and `DOCUMENT_COLUMNS` without text.
        texts: directory of staged texts.
        documents: directory to write to (must exist).
        num_shards: shards of every split.
    """
    # Footers are read once; open files would be too many for a large corpus.
    pieces = [(path, pq.read_metadata(path)) for path in sorted(texts.glob("*.parquet"))]
    by_shard = kept.partition_by("shard", as_dict=True)
    for shard in range(num_shards):
        here = by_shard.get((shard,), kept.clear())
        parts = [_row_group(path, metadata, shard) for path, metadata in pieces]
        table = pl.concat(parts).join(here, on="row", how="inner", validate="1:1")
        order = pl.Series(mixed(table.get_column("row").to_numpy() ^ 0x5EED))
        table = table.with_columns(order=order).sort("order", "row")
        for split in ("train", "validation"):
            part = table.filter(pl.col("split") == split).select(DOCUMENT_COLUMNS)
            with shard_path(documents, split, shard, num_shards).open("wb") as file:
                part.write_parquet(file)
        yield len(table)


def _row_group(path: Path, metadata: pq.FileMetaData, number: int) -> pl.DataFrame:
    with pq.ParquetFile(path, metadata=metadata) as file:
        return pl.from_arrow(file.read_row_group(number))


def content_sha256(documents: epath.Path) -> str:
    """SHA-256 over the documents' content, independent of how Parquet stores it: 64 hex digits."""
    digest = hashlib.sha256()
    for path in sorted(documents.glob("*.parquet")):
        digest.update(path.name.encode())
        with path.open("rb") as file:
            frame = pl.read_parquet(file)
        for column in DOCUMENT_COLUMNS:
            values = frame.get_column(column).cast(pl.String).to_list()
            digest.update("\x1e".join(values).encode())
            digest.update(b"\x1d")
    return digest.hexdigest()
