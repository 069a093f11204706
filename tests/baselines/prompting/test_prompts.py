"""Prompts say what can be read again; demonstrations come from training alone; budgets hold."""

import collections
import re

import pytest

from clinical_t5x.baselines.prompting.demonstrations import Pool
from clinical_t5x.baselines.prompting.prompts import PROMPTS, prompts_named
from clinical_t5x.baselines.prompting.rendering import fit, render
from clinical_t5x.console import UserError
from clinical_t5x.evaluation.metrics import CLIP_LABELS
from tests.baselines import examples

ALL = [prompt for family in PROMPTS.values() for prompt in family]


def words(rendered):
    return len(rendered.text.split())


def pool_of(task):
    records = examples.split_of(task).records
    return Pool(records, [record["id"] for record in records])


@pytest.mark.parametrize("prompt", ALL, ids=lambda prompt: f"{prompt.task}-{prompt.name}")
def test_right_answers_are_read_as_right(prompt):
    for record, (_, target) in zip(
        examples.split_of(prompt.task).records, examples.MAKERS[prompt.task](), strict=True
    ):
        replies = [" " + prompt.gold(record, aspect) for aspect in prompt.aspects]
        answer = prompt.read(replies)
        assert answer.parsed
        assert answer.text == (", ".join(sorted(target.split(", "))) if target else "")


@pytest.mark.parametrize("prompt", ALL, ids=lambda prompt: f"{prompt.task}-{prompt.name}")
def test_a_model_that_goes_on_is_stopped_and_not_before(prompt):
    record = examples.split_of(prompt.task).records[0]
    for aspect in prompt.aspects:
        text = render(prompt, record, aspect, [record, record]).text
        assert text.count("\n" + prompt.stop[0].strip()) == 3  # where each record begins
        assert not any(stop in prompt.gold(record, aspect) for stop in prompt.stop)


@pytest.mark.parametrize("prompt", ALL, ids=lambda prompt: f"{prompt.task}-{prompt.name}")
def test_a_reply_that_never_came_is_no_answer(prompt):
    answer = prompt.read([None, *[" yes"] * (len(prompt.aspects) - 1)])
    assert not answer.parsed and "unanswered" in answer.text


def test_families_have_several_versioned_names():
    for task, family in PROMPTS.items():
        names = [prompt.name for prompt in family]
        assert len(set(names)) == len(names) >= 4, task
        assert all(re.fullmatch(r"[a-z_]+_v\d+", name) for name in names)
        assert {prompt.task for prompt in family} == {task}


def test_every_prompt_for_clip_offers_all_seven_labels():
    records = examples.split_of("clip").records
    for prompt in PROMPTS["clip"]:
        offered = {
            label
            for record in records
            for label in record["labels"]
            for aspect in prompt.aspects
            if prompt.gold(record, aspect) not in ("no", "none")
        }
        assert offered == set(CLIP_LABELS)
        if len(prompt.aspects) == 1:
            said = [prompt.gold({"labels": [label]}, "") for label in CLIP_LABELS]
            assert all(name in prompt.instruction for name in [*said, "none"])


def test_unknown_names_are_refused_with_a_near_one():
    with pytest.raises(UserError, match="labels_v1"):
        prompts_named("mednli", ["label_v1"])
    assert [prompt.name for prompt in prompts_named("clip", ["list_v1"])] == ["list_v1"]


@pytest.mark.parametrize("prompt", ALL, ids=lambda prompt: f"{prompt.task}-{prompt.name}")
def test_demonstrations_are_seeded_nested_and_balanced(prompt):
    pool = pool_of(prompt.task)
    four = pool.demonstrations(prompt, 4, seed=3)
    assert four == pool.demonstrations(prompt, 4, seed=3)
    two = pool.demonstrations(prompt, 2, seed=3)
    assert all(two[aspect] == four[aspect][:2] for aspect in prompt.aspects)
    for aspect in prompt.aspects:
        ids = [record["id"] for record in four[aspect]]
        assert len(set(ids)) == len(ids) == 4
        kinds = collections.Counter(
            kind for record in two[aspect] for kind in prompt.kinds(record, aspect)
        )
        assert len(kinds) >= 2  # no kind twice before another came


def test_demonstrations_are_of_different_units():
    records = [
        {"id": str(k), "premise": "one", "hypothesis": "x", "label": "neutral"} for k in "ab"
    ]
    records += [{"id": "c", "premise": "two", "hypothesis": "x", "label": "neutral"}]
    pool = Pool.of_training("mednli", records)
    prompt = PROMPTS["mednli"][0]
    for seed in range(5):
        found = pool.demonstrations(prompt, 3, seed)[""]
        assert sorted(record["premise"] for record in found) == ["one", "two"]


def test_long_records_demonstrate_only_where_there_are_no_others():
    def record(name, words):
        return {"id": name, "premise": f"{name} " * words, "hypothesis": "x", "label": "neutral"}

    records = [record("long", 400), record("short", 5), record("longer", 500)]
    pool = Pool.of_training("mednli", records)
    for seed in range(4):
        found = pool.demonstrations(PROMPTS["mednli"][0], 3, seed)[""]
        assert found[0]["id"] == "short"
        assert len(found) == 3


def test_another_seed_draws_others():
    pool = pool_of("clip")
    prompt = PROMPTS["clip"][0]
    drawn = {tuple(r["id"] for r in pool.demonstrations(prompt, 3, seed)[""]) for seed in range(8)}
    assert len(drawn) > 2


def test_demonstrations_are_left_out_before_the_record_is_cut():
    prompt = PROMPTS["radqa"][0]
    records = examples.split_of("radqa").records
    whole = fit(prompt, records[0], "", records[1:4], budget=1000, count=words)
    assert (whole.dropped, whole.cut) == (0, False)
    tight = fit(prompt, records[0], "", records[1:4], budget=whole.tokens - 1, count=words)
    assert (tight.dropped, tight.cut) == (1, False)
    assert tight.rendered.demonstrations == whole.rendered.demonstrations[:2]
    none = fit(prompt, records[0], "", records[1:4], budget=60, count=words)
    assert (none.dropped, none.cut) == (3, False)


@pytest.mark.parametrize("prompt", ALL, ids=lambda prompt: f"{prompt.task}-{prompt.name}")
def test_a_record_that_is_too_long_is_cut_and_said_to_be(prompt):
    record = dict(examples.split_of(prompt.task).records[0])
    for name in ("premise", "context", "context_before", "context_after", "sentence"):
        if name in record:
            record[name] = " ".join([record[name], *["word"] * 400])
    aspect = prompt.aspects[0]
    bare = {name: "" if isinstance(value, str) else value for name, value in record.items()}
    budget = words(render(prompt, {**bare, "label": "neutral"}, aspect, ())) + 30
    found = fit(prompt, record, aspect, [], budget=budget, count=words)
    assert found.cut
    assert budget - 25 <= found.tokens <= budget  # not more than it takes
    if prompt.task == "radqa":
        assert record["question"] in found.rendered.question


def test_a_conversation_ends_with_the_question():
    prompt = PROMPTS["mednli"][0]
    records = examples.split_of("mednli").records
    messages = render(prompt, records[0], "", records[1:3]).messages
    assert [m["role"] for m in messages] == ["user", "assistant", "user", "assistant", "user"]
    assert messages[0]["content"].startswith(prompt.instruction)
    assert messages[1]["content"] == prompt.gold(records[1], "")
    assert messages[-1]["content"] == prompt.layout(records[0], "")
