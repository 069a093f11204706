import dataclasses

import pytest
from etils import epath

from clinical_t5x.grid.description import make_grid
from tests.data import tiny

TINIER = """
from __gin__ import dynamic_registration
from t5x.examples.t5 import network
include 'gin/models/tiny.gin'
network.T5Config:
  vocab_size = 640
  emb_dim = 16
  num_heads = 2
  head_dim = 8
  mlp_dim = 32
  num_encoder_layers = 1
  num_decoder_layers = 1
"""


@dataclasses.dataclass(frozen=True)
class Place:
    """A data home, a model's gin file, and where a grid goes."""

    home: str
    model_gin: str
    out: epath.Path

    def arguments(self, *further):
        """A command line of two steps a run."""
        return [
            "--out", str(self.out), "--data_dir", self.home, "--model_gin", self.model_gin,
            "--tasks", "mednli", "--steps", "2", "--set", "evaluations=1",
            "--set", "validation_examples=6", *further,
        ]  # fmt: skip


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """A data home with everything in it."""
    return str(tiny.make_home(epath.Path(tmp_path_factory.mktemp("tiny"))))


@pytest.fixture(scope="session")
def model_gin(tmp_path_factory):
    """The gin file of a network that compiles quickly."""
    path = tmp_path_factory.mktemp("gin") / "tinier.gin"
    path.write_text(TINIER)
    return str(path)


@pytest.fixture
def place(home, model_gin, tmp_path):
    """A place for a grid of its own."""
    return Place(home, model_gin, epath.Path(tmp_path / "grid"))


@pytest.fixture
def described(tmp_path):
    """A grid that is only talked about."""
    return make_grid(
        tmp_path / "grid",
        {"models": {"scratch": None}, "tasks": ["mednli"], "fractions": [0.5, 1], "seeds": [1, 2]},
    )
