"""Fine-tune an encoder or decoder of Hugging Face on a benchmark, and score it.

python -m clinical_t5x.finetune --model FacebookAI/roberta-large --task mednli --out runs/roberta

`--make_tiny ROW` writes a tiny random model in the format of a row of `clinical-t5x models`, to try
everything without a download.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from typing import Any

from clinical_t5x import console
from clinical_t5x.baselines.finetuning.settings import (
    PRESET_NAMES,
    STANDARD,
    Settings,
    check_seed,
    preset_named,
    rate_name,
)

_TASKS = ("mednli", "radqa", "clip")


def main(argv: Sequence[str]) -> int:
    """Fine-tune and score; or write a tiny model."""
    options = _parser().parse_args(argv)
    check_seed(options.seed)
    if options.make_tiny:
        return _make_tiny(options)
    if not options.model or not options.task:
        raise console.UserError("name --model (a directory or Hugging Face id) and --task")
    from clinical_t5x.baselines.finetuning import reading, run
    from clinical_t5x.baselines.finetuning.forward import device_named
    from clinical_t5x.baselines.finetuning.loading import check_source, find_pretrained
    from clinical_t5x.data.subsets import Subset

    _with_options(Settings(), options)  # mistakes are told before a model is looked for
    check_source(options.model)
    run.initialisation_of(options.model, options.registry_row)
    subset = Subset(options.fraction, options.subset_seed, options.folds, options.fold)
    device_named(options.device)
    reading.check_data_set(options.task, options.data_dir)
    pretrained = find_pretrained(options.model)
    preset = preset_named(options.preset, pretrained.family, is_decoder=pretrained.is_decoder)
    settings = _with_options(preset, options)
    benchmark = reading.read_benchmark(options.task, subset=subset, data_dir=options.data_dir)
    prepared = run.make_run(
        options.model,
        benchmark,
        settings,
        options.out,
        seed=options.seed,
        registry_row=options.registry_row,
        device=options.device,
        with_text=options.with_text,
    )
    _announce(prepared, settings)
    found = run.fine_tune(prepared)
    return _finish(options, found)


def _announce(run: Any, settings: Settings) -> None:
    rates = ", ".join(map(rate_name, settings.learning_rates))
    what = f"LoRA of rank {settings.lora_rank}" if settings.lora_rank else "all parameters"
    console.say(
        f"Fine-tune {run.pretrained.source} ({run.pretrained.family}) on"
        f" {run.benchmark.task_name}: {what}, {settings.epochs} epochs of"
        f" {settings.batch_size} rows an update, rate {rates}, {settings.precision},"
        f" seed {run.seed}, on {run.device}. Into {run.out}"
    )


def _finish(options: argparse.Namespace, found: dict[str, Any]) -> int:
    for split, evaluation in found.items():
        shown = "  ".join(f"{name} {value:.4f}" for name, value in evaluation.headline().items())
        console.say(f"{evaluation.results[0].task} {split}: {shown}")
    console.say(
        f"Model: {options.out}/model. Results: {options.out}/results."
        f" Next: python -m clinical_t5x.report --runs {options.out}"
    )
    if options.json:
        console.say_json(
            {
                split: {result.metric: result.value for result in evaluation.results}
                for split, evaluation in found.items()
            }
        )
    return console.EXIT_DONE


def _make_tiny(options: argparse.Namespace) -> int:
    from clinical_t5x.baselines.tiny import family_of, make_tiny, notes_of, vocabulary_of

    family_of(options.make_tiny)
    console.say(f"Write a tiny random {options.make_tiny} into {options.out}")
    texts = notes_of(options.data_dir)
    made = make_tiny(
        options.make_tiny,
        options.out,
        seed=options.seed,
        texts=texts,
        spiece=vocabulary_of(options.data_dir),
    )
    console.say(
        f"{made.family}, {made.parameters:,} parameters, {made.tokens:,} tokens,"
        f" {made.weights}: {options.out}"
    )
    console.say(f"Next: {made.next_command(options.out)}")
    if options.json:
        console.say_json({**dataclasses.asdict(made), "directory": str(options.out)})
    return console.EXIT_DONE


def _with_options(settings: Settings, options: argparse.Namespace) -> Settings:
    """A preset's, with what the command line says instead."""
    names = {field.name for field in dataclasses.fields(Settings)} - {"max_tokens"}
    given = {name: getattr(options, name, None) for name in names}
    given = {name: value for name, value in given.items() if value is not None}
    if "learning_rates" in given:
        given["learning_rates"] = tuple(given["learning_rates"])
    if options.max_tokens is not None:
        task = options.task.removesuffix("_v1")
        given["max_tokens"] = {**settings.max_tokens, task: options.max_tokens}
    return dataclasses.replace(settings, **given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m clinical_t5x.finetune",
        description="Fine-tune an encoder or decoder of Hugging Face on a benchmark; score it.",
    )
    parser.add_argument("--model", help="a directory in Hugging Face's format, or a hub id")
    parser.add_argument("--task", choices=_TASKS)
    parser.add_argument("--out", required=True, help="run directory; of --make_tiny the model's")
    parser.add_argument("--data_dir", help="data home; default $CLINICAL_T5X_DATA")
    parser.add_argument("--registry_row", help="its key in clinical-t5x models, for results")
    parser.add_argument("--seed", type=int, default=1, help="(%(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (%(default)s)")
    parser.add_argument(
        "--with_text", action="store_true", help="keep texts with the predictions: note text"
    )
    parser.add_argument("--json", action="store_true", help="end with a summary in JSON")
    parser.add_argument(
        "--make_tiny", metavar="ROW", help="write a tiny random model of a row or family instead"
    )
    _add_subset(parser.add_argument_group("part of the training data"))
    _add_settings(parser.add_argument_group("hyperparameters"))
    return parser


def _add_subset(group: Any) -> None:
    group.add_argument("--fraction", type=float, default=1.0, help="by whole units (%(default)s)")
    group.add_argument("--subset_seed", type=int, default=0, help="which one (%(default)s)")
    group.add_argument("--folds", type=int, help="cut train and validation into so many folds")
    group.add_argument("--fold", type=int, help="the fold that is the validation split, from 0")


def _add_settings(group: Any) -> None:
    group.add_argument(
        "--preset",
        default=STANDARD,
        choices=PRESET_NAMES,
        help="standard: the paper's for the model's family, MedNLI as a pair; paper: the same,"
        " MedNLI as one text (%(default)s)",
    )
    group.add_argument("--learning_rates", type=float, nargs="+", help="the best one is kept")
    group.add_argument("--epochs", type=int)
    group.add_argument("--batch_size", type=int, help="rows of an update")
    group.add_argument("--rows_at_once", type=int, help="rows that go through the model together")
    group.add_argument("--max_tokens", type=int, help="tokens of an input")
    group.add_argument("--overlap", type=int, help="tokens that windows of a context share")
    group.add_argument("--warmup", type=float, help="share of the updates")
    group.add_argument("--weight_decay", type=float)
    group.add_argument("--clip_norm", type=float, help="0: no clipping")
    group.add_argument("--patience", type=int, help="epochs without improvement, then stop")
    group.add_argument("--precision", choices=("float32", "bfloat16"))
    group.add_argument("--lora_rank", type=int, help="0: train everything")
    group.add_argument("--lora_scale", type=float)
    group.add_argument("--checkpoint_period", type=int, help="updates")
    for name, help_text in (("pair", "MedNLI in two segments"), ("recompute", "less memory")):
        group.add_argument(f"--{name}", action=argparse.BooleanOptionalAction, help=help_text)


if __name__ == "__main__":
    console.run_command(main)
