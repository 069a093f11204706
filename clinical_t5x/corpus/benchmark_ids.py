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
import re
from typing import Any

from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.corpus import sources

BENCHMARKS = MEDNLI, RADQA, CLIP = ("mednli", "radqa", "clip")
_PROJECTS = {
    MEDNLI: ("mednli", "1.0.0"),
    RADQA: ("radqa", "1.0.0"),
    CLIP: ("mimic-iii-clinical-action", "1.0.0"),
}
_PROBES = {MEDNLI: "mli_train_v1.jsonl", RADQA: "train.json", CLIP: "sentence_level.csv"}
# MedNLI's second test set, of BioNLP 2019, whose premises are sentences of other notes.
_SHARED_TASK = ("mednli-bionlp19", "1.0.1", "mednli_bionlp19_shared_task.jsonl")
# Our names of the splits, and theirs.
_SPLITS = {
    MEDNLI: {"train": "train", "validation": "dev", "test": "test"},
    RADQA: {"train": "train", "validation": "dev", "test": "test"},
    CLIP: {"train": "train", "validation": "val", "test": "test"},
}

# A list of strings in single quotes, none of which holds a quote or a backslash.
_PLAIN_LIST = re.compile(r"\['[^'\\]*'(?:, '[^'\\]*')*\]")


def present(physionet: epath.Path, benchmark: str) -> bool:
    """Whether a benchmark was downloaded."""
    return sources.find(physionet, *_PROJECTS[benchmark], _PROBES[benchmark]) is not None


def files(physionet: epath.Path) -> list[tuple[str, epath.Path]]:
    """Label and path of every file that is read here, of the benchmarks that are there."""
    names = {
        MEDNLI: [f"mli_{split}_v1.jsonl" for split in _SPLITS[MEDNLI].values()],
        RADQA: [f"{split}.json" for split in _SPLITS[RADQA].values()],
        CLIP: ["sentence_level.csv", *(f"{split}_ids.csv" for split in _SPLITS[CLIP].values())],
    }
    found = [
        (
            "/".join((*_PROJECTS[benchmark], name)),
            sources.require(physionet, *_PROJECTS[benchmark], name),
        )
        for benchmark in BENCHMARKS
        if present(physionet, benchmark)
        for name in names[benchmark]
    ]
    shared = sources.find(physionet, *_SHARED_TASK)
    if shared is not None and present(physionet, MEDNLI):
        found.append(("/".join(_SHARED_TASK), shared))
    return found


def note_ids(physionet: epath.Path, benchmark: str) -> set[str]:
    """ROW_IDs of the MIMIC-III notes that RadQA or CLIP was made from."""
    if benchmark == RADQA:
        articles = [article for split in _SPLITS[RADQA] for article in _radqa(physionet, split)]
        return {_row_id(article["title"], physionet, RADQA) for article in articles}
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
    sentences = _clip_sentences(physionet)
    return {
        split: _unique("\n".join(sentences[note]) for note in notes if note in sentences)
        for split, notes in _clip_splits(physionet).items()
    }


def _unique(values: Any) -> list[str]:
    return list(dict.fromkeys(values))


def _mednli(physionet: epath.Path, split: str) -> list[dict[str, str]]:
    """The pairs of a split; the test split has those of the second test set too."""
    path = sources.require(physionet, *_PROJECTS[MEDNLI], f"mli_{_SPLITS[MEDNLI][split]}_v1.jsonl")
    shared = sources.find(physionet, *_SHARED_TASK) if split == "test" else None
    return _pairs(path) + (_pairs(shared) if shared is not None else [])


def _pairs(path: epath.Path) -> list[dict[str, str]]:
    try:
        # JSON lines end at \n alone; str.splitlines would also cut at U+2028 inside a string.
        records = [json.loads(line) for line in path.read_text().split("\n") if line.strip()]
        return [
            {"sentence1": str(record["sentence1"]), "sentence2": str(record["sentence2"])}
            for record in records
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise _not_as_published(path, "JSON lines with sentence1 and sentence2", error) from error


def _radqa(physionet: epath.Path, split: str) -> list[dict[str, Any]]:
    path = sources.require(physionet, *_PROJECTS[RADQA], f"{_SPLITS[RADQA][split]}.json")
    try:
        return [
            {
                "title": article["title"],
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
    except (ValueError, KeyError, TypeError) as error:
        raise _not_as_published(path, "SQuAD's layout (data[].title, paragraphs)", error) from error


def _clip_sentences(physionet: epath.Path) -> dict[str, list[str]]:
    """CLIP's sentences by document, tokens joined by one blank."""
    path = sources.require(physionet, *_PROJECTS[CLIP], _PROBES[CLIP])
    return _parsed_clip_sentences(physionet, path, path.read_text())


@functools.lru_cache(maxsize=1)  # asked for ids, then for texts
def _parsed_clip_sentences(
    physionet: epath.Path, path: epath.Path, content: str
) -> dict[str, list[str]]:
    rows = csv.reader(io.StringIO(content, newline=""))
    names = next(rows, [])
    documents = collections.defaultdict(list)
    try:
        document, sentence = names.index("doc_id"), names.index("sentence")
        for row in filter(None, rows):
            tokens = _tokens(row[sentence])
            documents[_row_id(row[document], physionet, CLIP)].append(" ".join(tokens))
    except (ValueError, IndexError, TypeError, SyntaxError) as error:
        found = ", ".join(names)
        wanted = f"a table of doc_id and sentence (columns found: {found})"
        raise _not_as_published(path, wanted, error) from error
    return documents


def _tokens(cell: str) -> list[str]:
    """The strings of a Python list literal; quickly where none has an escape or a double quote."""
    if _PLAIN_LIST.fullmatch(cell):
        return cell[2:-2].split("', '")
    return [str(token) for token in ast.literal_eval(cell)]


def _clip_splits(physionet: epath.Path) -> dict[str, set[str]]:
    notes = {}
    for split, name in _SPLITS[CLIP].items():
        path = sources.require(physionet, *_PROJECTS[CLIP], f"{name}_ids.csv")
        notes[split] = {_row_id(line, physionet, CLIP) for line in path.read_text().split()}
    return notes


@functools.lru_cache(maxsize=1 << 14)
def _row_id(value: object, physionet: epath.Path, benchmark: str) -> str:
    """An id as NOTEEVENTS writes it: they come as 123, "123" and "123.0"."""
    try:
        return str(int(float(str(value))))
    except ValueError as error:
        raise UserError(
            f"{benchmark} under {physionet} names a note whose id is no NOTEEVENTS ROW_ID; "
            "download the benchmark again"
        ) from error


def _not_as_published(path: epath.Path, wanted: str, error: Exception) -> UserError:
    return UserError(f"{path} is not {wanted}: {type(error).__name__}; download it again")
