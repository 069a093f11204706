"""How long preparation takes and how much memory, by number of rows.

    python -m clinical_t5x.synthetic --out DIR --patients 46520 --seed 3
    python benchmarks/corpus_speed.py --physionet DIR --work DIR2

Every line of the table is `python -m clinical_t5x.prepare` in a process of its own, from the raw
files to the TFDS data sets: on the first rows of MIMIC-III's NOTEEVENTS, then on all of it, then on
MIMIC-III and MIMIC-IV together. Peak memory is the largest resident set of that process, pages of
mapped files included.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

NOTEEVENTS = Path("mimiciii/1.4/NOTEEVENTS.csv.gz")
ALL_OF_III, BOTH = "all", "both"


def main() -> None:
    """Run every size and print the table."""
    options = _parser().parse_args()
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
    return parser


def _line(size: str, physionet: Path, work: Path) -> str:
    root = physionet if size in (ALL_OF_III, BOTH) else _first_rows(physionet, int(size), work)
    data = work / f"data-{size}"
    shutil.rmtree(data, ignore_errors=True)
    command = [sys.executable, "-m", "clinical_t5x.prepare", "--json"]
    command += ["--physionet", str(root), "--data_dir", str(data)]
    command += [] if size == BOTH else ["--sources", "mimic-iii"]
    start = time.monotonic()
    peak = _peak_memory(command, work / f"log-{size}.txt")
    seconds = time.monotonic() - start
    manifest = json.loads((data / "corpus" / "clinical" / "manifest.json").read_text())
    read = manifest["stages"][0]
    text = manifest["counts"]["text_bytes"] / 1e9
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
    target = root / "files"
    if not root.exists():
        (target / NOTEEVENTS.parent).mkdir(parents=True)
        for benchmark in ("mednli", "radqa", "mimic-iii-clinical-action"):
            (target / benchmark).symlink_to((files / benchmark).absolute())
        with (
            gzip.open(files / NOTEEVENTS, "rt", newline="") as source,
            gzip.open(target / NOTEEVENTS, "wt", newline="", compresslevel=1) as out,
        ):
            records = itertools.islice(csv.reader(source), rows + 1)
            csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(records)
    return root


if __name__ == "__main__":
    main()
