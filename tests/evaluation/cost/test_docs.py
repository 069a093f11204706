"""docs/cost.md says what is computed, and its example runs as written."""

import re
from pathlib import Path

import pytest

from clinical_t5x.evaluation.cost import model_cost, model_costs
from clinical_t5x.evaluation.cost.hardware import chip_hours
from clinical_t5x.evaluation.cost.model_costs import KINDS
from clinical_t5x.evaluation.cost.screen import as_printed, flops
from clinical_t5x.evaluation.registry import MODELS

TEXT = (Path(__file__).parents[3] / "docs" / "cost.md").read_text()


def test_the_table_is_what_is_computed():
    for cost in model_costs(key for key, row in MODELS.items() if row.group != "today"):
        cells = []
        for kind in KINDS:
            cell = flops(getattr(cost.pretraining, kind))
            if kind in cost.wrong_cells:
                cell += f" (**{as_printed(getattr(cost.printed, kind))}**)"
            cells.append(cell)
        cells.append(flops(cost.pretraining.total))
        cells += [flops(cost.inference_per_token), flops(cost.exact_per_token)]
        assert f"| {MODELS[cost.key].name} | {' | '.join(cells)} |" in TEXT


def test_the_hours_of_the_papers_own_training():
    large = model_cost("clinical_t5_large")
    needed = chip_hours(large.pretraining.total, "TPU v3", mfu=0.4, devices_a_chip=2)
    assert f"is {needed.hours:.0f} hours\n" in TEXT
    assert f"or {needed.hours / 4:.0f} hours of a v3-8" in TEXT
    by_rule = needed.hours / 4 * 0.4 / 220
    exact = by_rule * large.exact_training_per_token / (3 * large.inference_per_token)
    assert by_rule == pytest.approx(0.45, abs=0.005)
    assert exact == pytest.approx(0.28, abs=0.005)


def test_the_example_runs():
    [code] = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(compile(code, "docs/cost.md", "exec"), {})
