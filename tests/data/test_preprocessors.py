import functools

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_t5x.console import UserError
from clinical_t5x.data.home import reading_from
from clinical_t5x.data.preprocessors import check_deid, retag_answers
from clinical_t5x.data.text_windows import repeated_in_window as window_text
from clinical_t5x.data.vocabulary import ClinicalVocabulary


def words(text):
    """One token a word: easy to count by eye."""
    return len(text.split())


def window(before, sentence, after, tokens):
    return window_text(before, sentence, after, tokens=tokens, cost=words)


def test_whole_note_when_it_fits():
    assert window("a b", "x y", "c d", 256) == ("a b x y c d ; x y", False)


def test_window_grows_on_both_sides_alike():
    # 12 tokens: 1 for the end, 1 for ";", 2 x 2 for the sentence, 6 for its surroundings.
    assert window("a b c d e", "x y", "f g h i j", 12) == ("c d e x y f g h ; x y", False)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("", "f g h i j k l", "x y f g h i j k ; x y"),
        ("a b c d e f g", "", "b c d e f g x y ; x y"),
        ("e", "f g h i j k", "e x y f g h i j ; x y"),
        ("a b c d e f", "g", "b c d e f x y g ; x y"),
    ],
)
def test_short_side_leaves_its_room_to_the_other(before, after, expected):
    assert window(before, "x y", after, 12) == (expected, False)


def test_sentence_behind_the_semicolon_is_never_cut_while_it_fits():
    # The window has room for two words only; they are the sentence's first ones.
    assert window("a b", "u v w x y z", "c d", 10) == ("u v ; u v w x y z", False)


def test_sentence_longer_than_the_budget_is_cut_and_said_so():
    assert window("a", "u v w x y z", "b", 6) == (" ; u v w x", True)


CLINICAL_WORDS = ["Follow", "[Name]", "-", "CT", "12", "mg", "Dr.", "lisinopril", "é", "(", ")"]
sentences = st.lists(st.sampled_from(CLINICAL_WORDS), max_size=60).map(" ".join)


@pytest.fixture(scope="module")
def costs(tiny_home, tmp_path_factory):
    """Token counts by our vocabulary and by one of T5's kind, which puts a blank before a text."""
    theirs = str(tmp_path_factory.mktemp("model") / "m")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([" ".join(CLINICAL_WORDS)] * 5),
        model_prefix=theirs, vocab_size=60, pad_id=0, eos_id=1, unk_id=2, bos_id=-1,
        hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    with reading_from(tiny_home):
        ours = ClinicalVocabulary().sentencepiece_model_file
    vocabularies = {name: ClinicalVocabulary(name) for name in (ours, f"{theirs}.model")}
    return [
        functools.lru_cache(None)(lambda text, v=vocabulary: len(v.encode(text)))
        for vocabulary in vocabularies.values()
    ]


@settings(max_examples=200, deadline=None)
@given(before=sentences, sentence=sentences.filter(bool), after=sentences, which=st.integers(0, 1))
def test_window_fits_its_budget_and_uses_it(costs, before, sentence, after, which):
    cost = costs[which]
    text, cut = window_text(before, sentence, after, tokens=100, cost=cost)
    used = cost(text) + 1
    longest_word = max(cost(" " + word) for word in CLINICAL_WORDS)
    assert used <= 100
    whole_note = " ".join(part for part in (before, sentence, after) if part)
    if not cut:
        assert text.endswith(f" ; {sentence}")
    if not cut and text != f"{whole_note} ; {sentence}":
        assert used > 100 - 2 * longest_word - 2, "the budget is used"


def test_retagged_answers_are_spans_of_the_new_context():
    context = "Dr. [**Last Name (STitle) 12**] saw [**2141-3-4**] a nodule. Dr. [**Name 3**] too."
    texts = ["Dr. [**Last Name (STitle) 12**]", "a nodule", "[**Name 3**] too"]
    starts = [context.index(text) for text in texts]
    new, answers, new_starts = retag_answers(context, texts, starts)
    assert new == "Dr. [Name] saw 2141-3-4 a nodule. Dr. [Name] too."
    assert answers == ["Dr. [Name]", "a nodule", "[Name] too"]
    for answer, start in zip(answers, new_starts, strict=True):
        assert new[start : start + len(answer)] == answer


def test_answer_that_cuts_a_tag_takes_the_whole_tag():
    context = "seen by [**Last Name 12**] today"
    _, answers, _ = retag_answers(context, ["by [**Last"], [context.index("by")])
    assert answers == ["by [Name]"]


def test_second_occurrence_stays_the_annotated_one():
    context = "[**Name 1**] stable. [**Name 2**] stable."
    start = context.rindex("stable")
    new, _, (new_start,) = retag_answers(context, ["stable"], [start])
    assert new_start == new.rindex("stable")


def test_unknown_tag_mode():
    with pytest.raises(UserError, match="deid is 'both'; it must be 'tags' or 'keep'"):
        check_deid("both")
