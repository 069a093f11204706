"""`train`: from a configured model and task to a trained one in MODEL_DIR.

The order of things: mistakes in the call, then the data (a missing corpus is said before JAX
compiles anything), then the state (MODEL_DIR's newest checkpoint, else the configured one, else
random parameters), then the loop. What a run did is in MODEL_DIR: config.gin, model-info.txt,
metrics.jsonl, unigram_entropy.json, TensorBoard
files, checkpoint_N, and _COMPLETE.json at the end.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from clinical_t5x import console, storage
from clinical_t5x.evaluation import entropy
from clinical_t5x.training import startup
from clinical_t5x.training.alone import alone_in
from clinical_t5x.training.config import CheckpointConfig, DatasetConfig
from clinical_t5x.training.precompile import precompile_run
from clinical_t5x.training.profile_window import profile_window
from clinical_t5x.training.request import TrainRequest, checked_model_dir
from clinical_t5x.training.sources import open_batches, open_configured, open_evaluator
from clinical_t5x.training.trackers import tracker_names
from clinical_t5x.training.vocabularies import check_vocabularies

if TYPE_CHECKING:
    from clinical_t5x.partitioning import PjitPartitioner
    from clinical_t5x.training.state import TrainState
    from clinical_t5x.training.trainer import Trainer

_DEFAULT_SEED = 0
_DEFAULT_STATS_PERIOD = 100


def train(
    *,
    model: Any,
    train_dataset_cfg: DatasetConfig,
    train_eval_dataset_cfg: DatasetConfig | None,
    infer_eval_dataset_cfg: DatasetConfig | None,
    checkpoint_cfg: CheckpointConfig,
    partitioner: PjitPartitioner,
    trainer_cls: Callable[..., Trainer],
    model_dir: str,
    total_steps: int,
    eval_steps: int | None,
    eval_period: int,
    relative_steps: int | None = None,
    stats_period: int | None = None,
    random_seed: int | None = None,
    use_hardware_rng: bool = False,
    summarize_config_fn: Callable[[str, Any, int], None] | None = None,
    inference_evaluator_cls: Any = None,
    get_dataset_fn: Callable[..., Any] | None = None,
    actions: Mapping[Any, Sequence[Any]] | None = None,
    run_eval_before_training: bool = False,
    concurrent_metrics: bool = True,
    train_eval_get_dataset_fn: Any = None,
    train_state_initializer_cls: Any = None,
    use_orbax: bool = True,
    verify_matching_vocabs_fn: Any = None,
    gc_period: int = 0,
    compile_only: bool = False,
    profile: str | Sequence[int] | None = None,
    trackers: str | Sequence[str] = (),
    with_scores: bool = False,
) -> TrainState | None:
    """Train, going on from where an earlier run of the same command stopped.

    The parameters are T5X's. Those from `concurrent_metrics` to `gc_period` steer parts of T5X that
    do not exist here and are ignored. What is different or deserves a word:

    Args:
      checkpoint_cfg: How to save, and what to begin from unless MODEL_DIR holds a checkpoint.
      total_steps: The step to end at; counts the steps of the checkpoint that the run begins from.
      eval_steps: Batches an evaluation of the held-out loss takes at most.
      eval_period: Steps between evaluations; 0 for none.
      relative_steps: Steps of this run, however often it is resumed; replaces `total_steps`.
      stats_period: Steps between training metrics; default `eval_period`.
      random_seed: Fixes parameters, dropout and, unless DatasetConfig.seed is set, the order of
        the data. None means 0 (T5X: another seed every time).
      use_hardware_rng: The accelerator's random bits for dropout: they depend on the mesh.
      get_dataset_fn: Opens batches; default `clinical_t5x.data.loader.open_batches`.
      actions: Lists of actions by 'TRAIN', 'TRAIN_EVAL' or 'INFER_EVAL'.
      compile_only: Compile the update and stop: see `precompile`.
      profile: Steps to profile, such as '100:110': the ten updates after step 100, into
        MODEL_DIR/profile.
      trackers: 'wandb', 'mlflow' or both: where metrics go besides MODEL_DIR.
      with_scores: Evaluations that decode also score their answers by likelihood, as `evaluate`
        does; on the validation split that finds thresholds.

    Returns:
      The final state; None when MODEL_DIR already held the finished run, or with `compile_only`.

    Raises:
      UserError: missing data, a checkpoint of other data or another model, impossible settings.
      console.Stopped: on Ctrl-C or SIGTERM, after saving.
      NonFiniteLossError: when the loss is NaN or infinite.
    """
    startup.mark("gin")
    request = TrainRequest(
        model=model,
        model_dir=checked_model_dir(model_dir),
        partitioner=partitioner,
        trainer_cls=trainer_cls,
        train_data=train_dataset_cfg,
        eval_data=train_eval_dataset_cfg if eval_period and eval_steps else None,
        infer_data=infer_eval_dataset_cfg if eval_period else None,
        save=checkpoint_cfg.save,
        restore=checkpoint_cfg.restore,
        total_steps=total_steps,
        relative_steps=relative_steps,
        eval_steps=eval_steps or 0,
        eval_period=eval_period or 0,
        stats_period=stats_period or eval_period or _DEFAULT_STATS_PERIOD,
        evaluate_first=run_eval_before_training,
        seed=_DEFAULT_SEED if random_seed is None else random_seed,
        hardware_rng=use_hardware_rng,
        actions=tuple(action for group in (actions or {}).values() for action in group),
        evaluator_cls=inference_evaluator_cls,
        open_batches=get_dataset_fn or open_batches,
        profile=None if profile is None else profile_window(profile),
        trackers=tracker_names(trackers),
        with_scores=with_scores,
    )
    if compile_only:
        precompile_run(request)
        return None
    if random_seed is None:
        console.say(f"RANDOM_SEED is not set: {_DEFAULT_SEED} is taken")
    with console.interrupt_on_sigterm():
        return _run(request, summarize_config_fn)


def _run(
    request: TrainRequest, summarize: Callable[[str, Any, int], None] | None
) -> TrainState | None:
    if _already_complete(request):
        return None
    begun = time.monotonic()
    account_from = startup.begun() or begun
    batches = _open_all(request)
    startup.mark("data")

    # JAX's seconds come after the data's checks
    from clinical_t5x.training import hosts
    from clinical_t5x.training.shared_input import meet_with_the_same_data

    startup.mark("imports")
    meet_with_the_same_data(batches)
    with alone_in(request.model_dir, first=hosts.is_first()):
        return _run_alone(request, batches, summarize, begun, account_from)


def _run_alone(
    request: TrainRequest,
    batches: dict[str, Any],
    summarize: Callable[[str, Any, int], None] | None,
    begun: float,
    account_from: float,
) -> TrainState:
    from clinical_t5x.training.begin import begin_run
    from clinical_t5x.training.measuring import TimeAccount

    ready = begin_run(request, batches, TimeAccount(account_from))
    (request.model_dir / storage.COMPLETE_MARK).unlink(missing_ok=True)
    ready.write_model_info(request.model_dir)
    if summarize is not None:
        summarize(str(request.model_dir), None, ready.schedule.first)
    console.say(ready.announcement(time.monotonic() - begun))
    if "eval" in batches:
        _record_entropy(request, batches["eval"])
    reason = ready.run()
    _mark_complete(request, int(ready.trainer.train_state.step), reason)
    return ready.trainer.train_state


def _open_all(request: TrainRequest) -> dict[str, Any]:
    """Open training and evaluation data; missing data ends the run here."""
    opened = {"train": open_configured(request.open_batches, request.train_data, request.seed)}
    if request.eval_data is not None:
        opened["eval"] = open_configured(request.open_batches, request.eval_data, request.seed)
    if request.infer_data is not None:
        opened["infer"] = open_evaluator(
            request.evaluator_cls,
            request.infer_data,
            request.model_dir,
            with_scores=request.with_scores,
        )
    task = request.train_data.mixture_or_task_name
    # a user's own get_dataset_fn may not know its vocabularies
    check_vocabularies(request.model, getattr(opened["train"], "vocabularies", {}), task)
    return opened


def _already_complete(request: TrainRequest) -> bool:
    """Whether MODEL_DIR holds this run, finished."""
    if not storage.is_complete(request.model_dir, request.identity()):
        return False
    step = storage.completion(request.model_dir)["step"]
    console.say(f"{request.model_dir} is complete at step {step:,}: nothing to do")
    return True


def _record_entropy(request: TrainRequest, held_out: Any) -> None:
    """Keep beside the losses what a model of word frequencies alone would lose."""
    import jax

    vocabulary = request.model.output_vocabulary
    is_text = getattr(held_out, "from_documents", False)
    if jax.process_index() == 0 and is_text and vocabulary is not None:
        entropy.record_unigram_entropy(
            request.model_dir,
            itertools.islice(held_out.one_pass(), request.eval_steps),
            vocabulary=vocabulary,
            split=f"eval/{request.eval_data.mixture_or_task_name}",
        )


def _mark_complete(request: TrainRequest, step: int, reason: str | None) -> None:
    import jax

    if jax.process_index() == 0:
        identity = request.identity()
        mark = {"fingerprint": storage.fingerprint(identity), "made_from": identity}
        mark |= {"step": step, "ended_by": reason or "total_steps"}
        storage.write_json_atomically(request.model_dir / storage.COMPLETE_MARK, mark)
    ended = f": {reason}" if reason else ""
    console.say(f"trained to step {step:,}{ended}; everything is in {request.model_dir}")
