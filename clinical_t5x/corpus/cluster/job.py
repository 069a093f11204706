"""The pipeline: files are read in batches, batches staged, notes grouped, documents written.

A gzip file cannot be read from its middle, so one machine reads and parses it and deals its batches
to all others, which clean, tag and sign them (`staging.stage_batch`) and put the pieces into the
output directory. Then the notes' numbers alone are grouped, and every batch's machine writes those
of its notes that are left. Notes' texts travel between machines once, as Arrow tables.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import polars as pl
from etils import epath

from clinical_t5x import __version__
from clinical_t5x.console import UserError
from clinical_t5x.corpus import csv_blocks, pipeline, readers, removal, staging
from clinical_t5x.corpus.cluster import batches, fates, summary
from clinical_t5x.corpus.cluster.output import Output
from clinical_t5x.corpus.inputs import CorpusInputs, describe_file
from clinical_t5x.corpus.selection import NOT_ASKED_FOR

Packed = tuple[int, int, bytes, bytes, int]  # source, batch, and what `batches.pack` gives


@dataclasses.dataclass(frozen=True)
class Plan:
    """What every machine knows of the job.

    Attributes:
        inputs: the files; all machines read them at these paths.
        options: what to do with them.
        directory: where the output goes.
        num_shards: shards that the notes are dealt to.
        polars: the version whose keys the job compares.
    """

    inputs: CorpusInputs
    options: pipeline.CorpusOptions
    directory: str
    num_shards: int
    polars: str = pl.__version__

    @property
    def output(self) -> Output:
        """The output directory."""
        return Output(epath.Path(self.directory))

    def made_from(self) -> dict[str, Any]:
        """What decides the output: files by size and time of change, options, programs."""
        return {
            "seen": self.inputs.seen(),
            "options": self.described_options(),
            "num_shards": self.num_shards,
            "block_bytes": csv_blocks.BLOCK_BYTES,
            "versions": self.versions(),
        }

    def described_options(self) -> dict[str, Any]:
        """The options that matter up to exact de-duplication."""
        options = self.options
        return {"deid": options.deid, "strict": options.strict, "paper": options.paper}

    def versions(self) -> dict[str, str]:
        """The programs that have to be the same on all machines."""
        return {"clinical_t5x": __version__, "polars": self.polars}


def plan_job(inputs: CorpusInputs, options: pipeline.CorpusOptions, directory: epath.Path) -> Plan:
    """Plan a job from what a person named."""
    return Plan(inputs, options, os.fspath(directory), pipeline.number_of_shards(inputs))


def build(job: beam.Pipeline, plan: Plan, made_from: dict[str, Any]) -> None:
    """Add all steps to a pipeline."""
    sources = list(range(len(plan.inputs.sources)))
    read = (
        job
        | "Sources" >> beam.Create(sources)
        | "Deal sources" >> beam.Reshuffle()
        | "Read" >> beam.ParDo(_Read(plan)).with_outputs("batches", main="packed")
    )
    carevue = (
        job
        | "CareVue" >> beam.Create([0] if plan.inputs.carevue is not None else [])
        | "CareVue patients" >> beam.FlatMap(_carevue_patients, plan)
    )
    staged = (
        read.packed
        | "Deal batches" >> beam.Reshuffle()
        | "Stage" >> beam.ParDo(_Stage(plan), beam.pvalue.AsList(carevue)).with_output_types(
            fates.Note
        ).with_outputs("counts", main="notes")
    )  # fmt: skip
    dropped, sets = _decide(staged.notes, plan)
    pieces = (
        {"counts": staged.counts, "dropped": dropped}
        | "By batch" >> beam.CoGroupByKey()
        | "Write documents" >> beam.ParDo(_WriteDocuments(plan))
    )
    described = (
        job
        | "Files" >> beam.Create([(label, os.fspath(path)) for label, path in plan.inputs.paths()])
        | "Deal files" >> beam.Reshuffle()
        | "Hash" >> beam.MapTuple(lambda label, path: describe_file(label, epath.Path(path)))
    )
    gathered = {"batches": read.batches, "pieces": pieces, "sets": sets, "described": described}
    _ = (
        job
        | "Once" >> beam.Create([0])
        | "Complete" >> beam.ParDo(
            _Complete(plan, made_from),
            **{name: beam.pvalue.AsList(found) for name, found in gathered.items()},
        )
    )  # fmt: skip


def _decide(notes: beam.PCollection, plan: Plan) -> tuple[beam.PCollection, beam.PCollection]:
    """All notes that are dropped, and how many are in every set of the combination.

    The order is that of `choosing._select`.
    """
    evidence = plan.inputs.evidence_only
    notes, repeated_ids = notes | "Repeated ids" >> fates.Without(
        lambda note: (note.source, note.note), fates.first_of_its_id
    )
    notes, not_asked_for = notes | "Not asked for" >> fates.WithoutEach(
        lambda note: NOT_ASKED_FOR if note.source in evidence else None
    )
    notes, drafts = notes | "Drafts" >> fates.Without(
        lambda note: (note.charttime, note.patient, note.category, note.author),
        fates.earlier_drafts,
        fates.may_be_draft,
    )
    sets = (
        notes
        | "Combined" >> beam.Filter(lambda note: note.combination >= 0)
        | "Sets" >> beam.Map(fates.set_of)
        | beam.combiners.Count.PerElement()
    )
    notes, covered = notes | "Combine" >> fates.WithoutEach(fates.reason_of_set)
    dropped = [repeated_ids, not_asked_for, drafts, covered]
    if not plan.options.paper:
        _, repeats = notes | "Repeats" >> fates.Without(
            lambda note: (note.text_hash,), fates.repeats
        )
        dropped.append(repeats)
    return dropped | "Dropped" >> beam.Flatten(), sets


def _carevue_patients(_: int, plan: Plan) -> list[int]:
    """The CareVue subset's patients (keys, signed)."""
    with _no_text_in_errors("the CareVue subset"):
        return removal.patients_of(plan.inputs.carevue).reinterpret(signed=True).to_list()


class _Read(beam.DoFn):
    """Reads a source; its batches go out packed, and as "batches" how many there were."""

    def __init__(self, plan: Plan):
        super().__init__()
        self._plan = plan

    def process(self, number: int) -> Iterator[Packed | beam.pvalue.TaggedOutput]:
        source, output = self._plan.inputs.sources[number], self._plan.output
        batch = -1
        with _no_text_in_errors(source.label):
            for batch, unparsed in enumerate(readers.read_batches(source)):
                packed = (b"", b"", 0)  # of a batch that an earlier run of the job has staged
                if not output.has(staging.piece_name(number, batch)):
                    packed = batches.pack(unparsed.parse(), with_places=self._plan.options.strict)
                yield (number, batch, *packed)
        yield beam.pvalue.TaggedOutput("batches", (source.label, batch + 1))


class _Stage(beam.DoFn):
    """Stages a batch; its notes go out, and as "counts" its piece and counts."""

    def __init__(self, plan: Plan):
        super().__init__()
        self._plan = plan

    def setup(self) -> None:
        plan = self._plan
        if pl.__version__ != plan.polars:
            raise UserError(
                f"a machine of the job has polars {pl.__version__}, the command had {plan.polars}; "
                "install the same version of polars everywhere"
            )
        benchmarks = pipeline.Benchmarks(plan.inputs, plan.options.deid)
        how = pipeline.staging_options(plan.inputs, plan.options, benchmarks, plan.num_shards)
        self._how = dataclasses.replace(how, compress=True)

    def process(
        self, packed: Packed, carevue: list[int]
    ) -> Iterator[fates.Note | beam.pvalue.TaggedOutput]:
        place, output = packed[:2], self._plan.output
        piece, source = staging.piece_name(*place), self._plan.inputs.sources[packed[0]]
        with _no_text_in_errors(f"batch {piece} of {source.label}"):
            if not output.has(piece):
                with tempfile.TemporaryDirectory(prefix="batch-") as name:
                    staging.make_parts(Path(name))
                    unparsed = batches.unpack(*packed[2:])
                    staging.stage_batch(unparsed, source, place, Path(name), self._how)
                    output.publish(Path(name), piece)
            notes = output.read_piece("notes", piece)
            combined = self._plan.inputs.carevue is not None
            yield from fates.notes_of(notes, carevue if combined else None)
            yield beam.pvalue.TaggedOutput("counts", (piece, output.read_counts(piece)))


class _WriteDocuments(beam.DoFn):
    """Writes the documents and the dropped rows of a batch; gives its `summary.of_piece`."""

    def __init__(self, plan: Plan):
        super().__init__()
        self._plan = plan

    def process(self, keyed: tuple[str, dict[str, Iterable]]) -> Iterator[dict]:
        piece, found = keyed
        output = self._plan.output
        with _no_text_in_errors(f"batch {piece}"):
            (counts,) = found["counts"]
            fate_of = pl.DataFrame(
                list(found["dropped"]),
                schema={"row": pl.UInt64, "reason": pl.String},
                orient="row",
            )
            documents, dropped, told = summary.of_piece(
                output.read_texts(piece), output.read_piece("dropped", piece), fate_of
            )
            output.write_table("documents", piece, documents)
            output.write_table("dropped", piece, dropped)
            yield {"piece": piece, "counts": counts, **told}


class _Complete(beam.DoFn):
    """Adds everything up, writes the manifest and marks the output as complete."""

    def __init__(self, plan: Plan, made_from: dict[str, Any]):
        super().__init__()
        self._plan, self._made_from = plan, made_from

    def process(
        self,
        _: int,
        batches: list[tuple[str, int]],
        pieces: list[dict],
        sets: list[tuple[str, int]],
        described: list[dict],
    ) -> None:
        plan = self._plan
        order = [label for label, _ in plan.inputs.paths()]
        described = sorted(described, key=lambda file: order.index(file["path"]))
        told = summary.of_job(plan.inputs.sources, dict(batches), pieces, described)
        if plan.inputs.carevue is not None:
            told["counts"]["combination"] = {name: dict(sets).get(name, 0) for name in fates.SETS}
        manifest = {
            "created_by": f"clinical_t5x {__version__}",
            "versions": plan.versions(),
            "options": plan.described_options(),
            "num_shards": plan.num_shards,
            **told,
        }
        plan.output.complete(manifest, self._made_from)


@contextlib.contextmanager
def _no_text_in_errors(what: str) -> Iterator[None]:
    """Keep what a library says of the data out of the logs of a cluster: its error may cite it."""
    try:
        yield
    except (UserError, OSError, AssertionError):
        raise
    except Exception as error:
        name = type(error).__name__
        raise RuntimeError(f"{what}: {name}").with_traceback(error.__traceback__) from None
