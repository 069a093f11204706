"""Metrics against independent scorers, on thousands of random sets, and the paper's traps."""

import functools
import inspect
import random
import re
import string

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score
from sklearn.preprocessing import MultiLabelBinarizer

from clinical_t5x.evaluation.metrics import (
    CLIP,
    CLIP_LABELS,
    MEDNLI,
    MEDNLI_LABELS,
    RADQA,
    clip_metrics,
    family_of,
    mednli_metrics,
    parse_labels,
    radqa_metrics,
)
from clinical_t5x.evaluation.metrics.mednli import confusion

_WORDS = ["the", "a", "an", "small", "Effusion", "effusion", "left", "no", "2.5", "cm", "the-left"]
_MARKS = ["", "", ".", ",", "!", "'s", " ", "\n", "-", "’"]
_PUNCTUATION = set(string.punctuation)


def _random_answer(rng: random.Random, longest: int = 6) -> str:
    words = [rng.choice(_WORDS) + rng.choice(_MARKS) for _ in range(rng.randrange(longest + 1))]
    return rng.choice([" ", "  ", "\t"]).join(words)


@functools.cache
def _reference_words(text: str) -> list[str]:
    """Written apart from the library: a scan over characters instead of a translation table."""
    kept = "".join(ch for ch in text.lower() if ch not in _PUNCTUATION)
    return [word for word in re.split(r"\s+", re.sub(r"\b(?:the|an|a)\b", " ", kept)) if word]


def _reference_scores(golds: list[str], prediction: str) -> tuple[int, float]:
    gold_words = [words for words in map(_reference_words, golds) if words] or [[]]
    predicted = _reference_words(prediction)
    best_exact, best_f1 = 0, 0.0
    for words in gold_words:
        best_exact = max(best_exact, int(words == predicted))
        left, overlap = list(words), 0
        for word in predicted:
            if word in left:
                left.remove(word)
                overlap += 1
        if not words or not predicted:
            f1 = float(words == predicted)
        elif overlap == 0:
            f1 = 0.0
        else:
            precision, recall = overlap / len(predicted), overlap / len(words)
            f1 = 2 * precision * recall / (precision + recall)
        best_f1 = max(best_f1, f1)
    return best_exact, best_f1


def test_radqa_equals_an_independent_scorer_on_ten_thousand_sets():
    rng = random.Random(7)
    for _ in range(10_000):
        size = rng.randrange(1, 5)
        golds = [[_random_answer(rng) for _ in range(rng.randrange(4))] for _ in range(size)]
        golds = [[gold for gold in answers if gold.strip()] for answers in golds]
        predictions = [_random_answer(rng) for _ in range(size)]
        pairs = zip(golds, predictions, strict=True)
        scores = [_reference_scores(answers, text) for answers, text in pairs]
        measured = radqa_metrics(golds, predictions)
        assert measured["exact_match"] == sum(exact for exact, _ in scores) / size
        assert measured["f1"] == pytest.approx(sum(f1 for _, f1 in scores) / size, abs=1e-15)
        with_answer = [score for score, answers in zip(scores, golds, strict=True) if answers]
        if with_answer:
            mean = sum(f1 for _, f1 in with_answer) / len(with_answer)
            assert measured["has_answer_f1"] == pytest.approx(mean, abs=1e-15)
        else:
            assert "has_answer_f1" not in measured
        if len(with_answer) < size:
            empty = [s[0] for s, answers in zip(scores, golds, strict=True) if not answers]
            assert measured["no_answer_exact_match"] == sum(empty) / len(empty)


def test_radqa_unanswerable_forms_and_bytes():
    assert radqa_metrics([[], [""], ""], ["", "", " . "])["exact_match"] == 1.0
    assert radqa_metrics([[], []], ["", "effusion"])["no_answer_exact_match"] == 0.5
    assert "has_answer_f1" not in radqa_metrics([[]], [""])
    gold = np.array([b"left effusion", b"an effusion"], dtype=object)
    assert radqa_metrics([gold], ["the effusion"]) == {
        "exact_match": 1.0,
        "f1": 1.0,
        "has_answer_exact_match": 1.0,
        "has_answer_f1": 1.0,
        "answered": 1.0,
    }


def _random_labels(rng: random.Random) -> list[str]:
    return [label for label in CLIP_LABELS if rng.random() < rng.choice([0.1, 0.4])]


def test_clip_equals_scikit_learn_exactly():
    rng = random.Random(3)
    binarise = MultiLabelBinarizer(classes=CLIP_LABELS)
    for _ in range(500):
        size = rng.randrange(1, 12)
        golds = [_random_labels(rng) for _ in range(size)]
        predictions = [_random_labels(rng) for _ in range(size)]
        y_true, y_pred = binarise.fit_transform(golds), binarise.fit_transform(predictions)
        measured = clip_metrics([", ".join(g) for g in golds], [",".join(p) for p in predictions])
        kwargs = {"zero_division": 0}
        assert measured["micro_f1"] == f1_score(y_true, y_pred, average="micro", **kwargs)
        per_label = f1_score(y_true, y_pred, average=None, **kwargs)
        assert [measured[f"f1_{label}"] for label in CLIP_LABELS] == per_label.tolist()
        macro = f1_score(y_true, y_pred, average="macro", **kwargs)
        assert measured["macro_f1"] == pytest.approx(macro, abs=1e-15)
        assert measured["exact_match"] == accuracy_score(y_true, y_pred)


def test_clip_counts_unknown_labels_and_ignores_the_prefix():
    labels, unknown = parse_labels(
        "I-Lab-related followup, Surgery, surgery,, LAB-related followup "
    )
    assert labels == ["Lab-related followup"]
    assert unknown == 1
    measured = clip_metrics([["Lab-related followup"]], ["Lab-related followup, Surgery"])
    assert (measured["micro_f1"], measured["exact_match"]) == (1.0, 0.0)
    assert measured["unknown_labels_per_sentence"] == 1.0
    with pytest.raises(ValueError, match="seven labels"):
        clip_metrics(["Surgery"], [""])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(MEDNLI_LABELS), st.sampled_from([*MEDNLI_LABELS, "", "yes"])),
        min_size=1,
        max_size=30,
    )
)
def test_mednli_equals_scikit_learn(pairs):
    golds, predictions = zip(*pairs, strict=True)
    measured = mednli_metrics(golds, predictions)
    assert measured["accuracy"] == accuracy_score(golds, predictions)
    labels = list(MEDNLI_LABELS)
    per_class = f1_score(golds, predictions, labels=labels, average=None, zero_division=0)
    assert [measured[f"f1_{label}"] for label in labels] == per_class.tolist()
    counts = confusion(MEDNLI.components(golds, predictions).matrix.sum(axis=0))
    assert counts.sum() == len(pairs)
    assert counts[:, 3].sum() == sum(text in ("", "yes") for text in predictions)


def test_mednli_never_maps_an_unknown_word_to_a_label():
    measured = mednli_metrics(["neutral"], ["it is neutral or entailment"])
    assert (measured["accuracy"], measured["unrecognised"]) == (0.0, 1.0)
    assert mednli_metrics([b"neutral"], [" Neutral\n"])["accuracy"] == 1.0


def test_components_sum_by_unit_to_the_same_metrics():
    golds = ["neutral", "entailment", "neutral", "contradiction"]
    components = MEDNLI.components(golds, ["neutral", "neutral", "", "contradiction"])
    units, sums = components.by_unit(["b", "a", "b", "a"])
    assert units == ["b", "a"]
    assert sums.sum(axis=1).tolist() == [2.0, 2.0]
    assert MEDNLI.values(sums.sum(axis=0)) == components.values()


@pytest.mark.parametrize("family", [MEDNLI, RADQA, CLIP])
def test_reduce_works_on_stacks_of_sums(family):
    rng = np.random.default_rng(0)
    sums = rng.integers(1, 9, size=(5, 4, len(family.columns))).astype(float)
    stacked = family.reduce(sums)
    for name, values in stacked.items():
        assert values.shape == (5, 4), name
        assert values[2, 3] == family.reduce(sums[2, 3])[name]


def test_metric_functions_have_seqio_signatures_and_know_their_family():
    for metric_fn, family in (
        (mednli_metrics, MEDNLI),
        (radqa_metrics, RADQA),
        (clip_metrics, CLIP),
    ):
        assert list(inspect.signature(metric_fn).parameters) == ["targets", "predictions"]
        assert family_of(metric_fn) is family
    assert family_of(len) is None


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="2 targets but 1 predictions"):
        mednli_metrics(["neutral", "neutral"], ["neutral"])
