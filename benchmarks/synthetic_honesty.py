"""Is the synthetic PhysioNet honest? Measures what must not be easy, and what must not repeat.

    python -m clinical_t5x.synthetic --out DIR --patients 1000
    python benchmarks/synthetic_honesty.py --physionet DIR

Prints a table and ends with code 1 when a bound is broken:

- MedNLI: logistic regression on the hypothesis alone, and on words and word pairs of premise and
  hypothesis (each with its own prefix), stays at least 15 points below what the rules allow.
- RadQA: the same for a logistic ranking of sentences by words, shared words and position, which
  may also abstain (F1); CLIP: for one logistic regression a label on words and word pairs, with
  the best threshold of the validation split (micro and macro F1).
- Text: fewer than 2 % of 13-grams (lower-cased words; tags, digits and punctuation left out) occur
  in more than one person; fewer than 1 % of notes are near-duplicates of another note (Jaccard 0.7
  over 5-grams). Drafts, pasted passages and reports that both databases hold were planted and are
  left out, by the generator's own record.

The rules allow 100 everywhere: labels are never flipped.
"""

from __future__ import annotations

import argparse
import ast
import collections
import csv
import gzip
import itertools
import json
import re
import sys
import time
from pathlib import Path

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

CEILING, MARGIN = 100.0, 15.0
MOST_SHARED, MOST_NEAR_DUPLICATES = 2.0, 1.0
STRENGTHS = (0.03, 0.3, 3.0)  # inverse regularisation, chosen on the validation split
_LABELS = ("entailment", "neutral", "contradiction")

csv.field_size_limit(1 << 30)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--physionet", type=Path, required=True, help="what --out was")
    parser.add_argument("--only", choices=("mednli", "radqa", "clip", "text"), action="append")
    options = parser.parse_args()
    files = options.physionet / "physionet.org" / "files"
    truth = options.physionet / "physionet.org" / "synthetic_truth"
    if not files.is_dir():
        print(f"error: {files} is missing; run python -m clinical_t5x.synthetic first")
        return 2
    parts = options.only or ["mednli", "radqa", "clip", "text"]
    table: list[tuple[str, float, float]] = []  # what, measured, must stay below
    if "mednli" in parts:
        table += mednli_rows(files / "mednli/1.0.0")
    if "radqa" in parts:
        table += radqa_rows(files / "radqa/1.0.0")
    if "clip" in parts:
        table += clip_rows(files / "mimic-iii-clinical-action/1.0.0")
    if "text" in parts:
        table += text_rows(files, truth)
    broken = 0
    print(f"{'measure':66} {'found':>8} {'bound':>8}")
    for what, found, bound in table:
        bad = not found < bound
        broken += bad
        limit = "" if bound == float("inf") else f"{bound:8.1f}"
        print(f"{what:66} {found:8.2f} {limit:>8}{'  BROKEN' if bad else ''}")
    return 1 if broken else 0


def _prefixed(text: str, prefix: str) -> list[str]:
    words = re.findall(r"[a-z0-9]+", text.lower())
    pairs = [f"{first} {second}" for first, second in itertools.pairwise(words)]
    return [prefix + item for item in (*words, *pairs)]


def _matrices(*documents: list[list[str]]) -> list[sparse.csr_matrix]:
    """Binary word matrices of several splits; the first one decides the columns."""
    vectoriser = CountVectorizer(analyzer=lambda words: words, binary=True, min_df=2)
    first = vectoriser.fit_transform(documents[0])
    return [first, *(vectoriser.transform(others) for others in documents[1:])]


# --- MedNLI ---------------------------------------------------------------------------------------


def mednli_rows(directory: Path) -> list[tuple[str, float, float]]:
    splits = {}
    for split in ("train", "dev", "test"):
        lines = (directory / f"mli_{split}_v1.jsonl").read_text().splitlines()
        splits[split] = [json.loads(line) for line in lines]
    gold = {
        split: np.array([_LABELS.index(record["gold_label"]) for record in records])
        for split, records in splits.items()
    }

    def words(record: dict, *, premise: bool) -> list[str]:
        own = _prefixed(record["sentence2"], "h:")
        return own + _prefixed(record["sentence1"], "p:") if premise else own

    table = [("MedNLI: pairs to learn from", float(len(gold["train"])), float("inf"))]
    for name, premise in (("hypothesis only", False), ("premise and hypothesis", True)):
        train, dev, test = _matrices(
            *([words(r, premise=premise) for r in splits[s]] for s in ("train", "dev", "test"))
        )
        models = [_logistic(train, gold["train"], strength) for strength in STRENGTHS]
        model = max(models, key=lambda m: (m.predict(dev) == gold["dev"]).mean())
        # Validation chose one number of three; with it the estimate rests on twice the pairs.
        both = np.concatenate(
            [model.predict(dev) == gold["dev"], model.predict(test) == gold["test"]]
        )
        table.append((f"MedNLI accuracy, words of {name}", 100 * both.mean(), CEILING - MARGIN))
    return table


def _logistic(
    features: sparse.csr_matrix, labels: np.ndarray, strength: float
) -> LogisticRegression:
    return LogisticRegression(C=strength, max_iter=300, solver="lbfgs").fit(features, labels)


# --- RadQA ----------------------------------------------------------------------------------------


def radqa_rows(directory: Path) -> list[tuple[str, float, float]]:
    splits = {split: _questions(directory / f"{split}.json") for split in ("train", "dev", "test")}
    document_frequency: collections.Counter = collections.Counter()
    for question in splits["train"]:
        document_frequency.update(set(_stems(question["context"])))
    total = len(splits["train"])

    def rarity(stem: str) -> float:
        return float(np.log((1 + total) / (1 + document_frequency[stem])))

    made = {
        split: [_candidates(q, rarity) for q in questions] for split, questions in splits.items()
    }
    flat = {split: [c for group in groups for c in group] for split, groups in made.items()}
    words = _matrices(*([c["words"] for c in flat[s]] for s in ("train", "dev", "test")))
    features = {
        split: sparse.hstack([matrix, np.array([c["numbers"] for c in flat[split]])]).tocsr()
        for split, matrix in zip(("train", "dev", "test"), words, strict=True)
    }
    hits = np.array([c["score"] >= 0.3 for c in flat["train"]])
    best = (0.0, 0.0, None)
    for strength in STRENGTHS:
        model = _logistic(features["train"], hits, strength)
        chances = _regroup(model.predict_proba(features["dev"])[:, 1], made["dev"])
        for threshold in np.linspace(0.02, 0.9, 45):
            score = _answer_f1(splits["dev"], made["dev"], chances, threshold)
            if score > best[0]:
                best = (score, threshold, model)
    _, threshold, model = best
    chances = _regroup(model.predict_proba(features["test"])[:, 1], made["test"])
    f1 = _answer_f1(splits["test"], made["test"], chances, threshold)
    # An oracle that always finds the right sentence, and gives all of it.
    oracle = np.mean([max([c["score"] for c in g], default=0) if q["answers"] else 1.0
                      for q, g in zip(splits["test"], made["test"], strict=True)])  # fmt: skip
    empty = np.mean([not q["answers"] for q in (*splits["dev"], *splits["test"])])
    length = np.mean([len(q["answers"][0].split()) for q in splits["train"] if q["answers"]])
    return [
        ("RadQA: questions to learn from", float(total), float("inf")),
        ("RadQA: words in an answer, mean", float(length), float("inf")),
        ("RadQA F1, always empty", 100 * float(empty), CEILING - MARGIN),
        ("RadQA F1, sentence ranking by words", 100 * f1, CEILING - MARGIN),
        (
            "RadQA F1, the right sentence always, whole (not a bag of words)",
            100 * float(oracle),
            float("inf"),
        ),
    ]


def _questions(path: Path) -> list[dict]:
    return [
        {"question": q["question"], "context": p["context"], "answers": [a["text"] for a in q["answers"]]}
        for document in json.loads(path.read_text())["data"]
        for p in document["paragraphs"]
        for q in p["qas"]
    ]  # fmt: skip


def _stems(text: str) -> list[str]:
    return [word[:5] for word in re.findall(r"[a-z]+", text.lower())]


def _candidates(question: dict, rarity) -> list[dict]:
    sentences = [s for s in re.split(r"(?<=\.)\s+(?:\d\.\s+)?", question["context"]) if s.strip()]
    asked = set(_stems(question["question"]))
    made = []
    for place, sentence in enumerate(sentences):
        stems = set(_stems(sentence))
        shared = asked & stems
        numbers = [
            len(shared), len(shared) / (1 + len(asked)), sum(map(rarity, shared)),
            max(map(rarity, shared), default=0.0), place, len(sentences), len(stems) / 10,
        ]  # fmt: skip
        score = max((token_f1(sentence, answer) for answer in question["answers"]), default=0.0)
        words = _prefixed(question["question"], "q:") + _prefixed(sentence, "s:")
        made.append({"words": words, "numbers": numbers, "score": score})
    return made


def _regroup(flat: np.ndarray, groups: list[list]) -> list[np.ndarray]:
    return np.split(flat, np.cumsum([len(group) for group in groups])[:-1])


def _answer_f1(questions, groups, chances, threshold: float) -> float:
    scores = []
    for question, group, chance in zip(questions, groups, chances, strict=True):
        answered = len(chance) > 0 and chance.max() >= threshold
        if answered and question["answers"]:
            scores.append(group[int(chance.argmax())]["score"])
        else:
            scores.append(float(not answered and not question["answers"]))
    return float(np.mean(scores))


def token_f1(prediction: str, gold: str) -> float:
    """SQuAD's F1 over words, after lower-casing and without punctuation and articles."""
    left, right = (
        [w for w in re.findall(r"[a-z0-9]+", text.lower()) if w not in ("a", "an", "the")]
        for text in (prediction, gold)
    )
    common = sum((collections.Counter(left) & collections.Counter(right)).values())
    return 2 * common / (len(left) + len(right)) if common else 0.0


# --- CLIP -----------------------------------------------------------------------------------------


def clip_rows(directory: Path) -> list[tuple[str, float, float]]:
    with (directory / "sentence_level.csv").open(newline="") as file:
        sentences = list(csv.DictReader(file))
    ids = {
        split: set((directory / f"{split}_ids.csv").read_text().split())
        for split in ("train", "val", "test")
    }
    labels = sorted({name for row in sentences for name in ast.literal_eval(row["labels"])})
    words, gold = {}, {}
    for split, members in ids.items():
        rows = [row for row in sentences if row["doc_id"] in members]
        words[split] = [_prefixed(" ".join(ast.literal_eval(row["sentence"])), "") for row in rows]
        gold[split] = np.array([[name in row["labels"] for name in labels] for row in rows])
    train, val, test = _matrices(words["train"], words["val"], words["test"])
    predicted = np.zeros_like(gold["test"])
    for column in range(len(labels)):
        best = (-1.0, None, 0.5)
        for strength in STRENGTHS:
            model = _logistic(train, gold["train"][:, column], strength)
            chance = model.predict_proba(val)[:, 1]
            for threshold in np.linspace(0.05, 0.9, 35):
                score = f1_score(gold["val"][:, column], chance >= threshold, zero_division=0)
                if score > best[0]:
                    best = (score, model, threshold)
        predicted[:, column] = best[1].predict_proba(test)[:, 1] >= best[2]
    micro = 100 * f1_score(gold["test"], predicted, average="micro", zero_division=0)
    macro = 100 * f1_score(gold["test"], predicted, average="macro", zero_division=0)
    bare = 100 * float((~gold["train"].any(axis=1)).mean())
    return [
        ("CLIP: sentences to learn from", float(len(gold["train"])), float("inf")),
        ("CLIP: sentences without a label, %", bare, float("inf")),
        ("CLIP micro F1, words", micro, CEILING - MARGIN),
        ("CLIP macro F1, words", macro, CEILING - MARGIN),
    ]


# --- text -----------------------------------------------------------------------------------------

_MARK = re.compile(r"\[\*\*.*?\*\*\]|_{3,}", re.DOTALL)
_WORD = re.compile(r"[a-z]+")
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_GRAM, _SHINGLE = 13, 5
_SAMPLE = 8  # one 13-gram in eight, chosen by its hash: the share is that of all


def text_rows(files: Path, truth: Path) -> list[tuple[str, float, float]]:
    start = time.monotonic()
    drafts = {row[0] for row in _rows(truth / "drafts.csv.gz")}
    drafts_of = {(row[0], row[1]) for row in _rows(truth / "drafts.csv.gz")}
    pasted = {row[0]: (int(row[2]), int(row[3])) for row in _rows(truth / "copies.csv.gz")}
    in_both = {row[1] for row in _rows(truth / "shared_reports.csv.gz")}
    person = {row[1]: row[0] for row in _rows(truth / "persons.csv.gz")}
    words: dict[str, int] = {}
    grams, owners, shingles, where, duplicates_of = [], [], [], [], collections.Counter()
    people: dict[str, int] = {}
    for row, subject, category, text in _notes(files):
        if row in drafts or row in in_both:
            continue
        if row in pasted:
            begin, length = pasted[row]
            text = text[:begin] + " " + text[begin + length :]
        codes = _codes(text, words)
        owner = people.setdefault(person.get(subject, subject), len(people))
        hashes = _window_hashes(codes, _GRAM)
        sampled = np.unique(hashes[hashes % np.uint64(_SAMPLE) == 0])
        grams.append(sampled)
        owners.append(np.full(len(sampled), owner, np.int32))
        shingles.append(np.unique(_window_hashes(codes, _SHINGLE)))
        where.append(category)
    share = _shared_share(np.concatenate(grams), np.concatenate(owners))
    near = _near_duplicates(shingles)
    for place in near:
        duplicates_of[where[place]] += 1
    seconds = time.monotonic() - start
    del drafts_of
    table = [
        ("text: notes compared (drafts and doubles left out)", float(len(shingles)), float("inf")),
        ("text: 13-grams that two persons share, %", 100 * share, MOST_SHARED),
        ("text: near-duplicate notes, %", 100 * len(near) / len(shingles), MOST_NEAR_DUPLICATES),
    ]
    table += [
        (f"text:   of these in {name}", float(n), float("inf")) for name, n in duplicates_of.items()
    ]
    print(f"compared {len(shingles):,} notes of {len(people):,} persons in {seconds:.0f} s")
    return table


def _rows(path: Path):
    with gzip.open(path, "rt", newline="") as file:
        reader = csv.reader(file)
        next(reader)
        yield from reader


def _notes(files: Path):
    """(id, subject, category, text) of every note of MIMIC-III and MIMIC-IV."""
    for row in _rows(files / "mimiciii/1.4/NOTEEVENTS.csv.gz"):
        yield row[0], row[1], row[6], row[10]
    for kind in ("discharge", "radiology"):
        for row in _rows(files / f"mimic-iv-note/2.2/note/{kind}.csv.gz"):
            yield row[0], row[1], f"IV {kind}", row[7]


def _codes(text: str, words: dict[str, int]) -> np.ndarray:
    found = _WORD.findall(_MARK.sub(" ", text).lower())
    codes = np.fromiter((words.setdefault(w, len(words) + 1) for w in found), np.uint64, len(found))
    mixed = codes * _MULTIPLIER
    return mixed ^ (mixed >> np.uint64(29))


def _window_hashes(codes: np.ndarray, width: int) -> np.ndarray:
    count = len(codes) - width + 1
    if count < 1:
        return np.zeros(0, np.uint64)
    total = np.zeros(count, np.uint64)
    for offset in range(width):
        total = (total * _MULTIPLIER) ^ codes[offset : offset + count]
        total ^= total >> np.uint64(31)
    return total


def _shared_share(grams: np.ndarray, owners: np.ndarray) -> float:
    """Share of distinct (13-gram, person) pairs whose 13-gram another person has too."""
    pairs = np.unique(np.stack([grams, owners.astype(np.uint64)]), axis=1)
    _, inverse, counts = np.unique(pairs[0], return_inverse=True, return_counts=True)
    return float((counts[inverse] > 1).mean())


def _near_duplicates(shingles: list[np.ndarray], level: float = 0.7) -> list[int]:
    """Notes with at least `level` Jaccard similarity to another: min-hash candidates, then exact."""
    chance = np.random.default_rng(0)
    bands, rows = 16, 2
    factors = chance.integers(1, 1 << 63, size=(bands * rows, 1), dtype=np.uint64) | np.uint64(1)
    buckets: list[dict] = [{} for _ in range(bands)]
    found: set[int] = set()
    for place, own in enumerate(shingles):
        if len(own) < 5:
            continue
        smallest = (own[None, :] * factors).min(axis=1).reshape(bands, rows)
        for band, key in enumerate(map(tuple, smallest.tolist())):
            members = buckets[band].setdefault(key, [])
            for other in members[-20:]:
                if other in found and place in found:
                    continue
                common = len(np.intersect1d(own, shingles[other], assume_unique=True))
                if common >= level * (len(own) + len(shingles[other]) - common):
                    found.update((place, other))
            members.append(place)
    return sorted(found)


if __name__ == "__main__":
    sys.exit(main())
