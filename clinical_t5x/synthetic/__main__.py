"""`python -m clinical_t5x.synthetic`: write a synthetic PhysioNet."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path

from clinical_t5x.console import UserError, run_command, say, say_json
from clinical_t5x.synthetic import build, sizes


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m clinical_t5x.synthetic",
        description="Write a synthetic PhysioNet: the real files' names, columns and quirks.",
    )
    parser.add_argument("--out", required=True, type=Path, help="directory for physionet.org/")
    parser.add_argument(
        "--patients", type=int, default=500, help="MIMIC-III patients (default 500; real: 46520)"
    )
    parser.add_argument("--seed", type=int, default=0, help="decides every byte (default 0)")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="processes (default: all cores)"
    )
    parser.add_argument("--json", action="store_true", help="end with a line of JSON")
    return parser


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    options = _parser().parse_args(argv)
    if options.patients < sizes.MINIMUM_PATIENTS:
        raise UserError(
            f"--patients is {options.patients}; the benchmarks need at least "
            f"{sizes.MINIMUM_PATIENTS}. Ask for more."
        )
    if options.workers < 1:
        raise UserError(f"--workers is {options.workers}; give 1 or more.")
    out = options.out.expanduser()
    root = out / build.DIRECTORY
    summary = {"physionet": str(root), "patients": options.patients, "seed": options.seed}
    if build.is_there(out, options.patients, options.seed):
        say(f"The synthetic PhysioNet is already there: {root}")
        summary["made"] = False
    else:
        say(f"Writing a synthetic PhysioNet of {options.patients:,} patients to {root}")
        start = time.monotonic()
        counts = build.build(out, options.patients, options.seed, options.workers)
        seconds = time.monotonic() - start
        say(
            f"Made {counts['notes']:,} notes ({counts['noteevents_rows']:,} of MIMIC-III) in "
            f"{seconds:,.0f} s, {counts['notes'] / seconds:,.0f} a second; MedNLI "
            f"{counts['mednli_pairs']:,} pairs, RadQA {counts['radqa_questions']:,} questions, CLIP "
            f"{counts['clip_sentences']:,} sentences."
        )
        summary |= {"made": True, "seconds": round(seconds, 2), **counts}
    say("Every file and directory says that it is synthetic. Next:")
    say(f"  python -m clinical_t5x.prepare --physionet {out}")
    if options.json:
        say_json(summary)
    return 0


if __name__ == "__main__":
    run_command(main)
