"""`prepare --physionet` as a person types it, on the hand-written PhysioNet."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_prepare_from_physionet_files_to_data_sets(physionet, tmp_path):
    done = subprocess.run(
        [
            sys.executable, "-m", "clinical_t5x.prepare", "--physionet", str(physionet),
            "--data_dir", str(tmp_path / "data"), "--json",
        ],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    splits = summary["splits"]
    assert splits["train"]["documents"] + splits["validation"]["documents"] == 9
    tfds = tmp_path / "data" / "tfds"
    built = {Path(path).relative_to(tfds).parts[0] for path in summary["data_sets"]}
    assert built == {"clinical_notes", "mednli", "radqa", "clip"}
    leakage = json.loads((Path(summary["corpus"]) / "leakage.json").read_text())
    assert leakage["benchmarks"]["radqa"]["test"]["13"]["grams"] > 10
    assert leakage["benchmarks"]["radqa"]["test"]["13"]["in_corpus"] == 0
