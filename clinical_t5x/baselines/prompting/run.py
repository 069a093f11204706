"""A whole run: candidates tried on validation examples, the best one put to the test split once.

A run directory holds `run.json` (what it is), `selection.json` (every candidate's score),
`replies/` (all that was answered: confidential), and what every evaluation leaves: `results/`,
`predictions/`, `inference_eval/`. The candidates' own evaluations are in `predictions/selection/`,
where no report takes them for results.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping, Sequence
from typing import Any

from etils import epath

from clinical_t5x.baselines.finetuning.reading import TRAIN, VALIDATION, Benchmark
from clinical_t5x.baselines.prompting.answering import Answerer
from clinical_t5x.baselines.prompting.demonstrations import Pool
from clinical_t5x.baselines.prompting.endpoint.spending import Estimate, Price
from clinical_t5x.baselines.prompting.predictor import PromptPredictor
from clinical_t5x.baselines.prompting.prompts import Prompt, Record
from clinical_t5x.baselines.prompting.replies import ReplyStore
from clinical_t5x.baselines.prompting.selection import Candidate, candidates_of, drawn_units
from clinical_t5x.console import UserError, say
from clinical_t5x.evaluation.evaluator import Evaluator
from clinical_t5x.evaluation.inference_evaluator import random_units
from clinical_t5x.evaluation.registry import model_row, row_of_source
from clinical_t5x.evaluation.results import (
    Evaluation,
    Provenance,
    evaluation_directory,
    save_evaluation,
)
from clinical_t5x.storage import completion, fingerprint, read_json, write_json_atomically

RUN_FILE, SELECTION_FILE = "run.json", "selection.json"
_LONGEST_COUNTED = 64  # answers whose tokens are counted to find the longest
_PRICE_UNIT = 1_000_000  # counts are whole numbers: prices are given in millionths
_LARGEST_SHOWN = 8  # candidates


@dataclasses.dataclass(frozen=True)
class Run:
    """What is to be done.

    Attributes:
      benchmark: its training, validation and test splits.
      answerer: who is asked.
      out: run directory, on a local disk.
      prompts: wordings to choose among.
      shots: numbers of demonstrations to choose among.
      seed: of demonstrations and of the validation examples.
      validation_examples: that candidates are tried on.
      split: what is scored in the end.
      test_units: score that many of its units, drawn with `test_seed`; None scores all.
      test_seed: the same for all systems that are to be compared.
      initialisation: what results call the model: its row in the registry, else its name.
      checkpoint: where its weights are; empty for a server.
      price: of tokens.
      max_new_tokens: of a reply; None takes what the answers need.
      with_text: also keep texts with the predictions (note text).
    """

    benchmark: Benchmark
    answerer: Answerer
    out: epath.Path
    prompts: tuple[Prompt, ...]
    shots: tuple[int, ...]
    seed: int
    validation_examples: int
    split: str
    test_units: int | None
    test_seed: int
    initialisation: str
    checkpoint: str = ""
    price: Price = dataclasses.field(default_factory=Price)
    max_new_tokens: int | None = None
    with_text: bool = False

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Prompts with numbers of demonstrations."""
        return candidates_of(self.prompts, self.shots)

    @functools.cached_property
    def validation(self) -> Any:
        """The validation examples that candidates are tried on."""
        whole = self.benchmark.scored[VALIDATION].examples
        return drawn_units(whole, self.validation_examples, self.seed)

    @functools.cached_property
    def scored(self) -> Any:
        """The examples that are scored in the end."""
        whole = self.benchmark.scored[self.split].examples
        if self.test_units is None:
            return whole
        return random_units(whole, self.test_units, self.test_seed)

    @functools.cached_property
    def demonstrations(self) -> Mapping[str, Mapping[str, Sequence[Record]]]:
        """As many as any candidate takes, by prompt and aspect; fewer are the first of them."""
        pool = Pool.of_training(self.benchmark.kind.name, self.benchmark.train.records)
        most = max(self.shots)
        return {
            prompt.name: pool.demonstrations(prompt, most, self.seed) for prompt in self.prompts
        }

    @functools.cached_property
    def longest_answers(self) -> Mapping[str, int]:
        """Tokens of the longest answer in the training split, by prompt."""
        return {prompt.name: self._longest_answer(prompt) for prompt in self.prompts}

    def predictor(self, candidate: Candidate, split: str, store: ReplyStore) -> PromptPredictor:
        """A candidate as a predictor of a split."""
        return PromptPredictor(
            self.answerer,
            candidate.prompt,
            {
                aspect: records[: candidate.shots]
                for aspect, records in self.demonstrations[candidate.prompt.name].items()
            },
            self.benchmark.scored[split].records,
            store,
            longest_answer=self.longest_answers[candidate.prompt.name],
            max_new_tokens=self.max_new_tokens,
        )

    def _longest_answer(self, prompt: Prompt) -> int:
        records = self.benchmark.train.records
        found = {prompt.gold(record, aspect) for record in records for aspect in prompt.aspects}
        longest = sorted(found, key=len)[-_LONGEST_COUNTED:]
        return max(self.answerer.count_answer(text) for text in longest)

    def description(self) -> dict[str, Any]:
        """What must be equal for a run directory to be this run's, in JSON values."""
        return {
            "answerer": self.answerer.identity(),
            "model": self.answerer.name,
            "initialisation": self.initialisation,
            "task": self.benchmark.task_name,
            "data": self.benchmark.scored[VALIDATION].examples.manifest_hash,
            "subset": self.benchmark.subset.description(),
            "candidates": [candidate.name for candidate in self.candidates],
            "seed": self.seed,
            "validation_examples": self.validation_examples,
            "max_new_tokens": self.max_new_tokens,
        }


def initialisation_of(name: str, registry_row: str | None) -> str:
    """What results call a model: its key in the registry where it has one."""
    if registry_row is not None:
        return model_row(registry_row).key
    row = row_of_source(name)
    return row.key if row else os.path.basename(os.path.normpath(name))


def check_run_directory(run: Run) -> None:
    """Refuse a directory that holds another run; else say in it what this one is.

    Raises:
      UserError: it holds another run, or the training split is empty.
    """
    if not run.benchmark.train.records:
        raise UserError(f"the {TRAIN} split of {run.benchmark.task_name} is empty")
    path, mine = run.out / RUN_FILE, run.description()
    found = read_json(path) if path.exists() else mine
    differing = sorted(name for name, value in mine.items() if found.get(name) != value)
    if differing:
        raise UserError(
            f"{run.out} holds another run ({', '.join(differing)} differ); choose another --out,"
            " or repeat the command of that run to go on with it"
        )
    write_json_atomically(path, mine)


def estimate(run: Run, store: ReplyStore) -> tuple[Estimate, Estimate]:
    """What is still to be asked: on validation, and at most of the scored split.

    The latter is counted on the validation examples: as many requests an example, prompts as long,
    of the candidate whose prompts are longest. What of it is answered already is not taken off.
    """
    ids = [str(record["id"]) for record in run.validation.records]
    asked, largest = Estimate(), Estimate()
    for candidate in run.candidates:
        predictor = run.predictor(candidate, VALIDATION, store)
        if len(run.candidates) > 1:
            asked += Estimate.of(predictor.missing(ids))
        whole = Estimate.of([query for name in ids for query in predictor.queries(name)])
        largest = max(largest, whole, key=lambda one: one.prompt_tokens)
    return asked, largest.times(len(run.scored.records) / len(ids))


def select(run: Run, store: ReplyStore) -> Candidate:
    """Try all candidates on the validation examples; the best one, the first of equally good ones.

    With a single candidate there is nothing to ask.
    """
    if len(run.candidates) == 1:
        return run.candidates[0]
    metric = run.benchmark.kind.metric
    scores: dict[str, float] = {}
    unparsed: dict[str, int] = {}
    for number, candidate in enumerate(run.candidates, start=1):
        evaluation = _evaluate(run, candidate, store, final=False)
        scores[candidate.name] = evaluation.result(metric).value
        unparsed[candidate.name] = evaluation.counts["unparsed"]
        say(
            f"  {number} of {len(run.candidates)}: {candidate.name}: {metric}"
            f" {scores[candidate.name]:.4f}, unparsed {unparsed[candidate.name]}"
        )
    best = max(run.candidates, key=lambda candidate: scores[candidate.name])
    write_json_atomically(
        run.out / SELECTION_FILE,
        {
            "chosen": best.name,
            "metric": metric,
            "split": VALIDATION,
            "examples": len(run.validation.records),
            "units": len({record["unit"] for record in run.validation.records}),
            "scores": scores,
            "unparsed": unparsed,
        },
    )
    return best


def evaluate(run: Run, chosen: Candidate, store: ReplyStore) -> Evaluation:
    """Score the chosen candidate on the split, and write what it took into the results' counts."""
    return _evaluate(run, chosen, store, final=True)


def _evaluate(run: Run, candidate: Candidate, store: ReplyStore, *, final: bool) -> Evaluation:
    split, examples = (run.split, run.scored) if final else (VALIDATION, run.validation)
    out = run.out if final else run.out / "predictions" / "selection" / candidate.name
    predictor = run.predictor(candidate, split, store)
    evaluator = Evaluator(
        run.benchmark.task, examples, split=split, output_dir=out, with_text=run.with_text
    )
    evaluation = evaluator.run(predictor, _provenance(run, candidate))
    ids = [str(record["id"]) for record in examples.records]
    if predictor.missing(ids):  # whoever removed the replies keeps the results
        return _as_it_was(evaluation, store)
    account = predictor.account(ids)
    counts = {**evaluation.counts, **account, **_bill(run, store, account, final=final)}
    counts["demonstrations"] = candidate.shots
    if counts != dict(evaluation.counts):
        evaluation = dataclasses.replace(evaluation, counts=counts, directory=None)
        first = evaluation.results[0]
        place = evaluation_directory(out, first.task, first.split, first.checkpoint_step)
        save_evaluation(out, evaluation, completion(place)["made_from"])
    return evaluation


def _as_it_was(evaluation: Evaluation, store: ReplyStore) -> Evaluation:
    if "requests" in evaluation.counts:
        return evaluation
    raise UserError(
        f"{store.path} lacks replies that predictions here were made of; remove predictions/ too,"
        " to ask again"
    )


def _bill(
    run: Run, store: ReplyStore, account: Mapping[str, int], *, final: bool
) -> dict[str, int]:
    """Prices in millionths, where prices are known; of the whole run with the final evaluation."""
    counts = {"requests_perhaps_billed_twice": store.perhaps_billed_twice} if final else {}
    if not run.price:
        return counts
    price = run.price.of(account["prompt_tokens"], account["completion_tokens"])
    counts["price_in_millionths"] = round(price * _PRICE_UNIT)
    if final:
        spent = run.price.of_replies(store.all())
        counts["price_with_selection_in_millionths"] = round(spent * _PRICE_UNIT)
    return counts


def _provenance(run: Run, candidate: Candidate) -> Provenance:
    subset = run.benchmark.subset
    return Provenance(
        model=run.answerer.name,
        initialisation=run.initialisation,
        seed=run.seed,
        checkpoint=run.checkpoint,
        config_hash=fingerprint({**run.description(), "chosen": candidate.name}),
        synthetic=run.benchmark.synthetic,
        fraction=subset.fraction,
        subset_seed=None if subset.is_whole else subset.seed,
    )


def shown_candidates(candidates: Sequence[Candidate]) -> str:
    """Names for a line of output."""
    names = [candidate.name for candidate in candidates]
    more = f" and {len(names) - _LARGEST_SHOWN} more" if len(names) > _LARGEST_SHOWN else ""
    return ", ".join(names[:_LARGEST_SHOWN]) + more
