"""From what a person names on the command line to the files that a corpus is made from."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Sequence

from etils import epath

from clinical_t5x import storage
from clinical_t5x.console import UserError
from clinical_t5x.corpus import benchmark_ids, exclusion, readers, sources
from clinical_t5x.corpus.sources import NoteSource

_MIMIC = {"mimic-iii": sources.mimic_iii, "mimic-iv": sources.mimic_iv}
_FORMATS = {
    ".csv": "csv",
    ".csv.gz": "csv",
    ".jsonl": "jsonl",
    ".jsonl.gz": "jsonl",
    ".ndjson": "jsonl",
    ".ndjson.gz": "jsonl",
    ".parquet": "parquet",
}
EXCLUDED = "excluded patients/"  # what the labels of exclusion lists begin with
# What --columns may map -> the note's column.
_MAPPABLE = {
    "text": "text",
    "id": "note_id",
    "patient": "patient",
    "category": "category",
    "description": "description",
    "time": "charttime",
}
_SYNTHETIC_HINT = (
    "`python -m clinical_t5x.synthetic --out DIR --patients 200 --seed 1` makes a synthetic "
    "PhysioNet"
)


@dataclasses.dataclass(frozen=True)
class CorpusInputs:
    """What a corpus is made from.

    Attributes:
        sources: the files of notes that are read.
        carevue: the CareVue subset's notes, whose patients are not in MIMIC-IV; set when MIMIC-III
            and MIMIC-IV are combined.
        physionet: the PhysioNet root with the benchmarks.
        evidence_only: names of sources that are read only because they tell who the benchmarks'
            patients are; none of their notes becomes a document.
        exclusions: lists of patients to leave out (see `exclusion`).
    """

    sources: tuple[NoteSource, ...]
    carevue: NoteSource | None = None
    physionet: epath.Path | None = None
    evidence_only: tuple[str, ...] = ()
    exclusions: tuple[epath.Path, ...] = ()

    @property
    def files(self) -> list[NoteSource]:
        """All files of notes."""
        return [*self.sources, *([self.carevue] if self.carevue else [])]

    @property
    def has_both_mimics(self) -> bool:
        """Whether notes of MIMIC-III and of MIMIC-IV are read."""
        return {"mimic-iii", "mimic-iv"} <= {source.source for source in self.sources}

    def has_benchmark(self, benchmark: str) -> bool:
        """Whether a benchmark lies under the PhysioNet root."""
        return self.physionet is not None and benchmark_ids.present(self.physionet, benchmark)

    def seen(self) -> dict[str, list[int | str]]:
        """Size and time of change of every file, by its label.

        A directory of text files has a digest of its files' names, sizes and times in their place.
        """
        return {label: _size_and_change(path) for label, path in self.paths()}

    def describe(self) -> list[dict]:
        """Label, SHA-256 and size of every file, for the manifest and the completion mark."""
        return [describe_file(label, path) for label, path in self.paths()]

    def columns(self) -> dict[str, dict[str, str]]:
        """How the columns of other hospitals' notes are read, by the file's label."""
        return {
            source.label: dict(source.columns)
            for source in self.sources
            if source.source not in _MIMIC
        }

    def paths(self) -> list[tuple[str, epath.Path]]:
        """Label and path of every file that is read."""
        benchmarks = benchmark_ids.files(self.physionet) if self.physionet else []
        details = [source.details for source in self.files if source.details is not None]
        notes = [(source.label, source.path) for source in (*self.files, *details)]
        lists = [(EXCLUDED + path.name, path) for path in self.exclusions]
        return [*notes, *benchmarks, *lists]


def describe_file(label: str, path: epath.Path) -> dict:
    """Label, SHA-256 and size of a file (or of a directory of text files).

    A directory's SHA-256 is one of its files' names, relative to it, and of their SHA-256.
    """
    if not path.is_dir():
        sha256 = storage.sha256_file(path)
        return {"path": label, "sha256": sha256, "bytes": _size_and_time(path)[0]}
    parts = readers.text_files(path)
    names = [part.relative_to(path).as_posix() for part in parts]
    sha256 = storage.fingerprint([names, list(map(storage.sha256_file, parts))])
    return {"path": label, "sha256": sha256, "bytes": sum(_size_and_time(p)[0] for p in parts)}


def _size_and_change(path: epath.Path) -> list[int | str]:
    """What is another, as good as certainly, when a file or a directory of text files changed."""
    if not path.is_dir():
        return _size_and_time(path)
    listing = [
        [part.relative_to(path).as_posix(), *_size_and_time(part)]
        for part in readers.text_files(path)
    ]
    return [sum(size for _, size, _ in listing), storage.fingerprint(listing)]


def _size_and_time(path: epath.Path) -> list[int]:
    if "://" in os.fspath(path):
        stat = path.stat()
        return [stat.length, int(stat.mtime)]
    local = os.stat(path)
    return [local.st_size, local.st_mtime_ns]


def resolve(
    *,
    physionet: epath.Path | None,
    names: Sequence[str] | None,
    notes: epath.Path | None,
    columns: str | None,
    exclusions: Sequence[epath.Path] = (),
) -> CorpusInputs:
    """The files that a command line names.

    Args:
        physionet: root of the PhysioNet files.
        names: sources to take from there; None takes those that are there.
        notes: another hospital's notes: a .csv, .jsonl or .parquet file or a directory of .txt.
        columns: their column mapping, `text=...,id=...,patient=...`.
        exclusions: lists of patients to leave out.

    Raises:
        UserError: nothing was named, a source is unknown, a file or a column is missing.
    """
    if physionet is None and notes is None:
        raise UserError(
            "name the notes: --physionet DIR for MIMIC, or --notes FILE for another hospital's; "
            f"without either, {_SYNTHETIC_HINT}"
        )
    if columns and notes is None:
        raise UserError("--columns maps the columns of --notes FILE; name the file too")
    if names and physionet is None:
        raise UserError("--sources chooses from --physionet DIR; name the directory too")
    found: list[NoteSource] = [other_notes(notes, columns)] if notes is not None else []
    for path in exclusions:
        exclusion.read_patients(path)  # a list that cannot be read is refused before any work
    if len({path.name for path in exclusions}) < len(exclusions):
        raise UserError("two --exclude_patients lists have the same file name; rename one of them")
    if physionet is None:
        return CorpusInputs(tuple(found), exclusions=tuple(exclusions))
    if not physionet.is_dir():
        raise UserError(
            f"--physionet {physionet} is not a directory; name the one that holds the PhysioNet "
            f"downloads; {_SYNTHETIC_HINT}"
        )
    chosen = _chosen(physionet, names, required=not found)
    evidence = _evidence(physionet, chosen)
    for name in [*chosen, *evidence]:
        found += _MIMIC[name](physionet)
    both = {"mimic-iii", "mimic-iv"} <= set(chosen)
    carevue = sources.carevue(physionet) if both else None
    lists = tuple(exclusions)
    inputs = CorpusInputs(tuple(found), carevue, physionet, tuple(evidence), lists)
    _check_columns(inputs)
    return inputs


def _check_columns(inputs: CorpusInputs) -> None:
    """Refuse a wrong file before hours are spent on the right ones."""
    for source in inputs.files:
        for file in filter(None, (source, source.details)):
            sources.find_columns(file, readers.column_names(file.path, file.file_format))


def _chosen(physionet: epath.Path, names: Sequence[str] | None, *, required: bool) -> list[str]:
    if names is not None:
        for name in names:
            if name not in _MIMIC:
                known = ", ".join(_MIMIC)
                raise UserError(f"--sources names {name!r}; known are {known}")
        return list(dict.fromkeys(names))
    there = [name for name in _MIMIC if sources.is_there(physionet, name)]
    if not there and required:
        return ["mimic-iii"]  # its absence is then reported with all places that were searched
    return there


def _evidence(physionet: epath.Path, chosen: Sequence[str]) -> list[str]:
    """MIMIC-III when only MIMIC-IV was asked for: without it no benchmark patient is known."""
    wanted = "mimic-iv" in chosen and "mimic-iii" not in chosen
    return ["mimic-iii"] if wanted and sources.is_there(physionet, "mimic-iii") else []


def other_notes(path: epath.Path, columns: str | None) -> NoteSource:
    """Another hospital's notes, with the columns that a mapping names.

    Columns that are called as the mapping's left sides (`text`, `id`, ...) need not be mapped.

    Raises:
        UserError: there is no such file, it cannot be read, its name is not UTF-8 or that of one
            of MIMIC's sources, or a column is missing.
    """
    mapping = _parsed_mapping(columns)
    if not path.exists():
        raise UserError(f"--notes {path} does not exist; name a file or a directory of .txt files")
    name = _source_name(readers.require_utf8_name(path))
    file_format = "txt" if path.is_dir() else _format_of(path)
    there = {column.strip().lower() for column in readers.column_names(path, file_format)}
    for known in _MAPPABLE:
        if known in there and (known in ("text", "id") or file_format == "txt"):
            mapping.setdefault(known, known)
    if "text" not in mapping:
        raise UserError(
            f"{path} has no column 'text'; columns found: {sources.listed(sorted(there))}; say "
            "which one holds the text: --columns text=NAME"
        )
    note_columns = {_MAPPABLE[known]: column for known, column in mapping.items()}
    source = NoteSource(name, path, path.name, note_columns, file_format=file_format)
    sources.find_columns(source, readers.column_names(path, file_format))
    return source


def _source_name(path: epath.Path) -> str:
    """What the corpus calls the notes of a file."""
    name = re.sub(r"\.(gz|csv|jsonl|ndjson|parquet)", "", path.name)
    name = re.sub(r"[^\w.-]+", "_", name) or "notes"
    if name in _MIMIC:  # rules and lists of patients that are MIMIC's would be applied to them
        raise UserError(
            f"--notes {path} would be called {name!r} in the corpus, as MIMIC's own notes are; "
            "rename it, or take MIMIC's notes with --physionet DIR"
        )
    return name


def _parsed_mapping(columns: str | None) -> dict[str, str]:
    mapping = {}
    for item in filter(None, (columns or "").split(",")):
        known, equals, column = (part.strip() for part in item.partition("="))
        if not equals or not column or known not in _MAPPABLE:
            raise UserError(
                f"--columns has {item!r}; give NAME=COLUMN pairs with a comma between, NAME one of "
                f"{', '.join(_MAPPABLE)}"
            )
        mapping[known] = column
    return mapping


def _format_of(path: epath.Path) -> str:
    for suffix, file_format in _FORMATS.items():
        if path.name.lower().endswith(suffix):
            return file_format
    raise UserError(
        f"--notes {path} is of no known format; give {', '.join(_FORMATS)} or a directory of .txt"
    )
