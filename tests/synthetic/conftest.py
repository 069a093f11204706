"""One small synthetic PhysioNet for all tests here, and a reader of its csv files."""

import csv
import gzip
from pathlib import Path

import pytest

from clinical_t5x.synthetic import build

csv.field_size_limit(1 << 24)
PATIENTS, SEED = 40, 11


@pytest.fixture(scope="session")
def physionet(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("synthetic")
    build.build(out, PATIENTS, SEED, workers=1)
    return out / "physionet.org"


@pytest.fixture(scope="session")
def read_csv(physionet):
    def read(name: str) -> list[dict[str, str]]:
        with gzip.open(physionet / name, "rt", newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file, strict=True))

    return read


@pytest.fixture(scope="session")
def noteevents(read_csv) -> list[dict[str, str]]:
    return read_csv("files/mimiciii/1.4/NOTEEVENTS.csv.gz")
