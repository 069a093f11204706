"""A data home small enough to check by eye: hand-made files in the benchmarks' real formats.

All sentences were made up for these tests.
"""

import csv
import json

import polars as pl
from etils import epath

from clinical_t5x.corpus.sources import SYNTHETIC_NOTICE
from clinical_t5x.data import home
from clinical_t5x.data.builders import build_all
from clinical_t5x.data.vocabulary_training import VocabularyOptions, train_vocabulary
from clinical_t5x.storage import stage_directory, write_json_atomically

MEDNLI = [
    ("Seen at [**Hospital1 18**] for chest pain.", " He had chest pain", "entailment"),
    ("Seen at [**Hospital1 18**] for chest pain.", "He had no pain.", "contradiction"),
    ("Seen at [**Hospital1 18**] for chest pain.", "He smokes. ", "neutral"),
    ("Cr 2.1\n(baseline 0.9)", "The patient has kidney injury.", "entailment"),
    ("Cr 2.1\n(baseline 0.9)", "The patient has normal kidneys", "contradiction"),
    ("Cr 2.1\n(baseline 0.9)", "The patient is on dialysis", "neutral"),
]

RADQA_CONTEXT = (
    "\nFINDINGS: Compared to [**2141-3-4**], the nodule seen by Dr. [**Last Name (STitle) 12**]"
    " is stable.  No effusion.\n"
)
RADQA = [
    ("Who saw the nodule?", ["Dr. [**Last Name (STitle) 12**]", "[**Last Name (STitle) 12**]"]),
    ("Is there an effusion?", ["No effusion"]),
    (" Is there a fracture?", []),
]

CLIP = {
    "101": [
        (["DISCHARGE", "INSTRUCTIONS", ":"], ["I-Appointment-related followup"]),
        (
            ["Follow", "up", "with", "Dr.", "[", "**Last", "Name", "(", "STitle", ")", "7**", "]",
             "in", "2", "weeks", "and", "repeat", "your", "chest", "CT", "."],
            ["I-Imaging-related followup", "I-Appointment-related followup"],
        ),
        (["You", "were", "a", "pleasure", "to", "care", "for", "."], []),
    ],
    "102": [(["Check", "INR", "on", "Monday", "."], ["I-Lab-related followup"])],
    "103": [(["Resume", "your", "home", "medications", "."], ["I-Medication-related followups"])],
}  # fmt: skip


def documents(count: int = 60) -> list[str]:
    """Notes made of the same few sentences in varying order."""
    parts = [
        "HISTORY:  The patient was seen at [Company] by Dr. [Name] for chest pain.",
        "Labs:\tNa 138, K 4.1, Cr 2.1 (baseline 0.9).",
        "FINDINGS: The nodule is stable. There is no effusion and no fracture.",
        "PLAN:\n - repeat the chest CT in 2 weeks\n - check INR on Monday",
        "He was discharged on [DR] to follow up with his doctor and resume home medications.",
        "mednli premise: hypothesis: question: context: entailment neutral contradiction ;",
        "Imaging-related followup, Appointment-related followup, Lab-related followup",
    ]
    return [
        "\n".join(parts[(i * step + k) % len(parts)] for k, step in enumerate((1, 2, 3, 5)))
        + f"\nNote {i}."
        for i in range(count)
    ]


COLUMNS = {
    **dict.fromkeys(
        ("document_id", "patient_id", "person_id", "source", "category", "description",
         "charttime", "text"),
        pl.String,
    ),
    "num_words": pl.Int64,
}  # fmt: skip


def write_corpus(directory: epath.Path, texts: list[str], content: str = "c0") -> None:
    """A prepared corpus as `prepare` leaves it: nine tenths in train."""
    rows = [
        {
            "document_id": f"test/{i}", "patient_id": f"test/p{i}", "person_id": f"test/p{i}",
            "source": "test", "category": "Radiology", "description": "", "charttime": "",
            "text": text, "num_words": len(text.split()),
        }
        for i, text in enumerate(texts)
    ]  # fmt: skip
    border = len(rows) * 9 // 10
    splits = {"train": rows[:border], "validation": rows[border:]}
    with stage_directory(directory, {"content": content}) as partial:
        (partial / "documents").mkdir()
        for split, part in splits.items():
            for shard in range(2):
                name = f"{split}-{shard:05}-of-00002.parquet"
                pl.DataFrame(part[shard::2], schema=COLUMNS).write_parquet(
                    str(partial / "documents" / name)
                )
        counts = {
            split: {
                "documents": len(part),
                "patients": len(part),
                "words": sum(row["num_words"] for row in part),
            }
            for split, part in splits.items()
        }
        write_json_atomically(
            partial / "manifest.json",
            {
                "name": directory.name,
                "splits": counts,
                "content_sha256": content,
                "synthetic": True,
            },
        )


def write_physionet(root: epath.Path) -> None:
    """MedNLI with its second test set, RadQA and CLIP as `wget -r` leaves them."""
    files = root / "physionet.org" / "files"
    files.mkdir(parents=True)
    (files.parent / SYNTHETIC_NOTICE).write_text("Written by a test.\n")
    _write_mednli(files / "mednli" / "1.0.0")
    _write_bionlp19(files / "mednli-bionlp19" / "1.0.1")
    _write_radqa(files / "radqa" / "1.0.0")
    _write_clip(files / "mimic-iii-clinical-action" / "1.0.0")


def _write_mednli(folder: epath.Path) -> None:
    folder.mkdir(parents=True)
    for split, repeats in (("train", 3), ("dev", 1), ("test", 1)):
        lines = [
            json.dumps(
                {
                    "pairID": f"{split}-{repeat}-{i}", "gold_label": label, "sentence1": premise,
                    "sentence2": hypothesis, "sentence1_parse": "", "sentence2_parse": "",
                }
            )
            for repeat in range(repeats)
            for i, (premise, hypothesis, label) in enumerate(MEDNLI)
        ]  # fmt: skip
        (folder / f"mli_{split}_v1.jsonl").write_text("\n".join(lines) + "\n")


def _write_bionlp19(folder: epath.Path) -> None:
    folder.mkdir(parents=True)
    pairs, labels = [], ["pair_id,label"]
    for i, (premise, hypothesis, label) in enumerate(MEDNLI):
        pair = {"pairID": f"shared-{i}", "sentence1": premise, "sentence2": f"{hypothesis} too"}
        pairs.append(json.dumps(pair))
        labels.append(f"shared-{i},{label}")
    (folder / "mednli_bionlp19_shared_task.jsonl").write_text("\n".join(pairs) + "\n")
    labels_file = folder / "mednli_bionlp19_shared_task_ground_truth.csv"
    labels_file.write_text("\n".join(labels[:1] + labels[:0:-1]) + "\n")


def _write_radqa(folder: epath.Path) -> None:
    folder.mkdir(parents=True)
    for split in ("train", "dev", "test"):
        questions = [
            {
                "id": f"{split}_{i}", "question": question, "is_impossible": not answers,
                "answers": [
                    {"text": text, "answer_start": RADQA_CONTEXT.index(text)} for text in answers
                ],
            }
            for i, (question, answers) in enumerate(RADQA)
        ]  # fmt: skip
        paragraph = {"context": RADQA_CONTEXT, "qas": questions}
        content = {"version": "1.0", "data": [{"title": "77", "paragraphs": [paragraph]}]}
        (folder / f"{split}.json").write_text(json.dumps(content))


def _write_clip(folder: epath.Path) -> None:
    folder.mkdir(parents=True)
    with (folder / "sentence_level.csv").open("w") as file:
        writer = csv.writer(file)
        writer.writerow(["doc_id", "sent_index", "sentence", "labels"])
        for document, sentences in CLIP.items():
            for index, (words, labels) in enumerate(sentences):
                writer.writerow([document, index, repr(words), repr(labels)])
    for split, document in (("train", "101"), ("val", "102"), ("test", "103")):
        (folder / f"{split}_ids.csv").write_text(f"{document}\n")


def make_home(root: epath.Path) -> epath.Path:
    """A complete data home: corpus, vocabulary of 500 pieces, the five data sets."""
    data_home = root / "home"
    corpus = home.corpus_directory("clinical", data_home)
    write_corpus(corpus, documents())
    write_physionet(root)
    vocabulary = home.vocabulary_directory("clinical", data_home)
    train_vocabulary(corpus, vocabulary, VocabularyOptions(size=500))
    build_all(corpus_dir=corpus, physionet=root, data_dir=data_home)
    return data_home
