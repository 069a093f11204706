"""The comparison itself: one pass over held-out documents, every vocabulary on each of them."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from etils import epath

import clinical_t5x
from clinical_t5x.console import Progress, UserError
from clinical_t5x.data.documents import read_documents, shards_of
from clinical_t5x.data.vocabulary_comparison import words
from clinical_t5x.data.vocabulary_comparison.counting import Meter, Tally, pieces_of, whole_tags
from clinical_t5x.data.vocabulary_comparison.named import Named
from clinical_t5x.data.vocabulary_training import hash_fraction
from clinical_t5x.storage import read_json

OTHER_CATEGORIES = "other categories"
NO_CATEGORY = "no category"

_MOST_CATEGORIES = 100
_COLUMNS = ("document_id", "person_id", "category", "text")


@dataclasses.dataclass(frozen=True)
class Sample:
    """Which held-out documents are measured, and how many words are shown.

    Attributes:
      documents: about so many, chosen by a hash of their ids; all where there are fewer.
      seed: makes another choice.
      words: examples of words to show at most.
    """

    documents: int = 5_000
    seed: int = 0
    words: int = 30

    def __post_init__(self):
        if self.documents < 1 or self.words < 0:
            raise UserError("--documents must be positive, --words must not be negative")


@dataclasses.dataclass(frozen=True)
class Measured:
    """One vocabulary's numbers.

    Attributes:
      label: what the report calls it.
      pieces: number of pieces, sentinels not counted.
      content_sha256: tells equal vocabularies from different ones.
      overall: over the whole sample.
      by_category: note categories, the one with most documents first.
      tags: whether each de-identification tag is one piece.
    """

    label: str
    pieces: int
    content_sha256: str
    overall: Tally
    by_category: dict[str, Tally]
    tags: dict[str, bool]


@dataclasses.dataclass(frozen=True)
class Overlap:
    """How many pieces two vocabularies share; special and byte pieces are not counted."""

    first: str
    second: str
    shared: int
    first_pieces: int
    second_pieces: int

    @property
    def jaccard(self) -> float:
        """Shared pieces over the pieces of either."""
        return self.shared / max(1, self.first_pieces + self.second_pieces - self.shared)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Everything that the report shows.

    Attributes:
      corpus: the corpus' name.
      corpus_sha256: its content.
      synthetic: whether it came from the generator.
      patients_known: whether it says whose a note is; no words are shown where it does not.
      sample: what was asked for.
      vocabularies: in the order given.
      overlaps: every pair.
      words: those that are cut most differently.
    """

    corpus: str
    corpus_sha256: str
    synthetic: bool
    patients_known: bool
    sample: Sample
    vocabularies: tuple[Measured, ...]
    overlaps: tuple[Overlap, ...]
    words: tuple[words.CutWord, ...]

    def as_json(self) -> dict[str, Any]:
        """The comparison for machines."""
        return {
            "created_by": f"clinical_t5x {clinical_t5x.__version__}",
            "corpus": {"name": self.corpus, "content_sha256": self.corpus_sha256},
            "synthetic": self.synthetic,
            "split": "validation",
            "sample": dataclasses.asdict(self.sample),
            "least_persons_of_a_word": words.LEAST_PERSONS,
            "vocabularies": [_vocabulary_as_json(one) for one in self.vocabularies],
            "overlaps": [
                {**dataclasses.asdict(pair), "jaccard": round(pair.jaccard, 6)}
                for pair in self.overlaps
            ],
            "words": [dataclasses.asdict(word) for word in self.words],
        }


def compare(corpus_dir: epath.Path, vocabularies: Sequence[Named], sample: Sample) -> Comparison:
    """Measure vocabularies on held-out documents of a prepared corpus, in bounded memory.

    Raises:
      UserError: no complete corpus, or no document was chosen.
    """
    shards = shards_of(corpus_dir, "validation")
    manifest = read_json(corpus_dir / "manifest.json")
    # A corpus of unknown patients counts each note as a person's: nothing then says that a word is
    # shared by many.
    patients_known = bool(manifest.get("patients_known", False))
    fraction = min(1.0, sample.documents / max(1, manifest["splits"]["validation"]["documents"]))
    passed = _Pass(vocabularies)
    for row in _chosen_rows(shards, fraction, sample.seed):
        passed.add(**row)
    if not passed.documents:
        raise UserError("no held-out document was chosen; ask for more with --documents")
    show = passed.words.shared() if patients_known else {}
    return Comparison(
        corpus=corpus_dir.name,
        corpus_sha256=manifest["content_sha256"],
        synthetic=bool(manifest.get("synthetic", False)),
        patients_known=patients_known,
        sample=sample,
        vocabularies=tuple(passed.measured()),
        overlaps=tuple(_overlaps(vocabularies)),
        words=tuple(words.most_differently_cut(show, vocabularies, sample.words)),
    )


class _Pass:
    """What one pass over the documents adds up."""

    def __init__(self, vocabularies: Sequence[Named]):
        self.documents = 0
        self.words = words.WordTable()
        self._vocabularies = vocabularies
        self._meters = [Meter(one.vocabulary) for one in vocabularies]
        self._tallies: dict[str, list[Tally]] = {}
        self._persons: dict[str, set[str]] = {}

    def add(self, document_id: str, person_id: str, category: str, text: str) -> None:
        """Measure one document with every vocabulary."""
        del document_id  # it only chose the document
        category = self._kept_category(category or NO_CATEGORY)
        persons = self._persons.setdefault(category, set())
        if len(persons) < words.LEAST_PERSONS:
            persons.add(person_id)
        runs = words.runs_of_letters(text)
        self.words.add(runs, person_id)
        sums = self._tallies.setdefault(category, [Tally() for _ in self._meters])
        for tally, meter in zip(sums, self._meters, strict=True):
            tally.add(meter.measure(text, runs))
        self.documents += 1

    def measured(self) -> Iterator[Measured]:
        """Each vocabulary's numbers, overall and by category."""
        by_category = self._merged()
        for k, one in enumerate(self._vocabularies):
            overall = Tally()
            for tallies in by_category.values():
                overall.add(tallies[k])
            yield Measured(
                label=one.label,
                pieces=one.vocabulary.base_vocab_size,
                content_sha256=one.vocabulary.content_hash,
                overall=overall,
                by_category={name: tallies[k] for name, tallies in by_category.items()},
                tags=whole_tags(one.vocabulary),
            )

    def _kept_category(self, category: str) -> str:
        """The category, or the others' where there are too many to keep apart."""
        full = len(self._tallies) >= _MOST_CATEGORIES and category not in self._tallies
        return OTHER_CATEGORIES if full else category

    def _merged(self) -> dict[str, list[Tally]]:
        """Categories by their number of documents; those of few persons are taken together."""
        merged: dict[str, list[Tally]] = {}
        others = [Tally() for _ in self._meters]
        for name in sorted(
            self._tallies, key=lambda name: (-self._tallies[name][0].documents, name)
        ):
            tallies = self._tallies[name]
            if name != OTHER_CATEGORIES and len(self._persons[name]) >= words.LEAST_PERSONS:
                merged[name] = tallies
                continue
            for total, tally in zip(others, tallies, strict=True):
                total.add(tally)
        if others[0].documents:
            merged[OTHER_CATEGORIES] = others
        return merged


def _chosen_rows(
    shards: Sequence[epath.Path], fraction: float, seed: int
) -> Iterator[dict[str, str]]:
    with Progress("measuring documents", len(shards), unit="shards") as progress:
        for shard in shards:
            for batch in read_documents(shard, _COLUMNS):
                for row in batch.to_pylist():
                    if fraction >= 1 or hash_fraction(row["document_id"], seed) < fraction:
                        yield row
            progress.advance()


def _overlaps(vocabularies: Sequence[Named]) -> Iterator[Overlap]:
    pieces = [(one.label, pieces_of(one.vocabulary)) for one in vocabularies]
    for (first, ours), (second, theirs) in itertools.combinations(pieces, 2):
        yield Overlap(first, second, len(ours & theirs), len(ours), len(theirs))


def _vocabulary_as_json(measured: Measured) -> dict[str, Any]:
    return {
        "label": measured.label,
        "pieces": measured.pieces,
        "content_sha256": measured.content_sha256,
        "overall": measured.overall.as_json(),
        "by_category": {name: tally.as_json() for name, tally in measured.by_category.items()},
        "tags_as_one_piece": measured.tags,
    }
