import dataclasses
import os

import pytest

from clinical_t5x.baselines.finetuning.reading import KINDS, Benchmark
from clinical_t5x.data.subsets import Subset
from tests.baselines import material


@dataclasses.dataclass(frozen=True)
class Place:
    """A data home, and its benchmarks as they were read."""

    home: str
    benchmarks: dict


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    home, read = material.in_a_process(material.make, str(tmp_path_factory.mktemp("home")))
    found = {
        name: Benchmark(KINDS[name], task, train, scored, Subset())
        for name, (task, train, scored) in read.items()
    }
    return Place(home, found)


@pytest.fixture(scope="session")
def tiny_models(place, tmp_path_factory):
    """Directories of tiny models by family or row, made when first asked for."""
    torch = pytest.importorskip("torch")
    from clinical_t5x.baselines.tiny import make_tiny, notes_of

    torch.set_num_threads(1)
    os.environ["HF_HUB_OFFLINE"] = "1"
    root, texts = tmp_path_factory.mktemp("models"), notes_of(place.home)

    def made(name):
        directory = root / name
        if not directory.exists():
            make_tiny(name, directory, seed=0, texts=texts)
        return directory

    return made
