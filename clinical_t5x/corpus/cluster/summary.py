"""What became of the rows of a batch and of a job; rows in are rows kept and rows dropped."""

from __future__ import annotations

import collections
import json
from collections.abc import Mapping, Sequence

import polars as pl

from clinical_t5x.corpus import accounts, digest, staging
from clinical_t5x.corpus.selection import KEPT, STAGES
from clinical_t5x.corpus.sources import NoteSource
from clinical_t5x.corpus.writing import DOCUMENT_COLUMNS

# Who is one person in MIMIC-III and MIMIC-IV is found out in a later stage.
COLUMNS = tuple(name for name in DOCUMENT_COLUMNS if name != "person_id")
_DOCUMENT_ID = pl.concat_str("source", pl.lit("/"), "note_id").alias("document_id")
_NUM_WORDS = pl.col("num_words").cast(pl.Int64)
_LAST_STAGE = "exact duplicates"


def of_piece(
    texts: pl.DataFrame, unusable: pl.DataFrame, fate_of: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame, dict]:
    """Part the notes of a batch into documents and dropped ones.

    Args:
        texts: the staged notes.
        unusable: the rows that are no notes: source, note_id, reason.
        fate_of: row and reason of the notes that were dropped.

    Returns:
        documents, in the order of their rows; document_id, reason and num_words of all other rows;
        and the digest of the documents with notes and words by source and fate.
    """
    notes = texts.sort("row").join(fate_of, on="row", how="left", maintain_order="left")
    if notes.height != texts.height or notes.get_column("reason").count() != fate_of.height:
        raise AssertionError("a note was dropped twice, or one that is not there")
    kept = notes.filter(pl.col("reason").is_null())
    documents = kept.with_columns(_DOCUMENT_ID, _NUM_WORDS).select(COLUMNS)
    columns = (_DOCUMENT_ID, "reason", _NUM_WORDS)
    dropped = notes.filter(pl.col("reason").is_not_null()).select(columns)
    rows = unusable.with_columns(num_words=pl.lit(0)).select(columns)
    fates = notes.group_by("source", pl.col("reason").fill_null(KEPT)).agg(
        notes=pl.len().cast(pl.Int64), words=_NUM_WORDS.sum()
    )
    found = {
        "digest": digest.digest_of(digest.hashes_of(kept)).to_json(),
        "fates": [list(fate) for fate in fates.rows()],
    }
    return documents, pl.concat([dropped, rows]), found


def of_job(
    sources: Sequence[NoteSource],
    batches: Mapping[str, int],
    pieces: Sequence[dict],
    described: list[dict],
) -> dict:
    """What the manifest says of a job.

    Args:
        sources: the sources, in order.
        batches: how many batches were read of every source, by its label.
        pieces: for every batch its piece, counts (JSON), and what `of_piece` gave.
        described: the files.

    Raises:
        AssertionError: the accounts do not add up: a defect of this program, not of the data.
    """
    counted = {source.label: staging.Counts() for source in sources}
    seen: collections.Counter[str] = collections.Counter()
    total = digest.SetDigest()
    for piece in pieces:
        label = sources[int(piece["piece"].partition("-")[0])].label
        counted[label].add(staging.Counts.from_json(json.loads(piece["counts"])))
        seen[label] += 1
        total += digest.SetDigest.from_json(piece["digest"])
    account = _account([fate for piece in pieces for fate in piece["fates"]])
    usable = sum(counts.rows[staging.USABLE] for counts in counted.values())
    accounted = account.get_column("notes").sum()
    kept = account.filter(fate=KEPT).get_column("notes").sum()
    if dict(seen) != dict(batches) or usable != accounted or kept != total.documents:
        raise AssertionError(
            f"{sum(batches.values())} batches with {usable} usable rows were read; {seen.total()} "
            f"with {accounted} are accounted for, {kept} kept, {total.documents} written"
        )
    stages = accounts.stages_of(counted, account)
    last = [name for name, _ in STAGES].index(_LAST_STAGE) - len(STAGES) + 1
    return {
        "inputs": accounts.with_rows(described, counted),
        "stages": stages[: last or None],
        "counts": accounts.counts_of(counted, account),
        "after_exact_duplicates": total.to_json(),
    }


def _account(fates: Sequence[Sequence]) -> pl.DataFrame:
    """Notes and words by source and fate, as `Selection.account` gives them."""
    schema = {"source": pl.String, "fate": pl.String, "notes": pl.Int64, "words": pl.Int64}
    table = pl.DataFrame(fates, schema=schema, orient="row")
    both = table.group_by("source", "fate").agg(pl.col("notes", "words").sum())
    return both.sort("source", "fate")
