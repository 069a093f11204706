"""Notes with planted edits, and how similar they are by plain Python's sets."""

import itertools
import re

import numpy as np

VOCABULARY = np.array([f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in ("", 1, "n")])


def words_by_hand(text):
    return re.findall(r"[a-z0-9\x80-\uffff]+", text.lower())


def shingles(text, size=5):
    """The distinct runs of five words of a text; the whole text when it is shorter."""
    words = words_by_hand(text)
    runs = {tuple(words[place : place + size]) for place in range(len(words) - size + 1)}
    return runs or {tuple(words)}


def jaccard(one, other):
    return len(one & other) / len(one | other)


def similarities(texts):
    """Jaccard similarity of all pairs of texts: (N, N), zero below the diagonal and on it."""
    sets = [shingles(text) for text in texts]
    found = np.zeros((len(texts), len(texts)))
    for first, second in itertools.combinations(range(len(texts)), 2):
        found[first, second] = jaccard(sets[first], sets[second])
    return found


def prose(rng, count):
    return rng.choice(VOCABULARY, count).tolist()


def edited(rng, words, edits):
    """The same words with some replaced, put in or left out."""
    words = list(words)
    for _ in range(edits):
        place, what = int(rng.integers(len(words))), rng.integers(3)
        if what == 0:
            words[place] = str(rng.choice(VOCABULARY))
        elif what == 1:
            words.insert(place, str(rng.choice(VOCABULARY)))
        elif len(words) > 1:
            del words[place]
    return words
