"""A digest of a set of notes, whatever their order and however they are stored.

It is the sum of the notes' SHA-256 modulo 2 ** 256, so that parts of a set can be digested apart,
on many machines, and added up.
"""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import polars as pl

from clinical_t5x.corpus import rewriting

# What of a note is digested: all that a document of it will have but for the person.
FIELDS = ("source", "note_id", "patient_id", "category", "description", "charttime", "text")
HASH_COLUMNS = ("sha256_0", "sha256_1", "sha256_2", "sha256_3")
_SEPARATOR = "\x1e"


@dataclasses.dataclass(frozen=True)
class SetDigest:
    """The digest of a set of notes.

    Attributes:
        documents: how many there are.
        total: the sum of their SHA-256 modulo 2 ** 256.
    """

    documents: int = 0
    total: int = 0

    def __add__(self, other: SetDigest) -> SetDigest:
        total = (self.total + other.total) % 2**256
        return SetDigest(self.documents + other.documents, total)

    def to_json(self) -> dict:
        """This digest as JSON has it."""
        return {"documents": self.documents, "sha256_sum": f"{self.total:064x}"}

    @classmethod
    def from_json(cls, content: dict) -> SetDigest:
        """The digest that `to_json` wrote."""
        return cls(content["documents"], int(content["sha256_sum"], 16))


def hashes_of(notes: pl.DataFrame) -> pl.DataFrame:
    """The SHA-256 of every note as four numbers, the most significant first (`HASH_COLUMNS`).

    Args:
        notes: columns `FIELDS`, all strings.
    """
    heads = notes.select(pl.concat_str(*FIELDS[:-1], pl.lit(""), separator=_SEPARATOR))
    heads = heads.to_series().cast(pl.Binary).to_list()
    texts = rewriting.texts_of(notes.get_column(FIELDS[-1]))
    data, offsets = memoryview(texts.data), texts.offsets.tolist()
    digests = []
    for head, begin, end in zip(heads, offsets, offsets[1:], strict=False):
        digest = hashlib.sha256(head)
        digest.update(data[begin:end])
        digests.append(digest.digest())
    numbers = np.frombuffer(b"".join(digests), ">u8").reshape(-1, 4).astype(np.uint64)
    return pl.DataFrame(numbers, schema=dict.fromkeys(HASH_COLUMNS, pl.UInt64))


def digest_of(hashes: pl.DataFrame) -> SetDigest:
    """The digest of the notes with these `HASH_COLUMNS`."""
    total = 0
    for column in HASH_COLUMNS:
        numbers = hashes.get_column(column).to_numpy()
        # Halves of 32 bits: the sums of four billion of them fit.
        high, low = numbers >> np.uint64(32), numbers & np.uint64(0xFFFFFFFF)
        total = (total << 64) + (int(high.sum()) << 32) + int(low.sum())
    return SetDigest(hashes.height, total % 2**256)
