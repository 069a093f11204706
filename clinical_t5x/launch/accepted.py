"""Bindings of T5X that mean nothing here, each with the reason; and those that cannot be honoured.

One table for all configurables. `static_check` reads it: a binding to a value that would change
something in T5X is told with its reason when a run starts, one that cannot be honoured is an error.
Nothing that a gin file binds is ignored in silence.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

_MOST_NAMED = 3

_CONFIG = "clinical_t5x.training.config"
_TRAIN = "clinical_t5x.training.train:train"
_EVALUATE = "clinical_t5x.training.evaluate:evaluate"
_INFER = "clinical_t5x.training.infer:infer"
_PRECOMPILE = "clinical_t5x.training.precompile:precompile"
_SAVE = "clinical_t5x.export.saving:save"
_EXPORT_NAMES = "clinical_t5x.export.t5x_names"
_T5X_NAMES = "clinical_t5x.training.t5x_names"
_MODEL = "clinical_t5x.models.encoder_decoder:EncoderDecoderModel"
_SAMPLE = "clinical_t5x.models.decoding:temperature_sample"
_BEAM = "clinical_t5x.models.decoding:beam_search"


@dataclasses.dataclass(frozen=True)
class Accepted:
    """A parameter of T5X without an effect here.

    Attributes:
      reason: Why, as the end of a sentence.
      same: Values that ask for nothing else than what happens here; "@Name" is a reference.
      refused: The other values are errors, because a run without them would not be what the gin
        file describes.
    """

    reason: str
    same: tuple[Any, ...] = (None,)
    refused: bool = False


def _refuse(reason: str, *same: Any) -> Accepted:
    return Accepted(reason, same or (None,), refused=True)


_BY_CONTENT = "vocabularies are compared by content"
_STATES = "states are born on the devices that will hold them"
_ONE_CACHE = "the token store, written once and mapped into memory, is the cache"
_ORBAX = "Orbax writes all checkpoints"
_ANY_LAYOUT = "the layout of a checkpoint is recognised"
_OWN_POSITION = "the position in the data is part of every checkpoint"
_CONVERT = "convert the checkpoint first: python -m clinical_t5x.convert"
_MISSING_IS_ERROR = "a missing checkpoint is an error, never random parameters"
_OWN_STATE = "decoding here has its own state and starts at the first token"
_GIVEN = "the run gives it"
_CONFIGURED = "SaveCheckpointConfig and RestoreCheckpointConfig say it"
_NO_SAVED_MODEL = (
    "an export is StableHLO over token ids with a loader in Python, not a TensorFlow SavedModel"
)

_CHECKPOINTERS = (None, "@Checkpointer", "@OrbaxCheckpointManagerInterface")

# Whole configurables: referring to them is fine, whatever is bound in them has no effect.
WITHOUT_EFFECT: dict[str, str] = {
    **{
        f"{_EXPORT_NAMES}:{name}": _NO_SAVED_MODEL
        for name in (
            "ExportableModule",
            "create_preprocessor",
            "create_preprocessor_from_task",
            "create_inference_function",
            "create_postprocessor",
            "create_batch_polymorphic_shapes",
            "write_warmup_examples",
        )
    },
}

# Whole configurables that cannot be built.
REFUSED: dict[str, str] = {
    "clinical_t5x.models.decoder_only:DecoderOnlyModel": (
        "there are encoder-decoder models only; bind MODEL = @models.EncoderDecoderModel()"
    ),
    f"{_T5X_NAMES}:MultiOptimizer": (
        "one optimizer serves all parameters; bind OPTIMIZER to @adafactor.Adafactor(), an Optax "
        "transformation or @optimizers.chain()"
    ),
}

# Of T5X's writers of checkpoints, what says which checkpoints stay has its effect.
_WRITER = {
    "train_state": Accepted(_GIVEN, ()),
    "partitioner": Accepted(_GIVEN, ()),
    "dataset_iterator": Accepted(_GIVEN),
    "save_dtype": Accepted(_CONFIGURED, ()),
    "restore_dtype": Accepted(_CONFIGURED),
    "keep_dataset_checkpoints": Accepted(_OWN_POSITION),
}
_WRITERS = {
    f"{_T5X_NAMES}:Checkpointer": {**_WRITER, "checkpoints_dir": Accepted(_GIVEN, ())},
    f"{_T5X_NAMES}:SaveBestCheckpointer": {**_WRITER, "checkpoints_dir": Accepted(_GIVEN, ())},
    f"{_T5X_NAMES}:OrbaxCheckpointManagerInterface": {
        **_WRITER,
        "directory": Accepted(_GIVEN, ()),
        "period": Accepted(_CONFIGURED, ()),
        "checkpoint_steps": Accepted(_CONFIGURED),
    },
}

PARAMETERS: dict[str, dict[str, Accepted]] = {
    _TRAIN: {
        "concurrent_metrics": Accepted("metrics are computed while the device works", (True,)),
        "train_eval_get_dataset_fn": Accepted("held-out batches come from the token store"),
        "train_state_initializer_cls": Accepted(_STATES, (None, "@TrainStateInitializer")),
        "use_orbax": Accepted(_ORBAX, (True,)),
        "verify_matching_vocabs_fn": Accepted(_BY_CONTENT, ("@verify_matching_vocabs",)),
        "gc_period": Accepted("Python's collector does not stall a step here", (0,)),
    },
    _EVALUATE: {
        "training_evaluator_cls": Accepted("train itself reports the held-out loss"),
        "train_state_initializer_cls": Accepted(_STATES, (None, "@TrainStateInitializer")),
        "train_eval_get_dataset_fn": Accepted("train itself reports the held-out loss"),
        "fallback_init_rng": Accepted(_MISSING_IS_ERROR),
        "use_orbax": Accepted(_ANY_LAYOUT, (True,)),
    },
    _INFER: {
        "write_fn": Accepted("lines are written as they come", (None, "@write_inferences_to_file")),
        "merge_fn": Accepted("chunks are joined in order", (None, "@merge_chunks_to_file")),
        "checkpoint_ds_iter": Accepted("finished chunks say where to go on", (True,)),
        "train_state_initializer_cls": Accepted(_STATES, (None, "@TrainStateInitializer")),
        "fallback_init_rng": Accepted(_MISSING_IS_ERROR),
        "verify_matching_vocabs_fn": Accepted(_BY_CONTENT, ("@verify_matching_vocabs",)),
        "output_vocab_feature_name": _refuse("predictions are decoded as 'targets'", "targets"),
        "keep_aux_as_numpy": Accepted("scores are written as numbers", (False,)),
        "use_orbax": Accepted(_ANY_LAYOUT, (True,)),
    },
    _PRECOMPILE: {
        "verify_matching_vocabs_fn": Accepted(_BY_CONTENT, ("@verify_matching_vocabs",)),
    },
    _SAVE: {
        "exportable_module_cls": Accepted(_NO_SAVED_MODEL, (None, "@ExportableModule")),
        "create_preprocessor_fn": Accepted(
            _NO_SAVED_MODEL, (None, "@create_preprocessor", "@create_preprocessor_from_task")
        ),
        "create_inference_function_fn": Accepted(
            _NO_SAVED_MODEL, (None, "@create_inference_function")
        ),
        "create_postprocessor_fn": Accepted(_NO_SAVED_MODEL, (None, "@create_postprocessor")),
        "create_decoding_state_callback_fn": _refuse(_OWN_STATE),
        "warmup_examples": Accepted(_NO_SAVED_MODEL),
        "tokenized_inputs": Accepted("programs always take token ids", (True, False)),
        "write_warmup_example_fn": Accepted(_NO_SAVED_MODEL, (None, "@write_warmup_examples")),
        "validation_examples": Accepted("the export is checked on random token ids"),
        "native_lowering": Accepted("StableHLO is the only form", (True,)),
        "enable_xla": Accepted("StableHLO is the only form", (True,)),
        "decode_outputs": Accepted("programs give token ids, the loader decodes them"),
        "trailing_shapes": _refuse("a T5 has token ids only"),
        "output_vocab_feature_name": _refuse("predictions are decoded as 'targets'", "targets"),
        "signature_name": Accepted(_NO_SAVED_MODEL, ("serving_default",)),
        "create_polymorphic_shapes_fn": Accepted(
            "BATCH_SIZE = None makes programs for any number of rows",
            (None, "@create_batch_polymorphic_shapes"),
        ),
    },
    f"{_CONFIG}:DatasetConfig": {
        "use_cached": Accepted(_ONE_CACHE, (False,)),
        "use_custom_packing_ops": Accepted("packing is done once, in the token store", (False,)),
        "use_memory_cache": Accepted(_ONE_CACHE, (True,)),
        "trim_output_features": Accepted("features are cut to their lengths", (True,)),
        "runtime_preprocessors": _refuse("put the preprocessors into the task", None, (), []),
        "num_prefetch_threads": Accepted("one thread keeps ahead of the step"),
        "num_workers": Accepted("one thread keeps ahead of the step", (None, 0)),
    },
    f"{_CONFIG}:SaveCheckpointConfig": {
        "keep_dataset_checkpoints": Accepted(_OWN_POSITION),
        "save_dataset": Accepted(_OWN_POSITION, (False, True)),
        "state_transformation_fns": _refuse(_CONVERT, None, (), []),
    },
    **_WRITERS,
    f"{_CONFIG}:RestoreCheckpointConfig": {
        "assignment_map": _refuse(_CONVERT),
        "strict": Accepted("names and shapes must always match", (True,)),
        "restore_dataset": Accepted(_OWN_POSITION, (False, True)),
        "checkpointer_cls": Accepted(_ANY_LAYOUT, _CHECKPOINTERS),
        "state_transformation_fns": _refuse(_CONVERT, None, (), []),
        "checkpoint_manager_cls": Accepted(_ANY_LAYOUT, _CHECKPOINTERS),
    },
    "clinical_t5x.training.trainer:Trainer": {
        "train_state_axes": Accepted("they follow from model and optimizer"),
        "weight_metrics_computer": Accepted("there are no metrics of single weights"),
    },
    "clinical_t5x.partitioning:PjitPartitioner": {
        "params_on_devices": Accepted("parameters are always on the devices", (True,)),
    },
    "clinical_t5x.partitioning:standard_logical_axis_rules": {
        "activation_partitioning_dims": Accepted(
            "activations follow from the batch's and the parameters' shardings", (1,)
        ),
    },
    "clinical_t5x.training.optimizer:Adafactor": {
        "factor_map": Accepted("it speaks of arrays with more than two dims; no layer has any"),
        "logical_factor_rules": Accepted(
            "they speak of arrays with more than two dims; no layer has any",
            (None, "@standard_logical_factor_rules"),
        ),
    },
    "clinical_t5x.models.network:Transformer": {
        "parent": Accepted("the module stands in no other"),
        "name": Accepted("the module stands in no other"),
    },
    _MODEL: {
        "feature_converter_cls": Accepted("batches come from the token store"),
    },
    _SAMPLE: {
        "cache_offset": Accepted("the cache knows its own layout", (0,)),
        "initial_index": _refuse(_OWN_STATE),
        "state_callback_fn": _refuse(_OWN_STATE),
        "logit_callback_fn": _refuse(_OWN_STATE),
    },
    _BEAM: {
        "cache_offset": Accepted("the cache knows its own layout", (0,)),
        "max_decode_step": Accepted("it acts only together with initial_index", (-1,)),
        "initial_index": _refuse(_OWN_STATE),
    },
    "seqio.evaluation:Evaluator": {
        "mixture_or_task_name": Accepted(_GIVEN, ()),
        "eval_split": Accepted(_GIVEN, ()),
        "sequence_length": Accepted(_GIVEN, ()),
        "log_dir": Accepted(_GIVEN, ()),
        "feature_converter": Accepted("batches come from the token store"),
        "use_cached": Accepted(_ONE_CACHE, (False,)),
        "shuffle": Accepted("a sample of examples is drawn by the seed", (False,)),
        "use_memory_cache": Accepted(_ONE_CACHE, (True,)),
        "async_compute_metrics": Accepted("metrics are computed while the device works", (True,)),
        "target_field_name": _refuse("targets are in 'targets'", "targets"),
    },
    "seqio.loggers:JSONLogger": {
        "output_dir": Accepted(_GIVEN, ()),
        "write_n_results": Accepted("predictions of all examples are kept"),
        "json_encoder_cls": Accepted("predictions are plain JSON", ("@TensorAndNumpyEncoder",)),
    },
    "seqio.loggers:TensorBoardLogger": {"output_dir": Accepted(_GIVEN, ())},
    "seqio.loggers:PyLoggingLogger": {"output_dir": Accepted(_GIVEN, ())},
}


def without_effect(identity: str, parameter: str) -> Accepted | None:
    """What the table says about a parameter of a configurable; None when it has its effect."""
    if identity in WITHOUT_EFFECT:
        return Accepted(WITHOUT_EFFECT[identity], ())
    return PARAMETERS.get(identity, {}).get(parameter)


def markdown() -> str:
    """The table as docs/gin.md has it: configurable, parameters, what comes of a binding, why."""
    lines = ["| configurable | parameters | a binding | because |", "|---|---|---|---|"]
    for identity, parameters in PARAMETERS.items():
        by_entry: dict[Accepted, list[str]] = {}
        for name, entry in parameters.items():
            by_entry.setdefault(dataclasses.replace(entry, same=()), []).append(f"`{name}`")
        for entry, names in by_entry.items():
            lines.append(_row(identity, ", ".join(names), entry.reason, refused=entry.refused))
    for identity, reason in WITHOUT_EFFECT.items():
        lines.append(_row(identity, "all", reason, refused=False))
    for identity, reason in REFUSED.items():
        lines.append(_row(identity, "making one", reason, refused=True))
    return "\n".join(lines)


def _row(identity: str, names: str, reason: str, *, refused: bool) -> str:
    outcome = "is an error" if refused else "has no effect"
    return f"| `{identity.rpartition(':')[2]}` | {names} | {outcome} | {reason} |"


def notices(found: Mapping[str, list[str]]) -> list[str]:
    """One line a reason: the parameters that are bound for nothing.

    Args:
      found: From the reason to the parameters, as gin files name them.
    """
    lines = []
    for reason, names in found.items():
        names = list(dict.fromkeys(names))
        verb = "has" if len(names) == 1 else "have"
        shown = ", ".join(names[:_MOST_NAMED])
        if len(names) > _MOST_NAMED:
            shown += f" and {len(names) - _MOST_NAMED} more"
        lines.append(f"{shown} {verb} no effect here: {reason}")
    return lines
