"""Files that are cut, altered or hostile: refused with one message, and nothing in them runs."""

import io
import json
import os
import pickle
import pickletools
import random
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
from etils import epath

from clinical_t5x.interop import tensor_pickle
from clinical_t5x.interop.recognise import open_checkpoint
from clinical_t5x.interop.safetensors_file import SafetensorsFile
from clinical_t5x.interop.source import CheckpointError
from clinical_t5x.interop.tensor_pickle import read_pickle
from tests.interop import hf_models

SINGLE = ("safetensors", "bin", "old bin", "bin.gz", "msgpack")


@pytest.fixture(scope="module")
def model():
    return hf_models.make_model("1.0")


def weights(directory):
    (file,) = [path for path in directory.iterdir() if path.name != "config.json"]
    return file


def read_all(directory):
    source = open_checkpoint(directory)
    return {name: source.read(name).copy() for name in source.infos}


@pytest.mark.parametrize("layout", SINGLE)
def test_a_file_cut_anywhere_is_refused(model, tmp_path, layout):
    hf_models.write(tmp_path, model, layout)
    file = weights(tmp_path)
    whole = file.read_bytes()
    rng = random.Random(3)
    ends = {0, 1, 7, 8, 9, 100, len(whole) - 1, len(whole) - 8, len(whole) // 2}
    ends |= {rng.randrange(len(whole)) for _ in range(60)}
    for end in sorted(ends):
        file.write_bytes(whole[:end])
        with pytest.raises(CheckpointError) as error:
            read_all(tmp_path)
        assert file.name in str(error.value), (end, str(error.value))


@pytest.mark.parametrize("layout", SINGLE)
def test_altered_bytes_are_refused_or_change_numbers_only(model, tmp_path, layout):
    """No byte of a file can make the reader fail in any other way than its own."""
    hf_models.write(tmp_path, model, layout)
    intact = read_all(tmp_path)
    file = weights(tmp_path)
    whole = bytearray(file.read_bytes())
    rng = random.Random(5)
    structure = min(3_000, len(whole))
    places = [rng.randrange(structure) for _ in range(120)]
    places += [rng.randrange(len(whole)) for _ in range(80)]
    places += [len(whole) - 1 - rng.randrange(structure) for _ in range(60)]
    refused = 0
    for place in places:
        before = whole[place]
        whole[place] = rng.randrange(256)
        file.write_bytes(whole)
        whole[place] = before
        try:
            found = read_all(tmp_path)
        except CheckpointError:
            refused += 1
            continue
        assert found.keys() == intact.keys()
        assert all(found[name].shape == intact[name].shape for name in intact)
    assert refused > 10


def test_zipped_and_gzipped_numbers_have_checksums(model, tmp_path):
    for layout in ("bin", "bin.gz"):
        directory = tmp_path / layout
        hf_models.write(directory, model, layout)
        file = weights(directory)
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 0xFF
        file.write_bytes(data)
        with pytest.raises(CheckpointError, match="damaged"):
            read_all(directory)


class _Attack:
    """Unpickled by Python it would create a file."""

    def __init__(self, path, how):
        self._path, self._how = str(path), how

    def __reduce__(self):
        if self._how == "call":
            return open, (self._path, "w")
        if self._how == "system":
            return os.system, (f"touch {self._path}",)
        return exec, (f"open({self._path!r}, 'w')",)


@pytest.mark.parametrize("how", ["call", "system", "exec"])
@pytest.mark.parametrize("form", ["new", "old", "plain"])
@pytest.mark.parametrize("protocol", [2, 4])
def test_code_in_a_pickle_does_not_run(model, tmp_path, how, form, protocol):
    import torch

    hf_models.write(tmp_path, model, "bin")
    trace = tmp_path / "trace"
    content = OrderedDict(hf_models.state_dict(model))
    content["extra"] = _Attack(trace, how)
    file = tmp_path / "pytorch_model.bin"
    if form == "plain":
        file.write_bytes(pickle.dumps({"a": content["extra"]}, protocol=protocol))
    else:
        torch.save(
            content,
            file,
            _use_new_zipfile_serialization=form == "new",
            pickle_protocol=protocol,
        )
    with pytest.raises(CheckpointError, match=r"holds more than tensors.*nothing in it was run"):
        open_checkpoint(tmp_path)
    assert not trace.exists()


def test_the_attack_would_work_on_python(tmp_path):
    """So that the tests above show something."""
    pickle.loads(pickle.dumps(_Attack(tmp_path / "trace", "call")))
    assert (tmp_path / "trace").exists()


@pytest.mark.parametrize(
    "source",
    [
        b"cos\nsystem\n(S'true'\ntR.",
        b"(S'true'\nios\nsystem\n.",
        b"cbuiltins\ngetattr\n.",
        b"ctorch._utils\n_rebuild_tensor_v2\n(ccollections\nOrderedDict\nK\x00tR.",
        b"ccollections\nOrderedDict\n)\x81.",
        b"ccollections\nOrderedDict\n(K\x01K\x02lb.",
        b"\x80\x02ctorch\nFloatStorage\n)R.",
        b"\x80\x02ctorch\nload\n.",
        b"\x80\x02ctorch.storage\n_load_from_bytes\n.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
        b"\x80\x04\x8c\x0bcollections\x8c\x17OrderedDict.__class__.x\x93.",
        b"\x82\x01.",
        b"P12\n.",
        b"\x96\x00\x00\x00\x00\x00\x00\x00\x00.",
        b"0.",
        b"].",
        b"",
        b"\x80\x02}q\x00X\xff\xff\xff\x7f",
        b"\x80\x02J\xff\xff\xff\xff" + b"0" * 8,
    ],
)
def test_pickles_of_other_things_are_refused(source):
    """Written by hand, as no pickler would."""
    try:
        found = read_pickle(io.BytesIO(source), "x.bin")
    except CheckpointError as error:
        assert "x.bin" in str(error)
    else:
        assert found == []


def test_what_the_reader_knows_is_what_a_table_says():
    """Every instruction of Python's pickles is either known to be harmless, or refused."""
    known = set()
    for instruction in pickletools.opcodes:
        try:
            tensor_pickle._Machine("x").step(instruction.name, None)
        except CheckpointError as error:
            if "the instruction" not in str(error):
                known.add(instruction.name)
        except Exception:  # it is carried out, and stumbles over an empty stack
            known.add(instruction.name)
        else:
            known.add(instruction.name)
    never = {"OBJ", "INST", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4", "PERSID"}
    assert not known & never
    assert {"GLOBAL", "REDUCE", "BUILD", "BINPERSID"} <= known


def _edited_header(file, edit):
    data = file.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    edit(header)
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [144, 9]},
        {"shape": [-144, -8]},
        {"shape": [144.0, 8]},
        {"shape": None},
        {"dtype": "F16"},
        {"dtype": 4},
        {"data_offsets": [0, 1 << 62]},
        {"data_offsets": [-8, 4600]},
        {"data_offsets": "ab"},
        {"data_offsets": [4608, 0]},
    ],
)
def test_safetensors_headers_that_lie_are_refused(model, tmp_path, change):
    hf_models.write(tmp_path, model, "safetensors")
    _edited_header(
        tmp_path / "model.safetensors", lambda header: header["shared.weight"].update(change)
    )
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        read_all(tmp_path)


def _write_tensors(path, places, shapes=((2,), (2,)), length=16):
    """A file of tensors "a", "b", ... of F32 at these places in `length` bytes of numbers."""
    header = {
        name: {"dtype": "F32", "shape": list(shape), "data_offsets": place}
        for name, shape, place in zip("abc"[: len(places)], shapes, places, strict=True)
    }
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(length))


@pytest.mark.parametrize(
    ("places", "length", "message"),
    [
        ([[0, 8], [0, 8]], 8, "'b' overlaps another"),
        ([[0, 8], [4, 12]], 12, "'b' overlaps another"),
        ([[0, 8], [12, 20]], 20, "'b' leaves a hole"),
        ([[8, 16], [16, 24]], 24, "'a' leaves a hole"),
    ],
)
def test_tensors_that_overlap_or_leave_holes_are_refused(tmp_path, places, length, message):
    _write_tensors(tmp_path / "x.safetensors", places, length=length)
    with pytest.raises(CheckpointError, match=message):
        SafetensorsFile(epath.Path(tmp_path / "x.safetensors"))


@pytest.mark.parametrize("place", [[0, 0], [8, 8], [16, 16]])
def test_empty_tensors_take_no_room(tmp_path, place):
    places = [[8, 16], place, [0, 8]]
    _write_tensors(tmp_path / "x.safetensors", places, shapes=((2,), (0, 3), (2,)))
    found = SafetensorsFile(epath.Path(tmp_path / "x.safetensors"))
    assert found.read("b").shape == (0, 3) and found.read("a").shape == (2,)


def test_names_that_occur_twice_are_refused(model, tmp_path):
    hf_models.write(tmp_path, model, "safetensors")
    file = tmp_path / "model.safetensors"
    data = file.read_bytes()
    length = int.from_bytes(data[:8], "little")
    text = data[8 : 8 + length].rstrip()
    text = text[:-1] + b',"__metadata__":{},"__metadata__":{}}'
    file.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
    with pytest.raises(CheckpointError, match="damaged header"):
        open_checkpoint(tmp_path)


def test_archives_that_are_not_of_tensors_are_refused(model, tmp_path):
    import torch

    hf_models.write(tmp_path, model, "bin")
    file = tmp_path / "pytorch_model.bin"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/b.txt", "text")
    with pytest.raises(CheckpointError, match=r"zip archive, but not one of torch\.save"):
        open_checkpoint(tmp_path)
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), file)
    with pytest.raises(CheckpointError):
        open_checkpoint(tmp_path)
    torch.save({"epoch": 3, "model": hf_models.state_dict(model)}, file)
    with pytest.raises(CheckpointError, match="'epoch'"):
        open_checkpoint(tmp_path)
    torch.save([torch.zeros(2)], file)
    with pytest.raises(CheckpointError, match="no dict of tensors"):
        open_checkpoint(tmp_path)


def test_a_gzipped_tar_archive_is_named_as_such(tmp_path):
    import tarfile

    (tmp_path / "x").write_text("x")
    with tarfile.open(tmp_path / "Clinical-T5.bin.gz", "w:gz") as archive:
        archive.add(tmp_path / "x", "x")
    with pytest.raises(CheckpointError, match="tar archive"):
        open_checkpoint(tmp_path / "Clinical-T5.bin.gz")


def test_msgpack_that_is_no_flax_file_is_refused(tmp_path):
    import msgpack

    file = tmp_path / "flax_model.msgpack"
    deep = b"\x81\xa1a" * 5_000 + b"\x00"
    array = msgpack.ExtType(1, msgpack.packb(((2, 3), "float32", b"1234"), use_bin_type=True))
    for content in (
        msgpack.packb({"a": 1}),
        msgpack.packb([1, 2]),
        msgpack.packb({1: array}),
        msgpack.packb({"a": array}),
        msgpack.packb({"a": msgpack.ExtType(3, b"")}),
        msgpack.packb({"a": msgpack.Timestamp(1)}),
        b"\xdf\xff\xff\xff\xff",
        b"\xc1",
        deep,
    ):
        file.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"flax_model\.msgpack"):
            open_checkpoint(tmp_path)


def test_no_temporary_file_is_left(model, tmp_path, monkeypatch):
    import gc
    import tempfile

    room = tmp_path / "room"
    room.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(room))
    hf_models.write(tmp_path / "model", model, "bin.gz")
    source = open_checkpoint(tmp_path / "model")
    assert len(list(room.iterdir())) == 1
    np.testing.assert_array_equal(source.read("token_embedder/embedding").shape, (144, 8))
    del source
    gc.collect()
    assert not list(room.iterdir())
