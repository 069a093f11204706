"""MedNLI's premises found in notes: the benchmark has no ids, but its premises are sentences of
MIMIC-III notes.
"""

from __future__ import annotations

import collections
from collections.abc import Sequence

import numpy as np
import polars as pl

from clinical_t5x.corpus.words import HashSet, Words, words_of

ANCHOR_WORDS = 3
MAX_PERSONS = 5


class PremiseIndex:
    """Premises as word sequences, to be looked up in notes.

    A premise is found where all its normalised words stand in a row. Its first three words are
    looked up at every place of a note; only where they stand, the whole premise is compared.

    Attributes:
        premises: the texts.
        too_short: how many have fewer than three words and are not looked for.
    """

    def __init__(self, premises: Sequence[str]):
        self.premises = list(premises)
        words = words_of(pl.Series("premise", self.premises, dtype=pl.String))
        starts, lengths = words.starts[:-1], words.lengths
        usable = np.flatnonzero(lengths >= ANCHOR_WORDS)
        self.too_short = len(self.premises) - len(usable)
        self._anchors = HashSet(words.runs(starts[usable], ANCHOR_WORDS))
        members = collections.defaultdict(list)
        for premise in usable.tolist():
            length = int(lengths[premise])
            whole = int(words.runs(starts[[premise]], length)[0])
            members[length].append((whole, premise))
        self._by_length = {length: _hash_table(pairs) for length, pairs in members.items()}

    def find(self, words: Words) -> tuple[np.ndarray, np.ndarray]:
        """Where premises stand in texts.

        Returns:
            texts_M, premises_M: one pair for every text and premise found in it.
        """
        positions, texts, _ = self._anchors.find_grams(words, ANCHOR_WORDS)
        ends = words.starts[texts + 1]
        found = [np.zeros((0, 2), np.int64)]
        for length, (table, premises) in self._by_length.items():
            fits = np.flatnonzero(positions + length <= ends)
            hits, which = table.find(words.runs(positions[fits], length))
            for hit, index in zip(hits.tolist(), which.tolist(), strict=True):
                pairs = [(int(texts[fits[hit]]), premise) for premise in premises[index]]
                found.append(np.array(pairs, np.int64))
        both = np.unique(np.concatenate(found), axis=0)
        return both[:, 0], both[:, 1]


def _hash_table(pairs: list[tuple[int, int]]) -> tuple[HashSet, list[list[int]]]:
    """The set of the pairs' hashes, and which premises stand behind each (different texts may)."""
    table = HashSet(np.array([whole for whole, _ in pairs], np.uint64))
    behind: list[list[int]] = [[] for _ in range(len(table))]
    for whole, premise in pairs:
        behind[int(np.searchsorted(table.hashes, np.uint64(whole)))].append(premise)
    return table, behind


def persons_of_premises(
    matches: pl.DataFrame, max_persons: int = MAX_PERSONS
) -> tuple[pl.Series, dict[str, int]]:
    """The persons that a premise gives away, and the account of all premises found.

    Args:
        matches: columns premise and person, one row for every match.
        max_persons: a premise that fits more persons is too vague to name any of them.

    Returns:
        The persons to remove, and counts of premises.
    """
    persons = matches.unique().with_columns(fits=pl.len().over("premise"))
    named = persons.filter(pl.col("fits") <= max_persons)
    vague = persons.filter(pl.col("fits") > max_persons)
    counts = {
        "premises that name persons": named.get_column("premise").n_unique(),
        "premises too vague": vague.get_column("premise").n_unique(),
        "persons named": named.get_column("person").n_unique(),
    }
    return named.get_column("person").unique().sort(), counts
