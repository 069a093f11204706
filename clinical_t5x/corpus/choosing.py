"""Every rule, applied to the metadata of the staged notes: what becomes of each, and accounts."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from clinical_t5x.console import UserError
from clinical_t5x.corpus import (
    accounts,
    digest,
    overlap,
    removal,
    splits,
    staged,
    staged_parts,
    staging,
)
from clinical_t5x.corpus.cluster.takeover import Takeover
from clinical_t5x.corpus.duplicates import near, shingles
from clinical_t5x.corpus.duplicates.signatures import LANES, SHINGLE_WORDS
from clinical_t5x.corpus.duplicates.staged_lanes import StagedLanes
from clinical_t5x.corpus.inputs import CorpusInputs
from clinical_t5x.corpus.metadata import StagedMetadata
from clinical_t5x.corpus.selection import (
    NEAR_COPY,
    NEAR_COPY_OF_OTHER,
    NOT_ASKED_FOR,
    TEST_TEXT,
    Selection,
)
from clinical_t5x.corpus.words import distinct

if TYPE_CHECKING:
    from clinical_t5x.corpus.pipeline import Benchmarks, CorpusOptions


@dataclasses.dataclass(frozen=True)
class Chosen:
    """What becomes of every note.

    Attributes:
        selection: the fates of all notes.
        kept: those that become documents: row, shard and split.
        links: patients of MIMIC-III and MIMIC-IV who are one person, if both are there.
        raw: how many patients of the notes that were read have each n-gram of the benchmarks.
        told: what the manifest says of it.
    """

    selection: Selection
    kept: pl.DataFrame
    links: pl.DataFrame | None
    raw: overlap.RawCounts
    told: dict

    @property
    def num_documents(self) -> int:
        """How many documents there will be."""
        return self.kept.height

    def by_shard(self) -> dict[tuple, pl.DataFrame]:
        """(shard,) -> row and split of its documents."""
        return self.kept.partition_by("shard", as_dict=True, include_key=False)


def choose(
    inputs: CorpusInputs,
    options: CorpusOptions,
    benchmarks: Benchmarks,
    scratch: Path,
    counts: dict[str, staging.Counts],
    takeover: Takeover | None,
) -> Chosen:
    """Apply every rule to the staged notes.

    Args:
        inputs: the files.
        options: what to do with them.
        benchmarks: what must not be in the corpus.
        scratch: where the notes were staged.
        counts: what became of the rows that were read, by source label.
        takeover: what a cluster was left with, to be compared; None if it was not asked.

    Raises:
        UserError: no note is left.
        AssertionError: the accounts do not add up: a defect of this program, not of the data.
    """
    links = removal.links_of(scratch) if inputs.has_both_mimics else None
    raw = overlap.count_patients(scratch / "overlap", benchmarks.grams)
    selection, found = _select(inputs, options, benchmarks, scratch, links, raw)
    account = selection.account()
    accounts.check(counts, account, selection.rows)
    after_exact_duplicates = found.pop("after_exact_duplicates")
    if takeover is not None:
        takeover.check_digest(after_exact_duplicates)
    near_duplicates = {"near_duplicates": found.pop("near_duplicates")} if options.threshold else {}
    kept = _documents(selection, account, options, scratch)
    told = {
        "stages": accounts.stages_of(counts, account),
        "after_exact_duplicates": after_exact_duplicates,
        "counts": {**accounts.counts_of(counts, account), **found},
        **near_duplicates,
        **accounts.documents_of(kept),
    }
    return Chosen(selection, kept.select("row", "shard", "split"), links, raw, told)


def _select(
    inputs: CorpusInputs,
    options: CorpusOptions,
    benchmarks: Benchmarks,
    scratch: Path,
    links: pl.DataFrame | None,
    raw: overlap.RawCounts,
) -> tuple[Selection, dict[str, dict]]:
    """Apply every rule to the notes' metadata; also the counts that rules report."""
    notes = StagedMetadata(scratch / "notes")
    persons = removal.with_persons(notes.read("patient"), links).get_column("person")
    selection = Selection(notes, persons)
    found: dict[str, dict] = {}
    selection.drop_repeated_ids()
    for source in inputs.evidence_only:
        selection.drop_where(pl.col("source") == source, NOT_ASKED_FOR)
    selection.drop_drafts()
    # Before any comparison between patients: MIMIC-III's copies of MIMIC-IV's notes go here, not
    # the other way round.
    if inputs.carevue is not None:
        found["combination"] = selection.combine(removal.patients_of(inputs.carevue))
    if not options.paper:
        selection.drop_repeats()
    found["after_exact_duplicates"] = _digest_of_kept(selection).to_json()
    if options.threshold:
        found["near_duplicates"] = _drop_near_copies(selection, options.threshold, scratch)
    if links is not None:
        found["identity"] = removal.describe_links(links)
    found["benchmarks"] = removal.drop_benchmark_persons(
        selection,
        inputs,
        scratch,
        links,
        keep=options.keep_benchmark_patients,
        keep_mednli=options.paper,
    )
    if inputs.exclusions:
        found["excluded"] = removal.drop_listed_persons(selection, inputs, links)
    if options.overlap_rule == "remove":
        rows = overlap.rows_with_test_text(scratch / "overlap", benchmarks.grams, raw)
        selection.drop(rows, TEST_TEXT)
    return selection, found


def _digest_of_kept(selection: Selection) -> digest.SetDigest:
    """The digest of the notes that are left so far, from the hashes that staging set aside."""
    pieces = selection.staged.read_pieces(*digest.HASH_COLUMNS, among=selection.is_kept)
    return sum((digest.digest_of(hashes) for _, hashes in pieces), digest.SetDigest())


def _drop_near_copies(selection: Selection, threshold: float, scratch: Path) -> dict:
    """Drop the notes that a later note nearly repeats; returns what the manifest says of it."""
    is_kept = selection.is_kept
    pieces = [
        (name, place.stop - place.start, np.flatnonzero(is_kept[place]))
        for name, place in selection.staged.pieces
    ]
    lanes = StagedLanes(scratch / "signatures", pieces)
    in_time = pl.arg_sort_by("charted", "stored", "row")
    order = selection.kept("charted", "stored", "row").select(in_time).to_series().to_numpy()
    kept_rows = selection.kept("row").to_series()

    def compare(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        notes, first, second = shingles.named(first, second)
        named = kept_rows.to_numpy()[notes]
        texts = [
            (scratch / "texts" / f"{name}{staged_parts.SUFFIX}", named[place])
            for name, place in staging.pieces_of(named)
        ]
        return shingles.similarities(texts, first, second, scratch)

    copies = near.near_copies(lanes.read, order, threshold, compare)
    patients = selection.kept("patient").to_series().to_numpy()
    same = patients[copies.earlier] == patients[copies.later]
    of_patient, any_copy = distinct(copies.earlier[same]), distinct(copies.earlier)
    selection.drop(kept_rows[of_patient], NEAR_COPY)
    selection.drop(kept_rows[any_copy], NEAR_COPY_OF_OTHER)
    return {
        "threshold": threshold,
        "shingle_words": SHINGLE_WORDS,
        "permutations": LANES,
        "pairs compared": copies.compared,
        "pairs compared exactly": copies.open,
        "notes": len(any_copy),
        "same patient": len(of_patient),
        "other patient": len(any_copy) - len(of_patient),
    }


def _documents(
    selection: Selection, account: pl.DataFrame, options: CorpusOptions, scratch: Path
) -> pl.DataFrame:
    """The metadata of the notes that stay, with their splits."""
    kept = selection.kept("row", "source", "category", "patient", "person", "num_words", "shard")
    if kept.is_empty():
        fates = account.rows()
        reasons = "; ".join(f"{notes:,} {source}: {fate}" for source, fate, notes, _ in fates)
        raise UserError(
            f"no note is left for the corpus ({reasons or 'no usable row was read'}); "
            "check the files and the options"
        )
    persons = kept.select("person").unique()
    named = persons.join(_patient_ids(scratch), left_on="person", right_on="patient", how="left")
    assigned = splits.split_persons(named.get_column("patient_id"), options.validation_percent)
    named = named.join(assigned, left_on="patient_id", right_on="person_id", validate="1:1")
    return kept.join(
        named.select("person", "split"), on="person", how="left", maintain_order="left"
    )


def _patient_ids(scratch: Path) -> pl.DataFrame:
    """Columns patient (key) and patient_id, one row for every patient of the staged notes."""
    notes = staged.scan_pieces(scratch / "patients")
    return notes.unique("patient").collect(engine="streaming")


def linked_persons(links: pl.DataFrame | None, scratch: Path) -> pl.DataFrame:
    """patient_id and person_id of MIMIC-IV's patients who are persons of MIMIC-III too."""
    if links is None:
        return pl.DataFrame(schema={"patient_id": pl.String, "person_id": pl.String})
    ids = _patient_ids(scratch)
    return (
        links.join(ids, left_on="four", right_on="patient")
        .join(ids.rename({"patient_id": "person_id"}), left_on="three", right_on="patient")
        .select("patient_id", "person_id")
    )
