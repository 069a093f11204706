"""Batches of notes on their way between machines: Arrow tables as bytes, never pickled."""

from __future__ import annotations

import functools
import io

import polars as pl

from clinical_t5x.corpus.readers import Batch, Unparsed

_PLACE = "place"


def pack(batch: Batch, *, with_places: bool) -> tuple[bytes, bytes, int]:
    """A batch as bytes: its notes, its unreadable records, and how many bytes were repaired.

    Args:
        batch: the batch.
        with_places: also say where every note stands in its file (takes time to find out).
    """
    notes = batch.notes.with_columns(batch.places.alias(_PLACE)) if with_places else batch.notes
    return _to_bytes(notes), _to_bytes(batch.unreadable), batch.repaired_bytes


def unpack(notes: bytes, unreadable: bytes, repaired_bytes: int) -> Unparsed:
    """The batch that `pack` made bytes of, as readers give them."""
    return Unparsed(0, functools.partial(_parse, notes, unreadable, repaired_bytes))


def _parse(notes: bytes, unreadable: bytes, repaired_bytes: int) -> Batch:
    table = _from_bytes(notes)
    has_places = _PLACE in table.columns
    places = table.get_column(_PLACE) if has_places else pl.Series(_PLACE, [""] * table.height)
    table = table.drop(_PLACE) if has_places else table
    return Batch(table, lambda: places, _from_bytes(unreadable), repaired_bytes)


def _to_bytes(table: pl.DataFrame) -> bytes:
    file = io.BytesIO()
    table.write_ipc(file, compression="lz4")
    return file.getvalue()


def _from_bytes(data: bytes) -> pl.DataFrame:
    return pl.read_ipc(io.BytesIO(data))
