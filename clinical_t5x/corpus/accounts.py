"""The accounts of a corpus: every row's fate, words, splits and categories, for the manifest."""

from __future__ import annotations

import polars as pl

from clinical_t5x.corpus.deid_tags import KIND_TAGS
from clinical_t5x.corpus.selection import Selection
from clinical_t5x.corpus.staging import Staged


def counts_of(staged: Staged, selection: Selection, stages: dict[str, dict]) -> dict[str, dict]:
    """All counts by stage; checks that rows in are rows kept plus rows dropped, for every source.

    Raises:
        AssertionError: the accounts do not add up.
    """
    rows: dict[str, dict] = {}
    for label, fates in staged.rows.items():
        rows[label] = {"in": fates.total(), **dict(sorted(fates.items()))}
    account = selection.account()
    fates: dict[str, dict] = {}
    for source, fate, notes, words in account.iter_rows():
        fates.setdefault(source, {})[fate] = {"notes": notes, "words": words}
    usable = sum(counts["kept"] for counts in staged.rows.values())
    if usable != account.get_column("notes").sum():
        raise AssertionError(f"{usable} usable rows were read, but {account} accounts for others")
    tags = {}
    for kind, count in sorted(staged.deid_kinds.items()):
        tags.setdefault(KIND_TAGS.get(kind, "other"), {})[kind] = count
    return {"rows": rows, "notes": fates, "deid": tags, **stages}


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
