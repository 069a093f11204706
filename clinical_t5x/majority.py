"""Score the floor of a benchmark: the most frequent answer of the training split, always.

python -m clinical_t5x.majority --task mednli_v1 --module tasks.mednli --out runs/majority-mednli
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from clinical_t5x import console


def main(argv: Sequence[str]) -> int:
    """Evaluate the majority baseline; read it when it is there already."""
    options = _parser().parse_args(argv)
    from clinical_t5x.evaluation.majority import majority_of_task

    evaluation = majority_of_task(
        options.task,
        output_dir=options.out,
        split=options.split,
        module=options.module,
        data_dir=options.data_dir,
    )
    shown = "  ".join(f"{name} {value:.4f}" for name, value in evaluation.headline().items())
    console.say(f"{options.task} ({evaluation.results[0].model}): {shown}")
    console.say(f"Results: {options.out}. Next: python -m clinical_t5x.report --runs {options.out}")
    if options.json:
        console.say_json({result.metric: result.value for result in evaluation.results})
    return console.EXIT_DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m clinical_t5x.majority",
        description="Score the most frequent training answer (MedNLI), no answer (RadQA) or no "
        "label (CLIP) on a benchmark.",
    )
    parser.add_argument("--task", required=True, help="a registered task, such as mednli_v1")
    parser.add_argument("--module", help="the module that registers it, such as tasks.mednli")
    parser.add_argument("--split", default="test", help="what to score (%(default)s)")
    parser.add_argument("--out", required=True, help="run directory for the results")
    parser.add_argument("--data_dir", help="data home; default $CLINICAL_T5X_DATA")
    parser.add_argument("--json", action="store_true", help="end with a summary in JSON")
    return parser


if __name__ == "__main__":
    console.run_command(main)
