"""`report --paper`: from the published numbers alone to every file, without a run."""

import csv
import json
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from clinical_t5x import report
from clinical_t5x.console import UserError
from clinical_t5x.evaluation.report import cost_table, latex
from clinical_t5x.evaluation.report.main_table import main_table
from tests.evaluation.report.measured import write_system

FILES = {
    "report.html", "report.md", "report.csv", "report_main.tex", "report_cost.tex",
    "report_cost.csv", "report_curve.csv", "report_scores.svg", "report_scores.png",
    "report_curve.svg", "report_curve.png", "report_flops.svg", "report_flops.png",
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The report of all sixteen models, and what was printed at the end."""
    out = tmp_path_factory.mktemp("paper") / "report.html"
    assert report.main(["--paper", "all", "--out", str(out)]) == 0
    return out.parent


def test_every_file_is_there_and_nothing_half_written(made):
    assert {path.name for path in made.iterdir()} == FILES
    for path in made.glob("*.svg"):
        assert ElementTree.parse(path).getroot().tag.endswith("svg")
        assert "mathdefault" not in path.read_text()  # the sign of a number that stayed TeX
    for path in made.glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 20_000


def test_the_page_holds_the_table_the_figures_the_costs_and_the_errata(made):
    html = (made / "report.html").read_text()
    for heading in (
        "Scores",
        "How much training data does it take?",
        "Score against the effort of pre-training",
        "Cost",
        "Where the paper contradicts itself",
    ):
        assert f">{heading}</h2>" in html
    assert html.count("<svg") == 3
    assert "http" not in html.replace("http://www.w3.org", "")
    assert "Synthetic" not in html and "Which systems differ" not in html


def test_the_csv_has_the_sixteen_models_with_their_tables(made):
    rows = list(csv.DictReader((made / "report.csv").open()))
    assert len({row["system"] for row in rows}) == 16 and len(rows) == 80
    assert {row["origin"] for row in rows} == {"published"}
    assert {row["source"] for row in rows} == {"Table 7", "Table 9", "Table 10"}
    (row,) = [r for r in rows if (r["system"], r["metric"]) == ("bioclinroberta", "accuracy")]
    assert (float(row["value"]), float(row["std"]), row["fraction"]) == (0.9, 0.003, "1.0")


def test_the_curves_csv_has_deviations_and_no_intervals(made):
    rows = list(csv.DictReader((made / "report_curve.csv").open()))
    scores = [row for row in rows if row["kind"] == "score"]
    assert len(scores) == 5 * 5 * 5 and {row["origin"] for row in rows} == {"published"}
    assert not any(row["low"] or row["high"] for row in scores)
    (row,) = [
        r for r in scores
        if (r["system"], r["metric"], r["fraction"]) == ("bioclinroberta", "accuracy", "0.01")
    ]  # fmt: skip
    assert (float(row["value"]), round(float(row["std"]), 6)) == (0.824, 0.025)
    assert row["source"] == "Table 11"


def test_costs_are_the_corrected_ones_and_say_what_the_paper_prints():
    costs = cost_table.cost_table(main_table([], "main"))
    wrong = {(line.key, kind): printed for line, kind, printed in costs.wrong}
    assert wrong == {
        ("gatortron", "general"): 1.4e19, ("t5_large", "general"): 2.6e19,
        ("t5_xl", "general"): 1e20, ("flan_t5_xxl", "general"): 3.7e20,
        ("flan_t5_xxl", "biomedical"): 5.5e18,
    }  # fmt: skip
    shown = {line.key: cost_table.fields(costs, line) for line in costs.lines}
    assert shown["clinical_t5_base"][4:6] == ["5.3e19", "5.3e19"]
    assert shown["clinical_t5_large"][5] == "1.8e20"
    assert shown["t5_xl"][2] == "6.1e20 [3]"
    assert (
        "[3] T5-XL, general text: the paper's Table 3 prints 1.0e20" in cost_table.notes(costs)[2]
    )
    even = {(line.clinical, line.general): line for line in costs.break_evens}
    assert cost_table.break_even_fields(even["Clinical-T5-Large", "T5-XL"])[2:] == [
        "from 33.9B",
        "from 39.4B",
    ]
    assert len(even) == 3


def test_latex_escapes_what_it_must():
    assert latex.escape(r"50 % & more_of #1 {x} $5 ~ ^ \ ± <a>") == (
        r"50 \% \& more\_of \#1 \{x\} \$5 \textasciitilde{} \textasciicircum{} \textbackslash{}"
        r" $\pm$ \textless{}a\textgreater{}"
    )


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_the_tables_compile_with_booktabs_alone(made, tmp_path):
    write_system(tmp_path / "runs", "mednli", "odd_name & 100 % #1", 0.7)
    out = tmp_path / "r.html"
    assert report.main(["--runs", str(tmp_path / "runs"), "--out", str(out)]) == 0
    parts = [made / "report_main.tex", made / "report_cost.tex", tmp_path / "r_main.tex"]
    body = "\n".join(path.read_text() for path in parts)
    document = (
        "\\documentclass{article}\\usepackage[margin=2cm]{geometry}\\usepackage{booktabs}"
        f"\\begin{{document}}\n{body}\\end{{document}}\n"
    )
    (tmp_path / "paper.tex").write_text(document)
    ran = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-2000:]
    assert "Overfull \\hbox" not in ran.stdout


def test_measured_prompting_is_said_with_its_tokens(tmp_path, capsys):
    counts = {
        "requests": 300,
        "prompt_tokens": 123_456,
        "completion_tokens": 789,
        "price_in_millionths": 12_345_600,
        "max_completion_tokens": 64,
    }
    write_system(tmp_path, "mednli", "gpt3", 0.7, model="local model", counts=counts)
    out = tmp_path / "r.html"
    assert report.main(["--runs", str(tmp_path), "--out", str(out), "--json"]) == 0
    html = out.read_text()
    assert "requests 300, prompt tokens 123,456, completion tokens 789, price 12.3456<" in html
    # GPT-3's tokens are not known: it has no place in a figure of FLOPs.
    assert not (tmp_path / "r_flops.svg").exists()
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert str(tmp_path / "r_scores.png") in summary["files"]


def test_without_runs_and_paper_it_says_what_to_do():
    with pytest.raises(UserError, match=r"--runs DIR names run directories.*--paper takes"):
        report.main([])


def test_a_mistake_is_answered_at_once_and_without_the_heavy_imports():
    code = (
        "import sys; from clinical_t5x import report\n"
        "try:\n    report.main([])\nexcept Exception: pass\n"
        "heavy = {'jax', 'tensorflow', 'matplotlib', 'torch'} & sys.modules.keys()\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
