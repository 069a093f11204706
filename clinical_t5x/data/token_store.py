"""Token stores: tokens on disk, memory-mapped, whole or absent.

A store holds one split of one task as token ids. For every feature there is one file of ids without
padding (`<feature>.u16` or `.u32`) and one of offsets (`<feature>_offsets.npy`): item i of the
feature is `tokens[offsets[i]:offsets[i + 1]]`. `manifest.json` says what the store was made from
and what was measured on the way. A store of documents has the one feature `tokens` and is read as a
stream; a store of examples has `inputs` and `targets`, and `records.jsonl` with what an evaluation
needs of each example.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np
from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.data.made_once import local_copy
from clinical_t5x.storage import (
    fingerprint,
    is_complete,
    read_json,
    sha256_file,
    write_json_atomically,
)

MANIFEST_FILE = "manifest.json"
RECORDS_FILE = "records.jsonl"
STREAM = "stream"
EXAMPLES = "examples"

_EVERY_MANIFEST = frozenset({"kind", "dtype", "items", "features", "content_sha256"})
# What reading a file raises that is missing, cut or altered. A file that may not be read is whole.
_DAMAGE = (
    FileNotFoundError, IsADirectoryError, NotADirectoryError, EOFError,
    ValueError, KeyError, IndexError, TypeError, AttributeError,
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class TokenSequences:
    """Variable-length sequences of token ids, one after the other in a memory-mapped file.

    Attributes:
      tokens: ids [total].
      offsets: int64 [N + 1]; sequence i is tokens[offsets[i]:offsets[i + 1]].
    """

    tokens: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> np.ndarray:
        return self.tokens[self.offsets[index] : self.offsets[index + 1]]

    @property
    def lengths(self) -> np.ndarray:
        """Number of tokens of every sequence, int64 [N]."""
        return np.diff(self.offsets)


class TokenStore:
    """A finished store, opened for reading.

    Attributes:
      directory: where it lies (for a bucket, where its local copy lies).
      manifest: what it was made from and what was measured.
      features: the token sequences by feature name.

    Raises:
      UserError: the store is not complete, or is damaged.
    """

    def __init__(self, directory: str | os.PathLike):
        self.directory = epath.Path(directory)
        if not is_complete(self.directory):
            raise UserError(
                f"the token store {self.directory} is not complete; remove it and start again"
            )
        if "://" in os.fspath(self.directory):
            self.directory = local_copy(self.directory)
        self.manifest, files = self._read_manifest()
        self.features = {name: self._open_feature(name, file) for name, file in files.items()}

    def _read_manifest(self) -> tuple[dict[str, Any], dict[str, str]]:
        """The manifest, and the file of every feature's tokens."""
        with self._whole(MANIFEST_FILE):
            manifest = read_json(self.directory / MANIFEST_FILE)
            files = {name: feature["file"] for name, feature in manifest["features"].items()}
            if _EVERY_MANIFEST - manifest.keys():
                raise ValueError("it lacks an entry")
            np.dtype(manifest["dtype"])
        return manifest, files

    @contextlib.contextmanager
    def _whole(self, file: str) -> Iterator[None]:
        """Say which file is to blame when reading it in the block shows that it is damaged."""
        try:
            yield
        except _DAMAGE as error:
            # The error's own message stays out: it may hold what the file does.
            raise self._damaged(file) from error

    def _damaged(self, what: str) -> UserError:
        return UserError(
            f"the token store {self.directory} is damaged ({what}); remove it and start again"
        )

    def _open_feature(self, name: str, file: str) -> TokenSequences:
        dtype = np.dtype(self.manifest["dtype"])
        offsets = self._open_offsets(f"{name}_offsets.npy")
        with self._whole(file):
            path = os.fspath(self.directory / file)
            size = os.path.getsize(path)
        if size != int(offsets[-1]) * dtype.itemsize:
            raise self._damaged(f"{file} has not the size its offsets say")
        if not offsets[-1]:  # an empty file cannot be mapped
            return TokenSequences(np.zeros(0, dtype), offsets)
        # A plain view of the mapped file: slices of a memmap object are many times slower to make.
        return TokenSequences(np.memmap(path, dtype, mode="r").view(np.ndarray), offsets)

    def _open_offsets(self, file: str) -> np.ndarray:
        with self._whole(file):
            offsets = np.load(os.fspath(self.directory / file), mmap_mode="r")
            # Only what takes no look at every one: there may be many millions.
            if offsets.dtype != np.int64 or offsets.shape != (self.manifest["items"] + 1,):
                raise ValueError("not one offset more than items")
        return offsets

    @property
    def kind(self) -> str:
        """`stream` (documents to be cut and corrupted) or `examples`."""
        return self.manifest["kind"]

    @property
    def content_hash(self) -> str:
        """SHA-256 over the tokens and what they mean."""
        return self.manifest["content_sha256"]

    def records(self) -> list[dict[str, Any]]:
        """What an evaluation needs of every example, in the order of the examples.

        Raises:
          UserError: they are damaged.
        """
        if not self.manifest["items"]:  # of an empty split there is no such file
            return []
        with self._whole(RECORDS_FILE):
            with (self.directory / RECORDS_FILE).open("r") as file:
                records = [json.loads(line) for line in file]
            if len(records) != self.manifest["items"]:
                raise ValueError("not one record for every item")
        return records


class TokenStoreWriter:
    """Writes the files of a store into a directory that the caller completes.

    Use as a context manager; `manifest` of the finished files after the block.
    """

    def __init__(self, directory: str | os.PathLike, features: Iterable[str], vocab_size: int):
        self._directory = epath.Path(directory)
        self._dtype = np.dtype(np.uint16 if vocab_size <= 1 << 16 else np.uint32)
        self._features = list(features)
        self._lengths: dict[str, list[int]] = {name: [] for name in self._features}
        self._files: dict[str, BinaryIO] = {}
        self._records: Any = None

    def __enter__(self) -> TokenStoreWriter:
        for name in self._features:
            self._files[name] = self._path(name).open("wb")
        return self

    def _path(self, name: str) -> epath.Path:
        return self._directory / f"{name}.u{8 * self._dtype.itemsize}"

    def add(self, sequences: Mapping[str, np.ndarray], record: Mapping | None = None) -> None:
        """Append one token sequence of every feature, and the example's record if it has one."""
        for name in self._features:
            tokens = np.asarray(sequences[name])
            self._files[name].write(tokens.astype(self._dtype).tobytes())
            self._lengths[name].append(len(tokens))
        if record is not None:
            if self._records is None:
                self._records = (self._directory / RECORDS_FILE).open("w")
            self._records.write(json.dumps(record, ensure_ascii=False) + "\n")

    def __exit__(self, *exc_info: object) -> None:
        for file in [*self._files.values(), *([self._records] if self._records else [])]:
            file.close()

    def finish(self, description: Mapping[str, Any]) -> dict[str, Any]:
        """Write offsets and manifest; returns the manifest.

        Args:
          description: what else the manifest says; its `content` names what the tokens mean and
            goes into the content hash with the tokens themselves.
        """
        features = {}
        for name in self._features:
            lengths = np.asarray(self._lengths[name], np.int64)
            offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
            with (self._directory / f"{name}_offsets.npy").open("wb") as file:
                np.save(file, offsets)
            features[name] = {
                "file": self._path(name).name,
                "sha256": sha256_file(self._path(name)),
                "tokens": int(offsets[-1]),
                **_length_summary(lengths),
            }
        manifest = {
            **description,
            "dtype": self._dtype.name,
            "items": len(self._lengths[self._features[0]]),
            "features": features,
        }
        manifest["content_sha256"] = _content_hash(manifest)
        write_json_atomically(self._directory / MANIFEST_FILE, manifest)
        return manifest


def _length_summary(lengths: np.ndarray) -> dict[str, Any]:
    if not len(lengths):
        return {"lengths": {}}
    quantiles = np.quantile(lengths, [0.5, 0.95, 0.99], method="higher")
    return {
        "lengths": {
            "mean": round(float(lengths.mean()), 2),
            "median": int(quantiles[0]),
            "p95": int(quantiles[1]),
            "p99": int(quantiles[2]),
            "max": int(lengths.max()),
        }
    }


def _content_hash(manifest: Mapping[str, Any]) -> str:
    sums = {name: feature["sha256"] for name, feature in manifest["features"].items()}
    return fingerprint({"content": manifest.get("content", {}), "features": sums})
