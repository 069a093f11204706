"""Do 95 % intervals cover 95 times in 100, and do paired tests keep their 5 % level?

    OPENBLAS_NUM_THREADS=1 python benchmarks/interval_coverage.py [--docs docs/evaluation.md]

Simulates systems on test splits with the benchmarks' own numbers of units and unit sizes, where the
true score is known, and counts. Units differ in how easy they are, so that examples of one unit
are right or wrong together. One core (the matrices are too small for more threads), some minutes,
the same numbers for the same --seed; standard errors are 0.5 points at 2,000 repeats.

--data_dir takes unit sizes and CLIP's label rates from the prepared test splits there; otherwise
they are those of the synthetic PhysioNet, which has the real benchmarks' numbers.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from clinical_t5x import console
from clinical_t5x.evaluation import statistics
from clinical_t5x.evaluation.metrics import CLIP, MEDNLI, RADQA
from clinical_t5x.evaluation.metrics.clip import CLIP_LABELS

START = "<!-- interval_coverage: written by benchmarks/interval_coverage.py -->"
END = "<!-- interval_coverage: end -->"
METHODS = ("bca", "percentile")
POPULATION = 40_000  # units of which a test split is a sample
_L = len(CLIP_LABELS)
FAMILIES = {family.name: family for family in (MEDNLI, RADQA, CLIP)}


@dataclasses.dataclass(frozen=True)
class Splits:
    """Unit sizes of the test splits, and how often a sentence has each CLIP label."""

    sizes: Mapping[str, np.ndarray]
    label_rates: np.ndarray


# Nobody published CLIP's label counts; these rates differ more than the synthetic data's do.
UNEQUAL_RATES = np.array([0.08, 0.09, 0.006, 0.012, 0.03, 0.05, 0.008])
SYNTHETIC = Splits(
    sizes={
        "mednli": np.repeat([3, 6], [450, 12]),  # 1,422 pairs
        "radqa": np.repeat([2, 3], [10, 198]),  # 614 questions
        "clip": np.round(np.linspace(129, 180, 100)).astype(int),  # about 15,450 sentences
    },
    label_rates=UNEQUAL_RATES,
)


def read_splits(data_dir: str) -> Splits:
    """Sizes and rates of the prepared test splits in a data home."""
    import tensorflow_datasets as tfds

    sizes, rates = {}, UNEQUAL_RATES
    for name in ("mednli", "radqa", "clip"):
        versions = sorted(Path(data_dir, "tfds", name).glob("[0-9]*"))
        if not versions:
            raise console.UserError(f"{data_dir} has no prepared {name}; prepare it first")
        records = list(tfds.as_numpy(tfds.builder_from_directory(versions[-1]).as_dataset("test")))
        _, sizes[name] = np.unique([record["unit"] for record in records], return_counts=True)
        if name == "clip":
            found = [label.decode() for record in records for label in record["labels"]]
            rates = np.array([found.count(label) for label in CLIP_LABELS]) / len(records)
    return Splits(sizes, rates)


# Populations: component sums [P, K] of many units, of which test splits are drawn.


def mednli_population(sizes, *, logit=1.9, spread=1.0, seed=0):
    """Premises whose pairs are right with probability sigmoid(logit + spread * z)."""
    rng = np.random.default_rng([seed, 1])
    n = rng.choice(sizes, POPULATION)
    chance = _sigmoid(logit + spread * rng.standard_normal(POPULATION))
    sums = np.zeros((POPULATION, len(MEDNLI.columns)))
    labels = ("entailment", "neutral", "contradiction")
    for k, label in enumerate(labels):  # every label as often as the others in each premise
        right = rng.binomial(n // 3, chance)
        sums[:, MEDNLI.columns.index(f"{label}>{label}")] = right
        sums[:, MEDNLI.columns.index(f"{label}>{labels[k - 1]}")] = n // 3 - right
    return sums


def radqa_population(sizes, *, logit=0.2, spread=1.0, seed=0):
    """Contexts with questions of which 7 in 10 have an answer; F1 is 0, 1 or in between."""
    rng = np.random.default_rng([seed, 2])
    n = rng.choice(sizes, POPULATION)
    ease = rng.standard_normal(POPULATION)
    sums = np.zeros((POPULATION, len(RADQA.columns)))
    for question in range(int(n.max())):
        there = (question < n).astype(float)
        answerable = rng.random(POPULATION) < 0.7
        right = rng.random(POPULATION) < _sigmoid(logit + spread * ease)
        partly = rng.random(POPULATION) < 0.6
        f1 = np.where(right, 1.0, partly * answerable * rng.beta(2, 2, POPULATION))
        answered = np.where(right, answerable, rng.random(POPULATION) < 0.6)
        columns = (1, right, f1, answerable, answerable * right, answerable * f1, answered)
        sums += there[:, None] * np.stack(np.broadcast_arrays(*columns), axis=1)
    return sums


def clip_population(sizes, rates, *, recall=0.7, noise=0.4, seed=0):
    """Summaries with labels in bursts; labels are found with a recall that differs by summary."""
    rng = np.random.default_rng([seed, 3])
    n = rng.choice(sizes, POPULATION)
    gold, hits, false = _clip_counts(rng, n, rates, recall=recall, noise=noise)
    sums = np.zeros((POPULATION, len(CLIP.columns)))
    sums[:, :_L], sums[:, _L : 2 * _L], sums[:, 2 * _L : 3 * _L] = hits, hits + false, gold
    sums[:, -3] = np.maximum(0, n - (gold - hits).sum(axis=1) - false.sum(axis=1))
    sums[:, -1] = n
    return sums


def _clip_counts(rng, n, rates, *, recall, noise, ease=0.0):
    """Counts [units, labels] of gold labels, of those found, and of false ones."""
    burst = rates * rng.gamma(2, 0.5, size=(len(n), _L))
    gold = rng.binomial(n[:, None], np.minimum(burst, 0.5))
    found = np.log(recall / (1 - recall)) + 0.7 * rng.standard_normal((len(n), 1)) + ease
    hits = rng.binomial(gold, _sigmoid(found))
    false = rng.binomial((n[:, None] - gold), np.minimum(noise * burst, 0.5))
    return gold, hits, false


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def coverage(
    population: np.ndarray,
    family: str,
    *,
    metrics: Sequence[str],
    n_units: int,
    repeats: int,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[tuple[str, str], float]:
    """How often the interval of each (method, metric) holds the population's value.

    A metric that is undefined on a sample, or has no interval there, counts as not covered.
    """
    reduce = _only(FAMILIES[family].reduce, metrics)
    truth = reduce(population.sum(axis=0))
    covered = {(method, name): 0 for method in METHODS for name in metrics}
    rng = np.random.default_rng([seed, 4])
    for repeat in range(repeats):
        sample = population[rng.integers(len(population), size=n_units)]
        found = statistics.intervals_by_method(
            sample, reduce, methods=METHODS, resamples=resamples, seed=repeat
        )
        for method, intervals in found.items():
            for name, interval in intervals.items():
                covered[method, name] += bool(interval.low <= truth[name] <= interval.high)
    return {key: count / repeats for key, count in covered.items()}


def _only(reduce, metrics):
    """The same metrics without those that nobody asks for."""

    def reduced(sums):
        values = reduce(sums)
        return {name: values[name] for name in metrics}

    return reduced


# Pairs of equally good systems on the same units.


@dataclasses.dataclass(frozen=True)
class Null:
    """How two equally good systems differ.

    `own` is the spread of what a unit has only for one system (log-odds); `lopsided` gives all of
    it to the first system: the scores are equal, the systems are not exchangeable.
    """

    words: str
    own: float
    lopsided: bool = False


NULLS = (
    Null("units alike for both systems", 0.0),
    Null("each system has easy units of its own", 1.0),
    Null("only one system has easy units of its own", 1.5, lopsided=True),
)


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two systems: component sums [2, U, K], right answers [2, N] and the unit of each [N]."""

    sums: np.ndarray
    right: np.ndarray
    units: np.ndarray


def equal_logits(logit: float, null: Null, shared: float = 1.0) -> tuple[float, float]:
    """Log-odds of both systems at which they are right equally often."""
    if not null.lopsided:
        return logit, logit
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)

    def mean(of, spread):
        return float(weights @ _sigmoid(of + spread * nodes) / weights.sum())

    wanted = mean(logit, np.hypot(shared, null.own))
    low, high = -10.0, 10.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if mean(middle, shared) < wanted else (low, middle)
    return logit, (low + high) / 2


def draw_pair(benchmark: str, splits: Splits, null: Null, logits, rng) -> Pair:
    """A test split of two systems that are equally good, whatever a unit makes easy or hard."""
    n = rng.permutation(splits.sizes[benchmark])
    units = np.repeat(np.arange(len(n)), n)
    shared = rng.standard_normal(len(n))
    own = null.own * rng.standard_normal((2, len(n)))
    if null.lopsided:
        own[1] = 0
    chance = _sigmoid(np.array(logits)[:, None] + shared + own)
    right = rng.random((2, len(units))) < chance[:, units]
    of_unit = np.stack([np.bincount(units, row, len(n)) for row in right])
    family = FAMILIES[benchmark]
    sums = np.zeros((2, len(n), len(family.columns)))
    if benchmark == "mednli":
        sums[:, :, family.columns.index("neutral>neutral")] = of_unit
        sums[:, :, family.columns.index("neutral>entailment")] = n - of_unit
    elif benchmark == "radqa":
        partly = rng.beta(2, 2, right.shape) * (rng.random(right.shape) < 0.6)
        f1 = np.where(right, 1.0, partly)
        sums[:, :, 0], sums[:, :, 1] = n, of_unit
        sums[:, :, 2] = [np.bincount(units, row, len(n)) for row in f1]
    else:
        gold, _, _ = _clip_counts(rng, n, splits.label_rates, recall=0.7, noise=0.4)
        hits = rng.binomial(gold, chance[:, :, None])
        false = rng.binomial(n[:, None] - gold, 0.4 * splits.label_rates, size=(2, *gold.shape))
        sums[:, :, :_L], sums[:, :, _L : 2 * _L] = hits, hits + false
        sums[:, :, 2 * _L : 3 * _L] = gold
        sums[:, :, -3], sums[:, :, -1] = of_unit, n
    return Pair(sums, right, units)


HEADLINE = {"mednli": ("accuracy",), "radqa": ("exact_match", "f1"), "clip": ("exact_match",)}
EXACT = {"mednli": "accuracy", "radqa": "exact_match", "clip": "exact_match"}
_CLIP_F1 = ("micro_f1", "macro_f1")


def levels(
    benchmark: str,
    splits: Splits,
    null: Null,
    *,
    repeats: int,
    resamples: int = 1000,
    seed: int = 0,
    logit: float = 1.5,
) -> dict[str, float]:
    """How often each paired test rejects at 5 % although the systems are equally good."""
    names = HEADLINE[benchmark] + (_CLIP_F1 if benchmark == "clip" and not null.lopsided else ())
    reduce = _only(FAMILIES[benchmark].reduce, names)
    rejected: dict[str, int] = {}
    rng = np.random.default_rng([seed, 5])
    logits = equal_logits(logit, null)
    for repeat in range(repeats):
        pair = draw_pair(benchmark, splits, null, logits, rng)
        options = {"resamples": resamples, "seed": repeat}
        found = {
            "paired bootstrap": statistics.paired_bootstrap(*pair.sums, reduce, **options),
            "approximate randomisation": statistics.approximate_randomisation(
                *pair.sums, reduce, **options
            ),
        }
        p_values = {
            f"{test}, {name}": by_name[name].p_value
            for test, by_name in found.items()
            for name in names
        }
        exact = EXACT[benchmark]
        p_values[f"McNemar, {exact}"] = statistics.mcnemar(*pair.right).p_value
        by_unit = statistics.mcnemar_by_unit(*pair.right, pair.units)
        p_values[f"McNemar by unit, {exact}"] = by_unit.p_value
        for test, p_value in p_values.items():
            rejected[test] = rejected.get(test, 0) + (p_value < 0.05)
    return {test: count / repeats for test, count in rejected.items()}


def seed_coverage(
    sizes: np.ndarray,
    *,
    n_seeds: int,
    seed_spread: float,
    repeats: int,
    resamples: int = 1000,
    seed: int = 0,
    logit: float = 1.9,
) -> tuple[float, float, float]:
    """Accuracy over seeds: true std of seeds, coverage by seeds and units, and by units alone.

    Each seed shifts the log-odds by a number of its own, and finds units of its own easy.
    """
    shared, own = 1.0, 0.5
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = weights / weights.sum()
    within = np.hypot(shared, own)
    means = np.array([weights @ _sigmoid(logit + seed_spread * z + within * nodes) for z in nodes])
    truth, std = float(weights @ means), float(np.sqrt(weights @ means**2 - (weights @ means) ** 2))
    right_column = MEDNLI.columns.index("neutral>neutral")
    wrong_column = MEDNLI.columns.index("neutral>entailment")
    reduce = _only(MEDNLI.reduce, ("accuracy",))
    rng = np.random.default_rng([seed, 6])
    hierarchical = units_only = 0
    for repeat in range(repeats):
        n = rng.choice(sizes, len(sizes))
        shift = seed_spread * rng.standard_normal((n_seeds, 1))
        ease = shared * rng.standard_normal(len(n)) + own * rng.standard_normal((n_seeds, len(n)))
        sums = np.zeros((n_seeds, len(n), len(MEDNLI.columns)))
        right = rng.binomial(n, _sigmoid(logit + shift + ease))
        sums[:, :, right_column], sums[:, :, wrong_column] = right, n - right
        options = {"resamples": resamples, "seed": repeat}
        both = statistics.over_seeds(sums, reduce, **options)["accuracy"].interval
        alone = statistics.bootstrap_intervals(sums, reduce, **options)["accuracy"]
        hierarchical += both.low <= truth <= both.high
        units_only += alone.low <= truth <= alone.high
    return std, hierarchical / repeats, units_only / repeats


# What is measured, and its tables.


def _cases(splits: Splits) -> Iterator[tuple[str, str, int, Callable[[], np.ndarray], Sequence]]:
    """(words, family, units, population, metrics) of each row of the table of coverage."""
    mednli, radqa, clip = (splits.sizes[name] for name in ("mednli", "radqa", "clip"))
    for logit, words in ((0.7, "65"), (1.9, "83"), (3.5, "95")):
        population = functools.partial(mednli_population, mednli, logit=logit)
        yield f"MedNLI, {words} % right", "mednli", len(mednli), population, ("accuracy",)
    for count in (100, 50, 25):
        population = functools.partial(mednli_population, mednli)
        yield "fewer premise groups, 83 % right", "mednli", count, population, ("accuracy",)
    population = functools.partial(radqa_population, radqa)
    metrics = ("exact_match", "f1", "has_answer_f1")
    yield "RadQA", "radqa", len(radqa), population, metrics
    yield "fewer contexts", "radqa", 50, population, ("exact_match", "f1")
    for count in (len(clip), 50, 25, 10):
        population = functools.partial(clip_population, clip, splits.label_rates)
        words = "CLIP" if count == len(clip) else "fewer summaries"
        yield words, "clip", count, population, _CLIP_F1
    rare = splits.label_rates * np.where(splits.label_rates < 0.015, 0.1, 1.0)
    population = functools.partial(clip_population, clip, rare)
    yield "CLIP, rare labels ten times rarer", "clip", len(clip), population, _CLIP_F1


def coverage_table(splits: Splits, *, repeats: int, seed: int) -> list[str]:
    """Markdown rows: coverage of each metric by both methods."""
    unit = {name: family.unit for name, family in FAMILIES.items()}
    lines = ["| test split | metric | units | BCa | percentile |", "|---|---|---|---|---|"]
    cases = list(_cases(splits))
    with console.Progress("coverage", len(cases), unit="cases") as progress:
        for words, family, n_units, population, metrics in cases:
            found = coverage(
                population(seed=seed),
                family,
                metrics=metrics,
                n_units=n_units,
                repeats=repeats,
                seed=seed,
            )
            progress.advance(note=words)
            plural = {"discharge summary": "summaries"}.get(unit[family], unit[family] + "s")
            for metric in metrics:
                shown = " | ".join(f"{100 * found[method, metric]:.1f} %" for method in METHODS)
                lines.append(f"| {words} | {metric} | {n_units} {plural} | {shown} |")
    return lines


def level_table(splits: Splits, *, repeats: int, seed: int) -> list[str]:
    """Markdown rows: how often each test rejects equally good systems."""
    tests = ("paired bootstrap", "approximate randomisation", "McNemar by unit", "McNemar")
    lines = [
        "| test split | metric | equally good systems where | " + " | ".join(tests) + " |",
        "|---" * (3 + len(tests)) + "|",
    ]
    cases = [(name, null) for name in FAMILIES for null in NULLS]
    titles = {"mednli": "MedNLI", "radqa": "RadQA", "clip": "CLIP"}
    with console.Progress("levels", len(cases), unit="cases") as progress:
        for name, null in cases:
            found = levels(name, splits, null, repeats=repeats, seed=seed)
            progress.advance(note=f"{name}, {null.words}")
            for metric in dict.fromkeys(test.split(", ")[1] for test in found):
                cells = [found.get(f"{test}, {metric}") for test in tests]
                shown = " | ".join("" if c is None else f"{100 * c:.1f} %" for c in cells)
                lines.append(f"| {titles[name]} | {metric} | {null.words} | {shown} |")
    return lines


def seeds_table(splits: Splits, *, repeats: int, seed: int) -> list[str]:
    """Markdown rows: coverage over seeds and units, and what units alone would cover."""
    lines = [
        "| training seeds | std of seeds | seeds and units | units alone |",
        "|---|---|---|---|",
    ]
    cases = [(n_seeds, spread) for spread in (0.06, 0.2) for n_seeds in (3, 5, 10)]
    with console.Progress("several seeds", len(cases), unit="cases") as progress:
        for n_seeds, spread in cases:
            std, both, alone = seed_coverage(
                splits.sizes["mednli"],
                n_seeds=n_seeds,
                seed_spread=spread,
                repeats=repeats,
                seed=seed,
            )
            progress.advance()
            lines.append(
                f"| {n_seeds} | {100 * std:.1f} points | {100 * both:.1f} % | {100 * alone:.1f} % |"
            )
    return lines


def main(argv: Sequence[str]) -> int:
    """Simulate, print the tables, and put them into the documentation if asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data_dir", help="data home with prepared benchmarks")
    parser.add_argument("--repeats", type=int, default=2000, help="test splits for each case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--docs", help="Markdown file to put the tables into")
    options = parser.parse_args(argv)
    splits = read_splits(options.data_dir) if options.data_dir else SYNTHETIC
    half = max(1, options.repeats // 2)
    command = "OPENBLAS_NUM_THREADS=1 python benchmarks/interval_coverage.py" + "".join(
        f" --{name} {getattr(options, name)}"
        for name in ("repeats", "seed")
        if getattr(options, name) != parser.get_default(name)
    )
    made = f"Measured {datetime.date.today()} with `{command}`"
    parts = [
        f"{made}, {options.repeats:,} test splits a row:",
        *coverage_table(splits, repeats=options.repeats, seed=options.seed),
        "",
        f"How often a test rejects equally good systems at the 5 % level ({half:,} test splits):",
        *level_table(splits, repeats=half, seed=options.seed),
        "",
        f"MedNLI's accuracy, mean over training seeds ({half:,} repetitions):",
        *seeds_table(splits, repeats=half, seed=options.seed),
    ]
    text = "\n".join(
        f"\n{line}\n" if line.endswith(":") else line for line in parts if line != ""
    ).strip()
    console.say(text)
    if options.docs:
        path = Path(options.docs)
        before, rest = path.read_text().split(START)
        path.write_text(f"{before}{START}\n\n{text}\n\n{END}{rest.split(END)[1]}")
        console.say(f"Tables: {path}")
    return console.EXIT_DONE


if __name__ == "__main__":
    console.run_command(main)
