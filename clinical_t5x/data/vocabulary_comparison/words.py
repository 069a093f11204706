"""Words that may be shown: single words of letters, found in the notes of many persons.

A word that many persons' notes share names none of them. Nothing else of a note leaves this module.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Sequence

from clinical_t5x.data.vocabulary import DEID_TAGS
from clinical_t5x.data.vocabulary_comparison.counting import cut_word
from clinical_t5x.data.vocabulary_comparison.named import Named

LEAST_PERSONS = 20

_MOST_COUNTED_WORDS = 200_000
_TAG = re.compile("|".join(map(re.escape, DEID_TAGS)))
_RUN = re.compile(r"[^\W\d_]+")


@dataclasses.dataclass(frozen=True)
class CutWord:
    """A word and its pieces in each vocabulary.

    Attributes:
      word: as it is spelled most often.
      occurrences: in the sample.
      pieces: by the vocabulary's label.
    """

    word: str
    occurrences: int
    pieces: dict[str, list[str]]


def runs_of_letters(text: str) -> Counter[str]:
    """The words of letters alone, counted; de-identification tags are no words."""
    return Counter(_RUN.findall(_TAG.sub(" ", text)))


class WordTable:
    """How often words occur, and whether in the documents of enough persons to be shown.

    Bounded: when it grows too large, words seen with the fewest persons are forgotten. A word that
    comes back starts anew, so that persons are never counted too many.
    """

    def __init__(self):
        self._counts: Counter[str] = Counter()
        # Hashes of persons; dropped (None) once there are enough of them.
        self._persons: dict[str, set[int] | None] = {}

    def add(self, runs: Counter[str], person: str) -> None:
        """Count the words of a document of `person`."""
        self._counts.update(runs)
        key = hash(person)
        for word in runs:
            persons = self._persons.setdefault(word, set())
            if persons is not None:
                persons.add(key)
                if len(persons) >= LEAST_PERSONS:
                    self._persons[word] = None
        if len(self._counts) > _MOST_COUNTED_WORDS:
            self._forget_rarest()

    def shared(self) -> dict[str, int]:
        """Occurrences of the words that enough persons share, one spelling for each word."""
        best: dict[str, tuple[int, str]] = {}
        for word, persons in self._persons.items():
            if persons is None:
                spelling = (self._counts[word], word)
                best[word.lower()] = max(best.get(word.lower(), spelling), spelling)
        return {word: count for count, word in best.values()}

    def _forget_rarest(self) -> None:
        few = 1
        while len(self._counts) > _MOST_COUNTED_WORDS // 2 and few < LEAST_PERSONS:
            rare = [w for w, found in self._persons.items() if found and len(found) <= few]
            for word in rare:
                del self._persons[word], self._counts[word]
            few += 1


def most_differently_cut(
    shared: dict[str, int], vocabularies: Sequence[Named], most: int
) -> list[CutWord]:
    """The words whose number of pieces differs most between vocabularies, frequent ones first."""
    cuts = [
        CutWord(word, count, {one.label: cut_word(one.vocabulary, word) for one in vocabularies})
        for word, count in shared.items()
    ]
    different = [cut for cut in cuts if _spread(cut) > 0]
    different.sort(key=lambda cut: (-_spread(cut), -cut.occurrences, cut.word))
    return different[:most]


def _spread(cut: CutWord) -> int:
    lengths = [len(pieces) for pieces in cut.pieces.values()]
    return max(lengths) - min(lengths)
