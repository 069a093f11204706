"""Staged tables in parts that are read one by one: texts by output shard, n-grams by their number.

Arrow's own format: what is written is read once, by this machine, and compressing it would take
longer than most of what is done to a text. On a cluster the files go through a bucket, and are
compressed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import polars as pl
import pyarrow as pa

SUFFIX = ".arrow"


def write(table: pl.DataFrame, path: Path, by: str, num_parts: int, *, compress: bool) -> None:
    """Write a table part by part.

    Args:
        table: the rows.
        path: the file.
        by: the column with the number of each row's part, which is not written.
        num_parts: how many parts there are; one without rows is there, too.
        compress: with LZ4.
    """
    parts = table.partition_by(by, as_dict=True, include_key=False)
    empty = _to_arrow(table.clear().drop(by))
    options = pa.ipc.IpcWriteOptions(compression="lz4" if compress else None, use_threads=False)
    with (
        path.open("wb") as file,  # whose errors are the system's
        pa.ipc.new_file(file, empty.schema, options=options) as writer,
    ):
        for number in range(num_parts):
            part = parts.get((number,))
            writer.write_batch(empty if part is None else _to_arrow(part))


def read_part(path: Path, number: int) -> pl.DataFrame:
    """The rows of a file that belong to a part."""
    with pa.OSFile(os.fspath(path)) as file:
        return _from_arrow(pa.ipc.open_file(file).get_batch(number))


def read(file: IO[bytes], columns: Sequence[str] | None = None) -> pl.DataFrame:
    """All rows of a file, part after part."""
    return pl.concat(_parts(file, columns))


def _parts(file: IO[bytes], columns: Sequence[str] | None) -> Iterator[pl.DataFrame]:
    reader = pa.ipc.open_file(pa.PythonFile(file))
    for number in range(reader.num_record_batches):
        yield _from_arrow(reader.get_batch(number)).select(columns or pl.all())


def _to_arrow(table: pl.DataFrame) -> pa.RecordBatch:
    """One batch, its strings as bytes in a row: polars' own views would take others with them."""
    arrow = table.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    return arrow.to_batches()[0] if len(arrow) else pa.RecordBatch.from_pylist([], arrow.schema)


def _from_arrow(batch: pa.RecordBatch) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(batch))
