"""P-values of several comparisons, corrected together.

Holm where no single false claim should slip in (the report's differences); Benjamini and Hochberg
where many comparisons are screened and a known share of the findings may be false.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction: p-values that control the family-wise error rate.

    Valid under any dependence between the tests (Holm 1979). The order of the input is kept.

    Raises:
      ValueError: when a p-value is not between 0 and 1 (NaN included).
    """
    p = _checked(p_values)
    order = np.argsort(p, kind="stable")
    steps = np.minimum(1.0, p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.maximum.accumulate(steps)
    return corrected.tolist()


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Benjamini and Hochberg's step-up correction: p-values that control the false discovery rate.

    Valid for independent tests and for positively dependent ones, as tests that share a test split
    are (Benjamini and Hochberg 1995; Benjamini and Yekutieli 2001). The order of the input is kept.

    Raises:
      ValueError: when a p-value is not between 0 and 1 (NaN included).
    """
    p = _checked(p_values)
    order = np.argsort(p, kind="stable")[::-1]
    steps = np.minimum(1.0, p[order] * len(p) / np.arange(len(p), 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum.accumulate(steps)
    return corrected.tolist()


def _checked(p_values: Sequence[float]) -> np.ndarray:
    p = np.asarray(p_values, dtype=np.float64).reshape(-1)
    if not np.all((p >= 0) & (p <= 1)):
        raise ValueError("p-values lie between 0 and 1")
    return p
