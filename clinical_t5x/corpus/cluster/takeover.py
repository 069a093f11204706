"""The local engine goes on from what a cluster has staged, instead of reading the notes again."""

from __future__ import annotations

import collections
import json
import os
from collections.abc import Sequence
from pathlib import Path

import polars as pl
from etils import epath

from clinical_t5x import __version__
from clinical_t5x.console import UserError
from clinical_t5x.corpus import staging
from clinical_t5x.corpus.cluster.output import Output
from clinical_t5x.corpus.inputs import EXCLUDED
from clinical_t5x.corpus.sources import NoteSource


class Takeover:
    """The finished output of `prepare_beam`.

    Args:
        directory: its --output.
    """

    def __init__(self, directory: epath.Path):
        self._directory = directory
        self._manifest = Output(directory).manifest()

    def check(self, described: list[dict], *, deid: str, paper: bool) -> None:
        """Refuse what was staged from other files, with other options or by other programs.

        Args:
            described: the files of this preparation (`CorpusInputs.describe`).
            deid: what is done to de-identification marks.
            paper: whether the paper's choices were asked for.

        Raises:
            UserError: it does not fit; the message says what.
        """
        there = {file["path"]: file["sha256"] for file in self._manifest["inputs"]}
        here = {file["path"]: file["sha256"] for file in described}
        # Patients are left out later, whoever staged their notes.
        here = {path: sha256 for path, sha256 in here.items() if not path.startswith(EXCLUDED)}
        other = sorted(path for path in {*there, *here} if there.get(path) != here.get(path))
        if other or list(there) != list(here):
            what = ", ".join(other) or "the same files in another order"
            raise UserError(
                f"--staged {self._directory} was made from other files ({what}); name the files "
                "and --sources that `python -m clinical_t5x.prepare_beam` had"
            )
        wanted = {"--deid": deid, "--paper": paper, "clinical_t5x": __version__}
        # Keys of strings are compared with those of the pieces (see `keys`).
        wanted["polars"] = pl.__version__
        options = self._manifest["options"]
        found = {"--deid": options["deid"], "--paper": options["paper"]}
        found |= {name: self._manifest["versions"][name] for name in ("clinical_t5x", "polars")}
        for name, value in wanted.items():
            if found[name] != value:
                raise UserError(
                    f"--staged {self._directory} was made with {name} {found[name]}, this is "
                    f"{name} {value}; use the same"
                )

    def fetch(self, scratch: Path) -> Path:
        """The pieces on a local disk: where they are, or copied from a bucket to `scratch`."""
        pieces = self._directory / "pieces"
        if "://" not in os.fspath(pieces):
            return Path(pieces)
        for part in staging.PARTS:
            (scratch / part).mkdir(parents=True, exist_ok=True)
            for path in (pieces / part).iterdir():
                copied = scratch / part / path.name
                if not copied.exists():
                    partial = scratch / f"{path.name}.partial"
                    path.copy(partial, overwrite=True)
                    partial.rename(copied)
        return scratch

    def counts(self, sources: Sequence[NoteSource]) -> dict[str, staging.Counts]:
        """What became of the rows of every source, by its label."""
        counted = collections.defaultdict(staging.Counts)
        for source in sources:
            counted[source.label] = staging.Counts()
        for path in (self._directory / "pieces" / "counts").iterdir():
            number = int(path.name.partition("-")[0])
            counted[sources[number].label].add(
                staging.Counts.from_json(json.loads(path.read_text()))
            )
        return dict(counted)

    def check_digest(self, digest: dict) -> None:
        """Compare the notes that are left after exact de-duplication here with those there.

        Raises:
            AssertionError: they differ: a defect of this program, not of the data.
        """
        there = self._manifest["after_exact_duplicates"]
        if digest != there:
            raise AssertionError(f"the cluster was left with {there}, the local engine {digest}")
