"""The files of a corpus' data set, each written on its own, without TensorFlow."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence

from etils import epath

from clinical_t5x.data.builders.tfrecords import example_writer, write_record
from clinical_t5x.data.documents import count_documents, read_documents

TEXT_COLUMNS = (
    "document_id", "patient_id", "person_id", "source", "category", "description", "charttime",
    "text",
)  # fmt: skip
COLUMNS = (*TEXT_COLUMNS, "num_words")


@dataclasses.dataclass(frozen=True)
class NoteShard:
    """A file to be written.

    Attributes:
        path: where.
        documents: the corpus' files that it is made from: path, first row, last row + 1.
    """

    path: str
    documents: tuple[tuple[str, int, int], ...]

    @property
    def length(self) -> int:
        """How many documents it has."""
        return sum(last - first for _, first, last in self.documents)


def divide(documents: Sequence[epath.Path], paths: Sequence[str]) -> list[NoteShard]:
    """Deal the documents of some files, in order, to others that have as many as each other, or one
    more.
    """
    counts = [count_documents(path) for path in documents]
    starts = [0, *itertools.accumulate(counts)]
    total, shards = starts[-1], []
    for index, path in enumerate(paths):
        first, last = (place * total // len(paths) for place in (index, index + 1))
        pieces = [
            (str(file), max(first - start, 0), min(last - start, count))
            for file, start, count in zip(documents, starts, counts, strict=False)
            if first < start + count and start < last
        ]
        shards.append(NoteShard(path, tuple(pieces)))
    return shards


def write_shard(shard: NoteShard) -> int:
    """Write a file; returns the bytes of its examples."""
    num_bytes = 0
    with epath.Path(shard.path).open("wb") as file:
        for example in _examples(shard):
            write_record(file, example)
            num_bytes += len(example)
    return num_bytes


def _examples(shard: NoteShard) -> Iterator[bytes]:
    serialise = example_writer({**dict.fromkeys(TEXT_COLUMNS, str), "num_words": int})
    for path, first, last in shard.documents:
        start = 0
        for batch in read_documents(epath.Path(path), COLUMNS):
            here = batch.slice(max(first - start, 0), last - max(first, start))
            start += len(batch)
            if start > first:
                columns = [here.column(name).to_pylist() for name in COLUMNS]
                yield from map(serialise, zip(*columns, strict=True))
            if start >= last:
                break
