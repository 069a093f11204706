"""Thresholds, calibration and note metrics against independent scorers and scikit-learn."""

import math
import random

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    accuracy_score,
    brier_score_loss,
    f1_score,
    log_loss,
    precision_score,
    recall_score,
)
from sklearn.preprocessing import MultiLabelBinarizer

from clinical_t5x.evaluation.metrics import (
    CLIP,
    CLIP_LABELS,
    CLIP_SCORING,
    FAMILIES,
    MEDNLI_LABELS,
    MEDNLI_SCORING,
    RADQA_SCORING,
    Scored,
    clip_metrics,
    clip_note_metrics,
    label_scoring,
)
from clinical_t5x.evaluation.metrics.calibration import (
    BINS,
    bin_components,
    brier_score,
    expected_calibration_error,
    multiclass_brier_score,
    reliability_curve,
    reliability_of_sums,
)
from clinical_t5x.evaluation.metrics.radqa_scores import RADQA_AT_THRESHOLD
from clinical_t5x.evaluation.metrics.tuning import (
    best_label_thresholds,
    best_no_answer_threshold,
)
from tests.evaluation.test_metrics import _random_answer, _reference_scores, _reference_words

# SQuAD v2's threshold, written from the published definition and apart from the library.


def _squad_at(threshold, questions):
    """[(exact, f1)] when questions with a no-answer score above the threshold stay unanswered."""
    return [
        _reference_scores(golds, "" if score > threshold else answer)
        for golds, answer, score in questions
    ]


def _squad_best(questions, which):
    """The published search: from "answer nothing" on, one more question answered at a time."""
    unanswerable = [not golds for golds, _, _ in questions]
    current = best = sum(unanswerable)
    threshold = -math.inf
    for golds, answer, score in sorted(questions, key=lambda question: question[2]):
        if golds:
            gain = _reference_scores(golds, answer)[which]
        else:
            gain = -1 if _reference_words(answer) else 0
        current += gain
        if current > best + 1e-12:
            best, threshold = current, score
    return threshold, best / len(questions)


def _scores_of(questions):
    """What the library keeps of each question."""
    rows = []
    for golds, answer, score in questions:
        logs = np.array([score - 9.0, -9.0])
        observed = RADQA_SCORING.observe(golds, answer, ("", answer), logs)
        rows.append(RADQA_SCORING.by_name(observed))
    return rows


def _random_questions(rng, size, scores):
    questions = []
    for score in scores[:size]:
        golds = [_random_answer(rng) for _ in range(rng.randrange(4))]
        golds = [gold for gold in golds if _reference_words(gold)]
        questions.append((golds, _random_answer(rng), score))
    return questions


def test_squad_threshold_equals_an_independent_scorer_on_ten_thousand_sets():
    rng = random.Random(11)
    for number in range(10_000):
        size = rng.randrange(1, 5)
        scores = rng.sample(range(-40, 40), size)  # no two alike, as real scores are
        questions = _random_questions(rng, size, [score / 4 for score in scores])
        golds, rows = [q[0] for q in questions], _scores_of(questions)
        tuned = RADQA_SCORING.tune(golds, rows)
        oracle = RADQA_SCORING.whole_sample(golds, rows)
        for which, name in enumerate(("exact_match", "f1")):
            threshold, best = _squad_best(questions, which)
            assert tuned[name] == threshold, number
            assert abs(oracle[f"{name}_oracle"] - best) <= 1e-14
        # The thresholds on other questions, as one uses them.
        other = _random_questions(rng, size, [rng.randrange(-40, 40) / 4 for _ in range(size)])
        _check_at_thresholds(other, tuned)


def _check_at_thresholds(questions, thresholds):
    golds = [q[0] for q in questions]
    scored = [Scored(row, thresholds) for row in _scores_of(questions)]
    found = RADQA_AT_THRESHOLD.components(golds, scored).values()
    for which, name in enumerate(("exact_match", "f1")):
        values = [pair[which] for pair in _squad_at(thresholds[name], questions)]
        parts = {"": values}
        parts["has_answer_"] = [v for v, g in zip(values, golds, strict=True) if g]
        parts["no_answer_"] = [v for v, g in zip(values, golds, strict=True) if not g]
        for prefix, part in parts.items():
            metric = f"{prefix}{name}_at_threshold"
            if part:
                assert abs(found[metric] - math.fsum(part) / len(part)) <= 1e-14
            else:
                assert metric not in found


def test_equal_no_answer_scores_stand_and_fall_together():
    """One threshold cannot part them, whatever order they come in."""
    for if_answered in ([1.0, 0.0, 0.0], [0.0, 0.0, 1.0]):
        best = best_no_answer_threshold([2.0, 2.0, 2.0], if_answered, [0.0, 1.0, 0.0])
        assert (best.threshold, best.value) == (-math.inf, 1 / 3)
    rng = random.Random(2)
    for _ in range(300):
        size = rng.randrange(1, 8)
        score, answered, empty = (
            np.array([rng.randrange(3) / 2 for _ in range(size)]) for _ in range(3)
        )
        best = best_no_answer_threshold(score, answered, empty)
        every = {
            t: np.where(score <= t, answered, empty).mean() for t in (-math.inf, *score.tolist())
        }
        assert best.value == pytest.approx(max(every.values()))
        assert best.threshold == min(t for t, v in every.items() if v >= best.value - 1e-12)


def _f1s(p, gold, thresholds):
    given = p >= thresholds
    kwargs = {"zero_division": 0}
    return tuple(f1_score(gold, given, average=kind, **kwargs) for kind in ("macro", "micro"))


def test_label_thresholds_are_the_best_of_all():
    """Against every combination of thresholds of two labels, by scikit-learn's F1."""
    rng = np.random.default_rng(5)
    for _ in range(5):
        p = rng.integers(0, 9, size=(7, 2)) / 8
        gold = rng.integers(0, 2, size=(7, 2))
        macro, micro = best_label_thresholds(p, gold)
        levels = np.arange(-1, 10) / 8 + 1 / 16
        every = [_f1s(p, gold, np.array([a, b])) for a in levels for b in levels]
        best_macro, best_micro = np.max(every, axis=0)
        assert _f1s(p, gold, macro)[0] == pytest.approx(best_macro)
        assert _f1s(p, gold, micro)[1] == pytest.approx(best_micro)


def test_a_label_that_the_sample_never_shows_keeps_its_threshold_at_a_half():
    macro, _ = best_label_thresholds(np.array([[0.2], [0.7]]), np.zeros((2, 1)))
    assert macro == pytest.approx([0.45])  # the middle between the two, nearest to 0.5
    macro, micro = best_label_thresholds(np.array([[0.2], [0.4]]), np.zeros((2, 1)))
    assert (macro, micro) == ([0.5], [0.5])


def test_clip_at_thresholds_equals_scikit_learn():
    rng = np.random.default_rng(1)
    for _ in range(60):
        gold = rng.integers(0, 2, size=(9, 7))
        p = rng.random((9, 7))
        targets = [[x for x, y in zip(CLIP_LABELS, row, strict=True) if y] for row in gold]
        rows = [CLIP_SCORING.by_name([*values, 1.0]) for values in p]
        thresholds = CLIP_SCORING.tune(targets, rows)
        (family,) = CLIP_SCORING.threshold_families
        found = family.components(targets, [Scored(row, thresholds) for row in rows]).values()
        for kind in ("macro", "micro"):
            at = np.array([thresholds[f"{kind}:{label}"] for label in CLIP_LABELS])
            expected = f1_score(gold, p >= at, average=kind, zero_division=0)
            assert found[f"{kind}_f1_at_threshold"] == pytest.approx(expected, abs=1e-15)
        oracle = CLIP_SCORING.whole_sample(targets, rows)
        assert oracle["micro_f1_oracle"] >= found["micro_f1_at_threshold"] - 1e-15


def test_a_labels_probability_is_the_share_of_the_sets_that_hold_it():
    candidates = CLIP_SCORING.candidates(type("G", (), {"text": ", ".join(CLIP_LABELS[:3])}))
    assert len(candidates) == len(set(candidates)) == 1 + 7 + 21 + 1
    share = np.full(len(candidates), 1e-9)
    share[candidates.index("")] = 0.5
    share[candidates.index(CLIP_LABELS[0])] = 0.1
    share[candidates.index(f"{CLIP_LABELS[0]}, {CLIP_LABELS[2]}")] = 0.2
    row = CLIP_SCORING.by_name(CLIP_SCORING.observe([], "", candidates, np.log(share)))
    assert row[f"p:{CLIP_LABELS[0]}"] == pytest.approx(0.3 / 0.8, abs=1e-6)
    assert row[f"p:{CLIP_LABELS[2]}"] == pytest.approx(0.2 / 0.8, abs=1e-6)
    assert row[f"p:{CLIP_LABELS[1]}"] == pytest.approx(0, abs=1e-6)
    assert row["candidate_mass"] == pytest.approx(0.8, abs=1e-6)


@pytest.mark.parametrize(("equal_mass", "strategy"), [(False, "uniform"), (True, "quantile")])
def test_the_reliability_curve_is_scikit_learns(equal_mass, strategy):
    rng = np.random.default_rng(0)
    for size in (5, 40, 400):
        p = rng.beta(0.5, 0.5, size=size)
        y = rng.random(size) < p
        curve = reliability_curve(p, y, bins=10, equal_mass=equal_mass)
        accuracy, confidence = calibration_curve(y, p, n_bins=10, strategy=strategy)
        kept = curve.counts > 0
        np.testing.assert_allclose(curve.accuracy[kept], accuracy)
        np.testing.assert_allclose(curve.confidence[kept], confidence)
        assert curve.counts.sum() == size


def test_calibration_error_of_cases_made_by_hand():
    # Two bins: 0.25 holds once in four, which is right; 0.75 once in two, a gap of a quarter.
    p = np.array([0.25] * 4 + [0.75] * 4)
    y = np.array([1, 0, 0, 0, 1, 1, 0, 0])
    assert expected_calibration_error(p, y, bins=2) == pytest.approx(0.125)
    assert expected_calibration_error(p, y, bins=2, equal_mass=True) == pytest.approx(0.125)
    assert expected_calibration_error(np.ones(3), np.ones(3)) == 0
    assert expected_calibration_error(np.ones(3), np.zeros(3)) == 1
    assert expected_calibration_error(np.zeros(3), np.zeros(3)) == 0
    # A probability on an edge belongs to the bin below it.
    assert reliability_curve(np.array([0.5]), np.array([1]), bins=2).counts.tolist() == [1, 0]
    assert math.isnan(expected_calibration_error(np.array([]), np.array([])))
    with pytest.raises(ValueError, match="between 0 and 1"):
        expected_calibration_error(np.array([1.5]), np.array([1]))
    with pytest.raises(ValueError, match="outcomes"):
        brier_score(np.array([0.5]), np.array([1, 0]))


def test_sums_of_bins_are_the_same_curve():
    rng = np.random.default_rng(3)
    p = np.concatenate([rng.random(50), np.arange(BINS + 1) / BINS])
    y = rng.random(len(p)) < p
    sums = sum(bin_components(*pair) for pair in zip(p, y, strict=True))
    curve, direct = reliability_of_sums(sums), reliability_curve(p, y)
    assert curve.counts.tolist() == direct.counts.tolist()
    np.testing.assert_allclose(curve.confidence, direct.confidence)
    assert curve.error == pytest.approx(direct.error)


def test_brier_scores_are_scikit_learns():
    rng = np.random.default_rng(4)
    p, y = rng.random(30), rng.integers(0, 2, size=30)
    assert brier_score(p, y) == pytest.approx(brier_score_loss(y, p))
    rows = rng.dirichlet(np.ones(3), size=30)
    classes = rng.integers(0, 3, size=30)
    ours = multiclass_brier_score(rows, classes)
    assert ours == pytest.approx(brier_score_loss(classes, rows, labels=[0, 1, 2]))


def test_mednli_by_likelihood_equals_scikit_learn():
    rng = np.random.default_rng(6)
    logs = rng.normal(-3, 2, size=(40, 3))
    golds = [MEDNLI_LABELS[k] for k in rng.integers(0, 3, size=40)]
    rows = [
        MEDNLI_SCORING.by_name(MEDNLI_SCORING.observe(gold, "", MEDNLI_LABELS, row))
        for gold, row in zip(golds, logs, strict=True)
    ]
    (family,) = MEDNLI_SCORING.families
    found = family.components(golds, [Scored(row) for row in rows]).values()
    p = np.exp(logs) / np.exp(logs).sum(axis=1, keepdims=True)
    classes = np.array([MEDNLI_LABELS.index(gold) for gold in golds])
    assert found["accuracy_by_likelihood"] == accuracy_score(classes, p.argmax(axis=1))
    assert found["log_loss"] == pytest.approx(log_loss(classes, p, labels=[0, 1, 2]))
    assert found["brier"] == pytest.approx(multiclass_brier_score(p, classes))
    right = p.argmax(axis=1) == classes
    assert found["ece"] == pytest.approx(expected_calibration_error(p.max(axis=1), right))
    assert MEDNLI_SCORING.whole_sample(golds, rows)["ece_equal_mass"] == pytest.approx(
        expected_calibration_error(p.max(axis=1), right, equal_mass=True)
    )


def test_any_words_can_be_labels():
    scoring = label_scoring("smoking", ("smoker", "never"), unit="patient")
    logs = np.array([-1000.0, -1003.0])  # probabilities that a float cannot hold
    row = scoring.by_name(scoring.observe("never", "", ("smoker", "never"), logs))
    assert row["p:smoker"] == pytest.approx(1 / (1 + math.exp(-3)))
    (family,) = scoring.families
    found = family.components(["never"], [Scored(row)]).values()
    assert found["log_loss"] == pytest.approx(3 + math.log1p(math.exp(-3)))
    assert (family.name, found["accuracy_by_likelihood"]) == ("smoking_likelihood", 0.0)


def test_clip_by_note_and_by_label_equals_scikit_learn_exactly():
    rng = random.Random(8)
    binarise = MultiLabelBinarizer(classes=CLIP_LABELS)
    for _ in range(100):
        size = rng.randrange(1, 15)
        notes = [f"note {rng.randrange(4)}" for _ in range(size)]
        golds, predictions = (
            [[x for x in CLIP_LABELS if rng.random() < 0.2] for _ in range(size)] for _ in range(2)
        )
        of_note = [
            [set().union(*(row[k] for k in range(size) if notes[k] == note)) for note in set(notes)]
            for row in (golds, predictions)
        ]
        y_true, y_pred = (binarise.fit_transform(rows) for rows in of_note)
        found = clip_note_metrics(golds, [", ".join(row) for row in predictions], notes)
        kwargs = {"zero_division": 0}
        assert found["note_micro_f1"] == f1_score(y_true, y_pred, average="micro", **kwargs)
        assert found["note_macro_f1"] == pytest.approx(
            f1_score(y_true, y_pred, average="macro", **kwargs), abs=1e-15
        )
        assert found["note_exact_match"] == accuracy_score(y_true, y_pred)
        y_true, y_pred = binarise.fit_transform(golds), binarise.fit_transform(predictions)
        found = clip_metrics(golds, [", ".join(row) for row in predictions])
        for name, score in (("precision", precision_score), ("recall", recall_score)):
            by_label = score(y_true, y_pred, average=None, **kwargs)
            assert [found[f"{name}_{label}"] for label in CLIP_LABELS] == by_label.tolist()


def test_an_unknown_label_spoils_a_notes_exact_match():
    found = clip_note_metrics([[], []], ["", "Surgery"], ["a", "b"])
    assert found["note_exact_match"] == 0.5


def test_every_family_of_scores_is_known_to_reports():
    for scoring in (MEDNLI_SCORING, RADQA_SCORING, CLIP_SCORING):
        for family in (*scoring.families, *scoring.threshold_families):
            assert FAMILIES[family.name] is family
            sums = np.random.default_rng(0).integers(1, 9, size=(3, 2, len(family.columns)))
            for name, values in family.reduce(sums.astype(float)).items():
                assert values.shape == (3, 2), name
    assert CLIP.whole_units[0].family.name in FAMILIES
