"""A run belongs to what its inputs contained, not to the paths at which they lay."""

import collections
import dataclasses
import json

import pytest
from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.data.builders.versions import MEDNLI
from clinical_t5x.grid import contents, records, running, sharing
from clinical_t5x.grid.cells import cells_of
from clinical_t5x.grid.contents import GONE, Contents
from clinical_t5x.grid.description import make_grid
from clinical_t5x.storage import read_json, write_json_atomically
from tests.grid.test_sharing import finish

GIN = "from t5x.examples.t5 import network\nnetwork.T5Config.emb_dim = 16\n"


@dataclasses.dataclass(frozen=True)
class Inputs:
    """Places of a grid's inputs, whose contents a test may change."""

    place: epath.Path

    def runs(self, *, home="home", **settings):
        """The runs of a grid as another process would see them."""
        given = {
            "models": {"scratch": None, "pretrained": str(self.place / "pretrain")},
            "model_gin": str(self.place / "model.gin"),
            "tasks": ["mednli"],
            "fractions": [0.5],
            "seeds": [1],
            **settings,
        }
        return list(cells_of(make_grid(self.place / "grid", given, data_dir=self.place / home)))

    def write_data(self, home, examples):
        info = {"name": "mednli", "version": MEDNLI, "splits": [{"shardLengths": [examples]}]}
        folder = self.place / home / "tfds" / "mednli" / MEDNLI
        write_json_atomically(folder / "dataset_info.json", info)
        vocabulary = self.place / home / "vocabularies" / "clinical"
        vocabulary.mkdir(parents=True, exist_ok=True)
        (vocabulary / "sentencepiece.model").write_text("pieces")

    def write_checkpoint(self, step, checksum):
        directory = self.place / "pretrain" / f"checkpoint_{step}"
        (directory / "params").mkdir(parents=True, exist_ok=True)
        position = {"step": step, "checksums": {"params": {"a": checksum}}}
        write_json_atomically(directory / "position" / "metadata", position)


@pytest.fixture
def inputs(tmp_path):
    found = Inputs(epath.Path(tmp_path))
    found.write_data("home", 18)
    found.write_checkpoint(3, 1)
    (tmp_path / "included.gin").write_text("RATE = 0.1\n")
    (tmp_path / "model.gin").write_text(f"{GIN}include '{tmp_path}/included.gin'\n")
    return found


def test_the_same_contents_elsewhere_are_the_same(inputs):
    for cell in inputs.runs():
        finish(cell)
    inputs.write_data("copy", 18)
    gin = inputs.place / "model.gin"
    gin.write_text(f"# a remark\n{gin.read_text()}")
    again = inputs.runs(home="copy")
    sharing.refuse_other_runs(again)
    assert all(sharing.is_done(cell) for cell in again)


@pytest.mark.parametrize(
    ("change", "settings", "words"),
    [
        (lambda i: i.write_data("other", 17), {"home": "other"}, "contents.data_set"),
        (lambda i: None, {"home": "nowhere"}, f"contents.data_set .*now '{GONE}'"),
        (lambda i: i.write_checkpoint(3, 2), {}, r"contents.checkpoint \('checkpoint_3 "),
        (lambda i: i.write_checkpoint(4, 1), {}, "contents.checkpoint .*now 'checkpoint_4 "),
        (lambda i: (i.place / "pretrain").rmtree(), {}, f"contents.checkpoint .*now '{GONE}'"),
        (
            lambda i: (i.place / "included.gin").write_text("RATE = 0.2\n"),
            {},
            "contents.model_gin",
        ),
    ],
)
def test_other_contents_in_the_same_place_are_refused_even_when_done(
    inputs, change, settings, words
):
    for cell in inputs.runs():
        finish(cell)
    change(inputs)
    grown = inputs.runs(seeds=[1, 2], **settings)
    with pytest.raises(UserError, match=words):
        sharing.refuse_other_runs(grown)
    assert not sharing.is_done(grown[2])  # the pretrained model's


def test_whoever_has_other_contents_makes_no_run_that_another_process_begins(inputs):
    cell = inputs.runs()[0]
    inputs.write_data("other", 17)
    other = inputs.runs(home="other")[0]
    begun = []

    def make(which, is_lost):
        begun.append(which)
        return finish(which)

    running.begin(cell)
    with pytest.raises(UserError, match=r"contents\.data_set"):
        sharing.work([other], make)
    assert not begun and sharing.state_of(cell)[0] is sharing.State.STOPPED


def test_runs_of_earlier_releases_are_taken_at_their_word(inputs):
    cell = inputs.runs()[2]
    finish(cell)
    for name in (records.RUN_FILE, "_COMPLETE.json"):
        said = read_json(cell.directory / name)
        del said["made_from"]["contents"]
        write_json_atomically(cell.directory / name, said)
    sharing.refuse_other_runs([cell])
    assert sharing.is_done(cell)
    with pytest.raises(UserError, match=r"recipe.beams \(1, now 2\)"):
        sharing.refuse_other_runs(inputs.runs(beams=2))


def test_each_input_is_read_once_for_all_runs(inputs, monkeypatch):
    read = collections.Counter()
    for name in ("_data", "_gin", "_checkpoint"):
        real = getattr(contents, name)

        def counting(*arguments, name=name, real=real):
            read[name] += 1
            return real(*arguments)

        monkeypatch.setattr(contents, name, counting)
    for cell in inputs.runs(seeds=[1, 2, 3]):
        assert json.dumps(cell.made_from)
    assert read == {"_data": 1, "_gin": 3, "_checkpoint": 1}


def test_a_task_of_another_module_is_asked_where_its_data_set_lies(home):
    """Its source says so; what has no such task, or no data, is gone."""
    (own,) = make_grid("x", {"models": {"a": None}, "tasks": ["mednli"]}).recipes
    same, absent = (
        dataclasses.replace(own, task="theirs", name=name) for name in (own.name, "nobody_v1")
    )
    assert Contents(home).data(same)["data_set"] == Contents(home).data(own)["data_set"] != GONE
    assert Contents(home).data(same)["vocabulary"] != GONE
    for found in (Contents(home).data(absent), Contents(f"{home}/nowhere").data(same)):
        assert found == {"data_set": GONE, "vocabulary": GONE}


@pytest.mark.parametrize("name", ["model.safetensors", "state/param/0.0"])
def test_weights_of_other_layouts_are_told_apart(tmp_path, name):
    path = tmp_path / "weights" / name
    path.parent.mkdir(parents=True)
    digests = []
    for content in (b"a" * 100, b"b" * 100, b"a" * 101, b"a" * 100):
        path.write_bytes(content)
        digests.append(Contents(None).checkpoint(str(tmp_path / "weights")))
    assert len(set(digests)) == 3 and digests[0] == digests[3]
    (tmp_path / "weights" / "config.json").write_text("{}")
    assert Contents(None).checkpoint(str(tmp_path / "weights")) != digests[0]


def test_large_files_are_read_in_parts_from_beginning_to_end():
    block = contents._BLOCK
    for size in (0, 1, block, 64 * block, 1000 * block + 7):
        starts = list(contents._starts(size))
        assert len(starts) == min(64, -(-size // block))
        assert not size or starts[-1] + block >= size
    assert list(contents._starts(3 * block)) == [0, block, 2 * block]
