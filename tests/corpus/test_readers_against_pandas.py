"""Preparation and its peer in pandas, written from a description of the paper's, agree."""

import gzip
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytest.importorskip("pandas")


def test_the_same_rows_survive_with_the_same_texts(physionet):
    path = physionet / "physionet.org/files/mimiciii/1.4/NOTEEVENTS.csv.gz"
    time = "2101-01-01,2101-01-01 10:30:00,2101-01-01"
    more = (
        # The last draft of rows 2 and 3 is empty: ours keeps row 3, the peer the empty one.
        f"21,1,,{time} 13:00:00,Nursing,Report,7,,  \n"
        # The two map these tags differently, so that their texts are not compared.
        f"22,3,,{time} 13:00:00,Echo,Report,8,,From [**Hospital Ward Name 5**] to [**Wardname**].\n"
        f"23,3,,{time} 13:00:00,Echo,Report,9,,[**Telephone/Fax (3) 12**]; [**5-25**] [** **].\n"
    )
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + more.encode(), mtime=0))
    done = subprocess.run(
        [sys.executable, "benchmarks/corpus_against_pandas.py", "--physionet", str(physionet)],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "20 rows of NOTEEVENTS" in done.stdout
    assert "only ours drops: 2 (empty text)" in done.stdout
    assert "1 differ as drafts beside an unusable row" in done.stdout
    assert "0 different; 1 have a tag that the two" in done.stdout
    assert "The results agree." in done.stdout
