"""A whole run: every learning rate tried, the best one kept, its model written, both splits scored.

A run directory holds `run.json` (what it is), `trials/` (their histories; while they last also
checkpoints), `model/` (the chosen model in Hugging Face's format, with `finetuned.json`), and what
every evaluation leaves: `results/`, `predictions/`, `inference_eval/`.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

from etils import epath

import clinical_t5x
from clinical_t5x.baselines.finetuning.forward import device_named
from clinical_t5x.baselines.finetuning.loading import (
    Pretrained,
    find_pretrained,
    model_with_head,
    parameter_count,
    require_torch,
)
from clinical_t5x.baselines.finetuning.lora import merge_adapters
from clinical_t5x.baselines.finetuning.predictor import FineTunedPredictor
from clinical_t5x.baselines.finetuning.problems import CLASSES, problem_of
from clinical_t5x.baselines.finetuning.reading import SCORED_SPLITS, VALIDATION, Benchmark
from clinical_t5x.baselines.finetuning.saving import Position, TrialFiles
from clinical_t5x.baselines.finetuning.settings import Settings, check_seed
from clinical_t5x.baselines.finetuning.trial import Material, run_trial
from clinical_t5x.console import UserError, say
from clinical_t5x.evaluation.evaluator import Evaluator
from clinical_t5x.evaluation.registry import model_row, row_of_source
from clinical_t5x.evaluation.results import Evaluation, Provenance
from clinical_t5x.storage import (
    completion,
    fingerprint,
    is_complete,
    read_json,
    sha256_file,
    stage_directory,
    write_json_atomically,
)
from clinical_t5x.training.runtime import StopRequest
from clinical_t5x.training.settings import rate_name

RUN_FILE, MODEL, FINETUNED_FILE = "run.json", "model", "finetuned.json"


@dataclasses.dataclass(frozen=True)
class Run:
    """What is to be done.

    Attributes:
      pretrained: the model.
      benchmark: its training part, validation and test.
      settings: hyperparameters.
      out: run directory.
      seed: of head, order and dropout.
      initialisation: what results call the model: its row in the registry, else its name.
      device: where to compute.
      with_text: also keep texts with the predictions (note text).
    """

    pretrained: Pretrained
    benchmark: Benchmark
    settings: Settings
    out: epath.Path
    seed: int
    initialisation: str
    device: Any
    with_text: bool = False

    def description(self) -> dict[str, Any]:
        """What must be equal for a run directory to be this run's, in JSON values."""
        scored = self.benchmark.scored[VALIDATION].examples
        return {
            "model": self.pretrained.source,
            "family": self.pretrained.family,
            "config": fingerprint(self.pretrained.config.to_dict()),
            **self.pretrained.content,
            "initialisation": self.initialisation,
            "task": self.benchmark.task_name,
            "data": scored.manifest_hash,
            "subset": self.benchmark.subset.description(),
            "seed": self.seed,
            "settings": self.settings.description(),
        }


def make_run(
    model: str | os.PathLike,
    benchmark: Benchmark,
    settings: Settings,
    out: str | os.PathLike,
    *,
    seed: int = 1,
    registry_row: str | None = None,
    device: str = "auto",
    with_text: bool = False,
) -> Run:
    """Put a run together and check all that can be wrong before anything is trained.

    Args:
      model: a directory in Hugging Face's format, or a hub id.
      benchmark: as it was read.
      settings: hyperparameters.
      out: run directory; one that holds another run is refused.
      seed: of head, order and dropout.
      registry_row: the registry's key of the model; found out for ids that the registry has.
      device: "auto", "cpu" or "cuda".
      with_text: also keep texts with the predictions.

    Raises:
      UserError: whatever is wrong.
    """
    check_seed(seed)
    device = device_named(device)
    pretrained = find_pretrained(model)
    out = epath.Path(out)
    initialisation = initialisation_of(pretrained.source, registry_row)
    run = Run(pretrained, benchmark, settings, out, seed, initialisation, device, with_text)
    if not benchmark.train.records:
        raise UserError(f"the training split of {benchmark.task_name} is empty")
    _refuse_another_run(run)
    return run


def _refuse_another_run(run: Run) -> None:
    """Raise where the run directory holds what another run made.

    A request of which nothing came, such as one that was refused, is in nobody's way.
    """
    path = run.out / RUN_FILE
    if not path.exists() or not any(place.is_dir() for place in run.out.iterdir()):
        return
    found, asked = read_json(path), run.description()
    differing = sorted(
        key for key in found.keys() | asked.keys() if found.get(key) != asked.get(key)
    )
    if differing:
        raise UserError(
            f"{run.out} holds another run ({', '.join(differing)} differ); choose another --out,"
            " or repeat the command of that run to go on with it"
        )


def initialisation_of(source: str, registry_row: str | None) -> str:
    """What results call a model."""
    if registry_row is not None:
        return model_row(registry_row).key
    row = row_of_source(source)
    return row.key if row else os.path.basename(os.path.normpath(source))


def fine_tune(run: Run) -> dict[str, Evaluation]:
    """Train, choose, write the model, and score validation and test; go on where it was stopped.

    Returns:
      Evaluations by split.

    Raises:
      Stopped: on Ctrl-C or SIGTERM, after saving.
    """
    torch = require_torch()
    torch.use_deterministic_algorithms(True, warn_only=True)
    write_json_atomically(run.out / RUN_FILE, run.description())
    if not is_complete(run.out / MODEL, run.description()):
        with StopRequest() as stop:
            material = _material(run)
            ends = {
                rate: run_trial(material, rate, _files(run, rate), stop)
                for rate in run.settings.learning_rates
            }
        _write_model(run, material, *choose(ends, run.benchmark.kind.metric), ends)
    for rate in run.settings.learning_rates:  # their histories stay
        _files(run, rate).remove_weights()
    return evaluate(run)


def choose(ends: Mapping[float, Position], metric: str) -> tuple[float, Position]:
    """The trial that is best on validation; of equally good ones the first."""
    return max(ends.items(), key=lambda item: item[1].best[metric])


def _material(run: Run) -> Material:
    encoder = run.pretrained.encoder(run.settings.max_tokens[run.benchmark.kind.name])
    problem = problem_of(run.benchmark.kind, encoder, run.settings)
    train_rows, cut = problem.rows(run.benchmark.train.records)
    validation_rows, _ = problem.rows(run.benchmark.scored[VALIDATION].records)
    what = "answers that no window holds" if run.benchmark.kind.name == "radqa" else "inputs cut"
    say(
        f"  {len(run.benchmark.train.records):,} training examples in {len(train_rows):,} rows of"
        f" at most {encoder.max_tokens} tokens; {what}: {cut:,}"
    )
    return Material(
        run.pretrained, problem, run.benchmark, train_rows, validation_rows, run.settings, run.seed,
        run.device,
    )  # fmt: skip


def _files(run: Run, rate: float) -> TrialFiles:
    return TrialFiles(run.out / "trials" / f"rate_{rate_name(rate)}")


def _write_model(
    run: Run, material: Material, rate: float, end: Position, ends: Mapping[float, Position]
) -> None:
    """Write the chosen trial's best weights as a model of Hugging Face, adapters merged."""
    metric = run.benchmark.kind.metric
    model = material.fresh_model()
    _files(run, rate).load_best(end.best["step"], model)
    merge_adapters(model)
    with stage_directory(run.out / MODEL, run.description()) as partial:
        model.save_pretrained(os.fspath(partial))
        run.pretrained.tokenizer.save_pretrained(os.fspath(partial))
        weights = sorted(p for p in partial.iterdir() if p.name.endswith(".safetensors"))
        write_json_atomically(
            partial / FINETUNED_FILE,
            {
                "made_by": f"clinical_t5x {clinical_t5x.__version__}",
                "task": run.benchmark.task_name,
                "rate": rate,
                **{name: end.best[name] for name in ("epoch", "step", "thresholds", metric)},
                "thresholds_tuned_on": VALIDATION,
                "rates": {rate_name(r): e.best[metric] for r, e in ends.items()},
                "parameters": parameter_count(model),
                "weights": [sha256_file(path) for path in weights],
            },
        )


def evaluate(run: Run, splits: Sequence[str] = SCORED_SPLITS) -> dict[str, Evaluation]:
    """Score the run's model on splits, through the evaluator that every system goes through."""
    directory = run.out / MODEL
    if completion(directory) is None:
        raise UserError(f"{directory} is not whole; run the command again")
    about = read_json(directory / FINETUNED_FILE)
    tuned = dataclasses.replace(run.pretrained, source=os.fspath(directory))
    encoder = run.pretrained.encoder(run.settings.max_tokens[run.benchmark.kind.name])
    problem = problem_of(run.benchmark.kind, encoder, run.settings)
    model = model_with_head(tuned, problem, seed=run.seed).to(run.device)
    identity = fingerprint(
        {name: about[name] for name in ("weights", "thresholds")} | {"run": run.description()}
    )
    provenance = Provenance(
        model=f"{run.pretrained.family} {_rounded(about['parameters'])}",
        initialisation=run.initialisation,
        seed=run.seed,
        checkpoint=os.fspath(directory),
        checkpoint_step=about["step"],
        config_hash=fingerprint(run.description()),
        synthetic=run.benchmark.synthetic,
        fraction=run.benchmark.subset.fraction,
        subset_seed=None if run.benchmark.subset.is_whole else run.benchmark.subset.seed,
    )
    found = {}
    for name in splits:
        split = run.benchmark.scored[name]
        _, cut = problem.rows(split.records)
        predictor = FineTunedPredictor(
            model,
            problem,
            split.records,
            about["thresholds"],
            settings=run.settings,
            pad_id=run.pretrained.tokenizer.pad_token_id,
            identity=identity,
        )
        evaluator = Evaluator(
            run.benchmark.task,
            dataclasses.replace(split.examples, truncated=cut),
            split=name,
            output_dir=run.out,
            with_text=run.with_text,
            with_scores=problem.head == CLASSES,
        )
        found[name] = evaluator.run(predictor, provenance)
    return found


def _rounded(parameters: int) -> str:
    """A number of parameters as people say it: 355M."""
    for unit, size in (("B", 1e9), ("M", 1e6), ("K", 1e3)):
        if parameters >= size:
            return f"{parameters / size:.3g}{unit}"
    return str(parameters)
