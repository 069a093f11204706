"""Reading the documents of a prepared corpus from its Parquet files, in constant memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.storage import completion

if TYPE_CHECKING:
    import pyarrow

_ROWS_AT_A_TIME = 1024


def shards_of(corpus_dir: epath.Path, split: str) -> list[epath.Path]:
    """The Parquet files of a split of a complete corpus.

    Raises:
      UserError: there is no complete corpus, or it has no documents of that split.
    """
    if completion(corpus_dir) is None:
        raise UserError(
            f"there is no prepared corpus at {corpus_dir}; make it with:"
            f" python -m clinical_t5x.prepare --physionet DIR --name {corpus_dir.name}"
        )
    shards = sorted((corpus_dir / "documents").glob(f"{split}-*.parquet"))
    if not shards:
        raise UserError(f"the corpus at {corpus_dir} has no documents in its split {split!r}")
    return shards


def count_documents(shard: epath.Path) -> int:
    """Number of documents in a Parquet file, from its footer."""
    import pyarrow.parquet

    with shard.open("rb") as file:
        return pyarrow.parquet.ParquetFile(file).metadata.num_rows


def read_documents(shard: epath.Path, columns: Sequence[str]) -> Iterator[pyarrow.RecordBatch]:
    """Batches of the documents of a Parquet file.

    Raises:
      UserError: a column is missing.
    """
    import pyarrow.parquet

    with shard.open("rb") as file:
        table = pyarrow.parquet.ParquetFile(file)
        missing = [name for name in columns if name not in table.schema_arrow.names]
        if missing:
            raise UserError(
                f"{shard} has no column {', '.join(missing)}; prepare the corpus again with:"
                " python -m clinical_t5x.prepare"
            )
        yield from table.iter_batches(_ROWS_AT_A_TIME, columns=list(columns))
