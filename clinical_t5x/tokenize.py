"""Write a task's token stores before training: once, on one machine, without JAX.

python -m clinical_t5x.tokenize --task mimic_pretrain_v1 --module tasks.pretrain

Training writes them itself where they are missing; of a group of hosts one writes and the others
wait, which is time on expensive machines. Of tasks with examples it also shows how long they are,
and with `--feature_lengths inputs=256,targets=64` how many of them these lengths would cut.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from clinical_t5x import console


def main(argv: Sequence[str]) -> int:
    """Write what is missing; stores that are there and fresh are only named."""
    options = _parser().parse_args(argv)
    from clinical_t5x.data.home import reading_from
    from clinical_t5x.data.lengths import length_report, parse_feature_lengths, report_lines
    from clinical_t5x.data.materialise import load_task, materialise
    from clinical_t5x.data.token_store import EXAMPLES, TokenStore

    limits = parse_feature_lengths(options.feature_lengths)
    lengths: dict[str, dict] = {}
    written: dict[str, str] = {}
    with reading_from(options.data_dir):
        provider = load_task(options.task, options.module)
        for task in getattr(provider, "tasks", [provider]):  # a mixture has several
            for split in options.split or sorted(task.splits):
                place = str(materialise(task.name, split=split, module=options.module))
                written[f"{task.name} {split}"] = place
                console.say(f"Token store of {task.name} {split}: {place}")
                store = TokenStore(place)
                if store.kind == EXAMPLES:
                    lengths[f"{task.name} {split}"] = length_report(store, limits)
    for name, report in lengths.items():
        for line in report_lines(name, report):
            console.say(line)
    if options.json:
        console.say_json({"token_stores": written, "lengths": lengths})
    return console.EXIT_DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m clinical_t5x.tokenize",
        description="Write the token stores of a task (docs/data.md).",
    )
    parser.add_argument("--task", required=True, help="a registered task, such as mednli_v1")
    parser.add_argument("--module", help="the module that registers it, such as tasks.mednli")
    parser.add_argument("--split", action="append", help="only this split; may be repeated")
    parser.add_argument(
        "--feature_lengths",
        action="append",
        default=[],
        metavar="inputs=N,targets=N",
        help="count the examples that these lengths would cut, as TASK_FEATURE_LENGTHS does",
    )
    parser.add_argument("--data_dir", help="data home; default $CLINICAL_T5X_DATA")
    parser.add_argument("--json", action="store_true", help="end with a summary in JSON")
    return parser


if __name__ == "__main__":
    console.run_command(main)
