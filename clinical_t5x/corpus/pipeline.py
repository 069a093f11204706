"""Preparation from the first file to the manifest, as a list of calls."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import errno
import os
from collections.abc import Callable
from pathlib import Path

import polars as pl
from etils import epath

from clinical_t5x import __version__, storage
from clinical_t5x.console import UserError
from clinical_t5x.corpus import (
    accounts,
    benchmark_ids,
    choosing,
    deid_tags,
    leakage,
    memory,
    overlap,
    report,
    staged,
    staging,
    writing,
)
from clinical_t5x.corpus.cluster.takeover import Takeover
from clinical_t5x.corpus.duplicates import near
from clinical_t5x.corpus.inputs import CorpusInputs
from clinical_t5x.corpus.names import check_name
from clinical_t5x.corpus.premises import PremiseIndex
from clinical_t5x.corpus.sources import is_synthetic

# on_stage(description, total, unit) is a context manager; what it gives is called with progress.
OnStage = Callable[[str, int | None, str], contextlib.AbstractContextManager[Callable[[int], None]]]
_SEEN = "inputs_seen.json"
_SHARD_BYTES = 128 << 20
_MIN_SHARDS = 16
OVERLAP = ("remove", "refuse", "allow")


@dataclasses.dataclass(frozen=True)
class CorpusOptions:
    """How a corpus is made; all of it goes into the manifest.

    Attributes:
        name: the corpus' name.
        validation_percent: share of persons in the validation split; above 0, because training a
            vocabulary and pre-training measure on it.
        deid: "tags" replaces de-identification marks, "keep" leaves them.
        near_duplicates: Jaccard similarity from which on a note is a copy of a later one; 0 keeps
            such copies.
        overlap: what happens to notes that hold n-grams of a test split beyond boiler-plate:
            "remove" leaves them out, "refuse" makes no corpus then, "allow" keeps and reports them.
        keep_benchmark_patients: leave RadQA's, CLIP's and MedNLI's patients in.
        strict: stop at the first unusable row.
        paper: as the paper did it: rows marked as errors, repeats and near-duplicates, MedNLI's
            patients and notes with n-grams of test splits stay.
    """

    name: str = "clinical"
    validation_percent: float = 5.0
    deid: str = "tags"
    near_duplicates: float = near.THRESHOLD
    overlap: str = "remove"
    keep_benchmark_patients: bool = False
    strict: bool = False
    paper: bool = False

    @property
    def threshold(self) -> float:
        """The similarity of near-duplicates that are left out; 0 when they stay."""
        return 0.0 if self.paper else self.near_duplicates

    @property
    def overlap_rule(self) -> str:
        """What is done about n-grams of test splits, all options considered."""
        return "allow" if self.paper or self.keep_benchmark_patients else self.overlap

    def __post_init__(self):
        if not 0 < self.validation_percent < 100:
            raise UserError(
                f"--validation_percent is {self.validation_percent:g}; give more than 0, below 100"
            )
        if self.near_duplicates and not 0.3 <= self.near_duplicates <= 1:
            raise UserError(
                f"--near_duplicates is {self.near_duplicates:g}; give a Jaccard similarity from 0.3"
                " to 1, or 0 to keep near-duplicates"
            )
        if self.overlap not in OVERLAP:
            raise UserError(f"--overlap is {self.overlap!r}; give one of {', '.join(OVERLAP)}")
        check_name(self.name)


def corpus_directory(data_home: epath.Path, name: str) -> epath.Path:
    """Where a corpus lies in the data home.

    Raises:
        UserError: the data home's name is a pattern for libraries, which would find nothing in it,
            or a file is where a directory should be.
    """
    if set(os.fspath(data_home)) & set("*?["):
        raise UserError(
            f"the data home is {data_home}; choose one without *, ? and [ in its name (--data_dir "
            "or $CLINICAL_T5X_DATA)"
        )
    directory = data_home / "corpus" / name
    if "://" not in os.fspath(directory):
        _refuse_a_file_at(directory)
    return directory


def _refuse_a_file_at(directory: epath.Path) -> None:
    there = next(place for place in (directory, *directory.parents) if os.path.lexists(place))
    if not os.path.isdir(there):
        raise UserError(
            f"{there} is no directory; move it away, or choose another --data_dir or --name"
        )


def is_prepared(directory: epath.Path, inputs: CorpusInputs, options: CorpusOptions) -> bool:
    """Whether the corpus in `directory` was made from exactly these files with these options.

    Files with the size and time of change they had then are taken for the same; others are hashed.
    """
    mark = storage.completion(directory) or {}
    made_from = mark.get("made_from", {})
    if made_from.get("options") != dataclasses.asdict(options):
        return False
    if made_from.get("version") != __version__ or made_from.get("columns") != inputs.columns():
        return False
    if storage.read_json(directory / _SEEN) == inputs.seen():
        return True
    return storage.is_complete(directory, _made_from(inputs, options))


def _made_from(inputs: CorpusInputs, options: CorpusOptions) -> dict:
    return {
        "inputs": inputs.describe(),
        "columns": inputs.columns(),
        "options": dataclasses.asdict(options),
        "version": __version__,
    }


def prepare_corpus(
    inputs: CorpusInputs,
    options: CorpusOptions,
    directory: epath.Path,
    *,
    on_stage: OnStage,
    takeover: Takeover | None = None,
) -> dict:
    """Make a corpus whole in `directory`, or leave what was there.

    Args:
        inputs: the files.
        options: what to do with them.
        directory: where the corpus goes; replaced when the new one is complete.
        on_stage: is told of every stage that takes time.
        takeover: what a cluster has staged from these files, so that they are not read here.

    Returns:
        The manifest.
    """
    memory.reuse()
    seen = inputs.seen()
    with on_stage("Checking the files", None, "files"):
        made_from = _made_from(inputs, options)
    if takeover is not None:
        takeover.check(made_from["inputs"], deid=options.deid, paper=options.paper)
    try:
        with (
            staged.staging_directory(directory, {**made_from, **staging.engine()}) as scratch,
            storage.stage_directory(directory, made_from) as partial,
            staged.system_errors(),
        ):
            if takeover is not None:
                with on_stage("Fetching what was staged", None, "files"):
                    scratch = takeover.fetch(scratch)
            manifest = _build(
                inputs, options, made_from["inputs"], partial, scratch, on_stage, takeover
            )
            storage.write_json_atomically(partial / "manifest.json", manifest)
            storage.write_json_atomically(partial / _SEEN, seen)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(
                f"the disk of {directory.parent} is full; free some space (preparation needs about "
                "one and a half times the notes' text), or choose another --data_dir"
            ) from error
        raise
    return manifest


def _build(
    inputs: CorpusInputs,
    options: CorpusOptions,
    described: list[dict],
    directory: epath.Path,
    scratch: Path,
    on_stage: OnStage,
    takeover: Takeover | None,
) -> dict:
    """Fill `directory` (which exists and is empty) with a corpus; returns its manifest."""
    num_shards = number_of_shards(inputs)
    with on_stage("Reading the benchmarks", None, "texts"):
        benchmarks = Benchmarks(inputs, options.deid)
    documents = directory / "documents"
    documents.mkdir()
    if takeover is None:
        staging.make_parts(scratch)
        how = staging_options(inputs, options, benchmarks, num_shards)
        counts = _stage(inputs, how, scratch, on_stage)
    else:
        counts = takeover.counts(inputs.sources)
    with on_stage("Choosing notes", None, "rules"):
        chosen = choosing.choose(inputs, options, benchmarks, scratch, counts, takeover)
        accounts.write_dropped(chosen.selection, scratch, directory / "dropped.parquet")
        manifest = {
            "name": options.name,
            "created_by": f"clinical_t5x {__version__}",
            "inputs": accounts.with_rows(described, counts),
            "options": dataclasses.asdict(options),
            **chosen.told,
            "patients_known": all(source.has_patients for source in inputs.sources),
            "synthetic": any(is_synthetic(source.path) for source in inputs.files),
        }
        raw, num_documents, to_write = chosen.raw, chosen.num_documents, chosen.by_shard()
        persons = choosing.linked_persons(chosen.links, scratch)
        del chosen
        memory.give_back()
    # Drawing is Python's own work; writing and reading leave the interpreter free for it.
    with concurrent.futures.ThreadPoolExecutor(1) as beside:
        drawing = beside.submit(report.draw, manifest)
        with on_stage("Writing documents", num_documents, "notes") as advance:
            missing = num_documents
            for written in writing.write_shards(
                to_write, persons, scratch / "texts", documents, num_shards
            ):
                advance(written)
                missing -= written
            if missing:
                raise AssertionError(f"{missing} notes were kept and not written")
        with on_stage("Measuring overlap with the benchmarks", None, "notes"):
            content = writing.ContentDigest()
            measured = leakage.measure(
                documents, benchmarks.texts, benchmarks.grams, raw, also=content.add
            )
            if measured["documents"] != num_documents:
                raise AssertionError(f"only {measured['documents']} documents were measured")
        drawn = drawing.result()
    storage.write_json_atomically(directory / "leakage.json", measured)
    if options.overlap_rule != "allow":
        leakage.refuse_beyond_limit(measured)
    manifest["content_sha256"] = content.hexdigest()
    report.write_page(manifest, measured, directory / "report.html", drawn)
    return manifest


class Benchmarks:
    """The texts of the benchmarks that are there, their n-grams, and MedNLI's premises."""

    def __init__(self, inputs: CorpusInputs, deid: str):
        self.texts = {
            benchmark: {
                split: _as_in_notes(texts, deid)
                for split, texts in benchmark_ids.texts(inputs.physionet, benchmark).items()
            }
            for benchmark in benchmark_ids.BENCHMARKS
            if inputs.has_benchmark(benchmark)
        }
        self.grams = overlap.BenchmarkGrams(self.texts)
        self.premises: PremiseIndex | None = None
        if inputs.has_benchmark(benchmark_ids.MEDNLI):
            found = benchmark_ids.mednli_premises(inputs.physionet)
            self.premises = PremiseIndex(_as_in_notes(found, deid))


def _as_in_notes(texts: list[str], deid: str) -> list[str]:
    """Texts with their marks as notes have them: a month's name in one stays and is a word."""
    if deid != "tags":
        return texts
    return deid_tags.replace_in_column(pl.Series(texts, dtype=pl.String))[0].to_list()


def number_of_shards(inputs: CorpusInputs) -> int:
    """As many as keep a shard near `_SHARD_BYTES` of text (gzip packs notes about fourfold)."""
    text_bytes = sum(
        size * (4 if label.endswith(".gz") else 1)
        for label, (size, _) in inputs.seen().items()
        if label in {source.label for source in inputs.sources}
    )
    return max(_MIN_SHARDS, -(-text_bytes // _SHARD_BYTES))


def staging_options(
    inputs: CorpusInputs, options: CorpusOptions, benchmarks: Benchmarks, num_shards: int
) -> staging.StagingOptions:
    """What is done to every note of a corpus."""
    return staging.StagingOptions(
        deid=options.deid,
        keep_errors=options.paper,
        strict=options.strict,
        num_shards=num_shards,
        premises=benchmarks.premises,
        benchmarks=benchmarks.grams if benchmarks.texts else None,
        sketch=inputs.has_both_mimics,
        compare=not options.paper,
        sign=options.threshold > 0,
    )


def _stage(
    inputs: CorpusInputs,
    how: staging.StagingOptions,
    scratch: Path,
    on_stage: OnStage,
) -> dict[str, staging.Counts]:
    counted = {}
    for number, source in enumerate(inputs.sources):
        counts = counted[source.label] = staging.Counts()
        kilobytes = inputs.seen()[source.label][0] // 1000
        with on_stage(f"Reading {source.label}", kilobytes, "kB") as advance:
            for file_bytes in staging.stage_source(source, number, scratch, how, counts):
                advance(file_bytes // 1000)
        memory.give_back()
    return counted
