"""Prepare a corpus: raw notes become clean documents, benchmarks become TFDS data sets.

python -m clinical_t5x.prepare --physionet DIR
python -m clinical_t5x.prepare --notes notes.jsonl --columns text=text,id=id --name hospital
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Iterator, Sequence

from etils import epath

from clinical_t5x import storage
from clinical_t5x.console import Progress, run_command, say, say_json


def main(argv: Sequence[str]) -> int | None:
    """Prepare the corpus and the data sets; skip what is there already."""
    options = _parser().parse_args(argv)
    from clinical_t5x.corpus import pipeline

    inputs = _inputs(options)
    how = pipeline.CorpusOptions(
        name=options.name,
        validation_percent=options.validation_percent,
        deid=options.deid,
        keep_benchmark_patients=options.keep_benchmark_patients,
        strict=options.strict,
        paper=options.paper,
    )
    data_home = storage.data_home(options.data_dir)
    say(f"Preparing corpus {how.name!r} in {data_home / 'corpus' / how.name} from:")
    for source in inputs.files:
        say(f"  {source.path}")
    directory = pipeline.corpus_directory(data_home, how.name)
    if pipeline.is_prepared(directory, inputs, how):
        say("It is there already, made from the same files with the same options.")
    else:
        started = time.monotonic()
        pipeline.prepare_corpus(inputs, how, directory, on_stage=_stage_bar)
        say(f"Done in {time.monotonic() - started:.0f} s.")
    manifest = storage.read_json(directory / "manifest.json")
    data_sets = _build_data_sets(options, directory, data_home)
    _report(manifest, directory, data_sets, options)
    return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m clinical_t5x.prepare",
        description="Turn raw notes into a clean corpus of documents (docs/corpus.md).",
    )
    parser.add_argument("--physionet", help="directory with the PhysioNet files (or synthetic)")
    parser.add_argument("--sources", help="mimic-iii,mimic-iv; default: those that are there")
    parser.add_argument("--notes", help="another hospital's notes: .jsonl, .csv, .parquet or DIR")
    parser.add_argument("--columns", help="their columns: text=...,id=...,category=...,patient=...")
    parser.add_argument("--data_dir", help="data home; default $CLINICAL_T5X_DATA")
    parser.add_argument("--name", default="clinical", help="the corpus' name (%(default)s)")
    parser.add_argument("--validation_percent", type=float, default=5.0)
    parser.add_argument("--deid", choices=("tags", "keep"), default="tags")
    parser.add_argument("--keep_benchmark_patients", action="store_true")
    parser.add_argument("--strict", action="store_true", help="stop at the first unusable row")
    parser.add_argument("--paper", action="store_true", help="the paper's choices")
    parser.add_argument("--json", action="store_true", help="end with a summary as one JSON line")
    return parser


def _inputs(options: argparse.Namespace):
    from clinical_t5x.corpus import inputs

    return inputs.resolve(
        physionet=epath.Path(options.physionet).expanduser() if options.physionet else None,
        names=options.sources.split(",") if options.sources else None,
        notes=epath.Path(options.notes).expanduser() if options.notes else None,
        columns=options.columns,
    )


@contextlib.contextmanager
def _stage_bar(description: str, total: int | None, unit: str) -> Iterator:
    with Progress(description, total, unit=unit) as progress:
        yield progress.advance


def _build_data_sets(options: argparse.Namespace, directory: epath.Path, data_home: epath.Path):
    from clinical_t5x.data.builders import build_all

    say("Building the TFDS data sets")
    physionet = options.physionet and epath.Path(options.physionet).expanduser()
    return build_all(corpus_dir=directory, physionet=physionet, data_dir=data_home)


def _report(manifest: dict, directory: epath.Path, data_sets: list, options) -> None:
    say()
    say(f"{'source':<12} {'fate':<70} {'notes':>10} {'words':>14}")
    for source, fates in manifest["counts"]["notes"].items():
        for fate, counts in fates.items():
            say(f"{source:<12} {fate:<70} {counts['notes']:>10,} {counts['words']:>14,}")
    for split, counts in manifest["splits"].items():
        described = ", ".join(f"{count:,} {name}" for name, count in counts.items())
        say(f"{split}: {described}")
    say(f"Corpus: {directory}")
    for path in data_sets:
        say(f"Data set: {path}")
    say("Next: python -m clinical_t5x.vocabulary")
    if options.json:
        say_json({"corpus": str(directory), "splits": manifest["splits"]})


if __name__ == "__main__":
    run_command(main)
