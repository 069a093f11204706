"""docs/models_compared.md says what the registry says, and its example runs as written."""

import re
from pathlib import Path

from clinical_t5x.evaluation.registry import MODELS, published
from clinical_t5x.evaluation.registry.screen import size

TEXT = (Path(__file__).parents[3] / "docs" / "models_compared.md").read_text()


def test_the_table_is_the_registry():
    lines = re.findall(r"^\| `.*$", TEXT, re.MULTILINE)
    assert lines == [
        f"| `{row.key}` | {row.name} | {size(row.parameters)} | {row.architecture} | {row.source}"
        f" | {row.licence} |"
        for row in MODELS.values()
    ]


def test_every_erratum_is_there():
    for erratum in published.ERRATA:
        assert f"* **{erratum.where}.** {erratum.text}" in TEXT


def test_the_example_runs():
    [code] = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(compile(code, "docs/models_compared.md", "exec"), {})
