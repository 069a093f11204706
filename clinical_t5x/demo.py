"""From a synthetic PhysioNet to scored models: the whole program once, stage by stage.

`python -m clinical_t5x.demo` (or `make demo`) shows it in minutes; `--preset study` (`make study`)
at a size where "does pre-training help?" can be answered. Every stage is a command that a user can
type; a stage whose output is whole is skipped, so that a stopped or killed demo goes on.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from clinical_t5x import console
from clinical_t5x.pipeline import Stage, run_stages
from clinical_t5x.side_by_side import end_with_parent, run_side_by_side

TASKS = ("mednli", "radqa", "clip")
INITIALISATIONS = ("scratch", "pretrained")

# How answers are decoded: greedily, where the paper has beams; RadQA's as its gin file says. The
# test split is scored once, at the end.
GREEDY = {"models.EncoderDecoderModel.predict_batch_with_aux.num_decodes": 1}
DECODING = {
    "mednli": ((), GREEDY),
    "radqa": (("gin/demo_eval_radqa.gin",), {}),
    "clip": ((), GREEDY),
}


def _rise_and_fall(steps: int, warmup: int) -> dict[str, object]:
    """Bindings of a learning rate that rises, then falls to nothing at the last step."""
    return {"WARMUP_STEPS": warmup, "DECAY_STEPS": steps - warmup + 1}


@dataclasses.dataclass(frozen=True)
class FineTuning:
    """The budget of fine-tuning on one task, the same for both initialisations.

    Attributes:
      steps: Updates.
      rows: Of a batch; a row holds several examples where they fit.
      inputs: Tokens of a row's inputs.
      targets: Tokens of a row's targets.
      rate: The highest learning rate.
    """

    steps: int
    rows: int
    inputs: int
    targets: int
    rate: float = 0.02

    def bindings(self, first_step: int) -> dict[str, object]:
        """For gin/demo_finetune.gin; `first_step` is the checkpoint's."""
        return {
            "TRAIN_STEPS": self.steps,
            "BATCH_SIZE": self.rows,
            "TASK_FEATURE_LENGTHS": {"inputs": self.inputs, "targets": self.targets},
            "PRETRAIN_STEPS": first_step,
            **_rise_and_fall(self.steps, warmup=max(1, self.steps // 16)),
            "utils.create_learning_rate_scheduler.base_learning_rate": self.rate,
            "train_script.train.stats_period": max(1, self.steps // 20),  # a point of the curve
        }


@dataclasses.dataclass(frozen=True)
class Preset:
    """How large the pieces are.

    Attributes:
      patients: Of the synthetic PhysioNet.
      pieces: Of the vocabulary, without sentinels.
      model: gin file of the network.
      recipe: gin file of pre-training.
      pretrain_steps: Updates of pre-training.
      finetuning: Budget by task.
      seeds: Fine-tuning is repeated with each.
      description: One line for the person who waits.
    """

    patients: int
    pieces: int
    model: str
    recipe: str
    pretrain_steps: int
    finetuning: dict[str, FineTuning]
    seeds: tuple[int, ...]
    description: str


PRESETS = {
    "smoke": Preset(
        patients=40,
        pieces=1000,
        model="gin/models/tiny.gin",
        recipe="gin/demo.gin",
        pretrain_steps=4,
        finetuning={
            "mednli": FineTuning(2, rows=4, inputs=256, targets=32),
            "radqa": FineTuning(2, rows=4, inputs=384, targets=56, rate=0.01),
            "clip": FineTuning(2, rows=4, inputs=256, targets=48),
        },
        seeds=(1,),
        description="runs every stage and learns nothing: is everything in place?",
    ),
    "demo": Preset(
        patients=400,
        pieces=3900,
        model="gin/models/tiny.gin",
        recipe="gin/demo.gin",
        pretrain_steps=1200,
        finetuning={
            "mednli": FineTuning(480, rows=2, inputs=256, targets=32),
            "radqa": FineTuning(720, rows=1, inputs=384, targets=56, rate=0.01),
            "clip": FineTuning(480, rows=2, inputs=256, targets=48),
        },
        seeds=(1,),
        description="shows every stage; too small to say whether pre-training helps",
    ),
    "study": Preset(
        patients=5000,
        pieces=3900,
        model="gin/models/tiny.gin",
        recipe="gin/demo.gin",
        pretrain_steps=16000,
        finetuning={
            "mednli": FineTuning(4800, rows=2, inputs=256, targets=32),
            "radqa": FineTuning(24000, rows=1, inputs=384, targets=56, rate=0.01),
            "clip": FineTuning(4000, rows=2, inputs=256, targets=48),
        },
        seeds=(1,),
        description="asks whether pre-training helps, by paired tests",
    ),
}


@dataclasses.dataclass(frozen=True)
class Places:
    """Where everything of one demo lies."""

    out: Path

    @property
    def physionet(self) -> Path:
        """The synthetic PhysioNet."""
        return self.out / "physionet"

    @property
    def data(self) -> Path:
        """The data home."""
        return self.out / "data"

    @property
    def runs(self) -> Path:
        """Every MODEL_DIR, and the evaluations beside them."""
        return self.out / "runs"

    @property
    def pretrained(self) -> Path:
        """MODEL_DIR of pre-training."""
        return self.runs / "pretrain"

    def finetuned(self, initialisation: str, task: str, seed: int) -> Path:
        """MODEL_DIR of one fine-tuning run."""
        return self.runs / f"{initialisation}-{task}-seed{seed}"

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.out / "report.html"


@dataclasses.dataclass(frozen=True)
class Run:
    """One fine-tuning run and its evaluation."""

    places: Places
    initialisation: str
    task: str
    seed: int

    @property
    def model_dir(self) -> Path:
        """MODEL_DIR; its evaluation lies inside."""
        return self.places.finetuned(self.initialisation, self.task, self.seed)

    @property
    def evaluation(self) -> Path:
        """EVAL_OUTPUT_DIR."""
        return self.model_dir / "eval"

    @property
    def name(self) -> str:
        """For headings."""
        return f"{self.task}, {self.initialisation}, seed {self.seed}"


def stages_before(preset: Preset, places: Places, seed: int) -> list[Stage]:
    """From nothing to a pre-trained model."""
    return [*_data_stages(preset, places, seed), _pretraining_stage(preset, places, seed)]


def stages_from(initialisation: str, preset: Preset, places: Places) -> list[Stage]:
    """Fine-tuning and evaluation of the pre-trained model, or of its twin from scratch."""
    runs = itertools.product(preset.seeds, TASKS)
    return list(
        itertools.chain.from_iterable(
            _finetuning_stages(preset, Run(places, initialisation, task, seed))
            for seed, task in runs
        )
    )


def stages_after(places: Places) -> list[Stage]:
    """What the scores are compared with."""
    return [_majority_stage(places, task) for task in TASKS]


def _data_stages(preset: Preset, places: Places, seed: int) -> Iterator[Stage]:
    yield _command(
        f"write a synthetic PhysioNet of {preset.patients:,} patients",
        ["clinical_t5x.synthetic", "--out", places.physionet],
        ["--patients", preset.patients, "--seed", seed],
    )
    yield _command(
        "prepare the corpus and the benchmarks",
        ["clinical_t5x.prepare", "--physionet", places.physionet, "--data_dir", places.data],
    )
    yield _command(
        f"train a vocabulary of {preset.pieces:,} pieces",
        ["clinical_t5x.vocabulary", "--data_dir", places.data],
        ["--size", preset.pieces, "--overwrite"],
    )


def _pretraining_stage(preset: Preset, places: Places, seed: int) -> Stage:
    return _program(
        f"pre-train a tiny T5 for {preset.pretrain_steps:,} steps",
        "train",
        places,
        [preset.recipe],
        MODEL_DIR=str(places.pretrained),
        TRAIN_STEPS=preset.pretrain_steps,
        **_rise_and_fall(preset.pretrain_steps, warmup=min(100, preset.pretrain_steps // 2)),
        EVAL_PERIOD=max(2, preset.pretrain_steps // 10),
        RANDOM_SEED=seed,
    )


def _finetuning_stages(preset: Preset, run: Run) -> Iterator[Stage]:
    pretrained = run.initialisation == "pretrained"
    checkpoint = str(run.places.pretrained) if pretrained else []
    first_step = preset.pretrain_steps if pretrained else 0
    yield _program(
        f"fine-tune on {run.name}",
        "train",
        run.places,
        [preset.model, f"gin/finetune_{run.task}.gin", "gin/demo_finetune.gin"],
        MODEL_DIR=str(run.model_dir),
        INITIAL_CHECKPOINT_PATH=checkpoint,
        RANDOM_SEED=run.seed,
        **preset.finetuning[run.task].bindings(first_step),
    )
    gin_files, decoding = DECODING[run.task]
    yield _program(
        f"evaluate on {run.name}",
        "eval",
        run.places,
        [preset.model, f"gin/eval_{run.task}.gin", *gin_files],
        CHECKPOINT_PATH=str(run.model_dir),
        EVAL_OUTPUT_DIR=str(run.evaluation),
        **{"eval_script.evaluate.initialisation": run.initialisation, **decoding},
    )


def _twins_stage(options: argparse.Namespace, preset: Preset, places: Places) -> Stage:
    """Both initialisations: on a CPU at the same time, each by a demo of its own.

    In this process where it holds an accelerator since pre-training: another would not get it.
    """

    def twin(initialisation: str) -> Stage:
        arguments = ("clinical_t5x.demo", "--preset", options.preset, "--out", options.out)
        arguments += ("--seed", str(options.seed), "--only", initialisation)
        return Stage(initialisation, arguments)

    def run() -> None:
        import jax

        if jax.default_backend() == "cpu":
            run_side_by_side([twin(initialisation) for initialisation in INITIALISATIONS])
            return
        for initialisation in INITIALISATIONS:
            run_stages(stages_from(initialisation, preset, places))

    return Stage("fine-tune the pre-trained model and its twin from scratch, and evaluate", (), run)


def _majority_stage(places: Places, task: str) -> Stage:
    arguments = ["--task", f"{task}_v1", "--module", f"tasks.{task}"]
    arguments += ["--data_dir", str(places.data), "--out", str(places.runs / f"majority-{task}")]

    def run() -> None:
        from clinical_t5x import majority

        majority.main(arguments)

    title = f"score the majority answer on {task}"
    return Stage(title, ("clinical_t5x.majority", *arguments), run)


def _command(title: str, *arguments: Sequence[object]) -> Stage:
    """A stage that runs a command; the command itself skips what is already whole."""
    return Stage(title, tuple(str(a) for a in itertools.chain.from_iterable(arguments)))


def _program(
    title: str, verb: str, places: Places, gin_files: Sequence[str], **macros: object
) -> Stage:
    """A stage that runs a gin program inside this process, so that JAX starts once."""
    bindings = [f"{name} = {value!r}" for name, value in macros.items()]

    def run() -> None:
        from clinical_t5x.launch.program import run_program

        run_program(verb, gin_files=gin_files, bindings=bindings, data_dir=places.data)

    shown = [f"--gin_file={name}" for name in gin_files]
    shown += [f"--gin.{name}={value}" for name, value in macros.items()]
    return Stage(title, (f"t5x.{verb}", *shown, f"--data_dir={places.data}"), run)


def main(argv: Sequence[str]) -> int:
    """Run the demo and show its table."""
    options = _parser().parse_args(argv)
    preset, places = PRESETS[options.preset], Places(Path(options.out))
    if options.only:
        end_with_parent()
        run_stages(stages_from(options.only, preset, places))
    else:
        _run_all(options, preset, places)
    return console.EXIT_DONE


def _run_all(options: argparse.Namespace, preset: Preset, places: Places) -> None:
    begun = time.monotonic()
    console.say(f"clinical_t5x {options.preset}: {preset.description}")
    console.say(f"Everything goes to {places.out}; stop it when you like, the next call goes on.")
    run_stages(
        [
            *stages_before(preset, places, options.seed),
            _twins_stage(options, preset, places),
            *stages_after(places),
        ]
    )
    _report(places, json=options.json)
    console.say(f"{options.preset} ended after {(time.monotonic() - begun) / 60:.1f} minutes")


def _report(places: Places, *, json: bool) -> None:
    """Always made anew: it takes seconds, and shows what is there now."""
    from clinical_t5x import report

    corpus = places.data / "corpus" / "clinical"
    arguments = ["--runs", str(places.runs), "--out", str(places.report), "--corpus", str(corpus)]
    report.main([*arguments, *(["--json"] if json else [])])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m clinical_t5x.demo",
        description="The whole way on synthetic data: notes in, three benchmark scores out.",
    )
    parser.add_argument("--out", default="runs/demo", help="where everything goes (%(default)s)")
    parser.add_argument("--preset", choices=PRESETS, default="demo", help="size (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of data and runs (%(default)s)")
    parser.add_argument(
        "--only",
        choices=INITIALISATIONS,
        help="fine-tune and evaluate this one alone, of a demo that has pre-trained",
    )
    parser.add_argument("--json", action="store_true", help="end with a summary in JSON")
    return parser


if __name__ == "__main__":
    console.run_command(main)
