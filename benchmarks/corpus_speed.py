"""How long preparation takes and how much memory, by number of rows.

    python -m clinical_t5x.synthetic --out DIR --patients 46520 --seed 3
    python benchmarks/corpus_speed.py --physionet DIR --work DIR2

Every line of the table is a process of its own that does what `python -m clinical_t5x.prepare` does,
from the raw files to the finished corpus and its TFDS data set (the benchmarks' data sets, which are
always the same, are left aside): on the first rows of MIMIC-III's NOTEEVENTS, then on all of it, then
on MIMIC-III and MIMIC-IV together. Peak memory is the largest resident set of that process, pages of
mapped files included. The log of each has the seconds of every stage.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import gzip
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

NOTEEVENTS = Path("mimiciii/1.4/NOTEEVENTS.csv.gz")
ALL_OF_III, BOTH = "all", "both"


def main() -> None:
    """Run every size and print the table."""
    options = _parser().parse_args()
    if options.prepare:
        _prepare(Path(options.physionet), Path(options.work), both=options.sizes == BOTH)
        return
    work = Path(options.work)
    work.mkdir(parents=True, exist_ok=True)
    print("| rows | words | text | time | rows a second | peak memory |")
    print("|---|---|---|---|---|---|", flush=True)
    for size in options.sizes.split(","):
        print(_line(size, Path(options.physionet), work), flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--physionet", required=True, help="a (synthetic) PhysioNet")
    parser.add_argument("--work", required=True, help="directory for inputs and results")
    parser.add_argument(
        "--sizes",
        default=f"20000,65000,200000,650000,{ALL_OF_III},{BOTH}",
        help=f"rows of NOTEEVENTS, {ALL_OF_III!r}, or {BOTH!r} MIMIC-III and IV (%(default)s)",
    )
    parser.add_argument("--prepare", action="store_true", help=argparse.SUPPRESS)
    return parser


def _prepare(physionet: Path, data: Path, *, both: bool) -> None:
    """What every measured process does."""
    from etils import epath

    from clinical_t5x.corpus import inputs, pipeline
    from clinical_t5x.data.builders import build_corpus

    files = inputs.resolve(
        physionet=epath.Path(physionet),
        names=None if both else ["mimic-iii"],
        notes=None,
        columns=None,
    )
    directory = pipeline.corpus_directory(epath.Path(data), "clinical")
    pipeline.prepare_corpus(files, pipeline.CorpusOptions(), directory, on_stage=_timed)
    with _timed("TFDS data set"):
        build_corpus(directory, data)


@contextlib.contextmanager
def _timed(description: str, total: int | None = None, unit: str = "") -> Iterator[Callable]:
    started = time.monotonic()
    yield lambda amount: None
    print(f"{description:60} {time.monotonic() - started:8.1f} s", flush=True)


def _line(size: str, physionet: Path, work: Path) -> str:
    root = physionet if size in (ALL_OF_III, BOTH) else _first_rows(physionet, int(size), work)
    data = work / f"data-{size}"
    shutil.rmtree(data, ignore_errors=True)
    command = [sys.executable, __file__, "--prepare", "--sizes", size]
    command += ["--physionet", str(root), "--work", str(data)]
    start = time.monotonic()
    peak = _peak_memory(command, work / f"log-{size}.txt")
    seconds = time.monotonic() - start
    manifest = json.loads((data / "corpus" / "clinical" / "manifest.json").read_text())
    read = manifest["stages"][0]
    text = sum(manifest["counts"]["text_bytes"].values()) / 1e9
    shutil.rmtree(data)
    return (
        f"| {read['notes']:,} | {read['words'] / 1e6:,.1f} M | {text:.2f} GB | {seconds:,.0f} s"
        f" | {read['notes'] / seconds:,.0f} | {peak / 2**30:.2f} GiB |"
    )


def _peak_memory(command: list[str], log: Path) -> int:
    """Run a command; its largest resident set in bytes."""
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        sys.exit(f"{' '.join(command)} failed; see {log}")
    return usage.ru_maxrss * 1024


def _first_rows(physionet: Path, rows: int, work: Path) -> Path:
    """A PhysioNet with the first rows of NOTEEVENTS and all of the benchmarks."""
    root = work / f"physionet-{rows}"
    files = physionet / "physionet.org" / "files"
    partial = work / f"physionet-{rows}.partial"
    target = partial / "files"
    if not root.exists():
        shutil.rmtree(partial, ignore_errors=True)
        (target / NOTEEVENTS.parent).mkdir(parents=True)
        for benchmark in ("mednli", "radqa", "mimic-iii-clinical-action"):
            (target / benchmark).symlink_to((files / benchmark).absolute())
        with (
            gzip.open(files / NOTEEVENTS, "rt", newline="") as source,
            gzip.open(target / NOTEEVENTS, "wt", newline="", compresslevel=1) as out,
        ):
            records = itertools.islice(csv.reader(source), rows + 1)
            csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(records)
        partial.rename(root)
    return root


if __name__ == "__main__":
    main()
