"""Are near-copies of notes found? Planted ones, by how similar they are, and precision.

    python benchmarks/corpus_near_copies.py --corpus DATA/corpus/clinical

Documents of a prepared corpus are copied with 1 to 40 % of their words replaced, put in or left out,
or with blocks moved, half of the copies for the same patient and half for another; all are prepared
as another hospital's notes by the command that a person types. What a copy is comes from plain
Python: the Jaccard similarity of the sets of five-word shingles. Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import collections
import json
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from clinical_t5x.corpus import deid_tags

RATES = (0.01, 0.02, 0.05, 0.10, 0.20, 0.40)
EDITS = ("replace", "insert", "delete")
BANDS = (1.0, 0.95, 0.90, 0.85, 0.80, 0.75, 0.70, 0.60, 0.0)
COPIES_OF_A_KIND = 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--corpus", type=Path, required=True, help="a prepared corpus")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        report(options.corpus, Path(temporary))


def show(header: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Print a Markdown table."""
    header = list(header)
    print("| " + " | ".join(header) + " |")
    print("|" + "|".join("---" if not place else "---:" for place in range(len(header))) + "|")
    for row in rows:
        cells = [f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row]
        print("| " + " | ".join(cells) + " |", flush=True)


def share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f} %" if whole else "-"


def report(corpus: Path, temporary: Path) -> None:
    """Plant copies of a corpus' documents, prepare them, and print what was found."""
    notes, planted = notes_with_copies(corpus, random.Random(3))
    path = temporary / "planted.jsonl"
    path.write_text("".join(json.dumps(note) + "\n" for note in notes))
    columns = "text=text,id=id,patient=who,time=when"
    subprocess.run(
        [sys.executable, "-m", "clinical_t5x.prepare", "--notes", str(path), "--columns", columns,
         "--data_dir", str(temporary), "--name", "planted"],
        check=True, capture_output=True,
    )  # fmt: skip
    dropped = pl.read_parquet(temporary / "corpus" / "planted" / "dropped.parquet")
    found = {
        name.partition("/")[2]
        for name, reason in dropped.select("document_id", "reason").iter_rows()
        if "copy" in reason or "same text" in reason
    }
    sets = {note["id"]: shingles(note["text"]) for note in notes}
    by_band(planted, sets, found)
    by_edit(planted, sets, found)
    precision_of_copies(notes, sets, found)


def notes_with_copies(corpus: Path, draw: random.Random) -> tuple[list[dict], list[tuple]]:
    """Documents of the corpus and edited copies of some, as another hospital's notes.

    Returns:
        The notes in random order, and (edit, whose, id of the earlier, id of the later) of every
        planted pair.
    """
    documents = pl.scan_parquet(corpus / "documents" / "*.parquet")
    texts = documents.filter(pl.col("num_words") >= 15).select("document_id", "text")
    texts = texts.sort("document_id").collect().get_column("text").to_list()
    draw.shuffle(texts)
    vocabulary = sorted({word for text in texts[:500] for word in text.split()})
    kinds = [(kind, rate) for kind in EDITS for rate in RATES] + [("move", 1), ("move", 3)]
    plan = [(*kind, whose) for kind in kinds for whose in ("the same", "another")]
    plan = [each for each in plan for _ in range(COPIES_OF_A_KIND)][: len(texts) // 2]
    notes, planted = [], []
    for number, text in enumerate(texts[: 2 * len(plan)]):
        first = {"id": f"n{number}", "who": number, "when": moment(draw), "text": text}
        notes.append(first)
        if number < len(plan):
            kind, rate, whose = plan[number]
            who = number if whose == "the same" else 10**6 + number
            copied = edited(text, kind, rate, vocabulary, draw)
            second = {"id": f"c{number}", "who": who, "when": moment(draw), "text": copied}
            notes.append(second)
            early, late = sorted((first, second), key=lambda note: note["when"])
            edit = f"{rate} blocks moved" if kind == "move" else f"{kind} {100 * rate:g} %"
            planted.append((edit, whose, early["id"], late["id"]))
    draw.shuffle(notes)
    return notes, planted


def moment(draw: random.Random) -> str:
    """A time; no two are the same in practice."""
    day, second = draw.randrange(28) + 1, draw.randrange(86_400)
    return (
        f"{2100 + draw.randrange(90)}-{draw.randrange(12) + 1:02}-{day:02} "
        f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    )


def edited(text: str, kind: str, rate: float, vocabulary: list[str], draw: random.Random) -> str:
    """A copy of a text: words changed here and there (at least one), or blocks elsewhere."""
    pieces = re.findall(r"\s*\S+", text)  # words with the space before them
    if kind == "move":
        for _ in range(int(rate)):
            start = draw.randrange(len(pieces))
            stop = min(len(pieces), start + max(1, len(pieces) // 8))
            block = pieces[start:stop]
            del pieces[start:stop]
            place = draw.randrange(len(pieces) + 1)
            pieces[place:place] = block
        return "".join(pieces)
    for place in sorted(draw.sample(range(len(pieces)), max(1, round(rate * len(pieces)))))[::-1]:
        if kind == "replace":
            pieces[place] = " " + draw.choice(vocabulary)
        elif kind == "insert":
            pieces.insert(place, " " + draw.choice(vocabulary))
        else:
            del pieces[place]
    return "".join(pieces)


_TAG = re.compile(r"(?i)\[(?:" + "|".join(tag[1:-1] for tag in deid_tags.TAGS) + r")\]")


def shingles(text: str, size: int = 5) -> set[tuple[str, ...]]:
    """The runs of five words of a text, tags aside: what near-duplicates are defined by."""
    words = re.findall(r"[a-z0-9\x80-\uffff]+", _TAG.sub(" ", text).lower())
    return {tuple(words[i : i + size]) for i in range(len(words) - size + 1)} or {tuple(words)}


def jaccard(one: set, other: set) -> float:
    return len(one & other) / len(one | other)


def by_band(planted: list[tuple], sets: dict, found: set[str]) -> None:
    rows = collections.defaultdict(lambda: collections.Counter())
    for _, whose, early, late in planted:
        similarity = jaccard(sets[early], sets[late])
        band = next(low for low in BANDS if similarity >= low)
        rows[band][whose, "all"] += 1
        rows[band][whose, "found"] += early in found
    table = []
    for band, upper in zip(BANDS, (None, *BANDS), strict=False):
        counts = rows[band]
        name = "1" if upper is None else f"{band:.2f} to {upper:.2f}"
        table.append([name])
        for whose in ("the same", "another"):
            whole, part = counts[whose, "all"], counts[whose, "found"]
            table[-1] += [whole, share(part, whole)]
    show(
        ("Jaccard similarity of the pair", "the same patient's", "found", "another's", "found"),
        table,
    )


def by_edit(planted: list[tuple], sets: dict, found: set[str]) -> None:
    groups = collections.defaultdict(list)
    for edit, _, early, late in planted:
        groups[edit].append((jaccard(sets[early], sets[late]), early in found))
    print()
    show(
        ("edit", "pairs", "median similarity", "0.8 or more", "found"),
        [
            (edit, len(pairs), f"{sorted(pairs)[len(pairs) // 2][0]:.2f}",
             sum(similarity >= 0.8 for similarity, _ in pairs), sum(hit for _, hit in pairs))
            for edit, pairs in groups.items()
        ],
    )  # fmt: skip


def precision_of_copies(notes: list[dict], sets: dict, found: set[str]) -> None:
    """Compare every dropped note with all later ones, exactly."""
    when = {note["id"]: note["when"] for note in notes}
    having = collections.defaultdict(list)
    for name, members in sets.items():
        for shingle in members:
            having[shingle].append(name)
    best = []
    for name in found:
        common = collections.Counter(
            other for shingle in sets[name] for other in having[shingle] if when[other] > when[name]
        )
        best.append(max((jaccard(sets[name], sets[other]) for other in common), default=0.0))
    print()
    show(
        ("dropped as copies", "a later note is as similar as 0.8", "as 0.75", "as 0.7", "least"),
        [(len(best), *(share(sum(value >= low for value in best), len(best)) for low in
          (0.8, 0.75, 0.7)), f"{min(best, default=0):.2f}")],
    )  # fmt: skip


if __name__ == "__main__":
    main()
