"""What the corpus must know of the benchmarks: their notes' ids, their premises, their texts.

Their records, as examples are made from, belong to `clinical_t5x.data`.
"""

from __future__ import annotations

import ast
import collections
import csv
import functools
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl
from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.corpus import sources

BENCHMARKS = MEDNLI, RADQA, CLIP = ("mednli", "radqa", "clip")
_PROJECTS = {
    MEDNLI: ("mednli", "1.0.0"),
    RADQA: ("radqa", "1.0.0"),
    CLIP: ("mimic-iii-clinical-action", "1.0.0"),
}
_CLIP_SENTENCES = "sentence_level.csv"
# MedNLI's second test set, of BioNLP 2019, whose premises are sentences of other notes. Its labels
# are not read here; but where they lie alone, the pairs were not downloaded.
_SHARED_TASK = ("mednli-bionlp19", "1.0.1")
_SHARED_PAIRS = "mednli_bionlp19_shared_task.jsonl"
_SHARED_LABELS = "mednli_bionlp19_shared_task_ground_truth.csv"
# Our names of the splits, and theirs.
_SPLITS = {
    MEDNLI: {"train": "train", "validation": "dev", "test": "test"},
    RADQA: {"train": "train", "validation": "dev", "test": "test"},
    CLIP: {"train": "train", "validation": "val", "test": "test"},
}
_FILES = {
    MEDNLI: [f"mli_{split}_v1.jsonl" for split in _SPLITS[MEDNLI].values()],
    RADQA: [f"{split}.json" for split in _SPLITS[RADQA].values()],
    CLIP: [_CLIP_SENTENCES, *(f"{split}_ids.csv" for split in _SPLITS[CLIP].values())],
}

# What reading a file of another format ends in.
_MALFORMED = (ValueError, LookupError, TypeError, SyntaxError, RecursionError, csv.Error)

# A list of strings in single quotes, none of which holds a quote or a backslash.
_PLAIN_LIST = r"\A\['[^'\\]*'(?:, '[^'\\]*')*\]\z"


def present(physionet: epath.Path, benchmark: str) -> bool:
    """Whether a benchmark was downloaded.

    Raises:
        UserError: only some of its files are there, so that some patients would stay unknown.
    """
    return _is_whole(physionet, _PROJECTS[benchmark], _FILES[benchmark])


def files(physionet: epath.Path) -> list[tuple[str, epath.Path]]:
    """Label and path of every file that is read here, of the benchmarks that are there.

    Raises:
        UserError: only some files of a benchmark are there.
    """
    found = [
        (
            "/".join((*_PROJECTS[benchmark], name)),
            sources.require(physionet, *_PROJECTS[benchmark], name),
        )
        for benchmark in BENCHMARKS
        if present(physionet, benchmark)
        for name in _FILES[benchmark]
    ]
    shared = _shared_pairs(physionet)
    if shared is not None and present(physionet, MEDNLI):
        found.append(("/".join((*_SHARED_TASK, _SHARED_PAIRS)), shared))
    return found


def _is_whole(physionet: epath.Path, project: tuple[str, str], names: Sequence[str]) -> bool:
    """Whether the files of a project are there: all of them, or none."""
    if not any(sources.find(physionet, *project, name) for name in names):
        return False
    for name in names:
        path = sources.require(physionet, *project, name)
        if path.is_dir():
            raise UserError(f"{path} is a directory, not a file; remove it and download the file")
    return True


def _shared_pairs(physionet: epath.Path) -> epath.Path | None:
    """The pairs of MedNLI's second test set, if it is there."""
    if not _is_whole(physionet, _SHARED_TASK, (_SHARED_PAIRS, _SHARED_LABELS)):
        return None
    return sources.require(physionet, *_SHARED_TASK, _SHARED_PAIRS)


def note_ids(physionet: epath.Path, benchmark: str) -> set[str]:
    """ROW_IDs of the MIMIC-III notes that RadQA or CLIP was made from."""
    if benchmark == RADQA:
        articles = [article for split in _SPLITS[RADQA] for article in _radqa(physionet, split)]
        return {article["note"] for article in articles}
    of_splits = _clip_splits(physionet)
    return set(_clip_sentences(physionet)).union(*of_splits.values())


def mednli_premises(physionet: epath.Path) -> list[str]:
    """MedNLI's premises, those of its second test set included, unique and sorted."""
    return sorted(
        {record["sentence1"] for split in _SPLITS[MEDNLI] for record in _mednli(physionet, split)}
    )


def texts(physionet: epath.Path, benchmark: str) -> dict[str, list[str]]:
    """The texts of a benchmark by split, as notes would hold them (unique).

    MedNLI's premises and hypotheses (its test split has those of its second test set too), RadQA's
    contexts and questions, CLIP's whole summaries.

    Raises:
        UserError: a file is not as published, or a split is empty.
    """
    if benchmark == MEDNLI:
        fields = ("sentence1", "sentence2")
        return {
            split: _unique(
                record[field] for record in _mednli(physionet, split) for field in fields
            )
            for split in _SPLITS[MEDNLI]
        }
    if benchmark == RADQA:
        return {
            split: _unique(
                text
                for article in _radqa(physionet, split)
                for paragraph in article["paragraphs"]
                for text in (
                    paragraph["context"],
                    *(question["question"] for question in paragraph["qas"]),
                )
            )
            for split in _SPLITS[RADQA]
        }
    return _clip_summaries(physionet)


def _unique(values: Any) -> list[str]:
    return list(dict.fromkeys(values))


def _mednli(physionet: epath.Path, split: str) -> list[dict[str, str]]:
    """The pairs of a split; the test split has those of the second test set too."""
    path = sources.require(physionet, *_PROJECTS[MEDNLI], f"mli_{_SPLITS[MEDNLI][split]}_v1.jsonl")
    shared = _shared_pairs(physionet) if split == "test" else None
    return _pairs(path) + (_pairs(shared) if shared is not None else [])


def _pairs(path: epath.Path) -> list[dict[str, str]]:
    try:
        # JSON lines end at \n alone; str.splitlines would also cut at U+2028 inside a string.
        records = [json.loads(line) for line in path.read_text().split("\n") if line.strip()]
        pairs = [
            {"sentence1": str(record["sentence1"]), "sentence2": str(record["sentence2"])}
            for record in records
        ]
    except _MALFORMED as error:
        raise _not_as_published(path, "JSON lines with sentence1 and sentence2", error) from error
    _refuse_empty(path, (pair["sentence1"] for pair in pairs), "premise")
    return pairs


def _radqa(physionet: epath.Path, split: str) -> list[dict[str, Any]]:
    path = sources.require(physionet, *_PROJECTS[RADQA], f"{_SPLITS[RADQA][split]}.json")
    try:
        articles = [
            {
                "note": _row_id(str(article["title"]), physionet, RADQA),
                "paragraphs": [
                    {
                        "context": str(paragraph["context"]),
                        "qas": [{"question": str(qa["question"])} for qa in paragraph["qas"]],
                    }
                    for paragraph in article["paragraphs"]
                ],
            }
            for article in json.loads(path.read_text())["data"]
        ]
    except _MALFORMED as error:
        raise _not_as_published(path, "SQuAD's layout (data[].title, paragraphs)", error) from error
    contexts = (paragraph["context"] for article in articles for paragraph in article["paragraphs"])
    _refuse_empty(path, contexts, "context")
    return articles


def _clip_summaries(physionet: epath.Path) -> dict[str, list[str]]:
    """The whole summaries of every split; a split whose documents have no sentences is refused."""
    sentences = _clip_sentences(physionet)
    summaries = {}
    for split, notes in _clip_splits(physionet).items():
        summaries[split] = _unique(
            "\n".join(sentences[note]) for note in notes if note in sentences
        )
        path = sources.require(physionet, *_PROJECTS[CLIP], f"{_SPLITS[CLIP][split]}_ids.csv")
        _refuse_empty(path, summaries[split], f"document id of {_CLIP_SENTENCES}")
    return summaries


def _clip_sentences(physionet: epath.Path) -> dict[str, list[str]]:
    """CLIP's sentences by document, tokens joined by one blank."""
    path = sources.require(physionet, *_PROJECTS[CLIP], _CLIP_SENTENCES)
    return _parsed_clip_sentences(physionet, path, _text_of(path))


@functools.lru_cache(maxsize=1)  # asked for ids, then for texts
def _parsed_clip_sentences(
    physionet: epath.Path, path: epath.Path, content: str
) -> dict[str, list[str]]:
    rows = csv.reader(io.StringIO(content, newline=""))
    names: list[str] = []
    documents = collections.defaultdict(list)
    try:
        names = next(rows, [])
        document, sentence = names.index("doc_id"), names.index("sentence")
        found = [(row[document], row[sentence]) for row in rows if row]
        for name, text in zip((name for name, _ in found), _joined(found), strict=True):
            documents[_row_id(name, physionet, CLIP)].append(text)
    except _MALFORMED as error:
        # How many names, not which: without a header the first line is a sentence of a note.
        wanted = f"a table of doc_id and sentence (its first line has {len(names):,} columns)"
        raise _not_as_published(path, wanted, error) from error
    _refuse_empty(path, documents, "sentence")
    return documents


def _joined(rows: Sequence[tuple[str, str]]) -> list[str]:
    """The sentences of rows (document, Python list literal of tokens), a blank between tokens."""
    cells = pl.Series([cell for _, cell in rows], dtype=pl.String)
    is_plain = cells.str.contains(_PLAIN_LIST)
    plain = cells.str.strip_prefix("['").str.strip_suffix("']")
    texts = plain.str.replace_all("', '", " ", literal=True).to_list()
    for index in (~is_plain).arg_true():
        texts[index] = " ".join(str(token) for token in ast.literal_eval(cells[index]))
    return texts


def _clip_splits(physionet: epath.Path) -> dict[str, set[str]]:
    notes = {}
    for split, name in _SPLITS[CLIP].items():
        path = sources.require(physionet, *_PROJECTS[CLIP], f"{name}_ids.csv")
        lines = _text_of(path).split()
        _refuse_empty(path, lines, "document id")
        notes[split] = {_row_id(line, physionet, CLIP) for line in lines}
    return notes


@functools.lru_cache(maxsize=1 << 14)
def _row_id(value: object, physionet: epath.Path, benchmark: str) -> str:
    """An id as NOTEEVENTS writes it: they come as 123, "123" and "123.0"."""
    try:
        return str(int(float(str(value))))
    except (ValueError, OverflowError) as error:  # the latter of an infinite number
        raise UserError(
            f"{benchmark} under {physionet} names a note whose id is no NOTEEVENTS ROW_ID; "
            "download the benchmark again"
        ) from error


def _text_of(path: epath.Path) -> str:
    try:
        return path.read_text()
    except UnicodeDecodeError as error:
        raise _not_as_published(path, "UTF-8 text", error) from error


def _refuse_empty(path: epath.Path, found: Iterable[str], what: str) -> None:
    """Refuse a file that has nothing: no corpus overlaps with it, which would prove nothing."""
    if not any(text.strip() for text in found):
        raise UserError(f"{path} has no {what}; download it again")


def _not_as_published(path: epath.Path, wanted: str, error: Exception) -> UserError:
    return UserError(f"{path} is not {wanted}: {type(error).__name__}; download it again")
