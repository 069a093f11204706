"""From what a person names on the command line to the files of notes."""

from __future__ import annotations

from collections.abc import Sequence

from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.corpus import sources
from clinical_t5x.corpus.pipeline import CorpusInputs

_PHYSIONET_SOURCES = {
    "mimic-iii": (sources.mimic_iii, ("mimiciii", "1.4", "NOTEEVENTS.csv.gz")),
    "mimic-iv": (sources.mimic_iv, ("mimic-iv-note", "2.2", "note/discharge.csv.gz")),
}


def resolve(
    *,
    physionet: epath.Path | None,
    names: Sequence[str] | None,
    notes: epath.Path | None,
    columns: str | None,
) -> CorpusInputs:
    """The files of notes that a command line names.

    Args:
        physionet: root of the PhysioNet files.
        names: sources to take from there; None takes those that are there.
        notes: another hospital's notes.
        columns: their column mapping, `note column=their column,...`.

    Raises:
        UserError: nothing was named, a source is unknown, or a file is missing.
    """
    if physionet is None and notes is None:
        raise UserError(
            "name the notes: --physionet DIR for MIMIC, or --notes FILE for another hospital's; "
            "without either, `python -m clinical_t5x.synthetic --out DIR --patients 200 --seed 1` "
            "makes a synthetic PhysioNet"
        )
    found: list[sources.NoteSource] = []
    if physionet is not None:
        if not physionet.is_dir():
            raise UserError(
                f"--physionet {physionet} is not a directory; name the one with the "
                "PhysioNet downloads"
            )
        for name in names if names is not None else _present(physionet):
            if name not in _PHYSIONET_SOURCES:
                known = ", ".join(_PHYSIONET_SOURCES)
                raise UserError(f"--sources has no {name!r}; choose from {known}")
            found += _PHYSIONET_SOURCES[name][0](physionet)
    carevue = None
    if {"mimic-iii", "mimic-iv"} <= {source.source for source in found}:
        carevue = sources.carevue(physionet)
    return CorpusInputs(tuple(found), carevue, physionet)


def _present(physionet: epath.Path) -> list[str]:
    present = [
        name for name, (_, file) in _PHYSIONET_SOURCES.items() if sources.find(physionet, *file)
    ]
    return present or ["mimic-iii"]
