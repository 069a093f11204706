"""Preparation from the first file to the manifest, as a list of calls."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
from etils import epath

from clinical_t5x import __version__, storage
from clinical_t5x.console import UserError
from clinical_t5x.corpus import accounts, benchmark_ids, leakage, removal, splits, staging, writing
from clinical_t5x.corpus.inputs import CorpusInputs
from clinical_t5x.corpus.premises import PremiseIndex
from clinical_t5x.corpus.selection import NOT_ASKED_FOR, Selection
from clinical_t5x.corpus.sources import is_synthetic

# on_stage(description, total, unit) is a context manager; what it gives is called with progress.
OnStage = Callable[[str, int | None, str], contextlib.AbstractContextManager[Callable[[int], None]]]
_SEEN = "inputs_seen.json"
_SHARD_BYTES = 128 << 20
_MIN_SHARDS = 16


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

    def __post_init__(self):
        if not 0 <= self.validation_percent < 100:
            raise UserError(
                f"--validation_percent is {self.validation_percent:g}; give 0 or more, below 100"
            )
        if not self.name or self.name.startswith(".") or "/" in self.name:
            raise UserError(f"--name is {self.name!r}; give a plain directory name")


def corpus_directory(data_home: epath.Path, name: str) -> epath.Path:
    """Where a corpus lies in the data home."""
    return data_home / "corpus" / name


def is_prepared(directory: epath.Path, inputs: CorpusInputs, options: CorpusOptions) -> bool:
    """Whether the corpus in `directory` was made from exactly these files with these options.

    Files with the size and time of change they had then are taken for the same; others are hashed.
    """
    mark = storage.completion(directory) or {}
    made_from = mark.get("made_from", {})
    if made_from.get("options") != dataclasses.asdict(options):
        return False
    if made_from.get("version") != __version__:
        return False
    if storage.read_json(directory / _SEEN) == inputs.seen():
        return True
    return storage.is_complete(directory, _made_from(inputs, options))


def _made_from(inputs: CorpusInputs, options: CorpusOptions) -> dict:
    return {
        "inputs": inputs.describe(),
        "options": dataclasses.asdict(options),
        "version": __version__,
    }


def prepare_corpus(
    inputs: CorpusInputs, options: CorpusOptions, directory: epath.Path, *, on_stage: OnStage
) -> dict:
    """Make a corpus whole in `directory`, or leave what was there.

    Args:
        inputs: the files.
        options: what to do with them.
        directory: where the corpus goes; replaced when the new one is complete.
        on_stage: is told of every stage that takes time.

    Returns:
        The manifest.
    """
    seen = inputs.seen()
    with on_stage("Checking the files", None, "files"):
        made_from = _made_from(inputs, options)
    try:
        with storage.stage_directory(directory, made_from) as partial:
            manifest = _build(inputs, options, made_from["inputs"], partial, on_stage)
            storage.write_json_atomically(partial / "manifest.json", manifest)
            storage.write_json_atomically(partial / _SEEN, seen)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(
                f"the disk of {directory.parent} is full; free some space (preparation needs about "
                "as much as the notes' text), or choose another --data_dir"
            ) from error
        raise
    return manifest


def _build(
    inputs: CorpusInputs,
    options: CorpusOptions,
    described: list[dict],
    directory: epath.Path,
    on_stage: OnStage,
) -> dict:
    """Fill `directory` (which exists and is empty) with a corpus; returns its manifest."""
    num_shards = _number_of_shards(inputs)
    documents = directory / "documents"
    documents.mkdir()
    with _scratch(directory) as scratch:
        staged = _stage(inputs, options, scratch, num_shards, on_stage)
        selection, stages = _select(inputs, options, scratch)
        kept = _documents(selection, options)
        accounts.check(staged, selection)
        with on_stage("Writing documents", kept.height, "notes") as advance:
            for written in writing.write_shards(kept, scratch / "texts", documents, num_shards):
                advance(written)
        with (directory / "dropped.parquet").open("wb") as file:
            accounts.dropped_notes(selection, scratch).write_parquet(file)
    _measure_leakage(inputs, directory, on_stage)
    return {
        "name": options.name,
        "created_by": f"clinical_t5x {__version__}",
        "inputs": accounts.with_rows(described, staged),
        "options": dataclasses.asdict(options),
        "counts": {**accounts.counts_of(staged, selection), **stages},
        "splits": accounts.splits_of(kept),
        "categories": accounts.categories_of(kept),
        "patients_known": all(source.has_patients for source in inputs.sources),
        "synthetic": any(is_synthetic(source.path) for source in inputs.files),
        "content_sha256": writing.content_sha256(documents),
    }


@contextlib.contextmanager
def _scratch(directory: epath.Path) -> Iterator[Path]:
    """A local directory for staged pieces: beside the corpus, unless that is in a bucket."""
    here = None if "://" in os.fspath(directory) else os.fspath(directory)
    with tempfile.TemporaryDirectory(prefix="staged-", dir=here) as name:
        for part in staging.PARTS:
            (Path(name) / part).mkdir()
        yield Path(name)


def _number_of_shards(inputs: CorpusInputs) -> int:
    """As many as keep a shard near `_SHARD_BYTES` of text (gzip packs notes about fourfold)."""
    text_bytes = sum(
        size * (4 if label.endswith(".gz") else 1)
        for label, (size, _) in inputs.seen().items()
        if label in {source.label for source in inputs.sources}
    )
    return max(_MIN_SHARDS, -(-text_bytes // _SHARD_BYTES))


def _stage(
    inputs: CorpusInputs,
    options: CorpusOptions,
    scratch: Path,
    num_shards: int,
    on_stage: OnStage,
) -> dict[str, staging.Counts]:
    premises = None
    if inputs.has_benchmark(benchmark_ids.MEDNLI):
        premises = PremiseIndex(benchmark_ids.mednli_premises(inputs.physionet))
    how = staging.StagingOptions(
        deid=options.deid,
        keep_errors=options.paper,
        strict=options.strict,
        num_shards=num_shards,
        premises=premises,
        sketch=inputs.has_both_mimics,
    )
    staged = {}
    for number, source in enumerate(inputs.sources):
        counts = staged[source.label] = staging.Counts()
        kilobytes = inputs.seen()[source.label][0] // 1000
        with on_stage(f"Reading {source.label}", kilobytes, "kB") as advance:
            for file_bytes in staging.stage_source(source, number, scratch, how, counts):
                advance(file_bytes // 1000)
    return staged


def _select(
    inputs: CorpusInputs, options: CorpusOptions, scratch: Path
) -> tuple[Selection, dict[str, dict]]:
    """Apply every rule to the notes' metadata; also the counts that rules report."""
    notes = pl.read_parquet(scratch / "notes" / "*.parquet")
    links = removal.links_of(scratch) if inputs.has_both_mimics else None
    selection = Selection(removal.with_persons(notes, links))
    stages: dict[str, dict] = {}
    selection.drop_repeated_ids()
    for source in inputs.evidence_only:
        selection.drop_where(pl.col("source") == source, NOT_ASKED_FOR)
    selection.drop_drafts()
    if not options.paper:
        selection.drop_repeats()
    if inputs.carevue is not None:
        stages["combination"] = selection.combine(removal.patients_of(inputs.carevue))
    if links is not None:
        stages["identity"] = removal.describe_links(links)
    stages["benchmarks"] = removal.drop_benchmark_persons(
        selection,
        inputs,
        scratch,
        links,
        keep=options.keep_benchmark_patients,
        keep_mednli=options.paper,
    )
    return selection, stages


def _documents(selection: Selection, options: CorpusOptions) -> pl.DataFrame:
    """The notes that stay as documents without text: their ids, times and splits."""
    kept = selection.kept
    if kept.is_empty():
        fates = selection.account().rows()
        reasons = "; ".join(f"{notes:,} {source}: {fate}" for source, fate, notes, _ in fates)
        raise UserError(
            f"no note is left for the corpus ({reasons or 'no usable row was read'}); "
            "check the files and the options"
        )
    kept = kept.with_columns(
        document_id=pl.concat_str("source", pl.lit("/"), "note_id"),
        charttime=pl.when(pl.col("charttime") == "").then("chartdate").otherwise("charttime"),
    )
    assigned = splits.split_persons(kept.get_column("person_id"), options.validation_percent)
    return kept.join(assigned, on="person_id", how="left", validate="m:1")


def _measure_leakage(inputs: CorpusInputs, directory: epath.Path, on_stage: OnStage) -> None:
    """Write leakage.json: the overlap of the finished documents with the benchmarks."""
    texts = {
        benchmark: benchmark_ids.texts(inputs.physionet, benchmark)
        for benchmark in benchmark_ids.BENCHMARKS
        if inputs.has_benchmark(benchmark)
    }
    with on_stage("Measuring overlap with the benchmarks", None, "notes"):
        found = leakage.measure(directory / "documents", texts)
    report = {
        "gram_words": leakage.GRAM_WORDS,
        "boilerplate_patients": leakage.BOILERPLATE_PATIENTS,
        "benchmarks": found,
    }
    storage.write_json_atomically(directory / "leakage.json", report)
