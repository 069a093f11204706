"""The directory that the machines of a job share: pieces, documents, and the mark of completion.

    OUTPUT/
      pieces/PART/PIECE...       what staging sets aside of every batch (`staging.PARTS`)
      documents/PIECE.parquet    the notes that are left after exact de-duplication
      dropped/PIECE.parquet      document_id, reason and num_words of every row that is not
      manifest.json              inputs, counts, digest
      _COMPLETE.json             written last; without it the directory is no result

Every file appears whole and has the same content whoever writes it: so a batch may be done twice,
by a worker that was taken for dead or by a job that was started again.
"""

from __future__ import annotations

import io
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import polars as pl
from etils import epath

from clinical_t5x import storage
from clinical_t5x.console import UserError
from clinical_t5x.corpus import staged_parts, staging

_STARTED = "made_from.json"
_PARTIAL = ".partial-"


class Output:
    """A job's output directory, in a bucket or on a file system that all machines see.

    Attributes:
        directory: the directory.
    """

    def __init__(self, directory: epath.Path):
        self.directory = directory

    def is_complete(self, made_from: Mapping[str, Any]) -> bool:
        """Whether the result of a job with these files and options is here."""
        return storage.is_complete(self.directory, dict(made_from))

    def manifest(self) -> dict:
        """The manifest of a complete result.

        Raises:
            UserError: there is none.
        """
        if storage.completion(self.directory) is None:
            raise UserError(
                f"{self.directory} is no finished result of `python -m clinical_t5x.prepare_beam` "
                f"(it has no {storage.COMPLETE_MARK}); run that command again with this --output"
            )
        return storage.read_json(self.directory / "manifest.json")

    def begin(self, made_from: Mapping[str, Any]) -> None:
        """Make the directories; what a job left that was made from something else is removed.

        Raises:
            UserError: the directory holds what no job of ours wrote.
        """
        started = self.directory / _STARTED
        wanted = {"fingerprint": storage.fingerprint(dict(made_from))}
        if not started.exists():
            if self.directory.exists() and any(self.directory.iterdir()):
                raise UserError(
                    f"--output {self.directory} holds other files; name a new or empty directory"
                )
        elif storage.read_json(started) != wanted:
            (self.directory / storage.COMPLETE_MARK).unlink(missing_ok=True)
            self.directory.rmtree()
        for part in staging.PARTS:
            (self.directory / "pieces" / part).mkdir(parents=True, exist_ok=True)
        for folder in ("documents", "dropped"):
            (self.directory / folder).mkdir(parents=True, exist_ok=True)
        storage.write_json_atomically(started, wanted)

    def has(self, piece: str) -> bool:
        """Whether a batch has been staged whole."""
        return self._piece("counts", f"{piece}.json").exists()

    def publish(self, staged: Path, piece: str) -> None:
        """Copy what `staging.stage_batch` wrote of a batch, its counts last."""
        assert staging.PARTS[-1] == "counts"
        for part in staging.PARTS:
            for path in sorted((staged / part).iterdir()):
                with path.open("rb") as file:
                    _write_whole(self._piece(part, path.name), file)

    def read_counts(self, piece: str) -> str:
        """The counts of a staged batch, as JSON."""
        return self._piece("counts", f"{piece}.json").read_text()

    def read_piece(self, part: str, piece: str, columns: list[str] | None = None) -> pl.DataFrame:
        """A table of a staged batch."""
        with self._piece(part, f"{piece}.parquet").open("rb") as file:
            return pl.read_parquet(file, columns=columns)

    def read_texts(self, piece: str) -> pl.DataFrame:
        """The documents of a staged batch."""
        with self._piece("texts", f"{piece}{staged_parts.SUFFIX}").open("rb") as file:
            return staged_parts.read(file)

    def write_table(self, folder: str, piece: str, table: pl.DataFrame) -> None:
        """Write a table of the result ("documents" or "dropped")."""
        file = io.BytesIO()
        table.write_parquet(file, statistics=False)
        file.seek(0)
        _write_whole(self.directory / folder / f"{piece}.parquet", file)

    def complete(self, manifest: dict, made_from: Mapping[str, Any]) -> None:
        """Write the manifest, and the mark that says that all is there."""
        self._remove_leftovers()
        storage.write_json_atomically(self.directory / "manifest.json", manifest)
        mark = {"fingerprint": storage.fingerprint(dict(made_from)), "made_from": made_from}
        storage.write_json_atomically(self.directory / storage.COMPLETE_MARK, mark)

    def _piece(self, part: str, name: str) -> epath.Path:
        return self.directory / "pieces" / part / name

    def _remove_leftovers(self) -> None:
        """Remove the files that killed workers did not finish (in a bucket there are none)."""
        folders = [self.directory / "pieces" / part for part in staging.PARTS]
        for folder in (*folders, self.directory / "documents", self.directory / "dropped"):
            for path in folder.glob(f".*{_PARTIAL}*"):
                path.unlink(missing_ok=True)


def _write_whole(path: epath.Path, content: IO[bytes]) -> None:
    """Write a file so that nobody sees a part of it."""
    # An object of a bucket appears when it is closed; a renamed one would be written twice.
    in_bucket = "://" in os.fspath(path)
    partial = path if in_bucket else path.parent / f".{path.name}{_PARTIAL}{uuid.uuid4().hex}"
    with partial.open("wb") as file:
        shutil.copyfileobj(content, file, 1 << 20)
    if partial != path:
        partial.replace(path)
