"""The example of docs/evaluation.md runs as written."""

import re
from pathlib import Path


def test_a_task_of_your_own():
    text = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text()
    code = re.search(r"```python\n(import numpy.*?)```", text, re.DOTALL).group(1)
    names = {}
    exec(compile(code, "docs/evaluation.md", "exec"), names)
    assert names["smoking_metrics"](["never", "smoker"], ["never", "never"]) == {"accuracy": 0.5}
