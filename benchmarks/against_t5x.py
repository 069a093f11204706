"""This project beside Google's T5X: the same gin files, weights and batches, number by number.

    python benchmarks/against_t5x.py --t5x CHECKOUT --python PYTHON_OF_ITS_ENVIRONMENT

CHECKOUT is a clone of google-research/t5x; PYTHON an interpreter that imports it (docs/against_t5x.md
says what it needs). Each line gives a figure and the bound that it must keep; the exit code is 1 when
one does not. `--json FILE` writes them with versions and commits.
"""

from __future__ import annotations

import argparse
import datetime
import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent / "peer_t5x"))
import exchange
import generation
import losses
import recipes
from peer import PROJECT, Peer

PARTS = {
    "losses": losses.compare,
    "generation": generation.compare,
    "exchange": exchange.compare,
    "recipes": recipes.compare,
}
PACKAGES = ("jax", "flax", "optax", "orbax-checkpoint", "seqio", "tensorflow", "numpy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--t5x", required=True, type=pathlib.Path, help="a clone of Google's T5X")
    parser.add_argument("--python", required=True, help="the interpreter that imports it")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--work", type=pathlib.Path, help="where files go and stay")
    parser.add_argument("--json", type=pathlib.Path, help="write all figures there")
    options = parser.parse_args()
    if not (options.t5x / "t5x" / "train.py").is_file():
        parser.error(f"--t5x {options.t5x} is no clone of google-research/t5x (no t5x/train.py)")

    work = options.work or pathlib.Path(tempfile.mkdtemp(prefix="against_t5x_"))
    work.mkdir(parents=True, exist_ok=True)
    peer = Peer(options.t5x.resolve(), options.python, work.resolve())
    findings = []
    for name in options.only:
        for finding in PARTS[name](peer):
            print(finding.line(), flush=True)
            findings.append(finding)
    failed = sum(not finding.passed for finding in findings)
    print(f"{len(findings)} comparisons, {failed} failed; files in {work}")
    if options.json:
        options.json.write_text(json.dumps(_report(peer, findings), indent=1) + "\n")
    sys.exit(1 if failed else 0)


def _report(peer: Peer, findings) -> dict:
    return {
        "date": datetime.date.today().isoformat(),
        "commit": _commit(PROJECT),
        "t5x_commit": _commit(peer.checkout),
        "ours": _versions(sys.executable),
        "theirs": _versions(peer.python),
        "findings": [{**vars(finding), "passed": finding.passed} for finding in findings],
    }


def _commit(checkout: pathlib.Path) -> str | None:
    command = ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() or None


def _versions(python: str) -> dict[str, str]:
    code = (
        "import importlib.metadata as m, json, platform;"
        f"print(json.dumps({{'python': platform.python_version(), "
        f"**{{name: m.version(name) for name in {PACKAGES!r}}}}}))"
    )
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()
