"""Answers are substrings of their contexts, and windows lose none that fits."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical_t5x.baselines.finetuning.problems import NO_ANSWER, AnswerSpans
from clinical_t5x.baselines.finetuning.settings import Settings
from clinical_t5x.baselines.finetuning.texts import TextEncoder
from clinical_t5x.baselines.finetuning.windows import OUTSIDE, best_span, tokens_of_answer

pytestmark = pytest.mark.long_file

FAMILIES = ("bert", "roberta", "gpt2", "modernbert", "llama")
OVERLAP = 12
WORDS = ("chest", "pain", "Dr.", "[Name]", "2141-3-4,", "µg/mL", "naïve", "No", "(baseline", "\n\n",
         "  ", "🙂", "effusion.", "a", "\t", "heart-failure")  # fmt: skip


@pytest.fixture(scope="module")
def encoders(tiny_models):
    from clinical_t5x.baselines.finetuning.loading import find_pretrained

    return {name: find_pretrained(tiny_models(name)).encoder(40) for name in FAMILIES}


@pytest.mark.parametrize("family", FAMILIES)
@given(words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=60), data=st.data())
@settings(max_examples=25, deadline=None)
def test_windows_lose_no_answer_that_fits(encoders, family, words, data):
    context = " ".join(words)
    if not context.strip():
        return
    encoder = encoders[family]
    windows = encoder.windows(7, "Where is it?", context, overlap=OVERLAP)
    assert all(len(row.ids) <= 40 and row.example == 7 for row in windows)
    start = data.draw(st.integers(0, len(words) - 1))
    stop = data.draw(st.integers(start + 1, min(start + 3, len(words))))
    answer = " ".join(words[start:stop])
    begin = len(" ".join(words[:start])) + (start > 0)
    begin, answer = begin + len(answer) - len(answer.lstrip()), answer.strip()
    if not answer:
        return
    found = [span for row in windows if (span := tokens_of_answer(row, begin, begin + len(answer)))]
    if encoder.cost(f" {answer}") + 2 <= OVERLAP:
        assert found
    for row in windows:
        span = tokens_of_answer(row, begin, begin + len(answer))
        if span is not None:
            covered = context[row.starts[span[0]] : row.ends[span[1]]]
            assert answer in covered and covered in context


@pytest.mark.parametrize("family", FAMILIES)
def test_windows_cover_every_word(encoders, family):
    context = " ".join(f"{word}{k}" for k, word in enumerate(WORDS * 6) if word.strip())
    windows = encoders[family].windows(0, "q?", context, overlap=OVERLAP)
    seen = np.zeros(len(context), bool)
    for row in windows:
        for a, b in zip(row.starts, row.ends, strict=True):
            if a != OUTSIDE:
                seen[a:b] = True
    assert len(windows) > 2
    assert all(seen[k] or context[k].isspace() for k in range(len(context)))


@pytest.mark.parametrize("family", FAMILIES)
@given(words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=40), seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_answers_are_substrings_of_at_most_so_many_words(encoders, family, words, seed):
    context, chance = " ".join(words), np.random.default_rng(seed)
    for row in encoders[family].windows(0, "Which?", context, overlap=OVERLAP):
        logits = chance.normal(size=(2, len(row.ids)))
        span = best_span(row, context, *logits, longest=3)
        if span is None:
            assert not context.strip()
            continue
        text = context[span.start : span.end]
        assert text == text.strip() != ""
        assert len(text.split()) <= 3


@pytest.mark.parametrize("family", FAMILIES)
def test_right_logits_give_the_gold_answer(encoders, family):
    context = (
        "\nFINDINGS: Compared to 2141-3-4, the nodule seen by Dr. [Name] is stable.  No effusion.\n"
    )
    problem = AnswerSpans(encoders[family], Settings(overlap=OVERLAP))
    answers = ("Dr. [Name]", "No effusion", "2141-3-4", None)
    records = [
        {
            "id": str(k),
            "question": "Who?",
            "context": context,
            "answers": [answer] if answer else [],
            "answer_starts": [context.index(answer)] if answer else [],
        }
        for k, answer in enumerate(answers)
    ]
    rows, lost = problem.rows(records)
    assert lost == 0
    outputs = []
    for row in rows:
        logits = np.full((2, len(row.ids)), -9.0)
        logits[[0, 1], row.label] = 9.0
        outputs.append(tuple(logits))
    scores = problem.scores(records, rows, outputs)
    assert problem.texts(scores, {NO_ANSWER: 0.0}) == [answer or "" for answer in answers]
    assert problem.texts(scores, problem.tune(records, scores)) == [a or "" for a in answers]


def test_an_answer_longer_than_any_window_is_counted(encoders):
    context = "pain " * 200
    record = {
        "id": "0", "question": "q", "context": context, "answers": [context.strip()],
        "answer_starts": [0],
    }  # fmt: skip
    rows, lost = AnswerSpans(encoders["bert"], Settings(overlap=4)).rows([record])
    assert lost == 1
    assert all(row.label == (row.null, row.null) for row in rows)


def test_a_question_longer_than_the_input_leaves_room_for_the_context(encoders):
    for encoder in encoders.values():
        rows = encoder.windows(0, "why " * 100, "No effusion.", overlap=OVERLAP)
        assert all(len(row.ids) <= 40 and (row.starts != OUTSIDE).any() for row in rows)


def test_decoders_mark_no_answer_by_the_last_token(encoders):
    for name in ("gpt2", "llama"):
        row = encoders[name].windows(0, "q?", "No effusion.", overlap=2)[0]
        assert row.null == len(row.ids) - 1
        assert row.ids[-1] == encoders[name].tokenizer.eos_token_id


def test_a_slow_tokenizer_is_refused(encoders):
    from clinical_t5x.console import UserError

    class Slow:
        is_fast = False

    with pytest.raises(UserError, match="fast tokenizer"):
        dataclasses.replace(encoders["bert"], tokenizer=Slow())
        TextEncoder(Slow(), 32)
