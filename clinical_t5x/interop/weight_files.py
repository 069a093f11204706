"""Which files of a Hugging Face directory hold the weights, opened.

Weights may be one file or many with an index that says which tensor is where; PhysioNet's releases
are gzipped. A gzipped file is unpacked block by block into a temporary file first, since the place
of a tensor in it cannot be reached otherwise; the temporary file goes with the process.
"""

from __future__ import annotations

import dataclasses
import gzip
import json
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from etils import epath

from clinical_t5x.interop.flax_file import FlaxFile
from clinical_t5x.interop.safetensors_file import SafetensorsFile
from clinical_t5x.interop.source import CheckpointError
from clinical_t5x.interop.tensor_files import TensorFile
from clinical_t5x.interop.torch_file import TorchFile

_BLOCK = 1 << 22
_TAR = 257, b"ustar"  # where a tar archive says what it is

# What a directory may hold, the best first. Where several are there they are the same weights.
_WHOLE = ("model.safetensors", "pytorch_model.bin", "pytorch_model.bin.gz", "flax_model.msgpack")
_ENDINGS = (".safetensors", ".bin", ".bin.gz", ".msgpack")
_INDEX = ".index.json"
_FORMATS = {
    ".safetensors": "safetensors",
    ".bin": "PyTorch",
    ".bin.gz": "PyTorch, gzipped",
    ".msgpack": "Flax",
}
# Weights that a directory may hold in forms that are not read here, and what to do.
_FOREIGN = {
    "tf_model.h5": "TensorFlow weights",
    "model.ckpt.index": "a TensorFlow checkpoint",
    "adapter_model.safetensors": "an adapter without its model: merge it into the model first",
}


@dataclasses.dataclass
class Found:
    """The files of a checkpoint.

    Attributes:
      format: in words, for people.
      is_flax: whether names and orientation are Flax's.
      files: each with the names of the tensors that are to be read from it.
      notes: sentences for people.
    """

    format: str
    is_flax: bool
    files: list[tuple[TensorFile, Sequence[str]]]
    notes: list[str]


def recognises(path: epath.Path) -> bool:
    """Whether `path` looks like a checkpoint of Hugging Face's: by names only."""
    if path.is_dir():
        return _choice(path) is not None
    return path.exists() and path.name.endswith((*_ENDINGS, _INDEX))


def find(path: epath.Path) -> Found:
    """Open the weights at `path`, a directory or a file.

    Raises:
      CheckpointError: there are none, a part is missing, or one is damaged.
    """
    if not path.exists():
        raise CheckpointError(f"{path} does not exist")
    chosen = _choice(path) if path.is_dir() else path
    if chosen is None:
        raise CheckpointError(nothing_found(path))
    index = chosen.name.endswith(_INDEX)
    ending = _ending(chosen.name.removesuffix(_INDEX) if index else chosen.name)
    files = list(_indexed(chosen)) if index else [_all_of(_open(chosen))]
    shards = f", {len(files)} files" if index else ""
    notes = []
    if path.is_dir() and chosen.name not in (*_WHOLE, *(f"{name}{_INDEX}" for name in _WHOLE)):
        notes.append(f"weights: {chosen.name}, the only such file there")
    return Found(_FORMATS[ending] + shards, ending == ".msgpack", files, notes)


def _choice(directory: epath.Path) -> epath.Path | None:
    """The file or index of weights to read in a directory."""
    for name in _WHOLE:
        for candidate in (directory / name, directory / f"{name}{_INDEX}"):
            if candidate.exists():
                return candidate
    for ending in _ENDINGS:
        others = [file for file in directory.glob(f"*{ending}") if file.name not in _FOREIGN]
        weights = [file for file in others if _could_be_weights(file.name)]
        if len(weights) == 1:
            return weights[0]
    return None


def _could_be_weights(name: str) -> bool:
    """Not what a trainer leaves beside weights, nor one of many parts."""
    return (
        name not in ("training_args.bin", "optimizer.bin", "scheduler.bin") and "-of-" not in name
    )


def nothing_found(directory: epath.Path) -> str:
    """The message for a directory without weights that could be read here."""
    for name, what in _FOREIGN.items():
        if (directory / name).exists():
            return f"{directory} holds {what} ({name}), which cannot be read here"
    has_config = (directory / "config.json").exists()
    return (
        f"{directory} holds {'config.json but no' if has_config else 'no'} weights; expected one "
        f"of {', '.join(_WHOLE)}, or an index of their parts"
    )


def _ending(name: str) -> str:
    for ending in sorted(_ENDINGS, key=len, reverse=True):
        if name.endswith(ending):
            return ending
    raise CheckpointError(f"{name} is no file of weights; known: *{', *'.join(_ENDINGS)}")


def _open(file: epath.Path) -> TensorFile:
    if not file.exists():
        raise CheckpointError(f"{file} is missing; fetch it again")
    ending = _ending(file.name)
    if ending == ".safetensors":
        return SafetensorsFile(file)
    if ending == ".msgpack":
        return FlaxFile(file)
    if ending == ".bin":
        return TorchFile(file)
    return _GzippedTorchFile(file)


class _GzippedTorchFile(TorchFile):
    """A gzipped `.bin`, unpacked into a temporary file for as long as this object lives."""

    def __init__(self, path: epath.Path):
        # Closed, and so removed, with the last reference to this object.
        self._unpacked = tempfile.NamedTemporaryFile(prefix="weights-")  # noqa: SIM115
        _unpack(path, self._unpacked)
        super().__init__(epath.Path(self._unpacked.name), shown_as=str(path))


def _unpack(path: epath.Path, into: Any) -> None:
    try:
        with path.open("rb") as packed, gzip.GzipFile(fileobj=packed) as stream:
            while block := stream.read(_BLOCK):
                into.write(block)
        into.flush()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CheckpointError(f"{path} is truncated or damaged ({error}); fetch it again") from None
    except OSError as error:
        raise CheckpointError(
            f"{path} could not be unpacked into {tempfile.gettempdir()} ({error.strerror}); set "
            "TMPDIR to a folder with more room"
        ) from None
    place, word = _TAR
    into.seek(place)
    if into.read(len(word)) == word:
        raise CheckpointError(f"{path} is a tar archive: unpack it (tar xzf) and name the folder")


def _all_of(file: TensorFile) -> tuple[TensorFile, Sequence[str]]:
    return file, list(file.infos)


def _indexed(index: epath.Path) -> Iterator[tuple[TensorFile, Sequence[str]]]:
    """The files of an index, each with the names that the index says are in it."""
    try:
        weight_map = json.loads(index.read_text())["weight_map"]
        names_of: dict[str, list[str]] = {}
        for name, file in weight_map.items():
            names_of.setdefault(file, []).append(name)
        inside = all(epath.Path(file).name == file and file not in ("", "..") for file in names_of)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise CheckpointError(f"{index} is no index of weights; fetch it again") from None
    if not inside or not names_of:
        raise CheckpointError(f"{index} names files outside of its folder, or none")
    for file, names in names_of.items():
        opened = _open(index.parent / file)
        absent = [name for name in names if name not in opened.infos]
        if absent:
            raise CheckpointError(f"{index} says that {file} holds {absent[0]}, but it does not")
        yield opened, names
