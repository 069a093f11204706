"""The matrices against the statistics they are made of, and against what is known beforehand."""

import csv
import io
import itertools

import numpy as np
import pytest

from clinical_t5x.evaluation import statistics
from clinical_t5x.evaluation.metrics import CLIP, MEDNLI
from clinical_t5x.evaluation.report import significance_page
from clinical_t5x.evaluation.report.significance import csv_text, significance
from clinical_t5x.evaluation.report.table import main_rows
from clinical_t5x.evaluation.results import aligned_sums, find_evaluations
from tests.evaluation.report.measured import write_system

SKILLS = {"a": 0.5, "b": 0.52, "c": 0.75, "d": 0.9}


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Four systems on two tasks: a and b with one seed, c and d with two; c on a fraction too."""
    root = tmp_path_factory.mktemp("systems")
    for family, (name, skill) in itertools.product(("mednli", "clip"), SKILLS.items()):
        for seed in (1,) if name in "ab" else (1, 2):
            write_system(root, family, name, skill, seed=seed)
    write_system(root, "mednli", "c", 0.4, fraction=0.1)
    return main_rows(find_evaluations([root]))


@pytest.fixture(scope="module")
def matrices(rows):
    return significance(rows)


def test_each_metric_has_each_pair_once_best_system_first(matrices):
    assert [m.name for m in matrices] == ["mednli_accuracy", "clip_micro_f1", "clip_macro_f1"]
    for matrix in matrices:
        assert sorted(matrix.pairs) == list(itertools.combinations(range(4), 2))
        values = [system.value for system in matrix.systems]
        assert values == sorted(values, reverse=True)
        for (k, m), pair in matrix.pairs.items():
            assert pair.difference.value == pytest.approx(values[k] - values[m])
            assert pair.difference.interval.low <= pair.difference.value
            assert pair.difference.value <= pair.difference.interval.high


def test_systems_of_a_fraction_are_not_among_them(matrices):
    assert {system.name for system in matrices[0].systems} == set("abcd")


def test_one_seed_each_is_the_paired_bootstrap_and_several_resample_seeds_too(rows, matrices):
    found = {row.initialisation: row.evaluations for row in rows if row.fraction == 1.0}
    one = statistics.paired_bootstrap(
        *aligned_sums(found["b"]["mednli"][0], found["a"]["mednli"][0], "mednli"), MEDNLI.reduce
    )["accuracy"]
    matrix = matrices[0]
    place = {system.name: k for k, system in enumerate(matrix.systems)}
    k, m = sorted((place["a"], place["b"]))
    pair = matrix.pairs[k, m].difference
    assert abs(pair.value) == pytest.approx(abs(one.value)) and pair.p_value == one.p_value
    stacks = [
        np.stack([aligned_sums(found["d"]["clip"][0], e, "clip")[1] for e in found[name]["clip"]])
        for name in "dc"
    ]
    several = statistics.difference_over_seeds(*stacks, CLIP.reduce)["macro_f1"]
    matrix = matrices[2]
    place = {system.name: k for k, system in enumerate(matrix.systems)}
    pair = matrix.pairs[place["d"], place["c"]].difference
    assert (pair.value, pair.p_value) == (several.value, several.p_value)
    assert pair.interval.method == "hierarchical"


def test_holm_is_over_the_pairs_of_one_matrix(matrices):
    for matrix in matrices:
        pairs = list(matrix.pairs.values())
        expected = statistics.holm([pair.difference.p_value for pair in pairs])
        assert [pair.p_holm for pair in pairs] == expected


def test_a_clear_difference_is_clear_and_noise_is_not(matrices):
    matrix = matrices[0]
    place = {system.name: k for k, system in enumerate(matrix.systems)}
    k, m = sorted((place["a"], place["b"]))
    assert matrix.pairs[place["d"], place["a"]].is_clear
    assert not matrix.pairs[k, m].is_clear


def test_the_csv_has_every_pair_with_how_it_was_made(matrices):
    found = list(csv.DictReader(io.StringIO(csv_text(matrices))))
    assert len(found) == 18
    for row in found:
        assert float(row["difference"]) >= 0 and row["comparisons"] == "6"
        assert row["method"] == ("percentile" if {row["better"], row["worse"]} == {"a", "b"} else
                                 "hierarchical")  # fmt: skip


def test_the_page_marks_clear_differences_by_more_than_colour(matrices):
    html = significance_page.section(matrices)
    assert html.count('<td class="clear">') == sum(matrix.clear for matrix in matrices) > 0
    assert "font-weight: 700" in significance_page.CSS
    assert significance_page.section([]) == ""


def test_the_picture_has_all_names_and_differences(matrices):
    svg = significance_page.picture(matrices[0]).files()["svg"].decode()
    for k, system in enumerate(matrices[0].systems, 1):
        assert f"{k} {system.name}" in svg
    for pair in matrices[0].pairs.values():
        assert f"+{100 * pair.difference.value:.1f}" in svg


def test_names_too_long_for_the_picture_are_cut(matrices):
    assert significance_page.shortened("12 " + "x" * 60).endswith("…")
    assert significance_page.shortened("12 GatorTron") == "12 GatorTron"


def test_one_system_makes_no_matrix(rows):
    assert significance(rows[:1]) == []
