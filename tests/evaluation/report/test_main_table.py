"""Measured and published lines: side by side where they compare, marked in every form."""

import csv
import io
import re

import pytest

from clinical_t5x.console import UserError
from clinical_t5x.evaluation.report import latex, main_table_page, text
from clinical_t5x.evaluation.report.collect import collect
from clinical_t5x.evaluation.report.main_table import (
    MEASURED,
    PUBLISHED,
    main_table,
    marker,
    published_lines,
)
from clinical_t5x.evaluation.report.page import page
from clinical_t5x.evaluation.report.table import COLUMNS
from tests.evaluation.report.measured import REAL_UNITS, write_system

# Tables 7, 9 and 10 of the paper once more, typed apart from the registry: MedNLI accuracy, RadQA
# exact match and F1, CLIP micro and macro F1.
PAPER = {
    "T5-Base": (0.818, 0.479, 0.662, 0.767, 0.594),
    "Clinical-T5-Base-Ckpt": (0.852, 0.505, 0.684, 0.772, 0.605),
    "Clinical-T5-Base": (0.855, 0.531, 0.710, 0.793, 0.652),
    "RoBERTa-Large": (0.852, 0.521, 0.684, 0.793, 0.677),
    "BioClinRoBERTa": (0.900, 0.604, 0.759, 0.805, 0.707),
    "GatorTron": (0.883, 0.583, 0.759, 0.791, 0.690),
    "T5-Large": (0.849, 0.537, 0.700, 0.779, 0.629),
    "Clinical-T5-Large": (0.872, 0.550, 0.745, 0.800, 0.663),
    "PubMedGPT": (0.870, 0.512, 0.698, 0.819, 0.666),
    "T5-XL": (0.869, 0.568, 0.729, 0.780, 0.640),
    "Flan-T5-XXL": (0.808, 0.300, 0.602, 0.164, 0.178),
    "GPT-3": (0.807, 0.362, 0.620, 0.154, 0.146),
}
APPENDIX = {"ClinicalBERT", "Clinical-Longformer", "SciFive", "SciFive-Large"}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Two models of the registry, one of a user's own, of the real test split's size."""
    root = tmp_path_factory.mktemp("runs")
    for key, skill in (("t5_base", 0.7), ("clinical_t5_base", 0.8), ("own_model", 0.75)):
        for seed in (1, 2):
            write_system(root, "mednli", key, skill, seed=seed, units=REAL_UNITS["mednli"])
    return collect([root], published="main")


@pytest.fixture(scope="module")
def html(both):
    return page(both)


def test_the_papers_main_table_is_reproduced():
    found = {
        line.name: tuple(line.entries[column].value for column in COLUMNS)
        for line in published_lines("main")
    }
    assert found == PAPER
    assert {line.name for line in published_lines("all")} == PAPER.keys() | APPENDIX
    assert published_lines("none") == []


def test_a_measured_line_stands_beside_the_published_one_of_its_model(both):
    places = [(line.name, line.origin) for line in both.table.lines]
    for name in ("T5-Base", "Clinical-T5-Base"):
        assert places.index((name, PUBLISHED)) == places.index((name, MEASURED)) + 1
    assert places[-1] == ("own_model", MEASURED)
    assert len(places) == 15


def test_no_number_is_made_of_measured_and_published_ones(both):
    for line in both.table.lines:
        for entry in line.entries.values():
            if line.origin == PUBLISHED:
                assert (entry.low, entry.high, entry.by_seed, entry.n) == (None, None, (), None)
                assert entry.source in {"Table 7", "Table 9", "Table 10"}
            else:
                assert entry.low < entry.value < entry.high and len(entry.by_seed) == 2
                assert entry.source == ""
    # and published systems are in no test
    names = {system.name for matrix in both.matrices for system in matrix.systems}
    assert names == {"T5-Base", "Clinical-T5-Base", "own_model"}


def test_every_form_says_of_every_line_which_it_is(both, html):
    lines = both.table.lines
    of_csv = list(csv.DictReader(io.StringIO(text.csv_text(both))))
    scores = [row for row in of_csv if row["kind"] == "score"]
    assert [(row["name"], row["origin"]) for row in scores] == [
        (line.name, line.origin) for line in lines for _ in line.entries
    ]
    assert [row for row in scores if row["origin"] == PUBLISHED and row["low"]] == []
    of_markdown = [row.split(" | ") for row in text.markdown(both).splitlines() if " | " in row]
    shown = [cells[1] for cells in of_markdown if cells[1] in (MEASURED, PUBLISHED)]
    assert shown == [line.origin for line in lines]
    of_latex = [row.split(" & ") for row in latex.main_table_text(both).splitlines()]
    assert [row[1] for row in of_latex if len(row) > 2 and row[1] in (MEASURED, PUBLISHED)] == shown
    of_page = re.findall(r'<tr class="(\w+)">.*?<td class="origin">(\w+)</td>', html)
    assert of_page == [(line.origin, line.origin) for line in lines]
    assert of_page


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_says_it_too_and_cuts_nothing(both, width):
    from rich.console import Console

    console = Console(width=width, file=io.StringIO())
    console.print(text.terminal_table(both))
    table = console.file.getvalue().partition("MedNLI accuracy:")[0]
    assert table.count(" published ") == 12 and table.count(" measured ") == 3
    assert "…" not in table and max(map(len, table.splitlines())) <= width


def test_known_errors_are_marked_and_explained_in_every_form(both, html):
    table = both.table
    line = next(line for line in table.lines if (line.key, line.origin) == ("gpt3", PUBLISHED))
    low = line.entries[next(c for c in COLUMNS if c.metric == "micro_f1")]
    letters = table.markers(low)
    assert len(letters) == 2
    notes = [table.notes[[marker(k) for k in range(26)].index(letter)] for letter in letters]
    assert "25 % of the test split" in notes[0] and "too low" in notes[1]
    joined = ",".join(letters)
    assert rf"15.4\textsuperscript{{{joined}}}" in latex.main_table_text(both)
    assert f"15.4 (one run) ({joined})" in text.markdown(both)
    for letter, note in zip(letters, notes, strict=True):
        assert f'id="note-{letter}"' in html and note[:40] in html
        assert f"({letter}) {note}" in text.markdown(both)
    rows = csv.DictReader(io.StringIO(text.csv_text(both)))
    (row,) = [r for r in rows if (r["system"], r["metric"]) == ("gpt3", "micro_f1")]
    assert row["test_part"] == "0.25" and "too low" in row["notes"]


def test_synthetic_results_stand_apart_from_the_paper(tmp_path):
    write_system(tmp_path, "mednli", "t5_base", 0.7, synthetic=True)
    write_system(tmp_path, "mednli", "clinical_t5_base", 0.8, synthetic=True)
    found = collect([tmp_path], published="main")
    assert found.table.is_apart and found.synthetic == "some"
    assert [line.origin for line in found.table.lines] == [MEASURED] * 2 + [PUBLISHED] * 12
    assert {ending: len(part.lines) for ending, part in found.table.parts().items()} == {
        "": 2,
        "_paper": 12,
    }
    shown = main_table_page.table(found.table)
    for form in (shown, text.markdown(found), latex.main_table_text(found)):
        assert "measured (synthetic data)" in form
        assert "not compare with the published numbers" in form


def test_another_test_split_than_the_papers_is_said(tmp_path):
    write_system(tmp_path, "mednli", "t5_base", 0.7, units=100)
    found = collect([tmp_path], published="main")
    (note,) = {note for note in found.table.notes if "300" in note}
    assert "1,422: not comparable" in note
    assert found.table.is_apart and list(found.table.parts()) == ["", "_paper"]
    alone = collect([tmp_path]).table
    assert alone.notes == () and not alone.is_apart


def test_nothing_to_report_and_the_wrong_split_are_refused():
    with pytest.raises(UserError, match="nothing to report"):
        collect([])
    with pytest.raises(UserError, match="of the test split"):
        collect([], published="main", split="validation")


def test_markers_go_on_after_z():
    assert [marker(k) for k in (0, 25, 26, 27, 52)] == ["a", "z", "aa", "ab", "ba"]
    assert main_table([], "none").lines == ()


def test_a_model_with_a_head_for_each_task_is_one_system(tmp_path):
    for task, network in (("mednli", "roberta 168K"), ("clip", "roberta 169K")):
        write_system(tmp_path, task, "roberta_large", 0.7, model=network)
        write_system(tmp_path, task, "scratch", 0.5, model=network)
    found = collect([tmp_path])
    assert [(row.title, row.model, len(row.cells)) for row in found.rows] == [
        ("From scratch", "roberta 168K", 1),
        ("From scratch", "roberta 169K", 2),
        ("RoBERTa-Large", "roberta 168K, 169K", 3),
    ]
    write_system(tmp_path, "clip", "roberta_large", 0.8, seed=2, model="roberta 500K")
    assert len(collect([tmp_path]).rows) == 5  # two networks on one task are two systems
