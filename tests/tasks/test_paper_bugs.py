"""A trap for each bug of the paper's released code that concerns tasks, metrics or evaluation.

Named after the bug's number in the project's list of them; docs/evaluation.md has bug and test side
by side. Bugs of pre-training and of the corpus have their tests with the code that they concern.
"""

import dataclasses
import functools
import random

import numpy as np
import pytest
from etils import epath

import tasks.clip
import tasks.mednli
import tasks.radqa
from clinical_t5x.console import UserError
from clinical_t5x.corpus.deid_tags import replace_tags
from clinical_t5x.data import benchmarks
from clinical_t5x.data.loader import open_examples
from clinical_t5x.data.preprocessors import retag_answers, tags_replaced
from clinical_t5x.data.text_windows import first_answer_within, repeated_in_window
from clinical_t5x.evaluation import hosts
from clinical_t5x.evaluation.evaluator import Evaluator, TaskSpec
from clinical_t5x.evaluation.inference_evaluator import random_subset
from clinical_t5x.evaluation.metrics import (
    CLIP_LABELS,
    RADQA,
    clip_metrics,
    mednli_metrics,
    radqa_metrics,
)
from clinical_t5x.evaluation.predictor import Generation
from clinical_t5x.evaluation.results import Provenance
from tests.data import tiny


@dataclasses.dataclass
class Listed:
    """A split in memory; the targets of its questions are as long as the test says."""

    records: list
    inputs: list
    targets: list
    feature_lengths: dict = dataclasses.field(default_factory=lambda: {"inputs": 8, "targets": 8})
    truncated: int = 0
    task_version: str = "t@a"
    synthetic: bool = False


def listed(golds, target_tokens=4):
    records = [
        {"id": str(k), "unit": str(k), "answers": gold, "targets_pretokenized": (gold or [""])[0]}
        for k, gold in enumerate(golds)
    ]
    tokens = [np.ones(target_tokens, np.int32) for _ in golds]
    return Listed(records, tokens, tokens)


RADQA_TASK = TaskSpec("radqa_v1", (radqa_metrics,), tasks.radqa.answers_or_text)
PROVENANCE = Provenance("m", "scratch")


class Says:
    """Gives answers in order and remembers the limit that it was given."""

    def __init__(self, texts, name="says"):
        self.texts, self.name = texts, name

    def identity(self):
        return self.name

    def generate(self, requests, *, max_target_tokens):
        self.limit = max_target_tokens
        for position, request in enumerate(requests):
            yield position, Generation(self.texts[int(request.id)], at_limit=True)


def words(text):
    return len(text.split())


def test_b1_a_prediction_of_two_labels_scores_both():
    two = ["Lab-related followup", "Imaging-related followup"]
    assert clip_metrics([two], [", ".join(two)])["micro_f1"] == 1.0
    assert clip_metrics([two], ["- " + ", ".join(two)])["exact_match"] == 1.0
    other = "Other helpful contextual information"
    assert clip_metrics([[other]], [other])["f1_" + other] == 1.0
    assert other in tasks.clip.QUESTIONS, "the seventh label is asked for too"


def test_b2_the_decoding_limit_is_the_longest_target_not_twenty_tokens():
    predictor = Says(["", ""])
    evaluation = Evaluator(RADQA_TASK, listed([["a"], []], 137), split="test").run(
        predictor, PROVENANCE
    )
    assert predictor.limit == 137
    assert evaluation.counts["predictions_at_limit"] == 2, "counted, never silent"
    answer = " ".join(f"word{k}" for k in range(60))
    assert radqa_metrics([[answer]], [answer])["f1"] == 1.0


def test_b3_every_system_has_the_same_limit():
    limits = set()
    for name in ("encoder", "decoder"):
        predictor = Says([""], name)
        Evaluator(RADQA_TASK, listed([["a"]], 61), split="test").run(predictor, PROVENANCE)
        limits.add(predictor.limit)
    assert limits == {61}


def test_b4_labels_are_read_from_text_so_that_no_threshold_is_put_on_logits():
    for chosen in (CLIP_LABELS[:1], CLIP_LABELS[2:5], CLIP_LABELS, ()):
        found = clip_metrics([list(chosen)], [", ".join(chosen)])
        assert found["exact_match"] == 1.0, "what is generated is what is scored"


def test_b5_a_sample_of_examples_is_random_and_the_same_every_time():
    examples = listed([["a"]] * 120)
    ids = [record["id"] for record in random_subset(examples, 30, seed=1).records]
    assert ids == [record["id"] for record in random_subset(examples, 30, seed=1).records]
    assert ids != [record["id"] for record in examples.records[:30]]
    for k, record in enumerate(examples.records):
        record["group"] = str(k // 4)
    sample = [record["group"] for record in random_subset(examples, 5, seed=1).records]
    assert len(sample) == 20
    assert len(set(sample)) == 5, "questions, each with all its windows"


def test_b6_hosts_other_than_the_first_have_the_same_metric(tmp_path, monkeypatch):
    def f1(directory):
        evaluator = Evaluator(RADQA_TASK, listed([["a"], []]), split="test", output_dir=directory)
        return evaluator.run(Says(["a", "b"]), PROVENANCE).result("f1").value

    first = f1(tmp_path / "first")
    monkeypatch.setattr(hosts, "is_first", lambda: False)
    assert f1(tmp_path / "second") == first == 0.5
    assert not (tmp_path / "second").exists()


def test_b12_tags_are_replaced_without_extra_blanks_and_offsets_follow():
    text = "Dr. [**Last Name 12**]'s note"
    new, offsets = replace_tags(text)
    assert new == "Dr. [Name]'s note"
    assert new[slice(*offsets.span(text.index("note"), len(text)))] == "note"


def test_b13_the_annotated_occurrence_is_kept_not_the_first():
    context = "[**Name 1**] stable. [**Name 2**] stable."
    start = context.rindex("stable")
    new, answers, (new_start,) = retag_answers(context, ["stable"], [start])
    assert (answers, new_start) == (["stable"], new.rindex("stable"))


def test_b14_the_longest_kind_decides_and_an_unknown_one_ends_nothing():
    assert tags_replaced("[**Wardname 3**]") == "[LOC]"
    assert tags_replaced("[**Hospital Ward Name 7**]") == "[LOC]"
    assert tags_replaced("[**Month/Day/Year 8**]") == "[DR]"
    assert tags_replaced("[**Quokka**]") == "[MISC]"


def test_b16_window_start_never_negative():
    before = " ".join(f"w{k}" for k in range(230))
    text, cut = repeated_in_window(before, "the asked one", "v1 v2", tokens=256, cost=words)
    assert text == f"{before} the asked one v1 v2 ; the asked one"
    assert not cut


def test_b16_right_truncation_never_cuts_the_queried_sentence():
    chance = random.Random(0)
    for _ in range(200):
        before, sentence, after = (" ".join(["w"] * chance.randint(low, 300)) for low in (0, 1, 0))
        text, cut = repeated_in_window(before, sentence, after, tokens=256, cost=words)
        assert words(text) + 1 <= 256
        assert cut == (words(sentence) > 254)
        assert cut or text.endswith(f" ; {sentence}")


def test_b18_clips_broken_up_tags_are_replaced(in_tiny_home):
    assert tags_replaced("on [ **Month/Year ( 2 ) 1106** ] .") == "on [DR] ."
    for name in ("clip_v1", "clip_fields_v1", "clip_yes_no_v1"):
        for record in open_examples(name, split="train").records:
            assert "**" not in record["inputs_pretokenized"]


def test_fine_tuning_no_example_is_filtered_out_and_pairs_stay_aligned(in_tiny_home):
    for name, split in (("mednli_v1", "validation"), ("mednli_v1", "test")):
        whole = open_examples(name, split=split)
        cut = open_examples(name, split=split, feature_lengths={"inputs": 8, "targets": 4})
        assert len(cut.inputs) == len(cut.targets) == len(whole.inputs) == 6
        assert cut.truncated == 6, "counted"
        assert [r["label"] for r in cut.records] == [r["label"] for r in whole.records]


def test_fine_tuning_gold_and_prediction_are_not_swapped():
    golds = ["entailment", "entailment", "neutral"]
    assert mednli_metrics(golds, ["entailment", "nonsense", "neutral"])["unrecognised"] > 0
    with pytest.raises(ValueError, match="a MedNLI target must be"):
        mednli_metrics(["nonsense"], ["entailment"])
    gold, predicted = ["Lab-related followup"], list(CLIP_LABELS[:4])
    found = clip_metrics([gold], [predicted])
    assert (found["micro_precision"], found["micro_recall"]) == (0.25, 1.0)


def test_fine_tuning_cells_are_parsed_and_never_run(tmp_path):
    root = epath.Path(tmp_path)
    tiny.write_physionet(root)
    path = root / "physionet.org/files/mimic-iii-clinical-action/1.0.0/sentence_level.csv"
    mark = tmp_path / "ran"
    text = path.read_text().replace("['Check'", f"[open({str(mark)!r}, 'w').name", 1)
    path.write_text(text)
    with pytest.raises(UserError, match="the cell is not a list of strings"):
        benchmarks.read("clip", root)
    assert not mark.exists()


def test_fine_tuning_with_overflow_the_last_window_does_not_win():
    right, wrong = RADQA.observe(["mass"], "mass"), RADQA.observe(["mass"], "lung")
    empty = RADQA.observe(["mass"], "")
    combine = functools.partial(RADQA.merge.combine, np.array([right, wrong, empty]))
    assert combine(np.array([-1.0, -2.0, 0.0]))[1] == 1.0
    assert combine(np.array([-2.0, -1.0, 0.0]))[1] == 0.0


def test_fine_tuning_an_answer_that_a_window_loses_is_no_target_of_it():
    assert first_answer_within((0, 10), ["left lung"], [5]) is None
    assert first_answer_within((5, 14), ["left lung"], [5]) == "left lung"
