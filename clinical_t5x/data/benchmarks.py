"""The benchmarks' files as records: pure readers, each checking what its format promises.

Formats: as the PhysioNet projects publish them. Nothing here needs TensorFlow; the TFDS builders,
counts and tests all read through these functions. Records are dicts of plain values, described in
docs/data.md.
"""

from __future__ import annotations

import ast
import csv
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.corpus.deid_tags import TAG_PATTERN
from clinical_t5x.corpus.sources import candidates, find, is_synthetic, require

Record = dict[str, Any]
SPLITS = ("train", "validation", "test")

MEDNLI_LABELS = ("entailment", "neutral", "contradiction")
CLIP_LABELS = (
    "Appointment-related followup",
    "Case-specific instructions for patient",
    "Imaging-related followup",
    "Lab-related followup",
    "Medication-related followups",
    "Other helpful contextual information",
    "Procedure-related followup",
)
# A word costs at least one token, so that inputs of up to so many tokens can be filled wherever the
# note has words. A de-identification tag is one word here, as it becomes one token.
CLIP_CONTEXT_WORDS = 512

# PhysioNet project, version and files (split -> file; None for what all splits share).
FILES: Mapping[str, tuple[str, str, Mapping[str | None, str]]] = {
    "mednli": (
        "mednli",
        "1.0.0",
        {
            "train": "mli_train_v1.jsonl",
            "validation": "mli_dev_v1.jsonl",
            "test": "mli_test_v1.jsonl",
        },
    ),
    "radqa": (
        "radqa",
        "1.0.0",
        {"train": "train.json", "validation": "dev.json", "test": "test.json"},
    ),
    "clip": (
        "mimic-iii-clinical-action",
        "1.0.0",
        {
            None: "sentence_level.csv",
            "train": "train_ids.csv",
            "validation": "val_ids.csv",
            "test": "test_ids.csv",
        },
    ),
    "mednli_bionlp19": (
        "mednli-bionlp19",
        "1.0.1",
        {
            None: "mednli_bionlp19_shared_task_ground_truth.csv",
            "test": "mednli_bionlp19_shared_task.jsonl",
        },
    ),
}

# How much each split of these releases holds: examples, of CLIP documents.
_PUBLISHED: Mapping[str, Mapping[str, int]] = {
    "mednli": {"train": 11_232, "validation": 1_395, "test": 1_422},
    "radqa": {"train": 4_878, "validation": 656, "test": 614},
    "clip": {"train": 518, "validation": 100, "test": 100},
    "mednli_bionlp19": {"test": 405},
}


def is_present(benchmark: str, physionet: epath.Path) -> bool:
    """Whether any file of a benchmark is there.

    Raises:
      UserError: only another release of it is there.
    """
    slug, version, files = FILES[benchmark]
    if any(find(physionet, slug, version, file) for file in files.values()):
        return True
    for file in files.values():
        for place in candidates(physionet, slug, version, file):
            project = place.parent.parent
            found = sorted(folder.name for folder in project.glob("*") if (folder / file).exists())
            if found:
                raise UserError(
                    f"{project} holds release {', '.join(found)} of {slug}; this program reads"
                    f" {version}: get it from https://physionet.org/files/{slug}/{version}/, or"
                    " move the folder away to go on without the benchmark"
                )
    return False


def files_of(benchmark: str, physionet: epath.Path) -> dict[str | None, epath.Path]:
    """The benchmark's files by split (None: shared); UserError when one is missing."""
    slug, version, files = FILES[benchmark]
    return {split: require(physionet, slug, version, file) for split, file in files.items()}


def read(benchmark: str, physionet: epath.Path) -> dict[str, list[Record]]:
    """All records of a benchmark by split, with ids unique over the splits.

    Args:
      benchmark: a key of FILES.
      physionet: directory with the PhysioNet files.

    Raises:
      UserError: a missing file, a wrong field or value, ids twice or not joining, splits mixed up.
    """
    files = files_of(benchmark, physionet)
    records = _READERS[benchmark](files)
    _check_ids(records, files)
    _check_sizes(benchmark, records, files)
    return records


def _check_ids(records: Mapping[str, list[Record]], files: Mapping[str | None, epath.Path]) -> None:
    """Refuse ids that stand twice, in one split or in two."""
    seen: dict[str, str] = {}
    for split, found in records.items():
        shared = {record["id"] for record in found} & seen.keys()
        mixed = f" (as {len(shared):,} of its {len(found):,} do): the splits are mixed up"
        for record in found:
            if record["id"] in seen:
                raise UserError(
                    f"{files[split]}: the id {record['id']!r} stands twice, first in"
                    f" {files[seen[record['id']]]}{mixed if shared else ''};"
                    " download the benchmark again"
                )
            seen[record["id"]] = split


def _check_sizes(
    benchmark: str, records: Mapping[str, list[Record]], files: Mapping[str | None, epath.Path]
) -> None:
    """Refuse splits that changed places, and files that are not the published ones."""
    what = "documents" if benchmark == "clip" else "examples"
    key = "unit" if benchmark == "clip" else "id"
    sizes = {split: len({record[key] for record in found}) for split, found in records.items()}
    cure = "download the benchmark again, each file under its own name"
    for split, size in sizes.items():
        # Training splits are at least five times as large; a handful of synthetic ones, by chance,
        # a little smaller.
        if size > 2 * sizes.get("train", size):
            raise UserError(
                f"{files['train']} has {sizes['train']:,} {what}, fewer than {files[split]} with"
                f" {size:,}: the splits are mixed up; {cure}"
            )
    if any(map(is_synthetic, files.values())):
        return  # of any size
    _, version, _ = FILES[benchmark]
    for split, published in _PUBLISHED[benchmark].items():
        if sizes[split] != published:
            others = [s for s, n in _PUBLISHED[benchmark].items() if n == sizes[split]]
            like = f", as many as its {others[0]} split" if others else ""
            raise UserError(
                f"{files[split]} gives {sizes[split]:,} {what}{like}; the {split} split of release"
                f" {version} has {published:,}: {cure}"
            )


def unit_of_text(text: str) -> str:
    """A short name for a text that groups what shares it: 16 hex digits of its SHA-256."""
    return hashlib.sha256(" ".join(text.split()).encode("utf-8")).hexdigest()[:16]


def read_mednli(path: epath.Path) -> list[Record]:
    """Premise, hypothesis and label of every line of a MedNLI file.

    The unit is the premise: usually three hypotheses share one.
    """
    return [
        _pair(item, _mednli_label(_field(item, "gold_label", str, place), place), place)
        for item, place in _json_lines(path)
    ]


def read_bionlp19(pairs: epath.Path, labels: epath.Path) -> list[Record]:
    """MedNLI's test set of the BioNLP 2019 shared task, whose labels stand in a file of their own.

    Args:
      pairs: lines as MedNLI's, without gold_label.
      labels: a table of pair id and label, with a line of column names or without.
    """
    gold: dict[str, str] = {}
    rows = csv.reader(io.StringIO(labels.read_text(), newline=""))
    for row in rows:
        place = f"{labels}, line {rows.line_num}"
        if not row or (rows.line_num == 1 and row[-1].strip() not in MEDNLI_LABELS):
            continue
        if len(row) != 2:
            raise UserError(f"{place}: {len(row)} columns; expected pair id and label")
        pair_id = row[0].strip()
        if pair_id in gold:
            raise UserError(f"{place}: the id {pair_id!r} stands twice; download it again")
        gold[pair_id] = _mednli_label(row[1].strip(), place)
    records = []
    for item, place in _json_lines(pairs):
        pair_id = _field(item, "pairID", str, place)
        if pair_id not in gold:
            raise UserError(
                f"{place}: the pair {pair_id!r} has no label in {labels}; the files are of"
                " different releases: download both again"
            )
        records.append(_pair(item, gold[pair_id], place))
    left = len(gold.keys() - {record["id"] for record in records})
    if left:
        raise UserError(
            f"{labels} has {left:,} labels of pairs that are not in {pairs}; the files are of"
            " different releases: download both again"
        )
    return records


def _json_lines(path: epath.Path) -> Iterator[tuple[Any, str]]:
    """The JSON value of every line, and where it stands."""
    for number, line in enumerate(path.read_text().split("\n"), start=1):
        place = f"{path}, line {number}"
        try:
            if line.strip():
                yield json.loads(line), place
        except json.JSONDecodeError as error:
            raise UserError(f"{place}: not JSON ({error.msg}); download it again") from error


def _mednli_label(label: str, place: str) -> str:
    if label not in MEDNLI_LABELS:
        raise UserError(
            f"{place}: gold_label is {label!r}; it must be one of {', '.join(MEDNLI_LABELS)}"
        )
    return label


def _pair(item: Any, label: str, place: str) -> Record:
    premise = _field(item, "sentence1", str, place)
    return {
        "id": _field(item, "pairID", str, place),
        "unit": unit_of_text(premise),
        "premise": premise,
        "hypothesis": _field(item, "sentence2", str, place),
        "label": label,
    }


def read_radqa(path: epath.Path) -> list[Record]:
    """Question, context and answers of every pair of a RadQA file (SQuAD 2.0 layout).

    The unit is the context: several questions share one.
    """
    try:
        content = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path}, line {error.lineno}: not JSON ({error.msg}); download it again"
        ) from error
    return [
        _question(question, context, title, place)
        for title, context, question, place in _questions(content, str(path))
    ]


def _questions(content: Any, path: str) -> Iterator[tuple[str, str, Any, str]]:
    for a, article in enumerate(_field(content, "data", list, path)):
        where = f"{path}, data[{a}]"
        title = str(_field(article, "title", (str, int), where))
        for p, paragraph in enumerate(_field(article, "paragraphs", list, where)):
            place = f"{where}.paragraphs[{p}]"
            context = _field(paragraph, "context", str, place)
            for q, question in enumerate(_field(paragraph, "qas", list, place)):
                yield title, context, question, f"{place}.qas[{q}]"


def _question(item: Any, context: str, title: str, place: str) -> Record:
    impossible = _field(item, "is_impossible", bool, place, default=False)
    answers, starts = [], []
    for k, answer in enumerate(_field(item, "answers", list, place)):
        where = f"{place}.answers[{k}]"
        text = _field(answer, "text", str, where)
        start = _field(answer, "answer_start", int, where)
        if context[start : start + len(text)] != text:
            raise UserError(
                f"{where}: the context at answer_start {start} does not read as the answer's text;"
                " the file was changed after the download"
            )
        answers.append(text)
        starts.append(start)
    if impossible == bool(answers):
        state = "impossible and has answers" if impossible else "answerable and has no answer"
        raise UserError(f"{place}: the question is {state}")
    return {
        "id": str(_field(item, "id", (str, int), place)),
        "unit": unit_of_text(f"{title} {context}"),
        "title": title,
        "question": _field(item, "question", str, place),
        "context": context,
        "answers": answers,
        "answer_starts": starts,
        "is_impossible": impossible,
    }


def read_clip(sentences: epath.Path, ids: Mapping[str, epath.Path]) -> dict[str, list[Record]]:
    """Sentences with context and labels, by split.

    The unit is the document: a discharge summary. Contexts are the document's neighbouring
    sentences, up to 512 words on each side; a de-identification tag is one word and never cut.

    Args:
      sentences: sentence_level.csv.
      ids: the file of document ids of every split.
    """
    documents = _clip_documents(sentences)
    records: dict[str, list[Record]] = {}
    taken: dict[str, epath.Path] = {}
    for split, path in ids.items():
        records[split] = []
        for number, line in enumerate(path.read_text().split("\n"), start=1):
            if not line.strip():
                continue
            document = _integer_id(line)
            if document not in documents:
                raise UserError(
                    f"{path}, line {number}: the document {line.strip()!r} has no sentence in"
                    f" {sentences}; the files are of different releases"
                )
            if document in taken:
                raise UserError(
                    f"{path}, line {number}: the document {line.strip()!r} stands also in"
                    f" {taken[document]}"
                )
            taken[document] = path
            records[split] += _with_context(document, documents[document])
    left = documents.keys() - taken.keys()
    if left:
        raise UserError(
            f"{len(left):,} documents of {sentences}, such as {min(left)!r}, are in none of"
            f" {', '.join(path.name for path in ids.values())}; the files are of different"
            " releases: download them again"
        )
    return records


def _clip_documents(path: epath.Path) -> dict[str, list[Record]]:
    """The sentences of every document in order, without contexts."""
    rows = csv.DictReader(io.StringIO(path.read_text(), newline=""))
    missing = {"doc_id", "sent_index", "sentence", "labels"} - set(rows.fieldnames or [])
    if missing:
        raise UserError(
            f"{path} has no column {', '.join(sorted(missing))}; it has"
            f" {', '.join(rows.fieldnames or ['none'])}"
        )
    documents: dict[str, list[Record]] = {}
    for row in rows:
        place = f"{path}, line {rows.line_num}"
        words = _literal_strings(row["sentence"], f"{place}, column sentence")
        labels = _literal_strings(row["labels"], f"{place}, column labels")
        try:
            index = int(float(row["sent_index"]))
        except (TypeError, ValueError):
            raise UserError(f"{place}: sent_index is {row['sent_index']!r}, not a number") from None
        documents.setdefault(_integer_id(row["doc_id"]), []).append(
            {
                "sent_index": index,
                "sentence": " ".join(words),
                "labels": _clip_labels(labels, place),
            }
        )
    for document, found in documents.items():
        found.sort(key=lambda sentence: sentence["sent_index"])
        indices = [sentence["sent_index"] for sentence in found]
        if len(set(indices)) < len(indices):
            raise UserError(f"{path}: the document {document} has a sent_index twice")
    return documents


def _clip_labels(labels: list[str], place: str) -> list[str]:
    names = sorted({label.removeprefix("I-") for label in labels})
    unknown = [name for name in names if name not in CLIP_LABELS]
    if unknown:
        raise UserError(f"{place}, column labels: unknown label {unknown[0]!r}")
    return names


def _with_context(document: str, sentences: list[Record]) -> Iterator[Record]:
    """Records of a document's sentences, each with the words before and after it."""
    words: list[str] = []
    ends = []
    for sentence in sentences:
        words += _words_and_tags(sentence["sentence"])
        ends.append(len(words))
    start = 0
    for sentence, end in zip(sentences, ends, strict=True):
        yield {
            "id": f"{document}/{sentence['sent_index']}",
            "unit": document,
            **sentence,
            "context_before": " ".join(words[max(0, start - CLIP_CONTEXT_WORDS) : start]),
            "context_after": " ".join(words[end : end + CLIP_CONTEXT_WORDS]),
        }
        start = end


def _words_and_tags(sentence: str) -> list[str]:
    """The words of a sentence, those of one de-identification tag together."""
    tags = [match.span() for match in re.finditer(TAG_PATTERN, sentence)]
    words: list[str] = []
    blank = -1  # where the blank before the next word stands
    for word in sentence.split(" "):
        if any(start <= blank < stop for start, stop in tags):
            words[-1] += f" {word}"
        else:
            words.append(word)
        blank += len(word) + 1
    return words


def _integer_id(text: Any) -> str:
    """An id as NOTEEVENTS writes it: some files have 123.0 for 123."""
    text = str(text).strip()
    return text.removesuffix(".0")


def _literal_strings(cell: str | None, place: str) -> list[str]:
    """The strings of a cell that holds a Python or JSON list, parsed, never run."""
    try:
        value = ast.literal_eval(cell or "")
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        value = None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise UserError(f"{place}: the cell is not a list of strings")
    return value


def _field(item: Any, name: str, kind: Any, place: str, *, default: Any = None) -> Any:
    """A field of a JSON object, of the right type."""
    if not isinstance(item, dict) or (name not in item and default is None):
        found = ", ".join(item) if isinstance(item, dict) else type(item).__name__
        raise UserError(f"{place}: there is no field {name!r} (found: {found})")
    value = item.get(name, default)
    wrong_bool = isinstance(value, bool) and kind is not bool
    if not isinstance(value, kind) or wrong_bool:
        raise UserError(f"{place}: the field {name!r} is a {type(value).__name__}")
    return value


def _by_split(reader: Callable[[epath.Path], list[Record]]) -> Callable:
    return lambda files: {split: reader(files[split]) for split in SPLITS}


def _read_clip_files(files: Mapping[str | None, epath.Path]) -> dict[str, list[Record]]:
    return read_clip(files[None], {split: files[split] for split in SPLITS})


_READERS: Mapping[str, Callable] = {
    "mednli": _by_split(read_mednli),
    "radqa": _by_split(read_radqa),
    "clip": _read_clip_files,
    "mednli_bionlp19": lambda files: {"test": read_bionlp19(files["test"], files[None])},
}
