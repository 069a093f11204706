"""What the page says, worked out of the manifest: stages, folded categories, middle lengths."""

from __future__ import annotations

import bisect
import dataclasses
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# The engine's name of a stage: what is left after it, and what it leaves out.
_STAGES = {
    "read": ("Rows in the files", ""),
    "usable rows": ("Rows that can be a note", "rows that cannot be a note"),
    "asked for": (
        "Notes of the sources asked for, each id once",
        "notes not asked for or with a repeated id",
    ),
    "re-saved drafts": ("Without re-saved drafts", "earlier drafts of notes"),
    "exact duplicates": ("Without exact duplicates", "exact duplicates"),
    "near-duplicates": ("Without near-duplicates", "near-duplicates"),
    "combination": (
        "MIMIC-III and MIMIC-IV combined",
        "notes of MIMIC-III that may stand in MIMIC-IV as well",
    ),
    "benchmark persons": ("Without the benchmarks' persons", "notes of the benchmarks' persons"),
    "benchmark n-grams": (
        "Without the benchmarks' n-grams",
        "notes that share n-grams with a benchmark",
    ),
}
_LONGEST_NAME = 80


@dataclasses.dataclass(frozen=True)
class Loss:
    """What a stage left out for one reason."""

    reason: str
    notes: int
    words: int


@dataclasses.dataclass(frozen=True)
class Stage:
    """What is left after a stage, and what it left out by reason, the most notes first."""

    name: str
    notes: int
    words: int
    losses: tuple[Loss, ...]

    @property
    def title(self) -> str:
        """What is left after it, in words."""
        return _STAGES.get(self.name, (readable(self.name), ""))[0]

    @property
    def left_out(self) -> str:
        """What it leaves out, in words."""
        return _STAGES.get(self.name, ("", f"notes at the stage {readable(self.name)}"))[1]

    @property
    def notes_lost(self) -> int:
        """Notes that it left out, for whatever reason."""
        return sum(loss.notes for loss in self.losses)

    @property
    def words_lost(self) -> int:
        """Words that it left out, for whatever reason."""
        return sum(loss.words for loss in self.losses)


@dataclasses.dataclass(frozen=True)
class Category:
    """Documents, words and tokens of a category, or of several that were folded together.

    Tokens are 0 as long as nobody has counted them.
    """

    name: str
    documents: int
    words: int
    tokens: int = 0


def on_one_line(name: Any) -> str:
    """A name from the data without control characters and line breaks."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\s]+", " ", str(name)).strip()


def readable(name: Any) -> str:
    """A name from the data on one line, and not endless."""
    text = on_one_line(name)
    return text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 1] + "…"


def stages_of(manifest: Mapping[str, Any]) -> list[Stage]:
    """The stages in their order; none for a manifest that does not tell."""
    found = []
    for stage in manifest.get("stages") or []:
        losses = [
            Loss(readable(reason), lost["notes"], lost["words"])
            for reason, lost in (stage.get("dropped") or {}).items()
            if lost["notes"]
        ]
        losses.sort(key=lambda loss: (-loss.notes, loss.reason))
        found.append(Stage(stage["name"], stage["notes"], stage["words"], tuple(losses)))
    return found


def telling(stages: Sequence[Stage]) -> list[Stage]:
    """The first stage and those that left something out."""
    return [stage for k, stage in enumerate(stages) if k == 0 or stage.losses]


def totals(splits: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """Documents, words, tokens and persons of all splits; no person is in two of them."""
    return {
        name: sum(counts.get(name) or 0 for counts in splits.values())
        for name in ("documents", "words", "tokens", "persons")
    }


def folded(categories: Mapping[str, Mapping[str, int]], most: int) -> list[Category]:
    """At most `most` categories, by words; the smallest become one, named "other" and last."""
    rows = [
        Category(
            readable(name) or "(none)",
            counts["documents"],
            counts["words"],
            counts.get("tokens") or 0,
        )
        for name, counts in categories.items()
    ]
    rows.sort(key=lambda row: (-row.words, row.name))
    if len(rows) <= most:
        return rows
    large, small = rows[: most - 1], rows[most - 1 :]
    other = Category(
        f"other ({len(small):,} categories)",
        sum(row.documents for row in small),
        sum(row.words for row in small),
        sum(row.tokens for row in small),
    )
    return [*large, other]


def lengths_of(manifest: Mapping[str, Any], most: int) -> tuple[list[float], dict[str, list[int]]]:
    """Edges in words, and documents in every bin by source; small sources are added up.

    The edges are empty when the manifest does not tell, or no document was counted.
    """
    lengths = manifest.get("lengths") or {}
    every = lengths.get("documents", {})
    counted = {source: list(counts) for source, counts in every.items() if any(counts)}
    if not counted or len(lengths.get("edges", ())) < 2:
        return [], {}
    names = sorted(counted, key=lambda source: (-sum(counted[source]), source))
    if len(names) > most:
        small = names[most - 1 :]
        added = [sum(bins) for bins in zip(*(counted[name] for name in small), strict=True)]
        shown = {readable(name): counted[name] for name in names[: most - 1]}
        return list(lengths["edges"]), {**shown, f"other ({len(small)} sources)": added}
    return list(lengths["edges"]), {readable(name): counted[name] for name in names}


def middle_bin(edges: Sequence[float], counts: Sequence[int]) -> tuple[float, float]:
    """The bin in which the middle document lies."""
    running = list(itertools.accumulate(counts))
    place = bisect.bisect_left(running, (running[-1] + 1) // 2)
    return edges[place], edges[place + 1]


def note_rows(inputs: Iterable[Mapping[str, Any]]) -> tuple[int, int]:
    """Rows of notes, and files that they were read from."""
    rows = [file["rows"] for file in inputs if file.get("rows") is not None]
    return sum(rows), len(rows)
