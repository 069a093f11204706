"""Builds the synthetic PhysioNet: blocks of several processes, joined in order, all or nothing."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clinical_t5x.console import Progress, UserError
from clinical_t5x.processes import ordered_map
from clinical_t5x.storage import completion, is_complete, stage_directory
from clinical_t5x.synthetic import block, mednli, notices, rows, sizes
from clinical_t5x.synthetic.clip import LABELS
from clinical_t5x.synthetic.deflate import GzipWriter

GENERATOR_VERSION = "1.1"
DIRECTORY = "physionet.org"
_TRUTH = "synthetic_truth"
_FILE_OF_SPLIT = {"train": "train", "validation": "dev", "test": "test"}


def made_from(patients: int, seed: int) -> dict[str, Any]:
    """What decides every byte of the result; the number of processes is not in it."""
    return {"generator": GENERATOR_VERSION, "patients": patients, "seed": seed}


def is_there(out: Path, patients: int, seed: int) -> bool:
    """Whether `out` already holds exactly this synthetic PhysioNet, complete."""
    return is_complete(out / DIRECTORY, made_from(patients, seed))


def build(out: Path, patients: int, seed: int, workers: int) -> dict[str, Any]:
    """Write DIR/physionet.org, or leave nothing that looks like it.

    Args:
        out: the directory that will hold `physionet.org`.
        patients: number of MIMIC-III patients, at least sizes.MINIMUM_PATIENTS.
        seed: decides everything that is drawn.
        workers: processes that write blocks; the result does not depend on it.

    Returns:
        Counts of what was made.

    Raises:
        UserError: `out` cannot be written, or holds a physionet.org that was not made here.
    """
    target = out / DIRECTORY
    if target.exists() and completion(target) is None:
        raise UserError(
            f"{target} exists and is not a complete synthetic PhysioNet; it may hold real data. "
            "Choose another --out, or remove it."
        )
    try:
        with stage_directory(target, made_from(patients, seed)) as partial:
            return _fill(Path(partial), patients, seed, workers)
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise UserError(
            f"cannot write to {out}: {error.strerror}. Choose another --out."
        ) from error


def _fill(root: Path, patients: int, seed: int, workers: int) -> dict[str, Any]:
    plan = sizes.plan(patients)
    with ordered_map(workers) as run:
        jobs = _jobs(patients, seed, plan, run)
        counts, records = _write_notes(root, jobs, run)
    counts |= {"noteevents_rows": jobs[-1].rows_before + block.count(jobs[-1])[0]}
    counts |= {"patients": patients}
    counts |= _write_mednli(root / "files/mednli/1.0.0", records["mednli"])
    counts |= _write_bionlp19(
        root / "files/mednli-bionlp19/1.0.1", records["bionlp19"][: plan.shared_premises]
    )
    counts |= _write_radqa(root / "files/radqa/1.0.0", records["radqa"])
    counts |= _write_clip(root / "files/mimic-iii-clinical-action/1.0.0", records["clip"])
    _write_notices(root, patients, seed)
    return counts


def _jobs(patients: int, seed: int, plan: sizes.Plan, run: Callable) -> list[block.Job]:
    """All blocks, each with the number of rows and admissions that stand before it."""
    starts = range(0, patients, block.PATIENTS_A_BLOCK)
    bare = [
        block.Job(seed, plan, first, min(first + block.PATIENTS_A_BLOCK, patients))
        for first in starts
    ]
    counted = list(run(block.count, bare))
    visits_in_all = sum(visits for _, visits in counted)
    jobs, row, visit = [], 0, 0
    for job, (made_rows, made_visits) in zip(bare, counted, strict=True):
        jobs.append(block.Job(seed, plan, job.first, job.last, row, visit, visits_in_all))
        row, visit = row + made_rows, visit + made_visits
    return jobs


def _path_of(root: Path, name: str) -> Path:
    return root / (_TRUTH if name in rows.TRUTH else "files") / name


def _write_notes(
    root: Path, jobs: list[block.Job], run: Callable
) -> tuple[dict[str, int], dict[str, list]]:
    """Write the csv.gz files; returns counts and the benchmarks' records."""
    records: dict[str, list] = {"mednli": [], "radqa": [], "clip": [], "bionlp19": []}
    notes = 0
    with contextlib.ExitStack() as stack:
        files = {}
        for name, header in rows.HEADERS.items():
            path = _path_of(root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            raw = stack.enter_context(path.open("wb"))
            files[name] = GzipWriter(raw, name=path.name.removesuffix(".gz"), comment=notices.SHORT)
            files[name].write(header.encode())
        with Progress("synthetic PhysioNet", total=jobs[-1].last, unit="patients") as progress:
            for job, made in zip(jobs, run(block.make, jobs), strict=True):
                for name, part in made.files.items():
                    files[name].append(part)
                for benchmark, split, rank, record in made.records:
                    records[benchmark].append((split, rank, record))
                notes += made.notes
                progress.advance(job.last - job.first, note=f"{notes:,} notes")
        for file in files.values():
            file.finish()
    for members in records.values():
        members.sort(key=lambda member: member[:2])
    return {"notes": notes}, records


# --- benchmarks ---------------------------------------------------------------------------------


def _by_split(records: list) -> dict[str, list]:
    """Records in order, by split; every split is there, if empty."""
    splits: dict[str, list] = {split: [] for split in sizes.SPLITS}
    for split, rank, record in records:
        splits[split].append((rank, record))
    return splits


def _write_mednli(directory: Path, records: list) -> dict[str, int]:
    directory.mkdir(parents=True)
    pairs = 0
    for split, members in _by_split(records).items():
        lines = []
        for rank, (_, premise, hypotheses) in members:
            stem = mednli.premise_id(split, rank)
            for place, (hypothesis, label) in enumerate(hypotheses):
                lines.append(mednli.record(f"{stem}-{place}", premise, hypothesis, label))
        pairs += len(lines)
        name = f"mli_{_FILE_OF_SPLIT[split]}_v1.jsonl"
        (directory / name).write_text("".join(f"{line}\n" for line in lines))
    return {"mednli_pairs": pairs}


def _write_bionlp19(directory: Path, records: list) -> dict[str, int]:
    """The shared task's test set: pairs without labels, and the labels in a table of their own."""
    directory.mkdir(parents=True)
    lines, labels = [], ["pair_id,label"]
    for number, (_, _, (_, premise, hypotheses)) in enumerate(records):
        stem = mednli.premise_id("bionlp19", number)
        for place, (hypothesis, label) in enumerate(hypotheses):
            lines.append(mednli.record(f"{stem}-{place}", premise, hypothesis, None))
            labels.append(f"{stem}-{place},{label}")
    name = "mednli_bionlp19_shared_task"
    (directory / f"{name}.jsonl").write_text("".join(f"{line}\n" for line in lines))
    (directory / f"{name}_ground_truth.csv").write_text("".join(f"{line}\n" for line in labels))
    return {"bionlp19_pairs": len(lines)}


def _write_radqa(directory: Path, records: list) -> dict[str, int]:
    directory.mkdir(parents=True)
    asked = 0
    for split, members in _by_split(records).items():
        data = []
        for _, (row_id, findings, impression, questions) in members:
            paragraphs = []
            for letter, name, section in (
                ("F", "findings", findings),
                ("I", "impression", impression),
            ):
                entries = [
                    {
                        "id": f"synthetic-{row_id}-{letter}-{number}",
                        "question": question["question"],
                        "answers": question[name],
                        "is_impossible": not question[name],
                    }
                    for number, question in enumerate(questions, 1)
                ]
                asked += len(entries)
                paragraphs.append(
                    {"document_id": f"{row_id}_{letter}", "context": section, "qas": entries}
                )
            data.append({"title": str(row_id), "paragraphs": paragraphs})
        content = {"version": "synthetic-1.0", "data": data}
        (directory / f"{_FILE_OF_SPLIT[split]}.json").write_text(json.dumps(content))
    return {"radqa_questions": asked}


def _write_clip(directory: Path, records: list) -> dict[str, int]:
    directory.mkdir(parents=True)
    sheet = io.StringIO(newline="")
    writer = csv.writer(sheet, lineterminator="\n")
    writer.writerow(["doc_id", "sent_index", "sentence", "labels"])
    sentences = 0
    names = {"train": "train_ids.csv", "validation": "val_ids.csv", "test": "test_ids.csv"}
    for split, members in _by_split(records).items():
        (directory / names[split]).write_text("".join(f"{record[0]}\n" for _, record in members))
        for _, (row_id, document) in members:
            for place, (tokens, labels) in enumerate(document):
                writer.writerow([row_id, place, str(tokens), str([f"I-{name}" for name in labels])])
            sentences += len(document)
    (directory / "sentence_level.csv").write_text(sheet.getvalue())
    kinds = "".join(f"  I-{label}\n" for label in LABELS.values())
    (directory / "README").write_text(f"{notices.SHORT}.\n\nLabels of sentence_level.csv:\n{kinds}")
    return {"clip_sentences": sentences}


def _write_notices(root: Path, patients: int, seed: int) -> None:
    """A SYNTHETIC.txt in every directory."""
    for directory in [root, *(path for path in sorted(root.rglob("*")) if path.is_dir())]:
        names = [path.name for path in directory.iterdir() if path.is_file()]
        inside = directory.relative_to(root)
        key = "truth" if inside.name == _TRUTH else "/".join(inside.parts[1:])
        text = notices.notice(key, names, patients=patients, seed=seed)
        (directory / "SYNTHETIC.txt").write_text(text)
