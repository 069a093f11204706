"""Show which units a part of a benchmark's training data holds: hashed ids and counts, no text.

python -m clinical_t5x.subset --benchmark mednli --fraction 0.01 --seed 0 --out subset.json
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from clinical_t5x import console

BENCHMARKS = ("mednli", "radqa", "clip")


def main(argv: Sequence[str]) -> int:
    """Print the part's counts beside those of the published splits; write its units."""
    options = _parser().parse_args(argv)
    from clinical_t5x.data.subsets import Subset

    subset = Subset(options.fraction, options.seed, options.folds, options.fold)
    found = describe(options.benchmark, subset, options.data_dir)
    console.say(f"{options.benchmark}, {found['name']}:")
    for line in _table(found["splits"], found["published"]):
        console.say(f"  {line}")
    if options.out:
        from clinical_t5x.storage import write_json_atomically

        write_json_atomically(options.out, found)
        console.say(f"Units, hashed as in results: {options.out}")
    register = f"tasks.{options.benchmark}.register"
    bindings = [f"{register}.fraction = {subset.fraction}", f"subset_seed = {subset.seed}"]
    if subset.folds is not None:
        bindings += [f"folds = {subset.folds}", f"fold = {subset.fold}"]
    console.say(f"In gin: {', '.join(bindings)} (gin/subset.gin)")
    if options.json:
        console.say_json(found)
    return console.EXIT_DONE


def describe(benchmark: str, subset: Any, data_dir: str | None = None) -> dict[str, Any]:
    """Which units a part holds, in JSON values.

    Args:
      benchmark: "mednli", "radqa" or "clip".
      subset: a `clinical_t5x.data.subsets.Subset`.
      data_dir: the data home, when not the default one.

    Returns:
      `splits`: for train and validation, counts of units, examples and labels, and the units'
      hashes (`results.hash_units`), sorted; `published`: the same counts of the whole splits.

    Raises:
      UserError: the data set is missing, or nothing is left.
    """
    from clinical_t5x.data.builders.versions import BENCHMARKS as VERSIONS
    from clinical_t5x.data.home import reading_from
    from clinical_t5x.data.quiet_import import import_tensorflow
    from clinical_t5x.data.store_catalog import dataset_fingerprint, is_synthetic

    import_tensorflow()
    from clinical_t5x.data.subset_source import SubsetDataSource

    source = SubsetDataSource(benchmark, VERSIONS[benchmark], subset)
    with reading_from(data_dir):
        published, chosen = source.published_units(), source.units()
        fingerprint = dataset_fingerprint(source.directory)
        synthetic = is_synthetic(source.directory)
    return {
        "name": subset.named(f"{benchmark}_v1"),
        "benchmark": benchmark,
        "data_set": fingerprint,
        "synthetic": synthetic,
        "subset": subset.description(),
        "splits": {
            split: {**_counts(units), "hashed_units": _hashed(benchmark, units)}
            for split, units in chosen.items()
        },
        "published": {split: _counts(units) for split, units in published.items()},
    }


def _counts(units: Sequence[Any]) -> dict[str, Any]:
    labels: dict[str, int] = {}
    for unit in units:
        for label, count in unit.strata.items():
            labels[label] = labels.get(label, 0) + count
    return {
        "units": len(units),
        "examples": sum(unit.examples for unit in units),
        "labels": dict(sorted(labels.items())),
    }


def _hashed(benchmark: str, units: Sequence[Any]) -> list[str]:
    from clinical_t5x.evaluation.results import hash_units

    hashes = hash_units(benchmark, [unit.name for unit in units])
    return sorted(value.decode("ascii") for value in hashes.tolist())


def _table(splits: Mapping[str, Any], published: Mapping[str, Any]) -> list[str]:
    """Lines for the terminal: counts of each split, and the shares of its labels."""
    lines = []
    for split, counts in splits.items():
        whole = published[split]
        lines.append(
            f"{split}: {counts['units']:,} units, {counts['examples']:,} examples"
            f" (published: {whole['units']:,}, {whole['examples']:,})"
        )
        for label in sorted({*counts["labels"], *whole["labels"]}):
            shares = [
                100 * part["labels"].get(label, 0) / max(1, part["examples"])
                for part in (counts, whole)
            ]
            lines.append(f"  {shares[0]:5.1f} % {label} (published: {shares[1]:.1f} %)")
    return lines


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m clinical_t5x.subset",
        description="Which units a fraction or a fold of a benchmark's training data holds.",
    )
    parser.add_argument("--benchmark", choices=BENCHMARKS, required=True)
    parser.add_argument("--fraction", type=float, default=1.0, help="share of train (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="subset_seed (%(default)s)")
    parser.add_argument("--folds", type=int, help="cut train and validation into so many folds")
    parser.add_argument("--fold", type=int, help="the fold that is the validation split, from 0")
    parser.add_argument("--out", metavar="FILE", help="write units and counts as JSON")
    parser.add_argument("--data_dir", help="data home; default $CLINICAL_T5X_DATA")
    parser.add_argument("--json", action="store_true", help="end with the same as one JSON line")
    return parser


if __name__ == "__main__":
    console.run_command(main)
