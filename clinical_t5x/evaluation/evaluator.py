"""One way from a predictor to results, for training-time hooks, `eval` and every baseline.

Examples whose prediction is already on disk are not repeated; the others are predicted, scored one
by one into metric components, and written as they come. Results with intervals go to the results
store (results.py).
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from clinical_t5x.console import Progress, UserError, say
from clinical_t5x.evaluation import hosts, statistics, thresholds
from clinical_t5x.evaluation import results as results_store
from clinical_t5x.evaluation.example_rows import ExampleRows
from clinical_t5x.evaluation.likelihood import ScoredGeneration, generate_and_score
from clinical_t5x.evaluation.measure import METHOD, Measurement, Metric
from clinical_t5x.evaluation.metrics.components import MetricFamily, as_text, family_of
from clinical_t5x.evaluation.metrics.groups import Grouped, contested_positions
from clinical_t5x.evaluation.metrics.scoring import Scoring, scoring_of
from clinical_t5x.evaluation.predictions import PredictionFile
from clinical_t5x.evaluation.predictor import Generation, Predictor, Request
from clinical_t5x.evaluation.results import Evaluation, Provenance, Result
from clinical_t5x.storage import is_complete, write_text_atomically

# What results depend on beside predictions.
_LATER = (_CODE, _RESAMPLES, _THRESHOLDS) = ("evaluation_code", "resamples", "thresholds")


@dataclasses.dataclass(frozen=True)
class TaskSpec:
    """What evaluation needs of a task.

    Attributes:
      name: the task's name.
      metric_fns: functions (targets, predictions) -> {metric: value}.
      postprocess: (text, example=record, is_target=bool) -> what the metrics take.
      unit: what a record's `unit` is, for the reader of a result.
      encode: a target text's token ids, end of sequence included; needed for scores only.
    """

    name: str
    metric_fns: tuple[Callable, ...]
    postprocess: Callable[..., Any]
    unit: str = "unit"
    encode: Callable[[str], Sequence[int]] | None = None

    @classmethod
    def of(cls, task: Any) -> TaskSpec:
        """The specification of a SeqIO task."""
        vocabulary = task.output_features["targets"].vocabulary

        def encode(text: str) -> list[int]:
            return [*vocabulary.encode(text), vocabulary.eos_id]

        families = [family_of(metric_fn) for metric_fn in task.metric_fns]
        units = [family.unit for family in families if family is not None]
        unit = units[0] if units else "example"
        return cls(task.name, tuple(task.metric_fns), task.postprocess_fn, unit, encode)

    @property
    def families(self) -> tuple[MetricFamily, ...]:
        """The metric families whose components are kept for each example."""
        found = [family_of(metric_fn) for metric_fn in self.metric_fns]
        return tuple(family for family in found if family is not None)

    @property
    def scoring(self) -> Scoring | None:
        """How answers are scored by likelihood, where the metrics say it."""
        found = [scoring_of(metric_fn) for metric_fn in self.metric_fns]
        return next((scoring for scoring in found if scoring is not None), None)

    @property
    def text_metric_fns(self) -> tuple[Callable, ...]:
        """Metric functions without components: they need every prediction's text at once."""
        return tuple(fn for fn in self.metric_fns if family_of(fn) is None)


class Evaluator:
    """Evaluates predictors on one split of one task.

    Args:
      task: what to compute.
      examples: the split: `records`, `inputs`, `targets`, `feature_lengths`, `truncated`,
        `task_version`, `synthetic` (clinical_t5x.data.loader.Examples).
      split: its name.
      output_dir: the run directory; None writes nothing.
      with_text: also write inputs, targets and predicted text into predictions.jsonl. They are
        note text: keep such files where the data may be.
      resamples: of the bootstrap.
      with_scores: also score answers by likelihood (metrics/scoring.py): probabilities and their
        calibration, and on the validation split the best thresholds.
      thresholds: a run directory whose validation split was evaluated with scores; by default
        `output_dir`. Metrics at thresholds need them.
    """

    def __init__(
        self,
        task: TaskSpec,
        examples: Any,
        *,
        split: str,
        output_dir: str | os.PathLike | None = None,
        with_text: bool = False,
        resamples: int = statistics.RESAMPLES,
        with_scores: bool = False,
        thresholds: str | os.PathLike | None = None,
    ):
        self.task, self.examples, self.split = task, examples, split
        self._output_dir = None if output_dir is None else epath.Path(output_dir)
        self._with_text = with_text
        self._resamples = resamples
        self._scoring = task.scoring if with_scores else None
        if with_scores and (self._scoring is None or task.encode is None):
            raise UserError(
                f"{task.name} does not say how its answers are scored by likelihood (scored_by of"
                " clinical_t5x.evaluation.metrics.scoring); leave with_scores out"
            )
        self._thresholds_from = thresholds
        records = examples.records
        self._ids = [as_text(record["id"]) for record in records]
        self._units = [as_text(record.get("unit", record["id"])) for record in records]
        self._check_ids()
        given = [
            task.postprocess(record["targets_pretokenized"], example=record, is_target=True)
            for record in records
        ]
        self._given_targets = given
        self._targets = [t.gold if isinstance(t, Grouped) else t for t in given]
        self._groups = [
            target.group if isinstance(target, Grouped) else identity
            for target, identity in zip(given, self._ids, strict=True)
        ]
        self._check_groups()

    def _check_ids(self) -> None:
        if not self._ids:
            raise UserError(f"the split {self.split!r} of {self.task.name} has no examples")
        if len(set(self._ids)) < len(self._ids):
            raise UserError(
                f"{len(self._ids) - len(set(self._ids))} examples of {self.task.name}"
                f" {self.split} repeat an id; ids must be unique: prepare the data set again"
            )

    def _check_groups(self) -> None:
        if len(set(self._groups)) < len(self._groups):
            for family in self.task.families:
                if family.merge is None:
                    raise UserError(
                        f"examples of {self.task.name} share a question, but the metrics"
                        f" {family.name} do not say how to merge them (MetricFamily.merge)"
                    )
            if self._scoring is not None and self._scoring.merge is None:
                raise UserError(
                    f"examples of {self.task.name} share a question, but its scores do not say how"
                    " to merge them (Scoring.merge); leave with_scores out"
                )

    @property
    def max_target_tokens(self) -> int:
        """The decoding limit: the longest target, end-of-sequence included; never a fixed one."""
        longest = max((len(target) for target in self.examples.targets), default=1)
        return max(longest, int(self.examples.feature_lengths.get("targets", 0)))

    def run(self, predictor: Predictor, provenance: Provenance) -> Evaluation:
        """Predict what is not yet predicted, compute metrics and intervals, write results.

        Results that are there already, of the same predictor, examples and metrics, are only read.
        On several hosts all call it alike and get the same evaluation; the first one reads and
        writes the files.
        """
        made_from = None
        if self._output_dir is not None:  # every host: the parameters may be spread
            made_from = self._header(predictor, provenance)
            made_from |= {_CODE: results_store.evaluation_code(), _RESAMPLES: self._resamples}
        given = self._given_thresholds(predictor, provenance)
        if made_from is not None and given is not None:
            made_from[_THRESHOLDS] = {name: repr(value) for name, value in given.items()}
        known = self._known(made_from, provenance)
        if known is not None:
            return known
        rows = ExampleRows(self.task.families, len(self._ids), self._scoring)
        with self._prediction_file(made_from) as file:
            if file is not None:
                self._take_finished(file, rows)
            rows.share()
            left = np.flatnonzero(~rows.done)
            self._predict(predictor, rows, left.tolist(), file=file)
        self._weigh_contested(predictor, rows)
        evaluation, best = self._evaluation(rows, provenance, given)
        if self._output_dir is not None and hosts.is_first():
            documents = {}
            if best and self.split == thresholds.TUNING_SPLIT:
                n = evaluation.results[0].n
                documents[thresholds.THRESHOLDS_FILE] = thresholds.document(
                    best, made_from=made_from, n=n
                )
            results_store.save_evaluation(self._output_dir, evaluation, made_from, documents)
            self._append_metrics(evaluation, provenance)
        return evaluation

    def _given_thresholds(
        self, predictor: Predictor, provenance: Provenance
    ) -> dict[str, float] | None:
        """Thresholds that were tuned on the validation split, for another one; None without."""
        scoring, place = self._scoring, self._thresholds_from or self._output_dir
        if scoring is None or not scoring.threshold_families:
            return None
        if place is None or self.split == thresholds.TUNING_SPLIT:
            return None
        step = provenance.checkpoint_step
        found = thresholds.find(place, self.task.name, step)
        if found is not None:
            return thresholds.checked(*found, self._header(predictor, provenance))
        missing = (
            f"{place} has no thresholds of {self.task.name}"
            + ("" if step is None else f" at step {step:,}")
            + f": evaluate its {thresholds.TUNING_SPLIT} split with with_scores"
        )
        if self._thresholds_from is not None:
            raise UserError(missing)
        if hosts.is_first():
            say(f"{missing} first to have metrics at thresholds; they are left out now")
        return None

    def _known(
        self, made_from: Mapping[str, Any] | None, provenance: Provenance
    ) -> Evaluation | None:
        """The finished evaluation of exactly this, or None."""
        # A metric function without components is of unknown code.
        if made_from is None or self.task.text_metric_fns or not hosts.is_only():
            return None
        directory = self._results_directory(provenance)
        if not is_complete(directory, dict(made_from)):
            return None
        with contextlib.suppress(UserError):  # damaged: evaluate again
            return results_store.load_evaluation(directory)
        return None

    def _results_directory(self, provenance: Provenance) -> epath.Path:
        return results_store.evaluation_directory(
            self._output_dir, self.task.name, self.split, provenance.checkpoint_step
        )

    def _prediction_file(
        self, made_from: Mapping[str, Any] | None
    ) -> contextlib.AbstractContextManager[PredictionFile | None]:
        if made_from is None or not hosts.is_first():
            return contextlib.nullcontext()
        # Predictions outlive a change of the code that scores them.
        header = {k: v for k, v in made_from.items() if k not in _LATER}
        name = results_store.evaluation_name(
            self.task.name, self.split, made_from["checkpoint_step"]
        )
        path = self._output_dir / "predictions" / f"{name}.jsonl"
        # A metric without components needs every text, which most files do not hold.
        reuse = not self.task.text_metric_fns
        return PredictionFile(path, header, reuse=reuse, ids=self._ids)

    def _header(self, predictor: Predictor, provenance: Provenance) -> dict[str, Any]:
        scores = {} if self._scoring is None else {"scores": list(self._scoring.names)}
        return {
            "predictor": predictor.identity(),
            **scores,
            "task": self.task.name,
            "task_version": self.examples.task_version,
            "split": self.split,
            "examples": self._content,
            "max_target_tokens": self.max_target_tokens,
            "families": [family.name for family in self.task.families],
            "with_text": self._with_text,
            **{
                name: getattr(provenance, name)
                for name in ("model", "initialisation", "seed", "checkpoint", "checkpoint_step")
            },
            "config_hash": provenance.config_hash,
        }

    @functools.cached_property
    def _content(self) -> str:
        """A hash of what the examples are: ids, texts, gold, and input tokens as they were cut."""
        digest = hashlib.sha256()
        for record, tokens in zip(self.examples.records, self.examples.inputs, strict=True):
            digest.update(json.dumps(record, sort_keys=True, default=repr).encode())
            digest.update(np.asarray(tokens, np.int64).tobytes())
        return digest.hexdigest()

    def _take_finished(self, file: PredictionFile, rows: ExampleRows) -> None:
        """Fill `rows` from the lines of examples that were finished before."""
        for position, identity in enumerate(self._ids):
            if identity in file.finished:
                rows.restore(position, file.finished[identity])

    def _predict(
        self,
        predictor: Predictor,
        rows: ExampleRows,
        positions: Sequence[int],
        *,
        file: PredictionFile | None,
    ) -> None:
        requests = [self._request(position) for position in positions]
        if not requests:
            return
        what = f"{self.task.name} {self.split}"
        with Progress(f"predict {what}", len(requests), unit="examples") as progress:
            for index, found in self._generated(predictor, requests):
                position = positions[index]
                line = self._score(rows, position, found)
                if file is not None:
                    file.add(line)
                progress.advance()
        missing = int(np.count_nonzero(~rows.done))
        if missing:
            raise RuntimeError(f"the predictor left {missing} examples of {what} without an answer")

    def _generated(
        self, predictor: Predictor, requests: Sequence[Request]
    ) -> Iterator[tuple[int, Generation | ScoredGeneration]]:
        limit = self.max_target_tokens
        if self._scoring is None:
            return predictor.generate(requests, max_target_tokens=limit)
        return generate_and_score(
            predictor, requests, self._scoring, self.task.encode, max_target_tokens=limit
        )

    def _weigh_contested(self, predictor: Predictor, rows: ExampleRows) -> None:
        """Where several windows answer one question: how sure each is that it holds an answer.

        That is minus the log-likelihood of the empty target, which does not depend on the answer's
        length. A system without likelihoods keeps the scores of its answers.
        """
        contested = sorted(
            {
                position
                for family, matrix in rows.matrices.items()
                if family.merge is not None
                for position in contested_positions(family, matrix, self._groups)
            }
        )
        rows.contested = len(contested)
        if not contested:
            return
        nothing = [self.examples.targets[position][-1:] for position in contested]  # only the end
        requests = [self._request(position) for position in contested]
        with contextlib.suppress(NotImplementedError, UserError):
            rows.confidence[contested] = -np.asarray(predictor.score(requests, nothing))

    def _request(self, position: int) -> Request:
        record = self.examples.records[position]
        text = as_text(record.get("inputs_pretokenized", ""))
        return Request(self._ids[position], text, self.examples.inputs[position])

    def _score(
        self, rows: ExampleRows, position: int, found: Generation | ScoredGeneration
    ) -> dict[str, Any]:
        """Score one generation into `rows`; its line for the file."""
        record = self.examples.records[position]
        generation = found.generation if isinstance(found, ScoredGeneration) else found
        prediction = self.task.postprocess(generation.text, example=record, is_target=False)
        line: dict[str, Any] = {
            "id": self._ids[position],
            "score": None if generation.score is None else round(generation.score, 4),
            "tokens": generation.n_tokens,
            "at_limit": generation.at_limit,
            "components": rows.observe(position, self._targets[position], prediction, generation),
        }
        labels = [family.display(prediction) for family in self.task.families]
        if any(label is not None for label in labels):
            line["prediction"] = next(label for label in labels if label is not None)
        if isinstance(found, ScoredGeneration):
            answer = self.task.postprocess(found.answer.text, example=record, is_target=False)
            target = self._targets[position]
            scores = self._scoring.observe(target, answer, found.candidates, found.log_likelihoods)
            line["scores"] = rows.keep_scores(position, scores)
        if self._with_text:
            line |= {
                "text": generation.text,
                "target": self._targets[position],
                "input": as_text(record.get("inputs_pretokenized", "")),
            }
        return line

    def _evaluation(
        self, rows: ExampleRows, provenance: Provenance, given: Mapping[str, float] | None
    ) -> tuple[Evaluation, dict[str, float]]:
        """The evaluation with the thresholds given, and those that are best on this split."""
        task = self.task
        measured = Measurement(self._units, self._groups, self._resamples)
        measured.add_components(rows)
        best: dict[str, float] = {}
        if self._scoring is not None:
            best = measured.add_scores(self._scoring, self._targets, rows.scores, given)
        for metric_fn in task.text_metric_fns:
            values = metric_fn(self._given_targets, rows.predictions)
            measured.metrics += [Metric(name, float(value)) for name, value in values.items()]
        salt = task.families[0].name if task.families else task.name
        hashed = results_store.hash_units(salt, measured.units or dict.fromkeys(self._units))
        shared = {
            **{
                field.name: getattr(provenance, field.name)
                for field in dataclasses.fields(provenance)
            },
            "synthetic": provenance.synthetic or self.examples.synthetic,
            "task": task.name,
            "task_version": self.examples.task_version,
            "split": self.split,
            "level": statistics.LEVEL,
            "resamples": self._resamples,
            "n": measured.n,
            "n_units": len(hashed),
            "unit": task.unit,
            "created": results_store.utc_now(),
        }
        found = tuple(
            Result(
                metric=metric.name,
                value=metric.value,
                low=metric.low,
                high=metric.high,
                method="none" if metric.low is None else METHOD,
                higher_is_better=metric.higher_is_better,
                **shared,
            )
            for metric in measured.metrics
        )
        counts = {
            "predictions_at_limit": int(rows.at_limit.sum()),
            "inputs_or_targets_cut": int(self.examples.truncated),
            "max_target_tokens": self.max_target_tokens,
            "predicted_tokens": int(rows.tokens.sum()),
            "examples": len(self._ids),
            "examples_that_compete": rows.contested,
        }
        return Evaluation(found, counts, hashed, measured.sums), best

    def _append_metrics(self, evaluation: Evaluation, provenance: Provenance) -> None:
        """Add a line to inference_eval/TASK-metrics.jsonl, as T5X does; once for each step."""
        name = re.sub(r"[^\w.-]", "_", self.task.name)
        path = self._output_dir / "inference_eval" / f"{name}-metrics.jsonl"
        step = -1 if provenance.checkpoint_step is None else provenance.checkpoint_step
        values = {result.metric: result.value for result in evaluation.results}
        lines = path.read_text().splitlines() if path.exists() else []
        kept = [line for line in lines if json.loads(line)["step"] != step]
        kept.append(json.dumps({"step": step, **values}))
        write_text_atomically(path, "".join(f"{line}\n" for line in kept))
