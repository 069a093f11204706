"""The accounts of a corpus: every row's fate, words, splits and categories, for the manifest."""

from __future__ import annotations

import collections
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from clinical_t5x.corpus.selection import KEPT, Selection
from clinical_t5x.corpus.staging import USABLE, Counts

StagedCounts = Mapping[str, Counts]  # by source label


def check(staged: StagedCounts, selection: Selection) -> None:
    """Check that every usable row that was read is kept or dropped for a reason, once.

    Raises:
        AssertionError: the accounts do not add up: a defect of this program, not of the data.
    """
    usable = sum(counts.rows[USABLE] for counts in staged.values())
    accounted = selection.account().get_column("notes").sum()
    if usable != accounted or selection.notes.get_column("row").n_unique() != accounted:
        raise AssertionError(f"{usable} usable rows were read, {accounted} are accounted for")


def with_rows(inputs: list[dict], staged: StagedCounts) -> list[dict]:
    """The inputs with the number of rows read from each (files of notes only)."""
    return [
        {**file, "rows": staged[file["path"]].rows.total()} if file["path"] in staged else file
        for file in inputs
    ]


def counts_of(staged: StagedCounts, selection: Selection) -> dict[str, dict]:
    """Counts of rows by file, of notes and words by source and fate, of de-identification marks."""
    rows = {
        label: {"in": counts.rows.total(), **dict(sorted(counts.rows.items()))}
        for label, counts in staged.items()
    }
    repaired = {
        label: counts.repaired_bytes for label, counts in staged.items() if counts.repaired_bytes
    }
    fates: dict[str, dict] = {}
    for source, fate, notes, words in selection.account().iter_rows():
        fates.setdefault(source, {})[fate] = {"notes": notes, "words": words}
    marks: collections.Counter[tuple[str, str]] = collections.Counter()
    for counts in staged.values():
        marks.update(counts.deid_kinds)
    deid: dict[str, dict[str, int]] = {}
    for (kind, tag), count in sorted(marks.items()):
        deid.setdefault(tag, {})[kind] = count
    return {"rows": rows, "notes": fates, "deid": deid, "repaired_bytes": repaired}


def dropped_notes(selection: Selection, scratch: Path) -> pl.DataFrame:
    """Every row that is no document: document_id, reason, num_words (0 for unusable rows)."""
    unusable = pl.read_parquet(scratch / "dropped" / "*.parquet").with_columns(
        num_words=pl.lit(0, pl.Int64)
    )
    columns = ["source", "note_id", "reason", "num_words"]
    out = selection.notes.filter(pl.col("fate") != KEPT).rename({"fate": "reason"})
    both = pl.concat([out.select(columns), unusable.select(columns)])
    return both.select(
        pl.concat_str("source", pl.lit("/"), "note_id").alias("document_id"), "reason", "num_words"
    ).sort("document_id", "reason")


def splits_of(documents: pl.DataFrame) -> dict[str, dict[str, int]]:
    """Documents, patients, persons and words of every split."""
    table = documents.group_by("split").agg(
        documents=pl.len(),
        patients=pl.col("patient_id").n_unique(),
        persons=pl.col("person_id").n_unique(),
        words=pl.col("num_words").sum(),
    )
    return {row.pop("split"): row for row in table.sort("split").iter_rows(named=True)}


def categories_of(documents: pl.DataFrame) -> dict[str, dict[str, int]]:
    """Documents and words of every category."""
    table = documents.group_by("category").agg(documents=pl.len(), words=pl.col("num_words").sum())
    return {row.pop("category"): row for row in table.sort("category").iter_rows(named=True)}
