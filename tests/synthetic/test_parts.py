"""The small parts: grammar, gzip from blocks, sizes, plans, line breaks."""

import gzip
import io
import random
import zlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinical_t5x.synthetic import ids, sizes
from clinical_t5x.synthetic.deflate import GzipWriter, combine_crc32
from clinical_t5x.synthetic.grammar import Grammar, expand, several
from clinical_t5x.synthetic.plan import iv_persons_before, plan_iv_person, plan_patient
from clinical_t5x.synthetic.reuse import earlier_save, passage
from clinical_t5x.synthetic.style import articles, wrapped
from clinical_t5x.synthetic.tags import blank, every_tag


def test_grammar_notation():
    grammar = Grammar(
        {"fruit": "apple|pear", "text": "[one|] {fruit} for {who} at {#3-4}:{#1.0-1.1} {~mark}"},
        functions={"mark": lambda draw: "[x]"},
    )
    draw = random.Random(0).random
    made = {expand(grammar["text"], draw, {"who": ("me", "you")}) for _ in range(2_000)}
    assert "one pear for you at 4:1.1 [x]" in made
    assert " apple for me at 3:1.0 [x]" in made
    assert len(made) == 2 * 2 * 2 * 2 * 2


@pytest.mark.parametrize("rules", [{"a": "[open"}, {"a": "shut]"}, {"a": "{b}", "b": "{a}"}])
def test_grammar_refuses_what_it_cannot_mean(rules):
    with pytest.raises(ValueError):
        Grammar(rules)


def test_grammar_names_must_not_clash_with_its_base():
    with pytest.raises(ValueError, match="twice"):
        Grammar({"a": "x"}, base=Grammar({"a": "y"}))


@given(st.lists(st.integers(), unique=True), st.integers(0, 12), st.randoms(use_true_random=False))
def test_several_takes_different_items(items, count, chance):
    taken = several(items, count, chance.random)
    assert len(taken) == min(count, len(items)) == len(set(taken))
    assert set(taken) <= set(items)


@given(st.lists(st.binary(max_size=2_000), max_size=6))
def test_gzip_from_blocks_is_the_whole(parts):
    file = io.BytesIO()
    writer = GzipWriter(file, name="x.csv", comment="SYNTHETIC")
    for part in parts:
        writer.write(part)
    writer.finish()
    assert gzip.decompress(file.getvalue()) == b"".join(parts)
    assert b"SYNTHETIC\0" in file.getvalue()


@given(st.binary(max_size=500), st.binary(max_size=500))
def test_combined_crc(first, second):
    combined = combine_crc32(zlib.crc32(first), zlib.crc32(second), len(second))
    assert combined == zlib.crc32(first + second)


@pytest.mark.parametrize("patients", [20, 61, 500, 4_999, 5_000, 46_520])
def test_parts_add_up_to_the_sizes(patients):
    plan = sizes.plan(patients)
    given_out: Counter = Counter()
    for index in range(patients):
        part = sizes.part_of(index, plan)
        if part is not None:
            given_out[part.benchmark, part.split] += part.count
    for benchmark, totals in (
        ("mednli", plan.premises), ("radqa", plan.reports), ("clip", plan.summaries),
    ):  # fmt: skip
        assert tuple(given_out[benchmark, split] for split in sizes.SPLITS) == totals
    for split, total, reports in zip(sizes.SPLITS, plan.questions, plan.reports, strict=True):
        asked = [sizes.questions_of_report(plan, split, report) for report in range(reports)]
        assert sum(asked) == total
        assert min(asked) >= 2


def test_real_sizes_from_five_thousand_patients_on():
    plan = sizes.plan(5_000)
    assert tuple(3 * n for n in plan.premises) == (11_232, 1_395, 1_422)
    assert tuple(2 * n for n in plan.questions) == (4_878, 656, 614)
    assert plan.summaries == (518, 100, 100)
    assert sizes.plan(46_520)[1:] == plan[1:]


def test_rows_a_patient_are_as_in_the_real_tables():
    count = 6_000
    plans = [plan_patient(1, index, None) for index in range(count)]
    rows = sum(len(plan.slots) for plan in plans)
    assert rows / count == pytest.approx(2_083_180 / 46_520, rel=0.05)
    assert max(len(plan.slots) for plan in plans) > 400  # a heavy tail
    seen = Counter(slot.category for plan in plans for slot in plan.slots)
    for category, real in {
        "Nursing/other": 822_497, "Radiology": 522_279, "Nursing": 223_556, "ECG": 209_051,
        "Physician ": 141_624, "Discharge summary": 59_652, "Echo": 45_794, "Respiratory ": 31_739,
    }.items():  # fmt: skip
        assert seen[category] / rows == pytest.approx(real / 2_083_180, rel=0.15)
    persons = range(iv_persons_before(count))
    iv_only = sum(
        sum(plan.radiology) + plan.discharges for plan in (plan_iv_person(1, i) for i in persons)
    )
    both = sum(
        slot.category in ("Radiology", "Discharge summary")
        for plan in plans if plan.in_iv for slot in plan.slots
    )  # fmt: skip
    assert (iv_only + both) / rows == pytest.approx(2_653_149 / 2_083_180, rel=0.06)


@given(st.integers(0, 46_519), st.integers(0, 46_519))
def test_identifiers_are_unique_and_in_the_real_ranges(one, other):
    for make, low, high in (
        (lambda i: ids.subject_id(i, 46_520), 1, 99_999),
        (lambda i: ids.hadm_id(i, 59_000), 100_001, 199_999),
        (lambda i: ids.iv_subject_id(i, 280_000), 10_000_001, 19_999_999),
        (lambda i: ids.iv_hadm_id(i, 9_000_000), 20_000_001, 29_999_999),
    ):
        assert low <= make(one) <= high
        assert (make(one) == make(other)) == (one == other)


def test_line_breaks_keep_words_and_tags_whole():
    text = "word " * 40 + "[**Last Name (STitle) 1234**] and " + "more " * 30
    for width in (0, 64, 78):
        broken = wrapped(text.strip(), width)
        assert broken.split() == text.split()
        assert "[**Last Name (STitle) 1234**]" in broken
        if width:
            assert max(map(len, broken.split("\n"))) <= width


def test_articles():
    text = "a old man with a unilateral effusion, A echo and a ulcer, a European"
    assert (
        articles(text) == "an old man with a unilateral effusion, An echo and an ulcer, a European"
    )


def test_blank_leaves_nothing_of_a_tag():
    for tag in every_tag():
        assert blank(f"seen by {tag} today") == "seen by ___ today"


@given(st.randoms(use_true_random=False))
def test_earlier_saves_are_beginnings_and_passages_are_lines(chance):
    text = "\n".join(f"Line {n} says something of its own. And more." for n in range(30)) + "\n"
    save = earlier_save(text, chance.random)
    assert text.startswith(save.rstrip()) and len(save) < len(text)
    pasted = passage(text, 1_000, chance.random)
    assert pasted == "" or (f"\n{pasted}\n" in f"\n{text}" and 120 <= len(pasted) <= 400)
