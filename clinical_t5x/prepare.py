"""Prepare a corpus: raw notes become clean documents, benchmarks become TFDS data sets.

    python -m clinical_t5x.prepare --physionet DIR
    python -m clinical_t5x.prepare --notes notes.jsonl --columns text=text,id=id --name hospital

docs/corpus.md describes the stages and what they write.
"""

from __future__ import annotations

import argparse
import contextlib
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from etils import epath

from clinical_t5x import storage
from clinical_t5x.console import Progress, run_command, say, say_json

_BENCHMARK_FILES = {
    "radqa": "radqa/1.0.0",
    "clip": "mimic-iii-clinical-action/1.0.0",
    "mednli": "mednli/1.0.0",
}

_SHARED = ("grams", "in_raw", "in_corpus", "shared_beyond")


def main(argv: Sequence[str]) -> int | None:
    """Prepare the corpus and the data sets; what is there already is left as it is."""
    arguments = _parser().parse_args(argv)
    from clinical_t5x.corpus import pipeline, staged  # after parsing: --help is quick
    from clinical_t5x.corpus.cluster.takeover import Takeover

    options = pipeline.CorpusOptions(
        name=arguments.name,
        validation_percent=arguments.validation_percent,
        deid=arguments.deid,
        near_duplicates=arguments.near_duplicates,
        overlap=arguments.overlap,
        keep_benchmark_patients=arguments.keep_benchmark_patients,
        strict=arguments.strict,
        paper=arguments.paper,
    )
    files = note_files(arguments, arguments.exclude_patients)
    takeover = Takeover(epath.Path(arguments.staged).expanduser()) if arguments.staged else None
    data_home = storage.data_home(arguments.data_dir)
    vocabulary = _vocabulary(arguments.vocabulary, data_home) if arguments.vocabulary else None
    directory = pipeline.corpus_directory(data_home, options.name)
    say(f"Preparing the corpus {directory} from")
    announce(files)
    if pipeline.is_prepared(directory, files, options):
        say("It is there already, made from the same files with the same options.")
        staged.remove_leftovers(directory)
    else:
        started = time.monotonic()
        pipeline.prepare_corpus(files, options, directory, on_stage=_stage_bar, takeover=takeover)
        say(f"The corpus took {time.monotonic() - started:.0f} s.")
    data_sets = _build_data_sets(directory, files.physionet, data_home)
    if vocabulary is not None:
        _count_tokens(directory, vocabulary)
    manifest = storage.read_json(directory / "manifest.json")
    _report(manifest, storage.read_json(directory / "leakage.json"))
    say(f"Corpus: {directory}")
    say(f"Data report: {directory / 'report.html'}")
    for path in data_sets:
        say(f"Data set: {path}")
    next_command = _next_step(arguments)
    say(f"Next: {next_command}")
    if arguments.json:
        summary = {"corpus": str(directory), "data_sets": [str(path) for path in data_sets]}
        say_json({**summary, "splits": manifest["splits"], "next": next_command})
    return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m clinical_t5x.prepare",
        description="Turn raw notes into a clean corpus of documents (docs/corpus.md).",
    )
    add_note_arguments(parser)
    parser.add_argument(
        "--staged", metavar="OUTPUT", help="go on from what prepare_beam made of the same files"
    )
    parser.add_argument("--data_dir", help="data home (default: $CLINICAL_T5X_DATA)")
    parser.add_argument("--name", default="clinical", help="the corpus' name (%(default)s)")
    parser.add_argument(
        "--validation_percent", type=float, default=5.0, help="persons held out (%(default)s)"
    )
    parser.add_argument(
        "--near_duplicates",
        type=float,
        default=0.8,
        metavar="SIMILARITY",
        help="leave out notes as similar as this to a later one; 0: none (%(default)s)",
    )
    parser.add_argument(
        "--overlap",
        choices=("remove", "refuse", "allow"),
        default="remove",
        help="notes that hold n-grams of test splits beyond boiler-plate (%(default)s)",
    )
    parser.add_argument(
        "--keep_benchmark_patients", action="store_true", help="remove nobody (and say so)"
    )
    parser.add_argument(
        "--exclude_patients",
        action="append",
        default=[],
        metavar="FILE",
        help="leave out the patients of a list, such as n2c2's subject ids (may be repeated)",
    )
    parser.add_argument(
        "--vocabulary",
        metavar="NAME",
        help="count the corpus' tokens too, with this vocabulary (a name, or a path of a model)",
    )
    return parser


def add_note_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `prepare_beam` has too: which notes to read, and what to do to each."""
    parser.add_argument("--physionet", help="directory with the PhysioNet files (or synthetic)")
    parser.add_argument("--sources", help="mimic-iii,mimic-iv (default: those that are there)")
    parser.add_argument(
        "--notes", help="another hospital's notes: .jsonl, .csv, .parquet or a directory of .txt"
    )
    parser.add_argument(
        "--columns", help="their columns: text=NAME,id=NAME,patient=NAME,category=NAME,time=NAME"
    )
    parser.add_argument(
        "--deid", choices=("tags", "keep"), default="tags", help="[**...**] and ___ become tags"
    )
    parser.add_argument("--strict", action="store_true", help="stop at the first unusable row")
    parser.add_argument(
        "--paper", action="store_true", help="keep error rows, repeats and MedNLI's patients"
    )
    parser.add_argument("--json", action="store_true", help="end with a summary as one JSON line")


def note_files(arguments: argparse.Namespace, exclusions: Sequence[str] = ()) -> Any:
    """The `CorpusInputs` that the command line names, with lists of patients to leave out."""
    from clinical_t5x.corpus import inputs

    return inputs.resolve(
        physionet=_path(arguments.physionet),
        names=arguments.sources.split(",") if arguments.sources else None,
        notes=_path(arguments.notes),
        columns=arguments.columns,
        exclusions=[epath.Path(path).expanduser() for path in exclusions],
    )


def _path(named: str | None) -> epath.Path | None:
    return epath.Path(named).expanduser() if named else None


def _next_step(arguments: argparse.Namespace) -> str:
    if arguments.vocabulary is None:
        return "python -m clinical_t5x.vocabulary" + _same_place(arguments)
    if not arguments.name == arguments.vocabulary == "clinical":
        return "register a task for corpus and vocabulary (docs/data.md, another corpus)"
    tokenize = "python -m clinical_t5x.tokenize --task mimic_pretrain_v1 --module tasks.pretrain"
    return tokenize + _same_place(arguments)


def _same_place(arguments: argparse.Namespace) -> str:
    """The options that the next command needs to find this corpus."""
    name, data_dir = arguments.name, arguments.data_dir
    words = ["--corpus", name, "--name", name] if name != "clinical" else []
    words += ["--data_dir", data_dir] if data_dir else []
    return f" {shlex.join(words)}" if words else ""


def announce(files: Any) -> None:
    """Say which files are read, and what is missing.

    Raises:
        UserError: only some files of a benchmark are there, or another release of it.
    """
    for source in files.files:
        only = " (to know the benchmarks' patients)" if source.source in files.evidence_only else ""
        say(f"  {source.path}{only}")
    if not all(source.has_patients for source in files.sources):
        say("No column says whose a note is: every note counts as its own patient.")
    if files.physionet is not None:
        _check_benchmarks(files.physionet)
        for benchmark, place in _BENCHMARK_FILES.items():
            if not files.has_benchmark(benchmark):
                say(f"Warning: {place} is not there; {benchmark}'s patients cannot be left out.")
        if "mimic-iii" not in {source.source for source in files.sources}:
            say("Warning: without MIMIC-III nobody knows who RadQA's and CLIP's patients are.")


def _check_benchmarks(physionet: epath.Path) -> None:
    """Refuse now what the data sets could not be built from when the corpus is finished."""
    from clinical_t5x.data import benchmarks

    for benchmark in benchmarks.FILES:
        if benchmarks.is_present(benchmark, physionet):
            benchmarks.files_of(benchmark, physionet)


@contextlib.contextmanager
def _stage_bar(description: str, total: int | None, unit: str) -> Iterator[Callable[[int], None]]:
    with Progress(description, total, unit=unit) as progress:
        yield progress.advance


def _build_data_sets(
    directory: epath.Path, physionet: epath.Path | None, data_home: epath.Path
) -> list:
    from clinical_t5x.data.builders import build_all  # imports TensorFlow

    say("Building the TFDS data sets")
    return build_all(corpus_dir=directory, physionet=physionet, data_dir=data_home)


def _vocabulary(spec: str, data_home: epath.Path) -> Any:
    """The vocabulary of that name or file, which is read: not after hours if it is not there."""
    from clinical_t5x.data.vocabulary_comparison.named import named_vocabulary

    named = named_vocabulary(spec, data_home)
    _ = named.vocabulary.vocab_size
    return named


def _count_tokens(directory: epath.Path, vocabulary: Any) -> None:
    """Put the tokens of every split and category into the manifest and the data report."""
    from clinical_t5x.corpus import report
    from clinical_t5x.data import token_counts

    if token_counts.is_counted(directory, vocabulary.vocabulary):
        say(f"Its tokens of {vocabulary.label} are counted already.")
        return
    manifest = token_counts.with_tokens(directory, vocabulary)
    leakage = storage.read_json(directory / "leakage.json")
    report.write_page(manifest, leakage, directory / "report.html")
    # Last: it is what says that they are counted, also after a kill in between.
    storage.write_json_atomically(directory / "manifest.json", manifest)


def _report(manifest: dict, leakage: dict) -> None:
    say_fates(manifest["counts"])
    for split, counts in manifest["splits"].items():
        say(f"{split}: " + ", ".join(f"{count:,} {name}" for name, count in counts.items()))
    shared = [
        (benchmark, split, str(size), *(f"{found[str(size)][name]:,}" for name in _SHARED))
        for benchmark, splits in leakage["benchmarks"].items()
        for split, found in splits.items()
        for size in leakage["gram_words"]
    ]
    if shared:
        say()
        say("Overlap of the finished corpus with the benchmarks")
        _table(
            ("benchmark", "split", "words", "n-grams", "in notes", "in corpus", "beyond"), shared
        )
    say()
    for warning in _who_may_be_left(manifest):
        say(f"Warning: {warning}")


def _who_may_be_left(manifest: dict) -> Iterator[str]:
    """What a person must know of benchmarks' and lists' patients who were not found."""
    from clinical_t5x.corpus.report.safeguards import benchmark_name

    counts = manifest["counts"]
    kept_on_purpose = manifest["options"]["keep_benchmark_patients"]
    # Without MIMIC-III no note can be found, which was said before the work began.
    if "mimic-iii" in counts["notes"] and not kept_on_purpose:
        for benchmark, found in counts["benchmarks"].items():
            named = found.get("notes named", 0)
            missing = named - found.get("notes found in MIMIC-III", 0)
            if missing:
                yield (
                    f"{missing:,} of {named:,} notes that {benchmark_name(benchmark)} names are "
                    "not in NOTEEVENTS; their patients cannot be left out."
                )
    for name, found in counts.get("excluded", {}).items():
        if not found["persons with notes"]:
            yield (
                f"--exclude_patients {name} left nobody out: none of the patients it names has "
                "notes here."
            )


def say_fates(counts: dict) -> None:
    """Print what became of all notes, and of the rows that are none."""
    rows = [
        (source, fate, f"{found['notes']:,}", f"{found['words']:,}")
        for source, fates in counts["notes"].items()
        for fate, found in sorted(fates.items(), key=lambda item: item[0] != "kept")
    ]
    for label, found in counts["rows"].items():
        unusable = {k: n for k, n in found.items() if k not in ("in", "usable")}
        rows += [(label, reason, f"{count:,}", "") for reason, count in unusable.items()]
    say()
    _table(("source", "fate", "notes", "words"), rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under a header, words to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        cells = [
            cell.ljust(width) if index < 2 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        say("  ".join(cells).rstrip())


if __name__ == "__main__":
    run_command(main)
