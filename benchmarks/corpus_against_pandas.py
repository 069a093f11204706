"""Our corpus preparation against its peer in pandas: time, memory, and whether they agree.

    python benchmarks/corpus_against_pandas.py --physionet DIR [--rows N] [--work DIR] [--rounds N]
    python benchmarks/corpus_against_pandas.py --physionet DIR --authors CHECKOUT

Both prepare the same first N rows of MIMIC-III's NOTEEVENTS, one after the other in fresh processes,
ours with `paper=True`, which makes the rules the same: rows marked as errors, repeats and MedNLI's
patients stay (MedNLI is left out altogether). Ours runs twice:

- the paper's stages: the patients of RadQA and CLIP come from a list, as the authors' scripts and
  the peer have them. Ours also checks and hashes the files, splits by patient, and writes a manifest
  and a report meanwhile;
- everything: it finds those patients itself, and proves what it left out: every n-gram of RadQA and
  CLIP is looked up in all notes and, again, in all documents.

Then the results are compared:

- the same ROW_IDs survive the draft rule and the removal of RadQA's and CLIP's patients, but for rows
  that ours cannot use (empty text, no id or patient) and drafts of the same note as one of those;
- texts are the same, white space aside, wherever both find the same tags and map their kinds alike.

With `--authors`, a checkout of github.com/elehman16/do-we-still-need-clinical-lms (350f9e4), the two
of the authors' scripts that run on MIMIC-III alone are timed, too (they need tqdm).

Needs pandas (for the peer, `benchmarks/corpus_pandas.py`).
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import gzip
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import corpus_pandas as peer
import pandas as pd

NOTES = "mimiciii/1.4/NOTEEVENTS.csv.gz"
BENCHMARKS = ("radqa", "mimic-iii-clinical-action")
# Reasons of the rules that both have; rows that ours drops for another cannot be used.
SHARED_REASONS = (
    "earlier draft of a note", "person of radqa", "person of clip", "person of list patients.txt",
)  # fmt: skip


def main() -> None:
    options = _parser().parse_args()
    if options.compare:
        compare(options.physionet, options.work / "peer" / "patients.csv", options.work / "ours")
        return
    with tempfile.TemporaryDirectory() as scratch:
        work = options.work or Path(scratch)
        work.mkdir(parents=True, exist_ok=True)
        root, rows = first_rows(options.physionet, options.rows, work)
        print(f"{rows:,} rows of NOTEEVENTS")
        notes_alone, patients = patients_of(root, work)
        if options.authors:
            time_authors(options.authors, root, work)
        ratios = [one_round(root, notes_alone, patients, work) for _ in range(options.rounds)]
    for name in ratios[0]:
        found = sorted(ratio[name] for ratio in ratios)
        each = ", ".join(f"{ratio:.1f}" for ratio in found)
        print(f"{name}: ours is {statistics.median(found):.1f} times as fast as pandas ({each})")


def one_round(root: Path, notes_alone: Path, patients: Path, work: Path) -> dict[str, float]:
    """How many times as fast as the peer ours is, with the paper's stages and with everything."""
    command = [peer.__file__, f"--physionet={root}", f"--patients={patients}"]
    theirs = measured("pandas", [*command, f"--out={work / 'peer'}"])
    kinds = {
        "the paper's stages": [f"--physionet={notes_alone}", f"--patients={patients}"],
        "everything": [f"--physionet={root}"],
    }
    ratios = {}
    for name, inputs in kinds.items():
        shutil.rmtree(work / "ours", ignore_errors=True)
        command = [str(Path(__file__).with_name("corpus_once.py")), *inputs]
        ours = measured(f"ours, {name}", [*command, f"--out={work / 'ours'}"])
        ratios[name] = theirs[0] / ours[0]
        # In a process of its own: what this one holds would count among its children's memory.
        comparison = [__file__, f"--physionet={root}", f"--work={work}", "--compare"]
        if subprocess.run([sys.executable, *comparison], check=False).returncode:
            raise SystemExit(1)
    return ratios


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--physionet", type=Path, required=True, help="root of the PhysioNet files")
    parser.add_argument(
        "--rows", type=int, default=200_000, help="rows of NOTEEVENTS (%(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=1, help="how often all are run (%(default)s)")
    parser.add_argument("--work", type=Path, help="where results go (default: removed afterwards)")
    parser.add_argument("--compare", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--authors", type=Path, help="a checkout of the authors' scripts")
    return parser


def first_rows(physionet: Path, rows: int | None, work: Path) -> tuple[Path, int]:
    """A PhysioNet root with the first rows of NOTEEVENTS and links to the benchmarks."""
    root = work / "physionet"
    (root / NOTES).parent.mkdir(parents=True, exist_ok=True)
    csv.field_size_limit(1 << 30)
    path = peer.file_of(physionet, NOTES)
    opened = gzip.open if path.name.endswith(".gz") else open
    taken = -1  # the header
    with (
        opened(path, "rt", newline="") as file,
        gzip.open(root / NOTES, "wt", compresslevel=6, newline="") as out,
    ):
        writer = csv.writer(out, quoting=csv.QUOTE_MINIMAL, lineterminator="\n")
        for record in csv.reader(file):
            writer.writerow(record)
            taken += 1
            if taken == rows:
                break
    for benchmark in BENCHMARKS:
        here = peer.file_of(physionet, benchmark)
        with contextlib.suppress(FileExistsError):
            (root / benchmark).symlink_to(here.resolve(), target_is_directory=True)
    return root, taken


def patients_of(root: Path, work: Path) -> tuple[Path, Path]:
    """A root with the notes alone, and a list of the patients of RadQA and CLIP."""
    alone = work / "notes_alone"
    (alone / NOTES).parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        (alone / NOTES).symlink_to((root / NOTES).resolve())
    patients = work / "patients.txt"
    patients.write_text("".join(f"{patient}\n" for patient in peer.benchmark_patients(root)))
    return alone, patients


def time_authors(checkout: Path, root: Path, work: Path) -> None:
    """Time the authors' own scripts for drafts and tags."""
    unpacked = work / "NOTEEVENTS.csv"
    with gzip.open(root / NOTES, "rb") as file, unpacked.open("wb") as out:
        shutil.copyfileobj(file, out)
    scripts = checkout / "preprocessing"
    drafts, tags = work / "authors_drafts.csv", work / "authors_tags.csv"
    command = [str(scripts / "dedup_mimic_iii.py"), f"--notes-path={unpacked}"]
    measured("the authors' drafts", [*command, f"--out-path={drafts}"], checkout)
    command = [str(scripts / "replace_deid_tags.py"), "--type=mimic-iii", f"--input-csv={drafts}"]
    measured("the authors' tags", [*command, f"--output-csv={tags}"], checkout)


def measured(name: str, command: list[str], imports: Path | None = None) -> tuple[float, float]:
    """Run a Python program to its end: seconds and its peak of memory in MB."""
    print(f"-- {name}", flush=True)
    started = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(imports or Path(__file__).parents[1])}
    process = subprocess.Popen([sys.executable, *command], env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    seconds, megabytes = time.perf_counter() - started, usage.ru_maxrss / 1024
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{name} failed")
    print(f"{name}: {seconds:.1f} s in all, {megabytes:.0f} MB", flush=True)
    return seconds, megabytes


def compare(root: Path, corpus: Path, directory: Path) -> None:
    """Check that the peer's corpus and ours agree; exits with 1 if not."""
    notes = pd.read_csv(root / NOTES, low_memory=False)
    theirs = pd.read_csv(corpus, usecols=["ROW_ID", "text"], keep_default_na=False)
    ours = read_ours(directory)
    same = [
        same_rows(notes, set(theirs["ROW_ID"]), set(ours), unusable_rows(directory)),
        same_texts(notes, dict(zip(theirs["ROW_ID"], theirs["text"], strict=True)), ours),
    ]
    manifest = json.loads((directory / "manifest.json").read_text())
    for source, fates in manifest["counts"]["notes"].items():
        listed = ", ".join(f"{count['notes']:,} {fate}" for fate, count in fates.items())
        print(f"ours, {source}: {listed}")
    if not all(same):
        raise SystemExit("the results differ")
    print("The results agree.")


def row_id(document_id: str) -> int | None:
    number = re.fullmatch(r"mimic-iii/(\d+)", document_id)
    return int(number[1]) if number else None


def read_ours(directory: Path) -> dict[int, str]:
    """ROW_ID -> text of our documents."""
    paths = sorted((directory / "documents").glob("*.parquet"))
    documents = pd.concat(
        [pd.read_parquet(path, columns=["document_id", "text"]) for path in paths]
    )
    return dict(zip(map(row_id, documents["document_id"]), documents["text"], strict=True))


def unusable_rows(directory: Path) -> set[int]:
    """ROW_IDs of rows that ours drops by no rule of the paper."""
    dropped = pd.read_parquet(directory / "dropped.parquet")
    dropped = dropped[~dropped["reason"].isin(SHARED_REASONS)]
    for reason, count in dropped["reason"].value_counts().items():
        print(f"only ours drops: {count:,} ({reason})")
    return {row_id(document) for document in dropped["document_id"]} - {None}


def same_rows(notes: pd.DataFrame, theirs: set[int], ours: set[int], unusable: set[int]) -> bool:
    """Whether the same rows survive, but for drafts of the same note as an unusable row."""
    different = (theirs - unusable) ^ ours
    draft_groups = notes.groupby(peer.DRAFT_COLUMNS, dropna=False).ngroup()
    beside = set(draft_groups[notes["ROW_ID"].isin(unusable)])
    groups = dict(zip(notes["ROW_ID"], draft_groups, strict=True))
    unexplained = {row for row in different if groups[row] not in beside}
    print(f"rows: {len(ours):,} ours, {len(theirs):,} the peer's, {len(theirs & ours):,} in both;")
    print(f"  {len(different - unexplained):,} differ as drafts beside an unusable row,")
    print(f"  {len(unexplained):,} for no known reason")
    return not unexplained


def same_texts(notes: pd.DataFrame, theirs: dict[int, str], ours: dict[int, str]) -> bool:
    """Whether texts are the same without their white space where both treat all tags alike."""
    alike = different = otherwise = 0
    for row, text in zip(notes["ROW_ID"], notes["TEXT"], strict=True):
        if row not in theirs or row not in ours:
            continue
        if not tags_agree(text):
            otherwise += 1
        elif solid(theirs[row]) == solid(ours[row]):
            alike += 1
        else:
            different += 1
    print(
        f"texts: {alike:,} the same, {different:,} different; {otherwise:,} have a tag that the two"
    )
    print("  map to different words (or find in different places)")
    return not different


def tags_agree(text: str) -> bool:
    """Whether both find the same tags in a text and replace them by the same words."""
    from clinical_t5x.corpus import deid_tags

    found = re.findall(deid_tags.TAG_PATTERN, text)
    contents = peer.TAG.findall(text)
    if found != [f"[**{content}**]" for content in contents]:
        return False
    return all(
        solid(deid_tags.tag_of(content)[0]) == solid(peer.tag_of(content)) for content in contents
    )


def solid(text: str) -> str:
    """The text without white space and NUL, which ours leaves out."""
    return "".join(text.replace("\0", "").split())


if __name__ == "__main__":
    main()
