"""How a run begins: its state from the first place that has one, its data, its schedule."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax

from clinical_t5x import console
from clinical_t5x.models import lora
from clinical_t5x.training import (
    adapters,
    checkpoints,
    compiled_programs,
    model_info,
    runtime,
    startup,
    vocabularies,
)
from clinical_t5x.training import state as states
from clinical_t5x.training.guard import GuardRecord
from clinical_t5x.training.loop import GUARD, Evaluation, Loop, Schedule
from clinical_t5x.training.measuring import TimeAccount
from clinical_t5x.training.metric_log import MetricLog
from clinical_t5x.training.profile_window import ProfileWindow
from clinical_t5x.training.request import TrainRequest
from clinical_t5x.training.retention import Keeping
from clinical_t5x.training.trackers import open_trackers
from clinical_t5x.training.trainer import Trainer
from clinical_t5x.training.validation import decoded_evaluation, held_out_loss, part_of_training

_log = logging.getLogger(__name__)

# What a checkpoint says about how its run began.
_LINEAGE = ("first_step", "initialisation", "parameters_from")


@dataclasses.dataclass
class ReadyRun:
    """A run that only needs to be looped over."""

    request: TrainRequest
    trainer: Trainer
    schedule: Schedule
    store: checkpoints.CheckpointStore | None
    position: dict[str, Any]
    make_batch: Callable[[int], Mapping[str, jax.Array]]
    evaluations: list[Evaluation]
    origin: str
    account: TimeAccount
    record: GuardRecord

    def write_model_info(self, directory: Any) -> None:
        """Write model-info.txt."""
        trainer = self.trainer
        axes = states.state_axes(trainer.model, trainer.optimizer, trainer.abstract_state)
        if jax.process_index() == 0:
            model_info.write_model_info(
                directory, trainer.abstract_state, axes, trainer.partitioner
            )

    def announcement(self, seconds: float) -> str:
        """What is about to happen, in one line."""
        trained, kept = lora.split(self.trainer.abstract_state.params)
        count = f"{model_info.count_parameters(trained):,}"
        if kept:
            count += f" (adapters) beside {model_info.count_parameters(kept):,} unchanged"
        mesh = self.trainer.partitioner.mesh
        axes = " x ".join(f"{name} {size}" for name, size in mesh.shape.items() if size > 1)
        where = f"{mesh.size} {jax.default_backend()} devices ({axes})" if axes else "one device"
        return (
            f"training {count} parameters on {where}, {self.origin}, steps "
            f"{self.schedule.first:,} to {self.schedule.last:,} (ready in {seconds:.1f} s)"
        )

    def run(self) -> str | None:
        """Compile and loop to the end; returns why an action ended it early, or None."""
        request, writes = self.request, jax.process_index() == 0
        asked = request.trackers if writes else ()
        trackers = open_trackers(asked, request.model_dir, request.numbers())
        log = MetricLog(request.model_dir, self.schedule.first, writes=writes, trackers=trackers)
        loop = Loop(
            self.trainer,
            self.make_batch,
            self.schedule,
            log,
            self.store,
            self.position,
            self.evaluations,
            request.actions,
            self.account,
            self.record,
        )
        self.account.spend_rest("start")
        startup.mark("state")
        finished = False
        try:
            if self.schedule.first < self.schedule.last:
                # before the loop, so that Ctrl-C still ends the run at once
                with self.account.spending("compile"):
                    self.trainer.compile(self.make_batch(self.schedule.first))
                console.say(f"compiled in {self.trainer.compile_seconds:.1f} s")
                startup.mark("compile")
            reason = loop.run()
            finished = True
            return reason
        finally:  # whatever ended the run, a checkpoint that was begun is finished
            if self.store is not None:
                self.store.close()
            log.close(finished=finished)


def begin_run(
    request: TrainRequest, batches: Mapping[str, Any], account: TimeAccount | None = None
) -> ReadyRun:
    """Make or restore the state, and place the data.

    Args:
      request: What `train` was asked for.
      batches: Opened data: 'train', and 'eval' and 'infer' where such evaluations are wanted.
      account: The process's time; default from now on.
    """
    compiled_programs.keep_compiled_programs()
    data = batches["train"]
    partitioner = request.partitioner
    partitioner.check_batch_size(request.train_data.batch_size)
    position = {
        "seed": request.seed,
        "data_seed": request.data_seed,
        "global_batch_size": request.train_data.batch_size,
        "manifest_hash": data.manifest_hash,
    }
    subset = getattr(data, "subset", None)  # a user's own batches have none
    if subset is not None:
        position["subset"] = subset
    if getattr(data, "vocabularies", None):
        position[vocabularies.POSITION] = dict(data.vocabularies)
    if hasattr(request.model, "config"):
        position[adapters.CONFIG] = dataclasses.asdict(request.model.config)
    store = None
    if request.save is not None:
        keeping = request.save.keeping()
        _refuse_unmeasured(request, keeping)
        store = checkpoints.CheckpointStore(
            request.model_dir, keep=keeping, dtype=request.save.dtype
        )
    trainer, origin, lineage = _begin_state(request, store, position)
    remembered = lineage.pop(GUARD, None)
    trainer.remember((remembered or {}).get("memory"))
    first_step = lineage["first_step"]
    resumed = origin.startswith("resumed")
    schedule = _schedule(request, first_step, int(trainer.train_state.step), resumed=resumed)
    size = request.train_data.batch_size
    rows = partitioner.local_rows(size)

    def make_batch(step: int) -> Mapping[str, jax.Array]:
        # a fine-tuning run that begins at step 1,000,000 takes its first batch then
        return partitioner.place_batch(data.batch(step - first_step, rows), size)

    position |= lineage
    evaluations = _evaluations(request, batches, lineage)
    return ReadyRun(
        request,
        trainer,
        schedule,
        store,
        position,
        make_batch,
        evaluations,
        origin,
        account or TimeAccount(),
        GuardRecord(trainer.guard, remembered),
    )


def _refuse_unmeasured(request: TrainRequest, keeping: Keeping) -> None:
    """Refuse to keep checkpoints by a metric that this run will not have."""
    kind = keeping.split.partition("/")[0]
    measured = {"eval": request.eval_data, "inference_eval": request.infer_data}
    if kind in measured and measured[kind] is None:
        raise console.UserError(
            f"checkpoints are to be kept by {keeping.metric}, but the run makes no such "
            "evaluation: see EVAL_PERIOD, train_eval_dataset_cfg and infer_eval_dataset_cfg"
        )
    if request.eval_period and request.save.period and keeping.metric is not None:
        apart = math.lcm(request.eval_period, request.save.period)
        if apart > max(request.eval_period, request.save.period):
            _log.warning(
                "only checkpoints that are evaluated can be the best: with save period %d and "
                "evaluation period %d that is one in %d steps",
                *(request.save.period, request.eval_period, apart),
            )


def _evaluations(
    request: TrainRequest, batches: Mapping[str, Any], lineage: Mapping[str, Any]
) -> list[Evaluation]:
    """What is done at every evaluation."""
    found: list[Evaluation] = []
    if request.eval_data is not None:
        task, size = request.eval_data.mixture_or_task_name, request.eval_data.batch_size
        request.partitioner.check_batch_size(size)
        found.append(held_out_loss(batches["eval"], task, size, request.eval_steps))
    if request.infer_data is not None:
        provenance = {"initialisation": lineage["initialisation"], "seed": request.seed}
        provenance |= part_of_training(getattr(batches["train"], "subset", None))
        found.append(decoded_evaluation(batches["infer"], request, provenance))
    return found


def _begin_state(
    request: TrainRequest, store: checkpoints.CheckpointStore | None, position: Mapping[str, Any]
) -> tuple[Trainer, str, dict[str, Any]]:
    """The trainer with its state, where that came from in words, and what is saved about it.

    1. MODEL_DIR's newest whole checkpoint: this very run, interrupted.
    2. RestoreCheckpointConfig.path: another run's parameters.
    3. Random parameters.
    """
    checkpoints.refuse_unresumable(request.model_dir)
    resumable = checkpoints.CheckpointStore(request.model_dir) if store is None else store
    first_step = _first_step_of(resumable)
    if first_step is None:
        resumable.set_aside_nameless()
    else:
        trainer = _trainer(request, first_step)
        found = resumable.restore_latest(trainer.abstract_state, position)
        if found is not None:
            trainer.train_state, saved = found
            lineage = {name: saved.get(name) for name in (*_LINEAGE, GUARD)}
            return trainer, f"resumed at step {saved['step']:,}", lineage
    given = _initial_checkpoint(request)
    if given is not None:
        plain, partitioner = adapters.base(request.model), request.partitioner
        mode = request.restore.mode
        params, step = checkpoints.restore_params(given, plain, partitioner, mode=mode)
        key = runtime.random_key(request.seed, runtime.INIT_STREAM)
        params = adapters.with_new(params, request.model, partitioner, key)
        trainer = _trainer(request, step)
        trainer.state_from_params(params, step)
        lineage = dict(zip(_LINEAGE, (step, "pretrained", str(given)), strict=True))
        return trainer, f"from the parameters of {given}", lineage
    trainer = _trainer(request, 0)
    trainer.init_state(runtime.random_key(request.seed, runtime.INIT_STREAM))
    lineage = dict(zip(_LINEAGE, (0, "scratch", None), strict=True))
    return trainer, f"from random parameters (seed {request.seed})", lineage


def _first_step_of(store: checkpoints.CheckpointStore) -> int | None:
    """The step at which the run in MODEL_DIR began; None where nothing was saved."""
    for step in reversed(store.steps()):
        try:
            return checkpoints.read_position(store.path(step)).get("first_step", 0)
        except checkpoints.DamagedCheckpointError:
            continue
    return None


def _initial_checkpoint(request: TrainRequest) -> str | None:
    """The MODEL_DIR or checkpoint that RestoreCheckpointConfig names, or None."""
    restore = request.restore
    if restore is None or not restore.paths:
        return None
    try:
        for path in restore.paths[:-1]:
            with contextlib.suppress(console.UserError):
                checkpoints.checkpoint_paths([path], restore.mode)
                return path
        checkpoints.checkpoint_paths(restore.paths[-1:], restore.mode)
        return restore.paths[-1]
    except console.UserError as error:
        if not restore.fallback_to_scratch:
            raise
        _log.warning("%s; beginning from random parameters", error)
        return None


def _trainer(request: TrainRequest, first_step: int) -> Trainer:
    evaluated = (request.eval_data, request.infer_data)
    return request.trainer_cls(
        model=request.model,
        train_state=None,
        partitioner=request.partitioner,
        eval_names=tuple(c.mixture_or_task_name for c in evaluated if c is not None),
        summary_dir=str(request.model_dir),
        train_state_axes=None,
        rng=runtime.random_key(request.seed, runtime.DROPOUT_STREAM, hardware=request.hardware_rng),
        first_step=first_step,
    )


def _schedule(request: TrainRequest, first_step: int, step: int, *, resumed: bool) -> Schedule:
    last = request.total_steps
    if request.relative_steps is not None:
        last = first_step + request.relative_steps
    if last < step or (last == step == first_step and last > 0):
        raise console.UserError(
            f"TRAIN_STEPS = {last} but the run begins at step {step}: TRAIN_STEPS counts the steps "
            f"of the checkpoint too; set TRAIN_STEPS above {step}, or TRAIN_STEPS_RELATIVE"
        )
    save = request.save
    return Schedule(
        first=step,
        last=last,
        stats=request.stats_period,
        evaluation=request.eval_period,
        save=save.period if save else None,
        save_steps=tuple(save.checkpoint_steps or ()) if save else (),
        evaluate_first=request.evaluate_first,
        resumed=resumed,
        profile=_profile(request.profile, step, last),
    )


def _profile(window: ProfileWindow | None, step: int, last: int) -> ProfileWindow | None:
    """The part of the steps to be profiled that this process makes."""
    if window is None:
        return None
    if window.first >= last:
        raise console.UserError(
            f"--profile={window.first}:{window.last} begins after the run's last step, {last}"
        )
    if window.last <= step:
        console.say(f"no profile: step {step:,} is after steps {window.first:,}:{window.last:,}")
        return None
    return ProfileWindow(max(window.first, step), min(window.last, last))
