"""Which notes the benchmarks were made from: ids and premises only, their records are data's."""

from __future__ import annotations

import csv
import io
import json

from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.corpus import sources

_SPLIT_FILES = ("train", "dev", "test")


def radqa_note_ids(physionet: epath.Path) -> set[str] | None:
    """ROW_IDs of the MIMIC-III reports that RadQA asks about, or None when it is not there."""
    if sources.find(physionet, "radqa", "1.0.0", "train.json") is None:
        return None
    titles = set()
    for split in _SPLIT_FILES:
        path = sources.require(physionet, "radqa", "1.0.0", f"{split}.json")
        try:
            titles |= {
                _integer(article["title"]) for article in json.loads(path.read_text())["data"]
            }
        except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{path} is not RadQA's SQuAD layout (data[].title with a NOTEEVENTS ROW_ID): "
                f"{type(error).__name__}; download it again"
            ) from error
    return titles


def clip_note_ids(physionet: epath.Path) -> set[str] | None:
    """ROW_IDs of the MIMIC-III discharge summaries that CLIP labels, or None."""
    slug, version = "mimic-iii-clinical-action", "1.0.0"
    path = sources.find(physionet, slug, version, "sentence_level.csv")
    if path is None:
        return None
    rows = csv.DictReader(io.StringIO(path.read_text(), newline=""))
    if "doc_id" not in (rows.fieldnames or []):
        raise UserError(
            f"{path} has no column 'doc_id'; columns found: {', '.join(rows.fieldnames or [])}; "
            "download it again"
        )
    documents = {_integer(row["doc_id"]) for row in rows}
    for split in ("train", "val", "test"):
        ids = sources.find(physionet, slug, version, f"{split}_ids.csv")
        if ids is not None:
            documents |= {_integer(line) for line in ids.read_text().split()}
    return documents


def mednli_premises(physionet: epath.Path) -> list[str] | None:
    """MedNLI's premises (unique, sorted), or None when it is not there."""
    slug, version = "mednli", "1.0.0"
    if sources.find(physionet, slug, version, "mli_train_v1.jsonl") is None:
        return None
    premises = set()
    for split in _SPLIT_FILES:
        path = sources.require(physionet, slug, version, f"mli_{split}_v1.jsonl")
        try:
            lines = path.read_text().splitlines()
            premises |= {json.loads(line)["sentence1"] for line in lines if line.strip()}
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise UserError(
                f"{path} is not MedNLI's JSON lines (with a field sentence1): "
                f"{type(error).__name__}; download it again"
            ) from error
    return sorted(premises)


def _integer(value: object) -> str:
    """An id as NOTEEVENTS writes it: titles come as 123, "123" or "123.0"."""
    return str(int(float(str(value))))
