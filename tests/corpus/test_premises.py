import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_t5x.corpus.premises import PremiseIndex, persons_of_premises
from clinical_t5x.corpus.words import words_of

sentence = st.lists(st.sampled_from(["pt", "has", "no", "pain", "12"]), max_size=9).map(" ".join)


def only_words(text):
    return [word for word in text.split() if word.isalpha()]


def contains(note, premise):
    note, premise = only_words(note), only_words(premise)
    return any(note[i : i + len(premise)] == premise for i in range(len(note)))


@given(st.lists(sentence, max_size=5, unique=True), st.lists(sentence, max_size=6))
@settings(max_examples=200, deadline=None)
def test_premises_are_found_where_all_their_words_stand_in_a_row(premises, notes):
    index = PremiseIndex(premises)
    texts, found = index.find(words_of(pl.Series("text", notes, dtype=pl.String)))
    expected = [
        (text, number)
        for text, note in enumerate(notes)
        for number, premise in enumerate(premises)
        if len(only_words(premise)) >= 3 and contains(note, premise)
    ]
    assert list(zip(texts.tolist(), found.tolist(), strict=True)) == expected
    assert index.too_short == sum(len(only_words(premise)) < 3 for premise in premises)


def test_case_digits_punctuation_and_tags_do_not_matter():
    index = PremiseIndex(["He had [**3-4**] episodes of chest pain, 2 at rest."])
    note = "PMH:\n1. He had ___ episodes of\nCHEST PAIN (5 at rest)."
    texts, _ = index.find(words_of(pl.Series([note])))
    assert texts.tolist() == [0]


def test_a_premise_of_many_persons_names_nobody():
    matches = pl.DataFrame(
        {"premise": [0, 0, 0, 1, 1, 1, 1], "person": [10, 11, 10, 11, 12, 13, 14]}
    )
    persons, counts = persons_of_premises(matches, max_persons=3)
    assert persons.to_list() == [10, 11]
    assert counts == {
        "premises that name persons": 1,
        "premises too vague": 1,
        "persons named": 2,
    }
