"""A run from examples to results: what is shown to whom, what is counted, what is resumed."""

import json
import shutil

import pytest
from etils import epath

from clinical_t5x.baselines.prompting import run as runs
from clinical_t5x.baselines.prompting.endpoint.spending import Price
from clinical_t5x.baselines.prompting.prompts import prompts_named
from clinical_t5x.baselines.prompting.replies import Reply, ReplyStore
from clinical_t5x.baselines.prompting.selection import drawn_units
from clinical_t5x.console import UserError
from clinical_t5x.evaluation.results import find_evaluations
from clinical_t5x.storage import fingerprint
from tests.baselines import examples
from tests.baselines.prompting import material


class Rule:
    """Answers by a rule, and notes what it was asked."""

    counts_exactly = True

    def __init__(self, rule, name="rule", context=4096):
        self.rule, self.name, self.context, self.asked = rule, name, context, []

    def identity(self):
        return self.name

    def room(self, max_tokens):
        return self.context - max_tokens

    def count_tokens(self, rendered):
        return len(rendered.text.split())

    def count_answer(self, text):
        return len(text.split()) + 1

    def key(self, query):
        return fingerprint([self.name, query.rendered.text, query.max_tokens])

    def ask(self, queries, store):
        for number, query in enumerate(queries):
            self.asked.append(query)
            found = self.rule(query.rendered)
            reply = found if isinstance(found, Reply) else Reply(found, query.tokens, 2)
            store.add(self.key(query), reply)
            yield number, reply

    def close(self):
        pass


def made(benchmark, answerer, out, **changes):
    task = benchmark.kind.name
    options = {
        "prompts": prompts_named(task),
        "shots": (0, 2),
        "seed": 1,
        "validation_examples": 9,
        "split": "test",
        "test_units": None,
        "test_seed": 42,
        "initialisation": "gpt3",
        **changes,
    }
    return runs.Run(benchmark=benchmark, answerer=answerer, out=epath.Path(out), **options)


def finished(run):
    with ReplyStore(run.out) as store:
        runs.check_run_directory(run)
        chosen = runs.select(run, store)
        return chosen, runs.evaluate(run, chosen, store)


def prefers_letters(rendered):
    """Right answers to one wording only, and only where it has demonstrations."""
    premise = int(rendered.question.split(" clinic ")[1].split()[0])
    hypothesis = [text in rendered.question for text in material.HYPOTHESES].index(True)
    right = "ACB"[(premise + hypothesis) % 3]
    return right if "letter" in rendered.instruction and rendered.demonstrations else "neutral"


def test_the_best_prompt_is_chosen_on_validation_and_test_is_asked_once(tmp_path):
    asked = Rule(prefers_letters)
    run = made(material.mednli(10), asked, tmp_path)
    chosen, evaluation = finished(run)
    assert chosen.name == "letters_v1-2shot"
    assert evaluation.result("accuracy").value == 1.0
    texts = [query.rendered for query in asked.asked]
    on_test = ["test clinic" in rendered.question for rendered in texts]
    first = on_test.index(True)
    assert all(on_test[first:]) and sum(on_test) == 30  # after everything else, each once
    assert all("validation clinic" in rendered.question for rendered in texts[:first])
    shown = [block for rendered in texts for block, _ in rendered.demonstrations]
    assert shown and all("train clinic" in block for block in shown)
    selection = json.loads((tmp_path / "selection.json").read_text())
    assert selection["chosen"] == chosen.name and len(selection["scores"]) == 14
    assert selection["examples"] == 9 and selection["units"] == 3


def test_reports_find_the_test_result_alone(tmp_path):
    finished(made(material.mednli(4), Rule(prefers_letters), tmp_path))
    (evaluation,) = find_evaluations([tmp_path])
    first = evaluation.results[0]
    assert (first.split, first.initialisation, first.model) == ("test", "gpt3", "rule")
    assert evaluation.counts["requests"] == 12


def test_a_finished_run_asks_nothing_and_says_the_same(tmp_path):
    benchmark = material.mednli(4)
    _, first = finished(made(benchmark, Rule(prefers_letters), tmp_path))
    asked = Rule(prefers_letters)
    _, second = finished(made(benchmark, asked, tmp_path))
    assert not asked.asked
    assert (first.counts, first.results) == (second.counts, second.results)


def test_results_outlive_their_replies(tmp_path):
    benchmark = material.mednli(4)
    _, first = finished(made(benchmark, Rule(prefers_letters), tmp_path))
    (tmp_path / "replies" / "replies.jsonl").unlink()
    asked = Rule(prefers_letters)
    _, second = finished(made(benchmark, asked, tmp_path))
    assert second.counts == first.counts and not asked.asked


def test_predictions_without_replies_are_not_accounted_for(tmp_path):
    benchmark = material.mednli(4)
    finished(made(benchmark, Rule(prefers_letters), tmp_path))
    (tmp_path / "replies" / "replies.jsonl").unlink()
    shutil.rmtree(tmp_path / "results")
    with pytest.raises(UserError, match="remove predictions/"):
        finished(made(benchmark, Rule(prefers_letters), tmp_path))


def test_another_run_is_refused(tmp_path):
    benchmark = material.mednli(4)
    finished(made(benchmark, Rule(prefers_letters), tmp_path))
    with pytest.raises(UserError, match="seed differ"):
        finished(made(benchmark, Rule(prefers_letters), tmp_path, seed=2))


def test_validation_units_are_whole_random_and_enough():
    split = material.mednli_split("validation", 40).examples
    drawn = drawn_units(split, 10, seed=0)
    units = [record["unit"] for record in drawn.records]
    assert len(units) == 12 and len(set(units)) == 4
    assert units == [record["unit"] for record in drawn_units(split, 10, seed=0).records]
    first_part = [record["unit"] for record in split.records[:12]]
    others = {tuple(r["unit"] for r in drawn_units(split, 10, seed=s).records) for s in range(5)}
    assert len(others) == 5 and tuple(first_part) not in others
    assert drawn_units(split, 1000, seed=0) is split


def test_part_of_the_test_split_has_a_version_of_its_own(tmp_path):
    whole, part = (
        made(material.mednli(10), Rule(prefers_letters), tmp_path, test_units=units)
        for units in (None, 4)
    )
    assert len(part.scored.records) == 12
    assert part.scored.task_version != whole.scored.task_version
    again = made(material.mednli(10), Rule(prefers_letters), tmp_path, test_units=4, seed=5)
    assert again.scored.records == part.scored.records  # the same for every system and seed


def test_unparsed_and_unanswered_are_counted_and_wrong(tmp_path):
    def rule(rendered):
        if "really" in rendered.question:
            return "Hard to say."
        if "twice" in rendered.question:
            return Reply("", failure="content_filter")
        return "neutral"

    run = made(material.mednli(6), Rule(rule), tmp_path, shots=(0,), prompts=prompts_named("mednli", ["labels_v1"]))  # fmt: skip  # noqa: E501
    _, evaluation = finished(run)
    counts = evaluation.counts
    assert (counts["unparsed"], counts["unanswered"]) == (6, 6)
    assert counts["unanswered_content_filter"] == 6
    assert evaluation.result("unrecognised").value == pytest.approx(12 / 18)


def test_prices_are_counted_with_and_without_choosing(tmp_path):
    price = Price(read=1.0, written=3.0)
    _, evaluation = finished(made(material.mednli(4), Rule(prefers_letters), tmp_path, price=price))
    counts = evaluation.counts
    expected = counts["prompt_tokens"] + 3 * counts["completion_tokens"]
    assert counts["price_in_millionths"] == expected
    assert counts["price_with_selection_in_millionths"] > 5 * expected


@pytest.mark.parametrize("task", ["radqa", "clip"])
@pytest.mark.parametrize("shots", [0, 2])
def test_right_replies_score_as_right(tmp_path, task, shots):
    """Every prompt of a task, those of seven questions a sentence too, with right replies."""
    benchmark = examples.benchmark_of(task)
    for prompt in prompts_named(task):
        known = {
            (prompt.instruction_for(aspect), prompt.layout(record, aspect)): prompt.gold(
                record, aspect
            )
            for record in benchmark.train.records
            for aspect in prompt.aspects
        }
        asked = Rule(lambda rendered, known=known: known[rendered.instruction, rendered.question])
        out = tmp_path / prompt.name
        _, evaluation = finished(made(benchmark, asked, out, prompts=(prompt,), shots=(shots,)))
        metric = "f1" if task == "radqa" else "macro_f1"
        assert evaluation.result(metric).value == 1.0
        assert len(asked.asked) == 8 * len(prompt.aspects)
        assert evaluation.counts["unparsed"] == 0


def test_a_small_context_drops_demonstrations_and_counts_them(tmp_path):
    prompts = prompts_named("mednli", ["labels_v1"])
    asked = Rule(prefers_letters, context=102)  # 70 words beside a reply of 32
    run = made(material.mednli(4), asked, tmp_path, prompts=prompts, shots=(8,))
    _, evaluation = finished(run)
    assert evaluation.counts["demonstrations_dropped"] > 0
    assert evaluation.counts["queried_records_cut"] == 0
    assert all(query.tokens <= 70 for query in asked.asked)


def test_no_room_for_the_longest_answer_is_said(tmp_path):
    asked = Rule(prefers_letters, context=50)
    with pytest.raises(UserError, match="--context_tokens"):
        finished(made(material.mednli(4), asked, tmp_path))


def test_the_estimate_is_what_is_asked(tmp_path):
    run = made(material.mednli(6), Rule(prefers_letters), tmp_path)
    with ReplyStore(tmp_path) as store:
        selection, final = runs.estimate(run, store)
    assert selection.requests == 14 * 9
    _, evaluation = finished(run)
    asked = run.answerer.asked
    assert len(asked) == 14 * 9 + 18
    assert sum(query.tokens for query in asked[: 14 * 9]) == selection.prompt_tokens
    assert final.prompt_tokens >= evaluation.counts["prompt_tokens"]
