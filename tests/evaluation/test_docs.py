"""The examples of docs/evaluation.md run as written."""

import dataclasses
import re
from pathlib import Path

import numpy as np

from clinical_t5x.evaluation.metrics import MEDNLI
from clinical_t5x.evaluation.results import Evaluation, Result, hash_units, save_evaluation


def test_a_task_of_your_own():
    text = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text()
    code = re.search(r"```python\n(import numpy.*?)```", text, re.DOTALL).group(1)
    names = {}
    exec(compile(code, "docs/evaluation.md", "exec"), names)
    assert names["smoking_metrics"](["never", "smoker"], ["never", "never"]) == {"accuracy": 0.5}


def _evaluation(directory, right):
    """Six premises of three pairs in a run directory, some of them answered right."""
    sums = np.zeros((6, len(MEDNLI.columns)))
    sums[:, MEDNLI.columns.index("neutral>neutral")] = right
    sums[:, MEDNLI.columns.index("neutral>entailment")] = 3 - np.array(right)
    facts = {field.name: "" for field in dataclasses.fields(Result) if field.name not in _NUMBERS}
    result = Result(**{**facts, **_NUMBERS, "task": "mednli_v1", "split": "test"})
    units = hash_units("mednli", "abcdef")
    save_evaluation(directory, Evaluation((result,), {}, units, {"mednli": sums}))


_NUMBERS = {
    "n": 18, "n_units": 6, "checkpoint_step": None, "value": 0.5, "low": None, "high": None,
    "level": 0.95, "resamples": 0, "seed": 1, "fraction": 1.0, "subset_seed": None,
    "higher_is_better": True, "synthetic": True, "metric": "accuracy",
}  # fmt: skip


def test_two_runs_compared(tmp_path):
    text = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text()
    code = re.search(
        r"```python\n(from clinical_t5x.evaluation import statistics\n.*?)```", text, re.DOTALL
    ).group(1)
    _evaluation(tmp_path / "a", [3, 3, 2, 3, 3, 2])
    _evaluation(tmp_path / "b", [1, 2, 1, 1, 2, 1])
    names = {"run_a": tmp_path / "a", "run_b": tmp_path / "b"}
    exec(compile(code, "docs/evaluation.md", "exec"), names)
    assert names["difference"].value == names["swapped"].value == 8 / 18
    assert names["swapped"].exact
    assert names["swapped"].p_value == 2 / 2**6  # all six premises one way
    assert max(names["corrected"]) >= names["swapped"].p_value
