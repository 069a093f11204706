"""Preparation from the first file to the manifest, as a list of calls."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
from etils import epath

from clinical_t5x import __version__, storage
from clinical_t5x.console import UserError
from clinical_t5x.corpus import accounts, benchmark_ids, csv_blocks, splits, staging, writing
from clinical_t5x.corpus.combination import combine
from clinical_t5x.corpus.selection import Selection
from clinical_t5x.corpus.sources import NoteSource, check_columns, is_synthetic

# on_stage(description, total, unit) gives a function that is told of progress.
OnStage = Callable[[str, int | None, str], contextlib.AbstractContextManager]


@dataclasses.dataclass(frozen=True)
class CorpusOptions:
    """How a corpus is made; all of it goes into the manifest.

    Attributes:
        name: the corpus' name.
        validation_percent: share of persons in the validation split.
        deid: "tags" replaces de-identification marks, "keep" leaves them.
        keep_benchmark_patients: leave RadQA's, CLIP's and MedNLI's patients in.
        strict: stop at the first unusable row.
        paper: as the paper did it: rows marked as errors, exact repeats and MedNLI's patients stay.
    """

    name: str = "clinical"
    validation_percent: float = 5.0
    deid: str = "tags"
    keep_benchmark_patients: bool = False
    strict: bool = False
    paper: bool = False


@dataclasses.dataclass(frozen=True)
class CorpusInputs:
    """What a corpus is made from.

    Attributes:
        sources: the files of notes.
        carevue: the CareVue subset's notes, whose patients are not in MIMIC-IV.
        physionet: the PhysioNet root with the benchmarks.
    """

    sources: tuple[NoteSource, ...]
    carevue: NoteSource | None = None
    physionet: epath.Path | None = None

    @property
    def files(self) -> list[NoteSource]:
        """All note files that are read."""
        return [*self.sources, *([self.carevue] if self.carevue else [])]


def build_corpus(
    inputs: CorpusInputs, options: CorpusOptions, directory: epath.Path, on_stage: OnStage
) -> dict:
    """Build a corpus in `directory` (which exists and is empty).

    Returns:
        The manifest without its inputs (`accounts` describes it).
    """
    num_shards = _number_of_shards(inputs)
    with _scratch(directory) as scratch:
        staged = _stage(inputs, options, scratch, num_shards, on_stage)
        notes = pl.read_parquet(scratch / "notes" / "*.parquet")
        dropped = pl.read_parquet(scratch / "dropped" / "*.parquet")
        selection = Selection(notes)
        counts = _select(selection, dropped, inputs, options)
        kept = _documents(selection, options)
        documents = directory / "documents"
        documents.mkdir()
        with on_stage("Writing documents", kept.height, "notes") as advance:
            for written in writing.write_shards(kept, scratch / "texts", documents, num_shards):
                advance(written)
    return {
        "options": dataclasses.asdict(options),
        "counts": accounts.counts_of(staged, selection, counts),
        "splits": accounts.splits_of(kept),
        "categories": accounts.categories_of(kept),
        "content_sha256": writing.content_sha256(documents),
    }


@contextlib.contextmanager
def _scratch(directory: epath.Path) -> Iterator[Path]:
    """A local directory for staged pieces: beside the corpus, unless that is in a bucket."""
    local = "://" not in os.fspath(directory)
    with tempfile.TemporaryDirectory(
        prefix="staged-", dir=os.fspath(directory) if local else None
    ) as name:
        scratch = Path(name)
        for part in ("texts", "notes", "dropped"):
            (scratch / part).mkdir()
        yield scratch


def _number_of_shards(inputs: CorpusInputs) -> int:
    """16, or as many as keep a shard near 128 MB of text (gzip packs notes about fourfold)."""
    text_bytes = 0
    for source in inputs.sources:
        size = source.path.stat().length
        text_bytes += 4 * size if source.path.name.endswith(".gz") else size
    return max(16, -(-text_bytes // (128 << 20)))


def _stage(
    inputs: CorpusInputs,
    options: CorpusOptions,
    scratch: Path,
    num_shards: int,
    on_stage: OnStage,
) -> staging.Staged:
    staged = staging.Staged()
    how = staging.StagingOptions(
        deid=options.deid,
        keep_errors=options.paper,
        strict=options.strict,
        num_shards=num_shards,
    )
    for number, source in enumerate(inputs.sources):
        with on_stage(f"Reading {source.label}", None, "MB") as advance:
            for read in staging.stage_source(source, number, scratch, how, staged):
                advance(read / 1e6)
    return staged


def _select(
    selection: Selection, dropped: pl.DataFrame, inputs: CorpusInputs, options: CorpusOptions
) -> dict[str, dict]:
    """Apply every rule to the notes; returns counts by stage."""
    counts: dict[str, dict] = {}
    selection.drop_drafts()
    if not options.paper:
        selection.drop_repeats()
    names = {source.source for source in inputs.sources}
    if {"mimic-iii", "mimic-iv"} <= names:
        counts["combination"] = combine(selection, _patients_of(inputs.carevue))
    if inputs.physionet and not options.keep_benchmark_patients:
        counts["leakage"] = _drop_benchmark_patients(selection, dropped, inputs.physionet)
    return counts


def _patients_of(source: NoteSource) -> pl.Series:
    """All patients of a source, without reading its texts any further."""
    header = csv_blocks.read_header(source.path)
    position = str(check_columns(source, header)["patient"])
    names = [str(index) for index in range(len(header))]
    patients = pl.Series("patient_id", [], dtype=pl.String)
    for block in csv_blocks.record_blocks(source.path):
        found = csv_blocks.parse_block(block, names).get_column(position).str.strip_chars()
        patients = pl.concat([patients, f"{source.source}/" + found.unique()]).unique()
    return patients


def _drop_benchmark_patients(
    selection: Selection, dropped: pl.DataFrame, physionet: epath.Path
) -> dict[str, dict]:
    columns = ["source", "note_id", "patient_id"]
    known = pl.concat([selection.notes.select(columns), dropped.select(columns)])
    known = known.filter(pl.col("source") == "mimic-iii")
    found = {}
    for benchmark, read in (
        ("radqa", benchmark_ids.radqa_note_ids),
        ("clip", benchmark_ids.clip_note_ids),
    ):
        note_ids = read(physionet)
        if note_ids is None:
            found[benchmark] = {"present": False}
            continue
        of_benchmark = known.filter(pl.col("note_id").is_in(sorted(note_ids)))
        patients = of_benchmark.get_column("patient_id").unique()
        selection.drop_where(
            pl.col("patient_id").is_in(patients.implode()), f"patient of {benchmark}"
        )
        found[benchmark] = {
            "present": True,
            "notes named": len(note_ids),
            "notes found": of_benchmark.get_column("note_id").n_unique(),
            "patients removed": len(patients),
        }
    return found


def _documents(selection: Selection, options: CorpusOptions) -> pl.DataFrame:
    kept = selection.kept
    if kept.is_empty():
        raise UserError("no note is left for the corpus; see the counts of dropped rows")
    kept = kept.with_columns(
        person_id=pl.col("patient_id"),
        document_id=pl.concat_str("source", pl.lit("/"), "note_id"),
        charttime=pl.when(pl.col("charttime") == "").then("chartdate").otherwise("charttime"),
    )
    assigned = splits.split_persons(kept.get_column("person_id"), options.validation_percent)
    return kept.join(assigned, on="person_id", how="left", validate="m:1")


def describe_inputs(inputs: CorpusInputs) -> list[dict]:
    """Name, size and SHA-256 of every file of notes, for the manifest and the completion mark."""
    return [
        {
            "path": source.label,
            "sha256": storage.sha256_file(source.path),
            "bytes": source.path.stat().length,
        }
        for source in inputs.files
    ]


def corpus_directory(data_home: epath.Path, name: str) -> epath.Path:
    """Where a corpus lies in the data home."""
    return data_home / "corpus" / name


def is_prepared(directory: epath.Path, inputs: CorpusInputs, options: CorpusOptions) -> bool:
    """Whether the corpus in `directory` was made from exactly these files with these options."""
    if not storage.is_complete(directory):
        return False
    return storage.is_complete(directory, _made_from(inputs, options))


def prepare_corpus(
    inputs: CorpusInputs, options: CorpusOptions, directory: epath.Path, *, on_stage: OnStage
) -> dict:
    """Make a corpus whole in `directory`, or leave what was there; returns its manifest."""
    made_from = _made_from(inputs, options)
    with storage.stage_directory(directory, made_from) as partial:
        manifest = build_corpus(inputs, options, partial, on_stage)
        manifest = {
            "name": options.name,
            "created_by": f"clinical_t5x {__version__}",
            "inputs": made_from["inputs"],
            **manifest,
            "synthetic": any(is_synthetic(source.path) for source in inputs.files),
        }
        storage.write_json_atomically(partial / "manifest.json", manifest)
    return manifest


def _made_from(inputs: CorpusInputs, options: CorpusOptions) -> dict:
    return {"inputs": describe_inputs(inputs), "options": dataclasses.asdict(options)}
