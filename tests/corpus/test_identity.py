import numpy as np
import polars as pl

from clinical_t5x.corpus import identity
from clinical_t5x.corpus.words import words_of

rng = np.random.default_rng(3)
VOCABULARY = np.array([a + b for a in "bcdfgklmnprst" for b in ("ano", "eri", "ilo", "uta", "axe")])


def prose(count):
    return rng.choice(VOCABULARY, count).tolist()


def sketch_table(notes):
    """Notes as (source, patient's number, words) become the table that linking reads."""
    texts, grams = identity.sketches(words_of(pl.Series([" ".join(words) for *_, words in notes])))
    sources, patients = [[note[part] for note in notes] for part in (0, 1)]
    return pl.LazyFrame(
        {
            "in_iv": [sources[text] == "mimic-iv" for text in texts],
            "patient": [patients[text] for text in texts],
            "gram": grams,
        }
    )


def test_a_sketch_is_the_smallest_grams():
    texts = [" ".join(prose(count)) for count in (3, 8, 12, 400, 5000)]
    words = words_of(pl.Series(texts))
    index, sketched = identity.sketches(words)
    hashes, _, owners = words.grams(identity.GRAM_WORDS)
    for text in range(len(texts)):
        smallest = np.unique(hashes[owners == text])[: identity.SKETCH_GRAMS]
        assert sketched[index == text].tolist() == smallest.tolist()


def test_persons_are_linked_by_notes_that_differ_in_identification_and_a_header():
    notes, template = [], prose(60)
    for person in range(40):
        body = prose(120)
        notes.append(("mimic-iii", person, ["admission", *body]))
        notes.append(("mimic-iii", person, template))
        if person % 2 == 0:
            notes.append(("mimic-iv", 900 + person, ["name", "unit", "no", *body]))
        notes.append(("mimic-iv", 2000 + person, prose(120)))
        notes.append(("mimic-iv", 2000 + person, template))
    links = identity.link_persons(sketch_table(notes))
    assert links.select("three", "four").rows() == [
        (person, 900 + person) for person in range(0, 40, 2)
    ]


def test_a_text_of_two_patients_links_nobody():
    body = prose(100)
    notes = [("mimic-iii", 1, body), ("mimic-iii", 2, body), ("mimic-iv", 3, body)]
    assert identity.link_persons(sketch_table(notes)).is_empty()
