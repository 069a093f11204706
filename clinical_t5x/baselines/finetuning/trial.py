"""One trial: fine-tuning with one learning rate, to the best epoch on validation.

An undisturbed trial and one that was killed and started again give the same bits: the rows of an
update are a function of seed and epoch, dropout of seed and step, and the rest is in the last
checkpoint.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from clinical_t5x.baselines.finetuning.batches import batches_of_epoch, number_of_updates, padded
from clinical_t5x.baselines.finetuning.forward import computing_in, outputs_of
from clinical_t5x.baselines.finetuning.loading import Pretrained, head_outputs, model_with_head
from clinical_t5x.baselines.finetuning.lora import add_adapters
from clinical_t5x.baselines.finetuning.problems import CLASSES, LABELS, Problem
from clinical_t5x.baselines.finetuning.reading import VALIDATION, Benchmark
from clinical_t5x.baselines.finetuning.saving import Position, TrialFiles
from clinical_t5x.baselines.finetuning.settings import LINEAR, Settings
from clinical_t5x.baselines.finetuning.windows import Row
from clinical_t5x.console import Progress, Stopped, say
from clinical_t5x.training.runtime import StopAtOnce, StopRequest


@dataclasses.dataclass(frozen=True)
class Material:
    """What all trials of a run share.

    Attributes:
      pretrained: the model that they begin from.
      problem: the benchmark as a problem.
      benchmark: as it was read.
      train_rows, validation_rows: of the two splits.
      settings: hyperparameters.
      seed: of head, order and dropout.
      device: where to compute.
    """

    pretrained: Pretrained
    problem: Problem
    benchmark: Benchmark
    train_rows: list[Row]
    validation_rows: list[Row]
    settings: Settings
    seed: int
    device: Any

    @property
    def updates_of_epoch(self) -> int:
        """Updates of one pass over the training rows."""
        return number_of_updates(len(self.train_rows), self.settings.batch_size)

    @property
    def updates(self) -> int:
        """Updates of a whole trial."""
        return self.settings.epochs * self.updates_of_epoch

    def fresh_model(self) -> Any:
        """The model as a trial begins it, on its device."""
        settings = self.settings
        model = model_with_head(
            self.pretrained, self.problem, seed=self.seed, recompute=settings.recompute
        )
        if settings.lora_rank:
            add_adapters(model, rank=settings.lora_rank, scale=settings.lora_scale, seed=self.seed)
        return model.to(self.device)


def run_trial(material: Material, rate: float, files: TrialFiles, stop: StopRequest) -> Position:
    """Train with one learning rate; go on where an earlier attempt was stopped or killed.

    Returns:
      Where it ended, with the best evaluation.

    Raises:
      Stopped: on request, after saving.
      FloatingPointError: the loss is not finite any more.
    """
    finished = files.result()
    if finished is not None:
        return finished
    model = material.fresh_model()
    optimizer = _optimizer(model, rate, material.settings)
    position = files.restore_checkpoint(model, optimizer)
    trial = _Trial(material, rate, files, stop, model, optimizer, position)
    trial.run()
    files.finish(position)
    return position


@dataclasses.dataclass
class _Trial:
    """A trial in work."""

    material: Material
    rate: float
    files: TrialFiles
    stop: StopRequest
    model: Any
    optimizer: Any
    position: Position

    def run(self) -> None:
        """All updates that are left, and an evaluation after each epoch."""
        material, position = self.material, self.position
        per_epoch, total = material.updates_of_epoch, material.updates
        with Progress(f"train at {self.rate:g}", total, unit="updates") as progress:
            progress.advance(position.step)
            if position.step == (len(position.history) + 1) * per_epoch:
                self._evaluate(len(position.history))  # stopped before it, or in it
            while position.step < total and not self._is_stale():
                epoch, within = divmod(position.step, per_epoch)
                batches = batches_of_epoch(
                    [len(row.ids) for row in material.train_rows],
                    material.settings.batch_size,
                    seed=material.seed,
                    epoch=epoch,
                )
                for batch in batches[within:]:
                    loss = self._update(batch)
                    progress.advance(note=f"loss {loss:.3f}")
                    is_last = position.step % per_epoch == 0
                    if is_last:
                        self._evaluate(epoch)
                    self._save_if_due(at_epoch=is_last)

    def _is_stale(self) -> bool:
        patience = self.material.settings.patience
        return patience is not None and self.position.epochs_since_best >= patience

    def _update(self, batch: np.ndarray) -> float:
        """One update; the mean loss of its rows."""
        import torch

        material, step = self.material, self.position.step
        settings = material.settings
        torch.manual_seed(_seed_of(material.seed, step))
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * rate_factor(step, material.updates, settings)
        self.model.train()
        total = 0.0
        for start in range(0, len(batch), settings.rows_at_once):
            rows = [material.train_rows[k] for k in batch[start : start + settings.rows_at_once]]
            inputs = padded(rows, material.pretrained.tokenizer.pad_token_id, material.device)
            with computing_in(settings.precision, material.device):
                outputs = head_outputs(self.model(**inputs), material.problem.head)
            loss = loss_of(outputs, rows, material.problem.head) * (len(rows) / len(batch))
            loss.backward()
            total += float(loss.detach())
        if not math.isfinite(total):
            raise FloatingPointError(
                f"the loss of update {step + 1:,} is {total}; try a lower learning rate, a warm-up,"
                " or float32"
            )
        if settings.clip_norm:
            trained = [p for p in self.model.parameters() if p.requires_grad]
            torch.nn.utils.clip_grad_norm_(trained, settings.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.position.step += 1
        self.position.losses += total
        return total

    def _evaluate(self, epoch: int) -> None:
        """Score the validation split; keep the weights when they are the best so far."""
        position, kind = self.position, self.material.benchmark.kind
        try:
            with self.stop.at_once():
                value, thresholds = validate(self.material, self.model)
        except StopAtOnce:
            self.files.save_checkpoint(position, self.model, self.optimizer)
            raise Stopped(f"{self.stop.reason} in an evaluation; {_GO_ON}") from None
        entry = {
            "epoch": epoch + 1,
            "step": position.step,
            "train_loss": position.losses / self.material.updates_of_epoch,
            kind.metric: value,
            "thresholds": thresholds,
        }
        position.losses = 0.0
        position.history.append(entry)
        if position.best is None or value > position.best[kind.metric]:
            position.best = entry
            self.files.save_best(position.step, self.model)
        say(
            f"  rate {self.rate:g}, epoch {epoch + 1}: loss {entry['train_loss']:.4f},"
            f" validation {kind.metric} {value:.4f}"
        )

    def _save_if_due(self, *, at_epoch: bool) -> None:
        is_over = self.position.step == self.material.updates
        due = self.position.step % self.material.settings.checkpoint_period == 0
        if self.stop.reason or ((at_epoch or due) and not is_over):
            self.files.save_checkpoint(self.position, self.model, self.optimizer)
        if self.stop.reason:
            raise Stopped(f"{self.stop.reason} after update {self.position.step:,}; {_GO_ON}")


_GO_ON = "run the same command again to go on from here"


def validate(material: Material, model: Any) -> tuple[float, dict[str, float]]:
    """The metric that chooses, on the validation split, and the thresholds tuned on it."""
    benchmark, problem = material.benchmark, material.problem
    split, task = benchmark.scored[VALIDATION], benchmark.task
    with Progress("score validation", len(material.validation_rows), unit="rows") as progress:
        outputs = outputs_of(
            model,
            material.validation_rows,
            problem.head,
            rows_at_once=material.settings.rows_at_once,
            pad_id=material.pretrained.tokenizer.pad_token_id,
            precision=material.settings.precision,
            advance=progress.advance,
        )
    scores = problem.scores(split.records, material.validation_rows, outputs)
    thresholds = problem.tune(split.records, scores)
    gold = [
        task.postprocess(record["targets_pretokenized"], example=record, is_target=True)
        for record in split.examples.records
    ]
    texts = [task.postprocess(text) for text in problem.texts(scores, thresholds)]
    return benchmark.kind.metric_fn(gold, texts)[benchmark.kind.metric], thresholds


def rate_factor(step: int, updates: int, settings: Settings) -> float:
    """What the learning rate is multiplied by at an update, from 0: rise, then fall or stay."""
    rise = math.ceil(settings.warmup * updates)
    if step < rise:
        return (step + 1) / rise
    if settings.schedule != LINEAR:
        return 1.0
    return (updates - step) / max(1, updates - rise)


def loss_of(outputs: tuple[Any, ...], rows: list[Row], head: str) -> Any:
    """The mean loss of some rows, in nats: cross-entropy; of labels and ends the mean over them."""
    import torch
    from torch.nn import functional

    labels = torch.tensor([row.label for row in rows], device=outputs[0].device)
    outputs = tuple(output.float() for output in outputs)
    if head == CLASSES:
        return functional.cross_entropy(outputs[0], labels)
    if head == LABELS:
        return functional.binary_cross_entropy_with_logits(outputs[0], labels)
    # No answer begins in padding or in special tokens other than the one that stands for none.
    allowed = _allowed(rows, outputs[0])
    losses = [
        functional.cross_entropy(output.masked_fill(~allowed, -1e9), labels[:, k])
        for k, output in enumerate(outputs)
    ]
    return (losses[0] + losses[1]) / 2


def _allowed(rows: list[Row], logits: Any) -> Any:
    """Which tokens an answer may begin or end in: the context's, and that of none [B, L]."""
    import torch

    allowed = np.zeros(tuple(logits.shape), bool)
    for place, row in zip(allowed, rows, strict=True):
        place[: len(row.ids)] = row.starts >= 0
        place[row.null] = True
    return torch.from_numpy(allowed).to(logits.device)


def _optimizer(model: Any, rate: float, settings: Settings) -> Any:
    """AdamW; biases and scales, which are vectors, do not decay."""
    import torch

    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=rate)


def _seed_of(seed: int, step: int) -> int:
    """The seed of an update's dropout."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint32)[0])
