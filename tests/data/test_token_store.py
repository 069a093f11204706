import json

import numpy as np
import pytest
from etils import epath
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_t5x.console import UserError
from clinical_t5x.data.made_once import local_copy
from clinical_t5x.data.token_store import TokenStore, TokenStoreWriter
from clinical_t5x.storage import stage_directory


def write(directory, sequences, vocab_size=1000, **content):
    with stage_directory(directory) as partial:
        with TokenStoreWriter(partial, ("inputs", "targets"), vocab_size) as writer:
            for number, (inputs, targets) in enumerate(sequences):
                tokens = {"inputs": np.array(inputs, int), "targets": np.array(targets, int)}
                writer.add(tokens, {"id": str(number), "text": "é\u2028\n"})
        writer.finish({"kind": "examples", "content": content})
    return TokenStore(directory)


tokens = st.lists(st.integers(0, 70_000), max_size=20)


@settings(max_examples=30, deadline=None)
@given(sequences=st.lists(st.tuples(tokens, tokens), min_size=1, max_size=20))
def test_round_trip(tmp_path_factory, sequences):
    directory = epath.Path(tmp_path_factory.mktemp("store")) / "s"
    store = write(directory, sequences, vocab_size=70_001)
    assert store.manifest["dtype"] == "uint32"
    assert store.manifest["items"] == len(sequences)
    for name, number in (("inputs", 0), ("targets", 1)):
        feature = store.features[name]
        assert len(feature) == len(sequences)
        found = [feature[i].tolist() for i in range(len(feature))]
        assert found == [sequence[number] for sequence in sequences]
        assert feature.lengths.tolist() == [len(sequence[number]) for sequence in sequences]
    assert [record["id"] for record in store.records()] == [str(i) for i in range(len(sequences))]
    assert store.records()[0]["text"] == "é\u2028\n"


def test_small_vocabularies_take_two_bytes(tmp_path):
    store = write(epath.Path(tmp_path) / "s", [([65_535], [])], vocab_size=65_536)
    assert store.manifest["dtype"] == "uint16"
    assert (store.directory / "inputs.u16").stat().length == 2
    assert store.features["inputs"][0].tolist() == [65_535]


def test_measured_lengths(tmp_path):
    store = write(epath.Path(tmp_path) / "s", [(range(n), [1]) for n in range(1, 101)])
    assert store.manifest["features"]["inputs"]["lengths"] == {
        "mean": 50.5, "median": 51, "p95": 96, "p99": 100, "max": 100,
    }  # fmt: skip
    assert store.manifest["features"]["inputs"]["tokens"] == 5050


def test_content_hash_follows_tokens_and_meaning(tmp_path):
    root = epath.Path(tmp_path)
    base = write(root / "a", [([1], [2])], vocabulary="v")
    assert write(root / "b", [([1], [2])], vocabulary="v").content_hash == base.content_hash
    assert write(root / "c", [([1], [3])], vocabulary="v").content_hash != base.content_hash
    assert write(root / "d", [([1], [2])], vocabulary="w").content_hash != base.content_hash


def test_store_killed_while_written_is_not_taken_for_whole(tmp_path):
    directory = epath.Path(tmp_path) / "s"
    with (
        pytest.raises(KeyboardInterrupt),
        stage_directory(directory) as partial,
        TokenStoreWriter(partial, ("inputs",), 10) as writer,
    ):
        writer.add({"inputs": np.array([1])})
        raise KeyboardInterrupt
    assert not directory.exists()
    with pytest.raises(UserError, match="not complete"):
        TokenStore(directory)


def test_copy_of_a_distant_store_is_made_once(tmp_path):
    store = write(epath.Path(tmp_path) / "s", [([1, 2], [3])])
    copied = local_copy(store.directory, epath.Path(tmp_path) / "cache")
    assert TokenStore(copied).features["inputs"][0].tolist() == [1, 2]
    written = (copied / "inputs.u16").stat().mtime
    assert local_copy(store.directory, epath.Path(tmp_path) / "cache") == copied
    assert (copied / "inputs.u16").stat().mtime == written


def test_damaged_store_is_refused(tmp_path):
    store = write(epath.Path(tmp_path) / "s", [([1, 2, 3], [4])])
    (store.directory / "inputs.u16").write_bytes(b"\0\0")
    with pytest.raises(UserError, match=r"inputs\.u16 has not the size"):
        TokenStore(store.directory)


def test_manifest_is_json_without_text(tmp_path):
    store = write(epath.Path(tmp_path) / "s", [([1], [2])])
    manifest = json.loads((store.directory / "manifest.json").read_text())
    assert manifest == store.manifest
    assert "é" not in json.dumps(manifest, ensure_ascii=False)
