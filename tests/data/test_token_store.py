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


@pytest.mark.parametrize("end", [None, 0, 5, -5])
@pytest.mark.parametrize(
    "file", ["manifest.json", "inputs.u16", "inputs_offsets.npy", "targets.u16", "records.jsonl"]
)
def test_missing_and_cut_files_are_named(tmp_path, file, end):
    store = write(epath.Path(tmp_path) / "s", [(range(20), range(30)), ([1], [2])])
    whole = (store.directory / file).read_bytes()
    (store.directory / file).unlink()
    if end is not None:
        (store.directory / file).write_bytes(whole[:end])
    with pytest.raises(UserError, match=r"s is damaged \(.*\); remove it and start") as error:
        TokenStore(store.directory).records()
    assert f"({file}" in str(error.value)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("manifest.json", "{}"),
        ("manifest.json", "[1]"),
        ("manifest.json", '{"features": {"inputs": {"file": "inputs.u16"}}}'),
        ("records.jsonl", '{"text": "fever"}\n'),
        ("records.jsonl", '{"text": "fever"}\n' * 3),
        ("records.jsonl", '{"text": "fever"}\n{"text": "fev'),
    ],
)
def test_altered_files_are_named_without_their_text(tmp_path, file, content):
    store = write(epath.Path(tmp_path) / "s", [([1], [2]), ([1], [2])])
    (store.directory / file).write_text(content)
    with pytest.raises(UserError, match=rf"s is damaged \({file}\); remove it and start") as error:
        TokenStore(store.directory).records()
    assert "fev" not in str(error.value)


def test_empty_store_is_whole(tmp_path):
    store = write(epath.Path(tmp_path) / "s", [])
    assert store.records() == [] and len(store.features["inputs"]) == 0


def test_manifest_is_json_without_text(tmp_path):
    store = write(epath.Path(tmp_path) / "s", [([1], [2])])
    manifest = json.loads((store.directory / "manifest.json").read_text())
    assert manifest == store.manifest
    assert "é" not in json.dumps(manifest, ensure_ascii=False)
