"""The accounts of a corpus: every row's fate, words, splits and categories, for the manifest."""

from __future__ import annotations

import collections
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from etils import epath

from clinical_t5x.corpus.selection import KEPT, STAGES, Selection
from clinical_t5x.corpus.staging import USABLE, Counts

StagedCounts = Mapping[str, Counts]  # by source label


def check(staged: StagedCounts, account: pl.DataFrame, rows: np.ndarray) -> None:
    """Check that every usable row that was read is kept or dropped for a reason, once.

    Args:
        staged: what became of all rows that were read.
        account: notes and words by source and fate (`Selection.account`).
        rows: the numbers of the usable ones.

    Raises:
        AssertionError: the accounts do not add up: a defect of this program, not of the data.
    """
    usable = sum(counts.rows[USABLE] for counts in staged.values())
    accounted = account.get_column("notes").sum()
    if usable != accounted or len(rows) != accounted or (rows[1:] <= rows[:-1]).any():
        raise AssertionError(f"{usable} usable rows were read, {accounted} are accounted for")


def with_rows(inputs: list[dict], staged: StagedCounts) -> list[dict]:
    """The inputs with the number of rows read from each (files of notes only)."""
    return [
        {**file, "rows": staged[file["path"]].rows.total()} if file["path"] in staged else file
        for file in inputs
    ]


def counts_of(staged: StagedCounts, account: pl.DataFrame) -> dict[str, dict]:
    """Counts of rows by file, of notes and words by source and fate, of de-identification marks."""
    rows = {
        label: {"in": counts.rows.total(), **dict(sorted(counts.rows.items()))}
        for label, counts in staged.items()
    }
    repaired = {
        label: counts.repaired_bytes for label, counts in staged.items() if counts.repaired_bytes
    }
    fates: dict[str, dict] = {}
    for source, fate, notes, words in account.iter_rows():
        fates.setdefault(source, {})[fate] = {"notes": notes, "words": words}
    marks: collections.Counter[tuple[str, str]] = collections.Counter()
    for counts in staged.values():
        marks.update(counts.deid_kinds)
    deid: dict[str, dict[str, int]] = {}
    for (kind, tag), count in sorted(marks.items()):
        deid.setdefault(tag, {})[kind] = count
    return {
        "rows": rows,
        "text_bytes": {label: counts.text_bytes for label, counts in staged.items()},
        "notes": fates,
        "deid": deid,
        "repaired_bytes": repaired,
    }


def stages_of(staged: StagedCounts, account: pl.DataFrame) -> list[dict]:
    """What every stage left and dropped, in order: name, notes, words and dropped by reason."""
    notes, words = sum(c.rows.total() for c in staged.values()), int(account["words"].sum())
    stages = [{"name": "read", "notes": notes, "words": words, "dropped": {}}]
    unusable: collections.Counter[str] = collections.Counter()
    for counts in staged.values():
        unusable.update(counts.rows)
    usable = unusable.pop(USABLE, 0)
    dropped = {reason: {"notes": n, "words": 0} for reason, n in sorted(unusable.items())}
    stages.append({"name": "usable rows", "notes": usable, "words": words, "dropped": dropped})
    notes = usable
    by_reason = account.group_by("fate").agg(pl.col("notes").sum(), pl.col("words").sum())
    fates = {fate: {"notes": n, "words": w} for fate, n, w in by_reason.sort("fate").iter_rows()}
    for name, reasons in STAGES:
        dropped = {fate: counts for fate, counts in fates.items() if fate.startswith(reasons)}
        notes -= sum(counts["notes"] for counts in dropped.values())
        words -= sum(counts["words"] for counts in dropped.values())
        stages.append({"name": name, "notes": notes, "words": words, "dropped": dropped})
    left = fates.get(KEPT, {"notes": 0, "words": 0})
    if (notes, words) != (left["notes"], left["words"]):
        raise AssertionError(f"the stages leave {notes} notes, {left['notes']} were kept")
    return stages


def write_dropped(selection: Selection, scratch: Path, path: epath.Path) -> None:
    """Write every row that is no document: document_id, reason, num_words (0 for unusable rows).

    In the order of the files, a piece at a time; no text.
    """
    document_id = pl.concat_str("source", pl.lit("/"), "note_id").alias("document_id")
    empty = pl.DataFrame(
        schema={"document_id": pl.String, "reason": pl.String, "num_words": pl.Int64}
    )
    schema = empty.to_arrow().schema
    with path.open("wb") as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for piece in sorted((scratch / "dropped").glob("*.parquet")):
            unusable = pl.read_parquet(piece, glob=False).select(
                document_id, "reason", num_words=pl.lit(0, pl.Int64)
            )
            columns = ["source", "note_id", "row", "num_words"]
            notes = pl.read_parquet(scratch / "notes" / piece.name, columns=columns, glob=False)
            notes = notes.with_columns(reason=selection.fate_of(notes.get_column("row")))
            out = notes.filter(pl.col("reason") != KEPT).select(
                document_id, "reason", pl.col("num_words").cast(pl.Int64)
            )
            writer.write_table(pl.concat([out, unusable]).to_arrow().cast(schema))


def documents_of(documents: pl.DataFrame) -> dict[str, dict]:
    """Splits, categories and lengths of the documents.

    Args:
        documents: columns source, category, patient, person, num_words and split.
    """
    return {
        "splits": _splits_of(documents),
        "categories": _categories_of(documents),
        "lengths": _lengths_of(documents),
    }


def _splits_of(documents: pl.DataFrame) -> dict[str, dict[str, int]]:
    """Documents, patients, persons and words of every split."""
    table = documents.group_by("split").agg(
        documents=pl.len(),
        patients=pl.col("patient").n_unique(),
        persons=pl.col("person").n_unique(),
        words=pl.col("num_words").sum().cast(pl.Int64),
    )
    return {row.pop("split"): row for row in table.sort("split").iter_rows(named=True)}


def _categories_of(documents: pl.DataFrame) -> dict[str, dict[str, int]]:
    """Documents and words of every category."""
    table = documents.group_by(pl.col("category").cast(pl.String)).agg(
        documents=pl.len(), words=pl.col("num_words").sum().cast(pl.Int64)
    )
    return {row.pop("category"): row for row in table.sort("category").iter_rows(named=True)}


def _lengths_of(documents: pl.DataFrame, bins_a_doubling: int = 2) -> dict:
    """A histogram of the documents' words: log-spaced edges, and documents by source and bin."""
    longest = max(2, documents.get_column("num_words").max() or 1)
    steps = int(np.ceil(np.log2(longest + 1) * bins_a_doubling))
    edges = np.unique(np.round(2 ** (np.arange(steps + 1) / bins_a_doubling)).astype(np.int64))
    counts = {}
    for (source,), part in documents.group_by("source"):
        words = part.get_column("num_words").to_numpy()
        counts[str(source)] = np.histogram(words, [*edges[:-1], edges[-1] + 1])[0].tolist()
    return {"edges": edges.tolist(), "documents": dict(sorted(counts.items()))}
