"""Does preparation find what was planted? Precision and recall against the generator's own record.

    python benchmarks/corpus_planted.py --work DIR [--patients 500]
    python benchmarks/corpus_planted.py --physionet DIR --data_dir DIR

The first form makes a synthetic PhysioNet and prepares it in DIR; the second takes what is there
(and prepares the corpora that are missing). Five parts, a table each, as Markdown:

- drafts: earlier saves of a note, against synthetic_truth/drafts.csv.gz.
- persons: patients of MIMIC-III who are in MIMIC-IV too, against persons.csv.gz.
- premises: the patients whose notes MedNLI's premises were taken from, against premises.csv.gz.
- copies: documents copied with few or many edits (see corpus_near_copies.py).
- ngrams: n-grams of the benchmarks' test splits in the documents, counted anew by plain Python,
  apart from those that at least 20 patients of the raw notes have: there must be none.

Only the last part reads texts a second time; with thousands of patients it takes minutes.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import csv
import gzip
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import corpus_near_copies
import polars as pl
from corpus_near_copies import share, show
from etils import epath

from clinical_t5x.corpus import benchmark_ids, deid_tags, inputs, pipeline, premises
from clinical_t5x.corpus.identity import GRAM_WORDS, MIN_SHARED, sketches
from clinical_t5x.corpus.overlap import BOILERPLATE_PATIENTS, DECIDING_WORDS
from clinical_t5x.corpus.selection import DRAFT, PERSON_OF
from clinical_t5x.corpus.words import words_of

PARTS = ("drafts", "persons", "premises", "copies", "ngrams")
KEPT = "kept"

csv.field_size_limit(1 << 30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--physionet", type=Path, help="a synthetic PhysioNet")
    parser.add_argument("--data_dir", type=Path, help="the data home with its corpus `clinical`")
    parser.add_argument("--work", type=Path, help="where to make both (a temporary directory)")
    parser.add_argument("--patients", type=int, default=500)
    parser.add_argument("--only", choices=PARTS, action="append")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        temporary = stack.enter_context(tempfile.TemporaryDirectory())
        work = options.work or Path(temporary)
        physionet = options.physionet or made_physionet(work, options.patients)
        world = World(physionet, options.data_dir or work / "data", Path(temporary))
        reports = {
            "drafts": report_drafts,
            "persons": report_persons,
            "premises": report_premises,
            "copies": lambda world: corpus_near_copies.report(world.corpus, world.temporary),
            "ngrams": report_ngrams,
        }
        for part in options.only or PARTS:
            print(f"\n### {part}\n", flush=True)
            reports[part](world)


def made_physionet(work: Path, patients: int) -> Path:
    arguments = ["--out", str(work), "--patients", str(patients), "--seed", "11"]
    subprocess.run([sys.executable, "-m", "clinical_t5x.synthetic", *arguments], check=True)
    return work


class World:
    """A synthetic PhysioNet, what was planted in it, and the corpora that were made of it.

    Attributes:
        fates: document_id -> "kept" or why it was dropped, for every row (of the default corpus).
        subjects: ROW_ID -> SUBJECT_ID of MIMIC-III's notes.
    """

    def __init__(self, physionet: Path, data_dir: Path, temporary: Path):
        self.physionet, self.data_dir, self.temporary = physionet, data_dir, temporary
        self.corpus = prepared(physionet, data_dir / "corpus" / "clinical")
        documents = pl.scan_parquet(self.corpus / "documents" / "*.parquet")
        self.fates = dict.fromkeys(documents.select("document_id").collect().to_series(), KEPT)
        dropped = pl.read_parquet(
            self.corpus / "dropped.parquet", columns=["document_id", "reason"]
        )
        for document_id, reason in dropped.iter_rows():
            self.fates.setdefault(document_id, reason)
        self.subjects = {row["ROW_ID"]: row["SUBJECT_ID"] for row in self.three()}

    def truth(self, name: str) -> list[dict[str, str]]:
        path = self.physionet / "physionet.org" / "synthetic_truth" / f"{name}.csv.gz"
        with gzip.open(path, "rt", newline="") as file:
            return list(csv.DictReader(file))

    def three(self) -> Iterator[dict[str, str]]:
        return self._rows("mimiciii/1.4/NOTEEVENTS.csv.gz")

    def four(self) -> Iterator[dict[str, str]]:
        for kind in ("discharge", "radiology"):
            yield from self._rows(f"mimic-iv-note/2.2/note/{kind}.csv.gz")

    def _rows(self, path: str) -> Iterator[dict[str, str]]:
        with gzip.open(self.physionet / "physionet.org" / "files" / path, "rt", newline="") as file:
            yield from csv.DictReader(file)

    def with_everybody(self) -> Path:
        """A corpus from which no benchmark's persons were removed: it shows all links."""
        return prepared(
            self.physionet,
            self.data_dir / "corpus" / "everybody",
            name="everybody",
            keep_benchmark_patients=True,
            near_duplicates=0,
        )


def prepared(physionet: Path, directory: Path, **how) -> Path:
    """The corpus in a directory, made when it is not there."""
    files = inputs.resolve(physionet=epath.Path(physionet), names=None, notes=None, columns=None)
    options = pipeline.CorpusOptions(**how)
    if not pipeline.is_prepared(epath.Path(directory), files, options):
        pipeline.prepare_corpus(files, options, epath.Path(directory), on_stage=quiet)
    return directory


@contextlib.contextmanager
def quiet(*_):
    yield lambda amount: None


# --- drafts --------------------------------------------------------------------------------------


def report_drafts(world: World) -> None:
    final_of = {row["row_id"]: row["final_row_id"] for row in world.truth("drafts")}
    found = {row.partition("/")[2] for row, fate in world.fates.items() if fate == DRAFT}
    hits = found & final_of.keys()
    show(
        ("re-saved drafts", "planted", "dropped as drafts", "of them planted", "recall", "precision"),
        [("notes", len(final_of), len(found), len(hits), share(len(hits), len(final_of)),
          share(len(hits), len(found)))],
    )  # fmt: skip
    errors = {row["ROW_ID"] for row in world.three() if row["ISERROR"] == "1"}
    missed = collections.Counter(
        "the finished note is marked as an error, so that its last draft is the note"
        if final_of[row] in errors
        else world.fates[f"mimic-iii/{row}"]
        for row in final_of.keys() - found
    )
    for why, count in missed.items():
        print(f"- {count:,} planted, not dropped: {why}")
    groups = collections.defaultdict(set)
    for row in world.three():
        saves = final_of.get(row["ROW_ID"], row["ROW_ID"])
        groups[draft_group(row)].add(saves)
    others = [row for row in world.three() if row["ROW_ID"] in found - hits]
    coincident = sum(len(groups[draft_group(row)]) > 1 for row in others)
    print(
        f"- {len(others):,} dropped, not planted; {coincident:,} of them are one of two notes that "
        "one author wrote of one patient in one minute in one category"
    )


def draft_group(row: dict[str, str]) -> tuple[str, ...]:
    return tuple(row[name] for name in ("CHARTTIME", "SUBJECT_ID", "CATEGORY", "CGID"))


# --- persons -------------------------------------------------------------------------------------


def report_persons(world: World) -> None:
    planted = {(row["subject_id"], row["iv_subject_id"]) for row in world.truth("persons")}
    documents = pl.scan_parquet(world.with_everybody() / "documents" / "*.parquet")
    linked = documents.filter(pl.col("person_id") != pl.col("patient_id"))
    pairs = linked.select("person_id", "patient_id").unique().collect()
    found = {tuple(name.partition("/")[2] for name in pair) for pair in pairs.iter_rows()}
    hits = found & planted
    show(
        ("persons in MIMIC-III and IV", "planted", "linked", "right", "recall", "precision"),
        [("pairs", len(planted), len(found), len(hits), share(len(hits), len(planted)),
          share(len(hits), len(found)))],
    )  # fmt: skip
    for why, count in collections.Counter(why_not_linked(world, planted - found)).items():
        print(f"- {count:,} missed: {why}")
    for three, four in sorted(found - planted):
        print(f"- linked and not planted: {three} and {four}")


def why_not_linked(world: World, missed: set[tuple[str, str]]) -> list[str]:
    """For every pair that was not linked, what the two have in common."""
    threes = {three for three, _ in missed}
    shared = collections.defaultdict(list)
    for row in world.truth("shared_reports"):
        if world.subjects[row["row_id"]] in threes:
            shared[world.subjects[row["row_id"]]].append((row["row_id"], row["note_id"]))
    wanted = {note for pairs in shared.values() for pair in pairs for note in pair}
    texts = {row["ROW_ID"]: row["TEXT"] for row in world.three() if row["ROW_ID"] in wanted}
    texts |= {row["note_id"]: row["text"] for row in world.four() if row["note_id"] in wanted}
    reasons = []
    for three, _ in sorted(missed):
        if not shared[three]:
            reasons.append("the two have no report in common")
            continue
        common = sum(common_sketch(texts[row], texts[note]) for row, note in shared[three])
        reasons.append(
            f"{len(shared[three])} reports in common, whose sketches share "
            + (f"fewer than {MIN_SHARED} {GRAM_WORDS}-grams" if common < MIN_SHARED else
               "enough, of which others have some too")
        )  # fmt: skip
    return reasons


def common_sketch(one: str, other: str) -> int:
    """How many n-grams the sketches of two copies of a report share."""
    texts, grams = sketches(words_of(pl.Series([one, other])))
    return len(set(grams[texts == 0].tolist()) & set(grams[texts == 1].tolist()))


# --- premises ------------------------------------------------------------------------------------


def report_premises(world: World) -> None:
    truth = world.truth("premises")
    planted = {world.subjects[row["row_id"]] for row in truth}
    fates = collections.defaultdict(collections.Counter)
    for row, subject in world.subjects.items():
        fates[subject][world.fates[f"mimic-iii/{row}"]] += 1
    removed, of_mednli = set(), set()
    for subject, counts in fates.items():
        reasons = {fate for fate in counts if fate.startswith(PERSON_OF)}
        if reasons and KEPT not in counts:
            removed.add(subject)
            of_mednli |= {subject} if PERSON_OF + benchmark_ids.MEDNLI in reasons else set()
    others = removed - of_mednli
    show(
        ("patients of MedNLI's premises", "planted", "removed", "of them for MedNLI", "recall",
         "precision of MedNLI's"),
        [("patients", len(planted), len(planted & removed), len(planted & of_mednli),
          share(len(planted & removed), len(planted)),
          share(len(planted & of_mednli), len(of_mednli)))],
    )  # fmt: skip
    print(f"- {len(planted & others):,} planted ones were removed for another benchmark")
    found = premises_in_their_notes(world, truth)
    print(
        f"- of {len(found):,} premises {sum(found.values()):,} stand in the note that they were "
        "taken from"
    )
    report = json.loads((world.corpus / "manifest.json").read_text())["counts"]["benchmarks"]
    vague = report[benchmark_ids.MEDNLI]["premises too vague"]
    print(
        f"- {vague:,} premises stand in the notes of more than {premises.MAX_PERSONS} persons; "
        f"{len(planted - removed):,} patients have no other premise and stay"
    )
    print(
        f"- {len(of_mednli - planted):,} more patients of MIMIC-III went: a premise stands in their "
        "notes, word for word, as well"
    )


def premises_in_their_notes(world: World, truth: list[dict[str, str]]) -> dict[str, bool]:
    """For every planted premise, whether its words stand in a row in its own note."""
    texts = {}
    for split in ("train", "dev", "test"):
        path = world.physionet / f"physionet.org/files/mednli/1.0.0/mli_{split}_v1.jsonl"
        for line in path.read_text().splitlines():
            record = json.loads(line)
            texts[record["pairID"].rpartition("-")[0]] = record["sentence1"]
            texts[record["pairID"]] = record["sentence1"]
    wanted = {row["row_id"] for row in truth}
    notes = {
        row["ROW_ID"]: deid_tags.replace_tags(row["TEXT"])[0]
        for row in world.three()
        if row["ROW_ID"] in wanted
    }
    found = {}
    for row in truth:
        index = premises.PremiseIndex([texts[row["pair_id"]]])
        found[row["pair_id"]] = len(index.find(words_of(pl.Series([notes[row["row_id"]]])))[0]) > 0
    return found


# --- n-grams -------------------------------------------------------------------------------------


def report_ngrams(world: World) -> None:
    of_test = {}
    for benchmark in benchmark_ids.BENCHMARKS:
        texts = benchmark_ids.texts(epath.Path(world.physionet), benchmark)["test"]
        of_test[benchmark] = {gram for text in texts for gram in grams(text)}
    every = set().union(*of_test.values())
    patients = collections.defaultdict(set)
    for row in world.three():
        if row["ISERROR"] != "1":
            text = deid_tags.replace_tags(row["TEXT"])[0]
            for gram in every & grams(text):
                patients[gram].add(row["SUBJECT_ID"])
    for row in world.four():
        for gram in every & grams(row["text"].replace("_", " ")):
            patients[gram].add("IV " + row["subject_id"])
    usual = {gram for gram, owners in patients.items() if len(owners) >= BOILERPLATE_PATIENTS}
    there = set()
    for path in sorted((world.corpus / "documents").glob("*.parquet")):
        for text in pl.read_parquet(path, columns=["text"]).get_column("text"):
            there |= every & grams(text)
    measured = json.loads((world.corpus / "leakage.json").read_text())["benchmarks"]
    rows = []
    for benchmark, wanted in of_test.items():
        told = measured[benchmark]["test"][str(DECIDING_WORDS)]
        in_corpus = wanted & there
        rows.append(
            (benchmark, len(wanted), len(wanted & patients.keys()), len(in_corpus),
             len(in_corpus & usual), len(in_corpus - usual), told["shared_beyond"])
        )  # fmt: skip
        for key, value in (("grams", rows[-1][1]), ("in_raw", rows[-1][2]),
                           ("in_corpus", rows[-1][3])):  # fmt: skip
            if told[key] != value:
                print(
                    f"- {benchmark}: leakage.json says {key} {told[key]:,}, plain Python {value:,}"
                )
    show(
        ("test split", f"{DECIDING_WORDS}-grams", "in raw notes", "in documents", "boiler-plate",
         "left beyond", "leakage.json says"),
        rows,
    )  # fmt: skip


_TAGS = "|".join(re.escape(tag) for tag in deid_tags.TAGS)
_MARK = re.compile(rf"(?i){deid_tags.TAG_PATTERN}|{_TAGS}")


def grams(text: str) -> set[str]:
    words = re.findall("[a-z]+", _MARK.sub(" ", text).lower())
    return {" ".join(words[i : i + DECIDING_WORDS]) for i in range(len(words) - DECIDING_WORDS + 1)}


if __name__ == "__main__":
    main()
