"""Hand-made results of many systems on the same units, tied to no text.

All systems find the same units hard, as real ones do, so that paired tests are sharper than the
systems' own intervals.
"""

import numpy as np

from clinical_t5x.evaluation.metrics import CLIP, CLIP_LABELS, MEDNLI, RADQA
from clinical_t5x.evaluation.results import Evaluation, Result, hash_units, save_evaluation
from clinical_t5x.evaluation.statistics import bootstrap_intervals

FAMILIES = {"mednli": MEDNLI, "radqa": RADQA, "clip": CLIP}
# Units of the real test splits: premise groups, contexts, discharge summaries.
REAL_UNITS = {"mednli": 474, "radqa": 208, "clip": 100}
REAL_EXAMPLES = {"mednli": 1422, "radqa": 614, "clip": 15591}


def sums_of(family, skill, units, seed):
    """Component sums by unit [U, K] of a system that is right with about that probability."""
    hard = np.random.default_rng(7).normal(0, 0.25, size=units)  # the same for every system
    chance = np.random.default_rng([seed, *map(ord, family)])
    right = np.clip(skill + hard + chance.normal(0, 0.01), 0.02, 0.98)
    sums = np.zeros((units, len(FAMILIES[family].columns)))
    if family == "mednli":
        good = chance.binomial(3, right)
        sums[:, MEDNLI.columns.index("neutral>neutral")] = good
        sums[:, MEDNLI.columns.index("neutral>entailment")] = 3 - good
    elif family == "radqa":
        exact = chance.binomial(3, 0.75 * right)
        sums[:, 0], sums[:, 1], sums[:, 2] = 3, exact, (exact + 3 * right) / 2
        sums[:, 3] = 2
    else:
        count = len(CLIP_LABELS)
        gold = np.random.default_rng(9).poisson(5, size=(units, count))
        hits = chance.binomial(gold, right[:, None])
        sums[:, :count], sums[:, 2 * count : 3 * count] = hits, gold
        sums[:, count : 2 * count] = hits + chance.poisson(5 * (1 - skill), size=(units, count))
        sums[:, -1] = 150
    return sums


def write_system(
    root,
    family,
    key,
    skill,
    *,
    seed=1,
    fraction=1.0,
    units=30,
    model="T5 1.9M",
    counts=None,
    **changes,
):
    """Write one evaluation where a run would."""
    sums = sums_of(family, skill, units, seed + round(1000 * fraction) + sum(map(ord, key)))
    metrics = FAMILIES[family]
    intervals = bootstrap_intervals(sums, metrics.reduce, resamples=200)
    is_real = units == REAL_UNITS[family]
    shared = {
        "model": model, "initialisation": key, "task": f"{family}_v1",
        "task_version": f"{family}_v1@0123", "split": "test", "level": 0.95, "method": "bca",
        "resamples": 200, "n": REAL_EXAMPLES[family] if is_real else 3 * units, "n_units": units,
        "unit": metrics.unit, "seed": seed, "checkpoint": "", "checkpoint_step": 100,
        "config_hash": "", "commit": "c0ffee", "higher_is_better": True, "synthetic": False,
        "created": "2026-01-01T00:00:00+00:00", "fraction": fraction,
        "subset_seed": None if fraction == 1.0 else seed, **changes,
    }  # fmt: skip
    results = tuple(
        Result(
            metric=name,
            value=value,
            low=intervals[name].low if name in intervals else None,
            high=intervals[name].high if name in intervals else None,
            **shared,
        )
        for name, value in metrics.values(sums.sum(axis=0)).items()
    )
    hashed = hash_units(family, [f"unit-{k}" for k in range(units)])
    run = root / f"{key}-{family}-{100 * fraction:g}pct-seed{seed}"
    save_evaluation(run, Evaluation(results, counts or {}, hashed, {family: sums}))
