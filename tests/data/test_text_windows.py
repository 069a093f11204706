"""Windows on random texts: whole words, within their budget, nothing lost, linear time."""

import functools
import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_t5x.corpus.deid_tags import KIND_TAGS
from clinical_t5x.data.home import reading_from
from clinical_t5x.data.preprocessors import retag_answers, tags_replaced
from clinical_t5x.data.preprocessors_windows import QuestionWindows
from clinical_t5x.data.text_windows import (
    context_windows,
    fields_in_window,
    first_answer_within,
    repeated_in_window,
)
from clinical_t5x.data.vocabulary import ClinicalVocabulary

WORDS = ["Follow", "up", "[Name]", "-", "CT", "12", "mg", "Dr.", "lisinopril", "é", "(", "x" * 40]
notes = st.lists(st.sampled_from(WORDS), max_size=150).map(" ".join)
blanks = st.sampled_from([" ", "  ", "\n", "\n\n", "\t", " \n "])
contexts = st.lists(st.tuples(st.sampled_from(WORDS), blanks), max_size=120).map(
    lambda parts: "".join(word + blank for word, blank in parts)
)
budgets = st.integers(20, 256)


@pytest.fixture(scope="module")
def cost(tiny_home):
    with reading_from(tiny_home):
        encode = ClinicalVocabulary().tokenizer.encode
    return functools.lru_cache(None)(lambda text: len(encode(text)))


@settings(max_examples=150, deadline=None)
@given(notes, notes.filter(bool), notes, budgets)
def test_the_sentence_is_kept_and_the_budget_used_to_the_last_word(
    cost, before, sentence, after, tokens
):
    sentence = f"Q {sentence}"  # stands once in the note, so that the window's parts are known
    text, cut = repeated_in_window(before, sentence, after, tokens=tokens, cost=cost)
    assert cost(text) + 1 <= tokens
    window, _, kept = text.rpartition(" ; ")
    assert sentence == kept if not cut else sentence.startswith(kept)
    if cut:
        return
    if len(window) < len(sentence) or sentence not in window:
        assert sentence.startswith(window), "no room for the sentence twice"
        return
    lead, _, tail = f" {window} ".partition(f" {sentence} ")
    lead, tail = lead.split(), tail.split()
    left, right = before.split(), after.split()
    assert left[len(left) - len(lead) :] == lead
    assert right[: len(tail)] == tail
    if len(lead) < len(left):
        assert cost(f"{left[-len(lead) - 1]} {window} ; {kept}") + 1 > tokens
    if len(tail) < len(right):
        assert cost(f"{window} {right[len(tail)]} ; {kept}") + 1 > tokens


@settings(max_examples=100, deadline=None)
@given(notes, notes.filter(bool), notes, budgets)
def test_fields_keep_the_sentence_and_use_the_budget(cost, before, sentence, after, tokens):
    lead, kept, tail, cut = fields_in_window(before, sentence, after, tokens=tokens, cost=cost)
    used = sum(cost(" " + part) for part in (lead, kept, tail) if part)
    assert used <= tokens
    assert before.endswith(lead)
    assert after.startswith(tail)
    assert cut == (kept != sentence)
    if cut:
        assert sentence.startswith(kept)
        return
    earlier = before[: len(before) - len(lead)].split()
    later = after[len(tail) :].split()
    for word in earlier[-1:] + later[:1]:
        assert used + cost(" " + word) > tokens, "no further word fits"


def test_the_time_is_linear_in_the_note(cost):
    """By the number of looked-up costs, which no timing disturbs."""

    def look_ups(words):
        asked = []

        def counted(text):
            asked.append(text)
            return cost(text)

        note = " ".join(["CT"] * words)
        repeated_in_window(note, "x", note, tokens=2 * words, cost=counted)
        context_windows(note, room=40, stride=20, cost=counted)
        return len(asked)

    assert look_ups(2000) < 2.2 * look_ups(1000)


@settings(max_examples=150, deadline=None)
@given(contexts, st.integers(1, 80), st.integers(1, 80))
def test_context_windows_cover_every_word_whole(cost, context, room, stride):
    spans = context_windows(context, room=room, stride=stride, cost=cost)
    assert spans[-1][1] == len(context)
    assert all(a < b for (a, _), (b, _) in itertools.pairwise(spans)), "in order"
    for (_, stop), (start, _) in itertools.pairwise(spans):
        assert not context[stop:start].strip(), "no word between two windows"
    words = set(context.split())
    for start, stop in spans:
        text = context[start:stop]
        assert set(text.split()) <= words, "no word is cut"
        assert cost(" " + text) <= room or len(text.split()) == 1
    if not context.strip() or cost(" " + context.lstrip()) <= room:
        assert [context[a:b] for a, b in spans] == [context.lstrip()]


@settings(max_examples=200, deadline=None)
@given(contexts.filter(str.strip), st.integers(24, 80), st.randoms(use_true_random=False))
def test_windows_of_a_question(cost, context, tokens, chance):
    starts = sorted(chance.sample(range(len(context)), k=min(3, len(context))))
    answers = [context[a : a + chance.randint(1, 30)] for a in starts]
    steps = QuestionWindows(tokens, tokens // 2, before="question: ", between=" context:")
    inputs, targets = steps.of("Where ?", context, answers, starts, cost)
    room = tokens - 1 - cost("question: Where ? context:")
    spans = context_windows(context, room=room, stride=tokens // 2, cost=cost)
    assert len(inputs) == len(targets) == len(spans)
    for text, target, (a, b) in zip(inputs, targets, spans, strict=True):
        assert text == f"question: Where ? context: {context[a:b]}"
        inside = [
            answer
            for answer, start in zip(answers, starts, strict=True)
            if a <= start + len(answer) - len(answer.lstrip()) and start + len(answer.rstrip()) <= b
        ]
        assert target == (inside[0] if inside else "")


def test_an_answer_across_a_border_is_no_target():
    context = "a b c d e f"
    assert first_answer_within((0, 5), ["c d", "b"], [4, 2]) == "b"
    assert first_answer_within((0, 5), ["c d"], [4]) is None
    assert first_answer_within((0, 7), ["c d"], [4]) == "c d"
    spans = context_windows(context, room=3, stride=2, cost=lambda text: len(text.split()))
    assert [context[a:b] for a, b in spans] == ["a b c", "c d e", "d e f"]


def _tagged_text(chance):
    """Text with tags of all kinds, whole or broken up as CLIP's, and words; where pieces begin."""
    pieces = []
    for _ in range(chance.randint(1, 12)):
        kind = chance.choice([*KIND_TAGS, "2141-3-4", "17", "nonsense kind", ""])
        whole = f"[**{kind.title()} {chance.randint(1, 99)}**]"
        broken = f"[ **{kind.title()} ( {chance.randint(1, 9)} ) {chance.randint(1, 99)}** ]"
        pieces.append(chance.choice([whole, broken, "stable", "nodule seen", "é", "[", "**", ";"]))
    return pieces


@settings(max_examples=200, deadline=None)
@given(st.randoms(use_true_random=False))
def test_answers_stay_spans_of_their_context_whatever_the_tags(chance):
    context = " ".join(_tagged_text(chance))
    starts = [chance.randrange(len(context)) for _ in range(4)]
    answers = [context[start : start + chance.randint(1, 40)] for start in starts]
    new, new_answers, new_starts = retag_answers(context, answers, starts)
    assert new == tags_replaced(context)
    for answer, start in zip(new_answers, new_starts, strict=True):
        assert new[start : start + len(answer)] == answer
    for old, answer in zip(answers, new_answers, strict=True):
        if not set(old) & set("[*]"):
            assert old == answer or len(answer) < len(old) + 40
    everything = retag_answers(context, [context], [0])
    assert everything == (new, [new], [0])


@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False))
def test_text_without_a_tag_in_or_across_it_is_found_again(chance):
    pieces = _tagged_text(chance)
    chosen = chance.randrange(len(pieces) + 1)
    pieces.insert(chosen, "the annotated words")
    context = " ".join(pieces)
    start = len(" ".join(pieces[:chosen])) + (chosen > 0)
    _, (answer,), _ = retag_answers(context, ["the annotated words"], [start])
    assert answer == "the annotated words"


def test_broken_up_tags_read_as_whole_ones():
    rng = random.Random(0)
    for kind in KIND_TAGS:
        number = rng.randint(1, 99)
        whole = tags_replaced(f"Dr. [**{kind.title()} ({number}) 7**] today")
        broken = tags_replaced(
            f"Dr. [ **{kind.title().replace('/', ' / ')} ( {number} ) 7** ] today"
        )
        assert whole == broken
        assert "*" not in whole
