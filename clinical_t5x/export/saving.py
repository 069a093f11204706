"""`save`: a checkpoint as a program that needs JAX alone, checked by running it.

What is in the directory that it writes, README.md there says. Parameters are a file of their own
and arguments of the programs, never constants in them: the programs stay small, and one file
serves all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from etils import epath

from clinical_t5x import console
from clinical_t5x.console import UserError
from clinical_t5x.training.config import RestoreCheckpointConfig

if TYPE_CHECKING:
    from clinical_t5x.partitioning import PjitPartitioner

_PLATFORMS = {"cpu", "cuda", "rocm", "tpu"}


def save(
    *,
    model: Any,
    inference_mode: str,
    restore_checkpoint_cfg: RestoreCheckpointConfig,
    exportable_module_cls: Any = None,
    create_preprocessor_fn: Any = None,
    create_inference_function_fn: Any = None,
    create_postprocessor_fn: Any = None,
    partitioner: PjitPartitioner | None = None,
    create_decoding_state_callback_fn: Any = None,
    output_features: Any = None,
    task_feature_lengths: Mapping[str, int],
    batch_size: int | None,
    output_dir: str,
    model_name: str,
    warmup_examples: Any = None,
    tokenized_inputs: bool = False,
    write_warmup_example_fn: Any = None,
    mixture_or_task_name: str | None = None,
    validation_examples: Any = None,
    native_lowering: bool = True,
    native_lowering_platforms: Any = None,
    enable_xla: bool = True,
    decode_outputs: bool | None = None,
    trailing_shapes: Any = None,
    output_vocab_feature_name: str | None = "targets",
    signature_name: str = "serving_default",
    create_polymorphic_shapes_fn: Any = None,
    summarize_config_fn: Callable[[str, Any, int], None] | None = None,
) -> epath.Path:
    """Export a model's prediction and scoring.

    The parameters are T5X's. Those that shape a TensorFlow SavedModel are accepted and mean nothing
    here (clinical_t5x/launch/accepted.py has each with its reason). The others:

    Args:
      model: An EncoderDecoderModel.
      inference_mode: 'predict' or 'score': the function that the loader runs unless told otherwise;
        both are written.
      restore_checkpoint_cfg: The checkpoint; `dtype` is that of the exported parameters.
      partitioner: Where the parameters are while they are written; the program is for one device.
      output_features: SeqIO's 'inputs' and 'targets'; their vocabularies must be the model's.
      task_feature_lengths: Tokens a row holds of 'inputs' and 'targets'.
      batch_size: Rows of a batch; None for any number.
      output_dir: Replaced when the export is whole and has been checked.
      model_name: Named in the manifest.
      native_lowering_platforms: Of 'cpu', 'cuda', 'rocm', 'tpu'; default cpu, cuda and tpu in one
        program.

    Returns:
      `output_dir`.

    Raises:
      UserError: no checkpoint, an impossible setting, or an export that does not give what the
        model gives.
    """
    from clinical_t5x.export import bundle, functions

    if inference_mode not in functions.MODES:
        raise UserError(
            f"export_lib.save.inference_mode = {inference_mode!r}: choose "
            + " or ".join(functions.MODES)
        )
    lengths = _lengths(task_feature_lengths, batch_size)
    platforms = tuple(native_lowering_platforms or functions.PLATFORMS)
    if not set(platforms) <= _PLATFORMS:
        raise UserError(
            f"export_lib.save.native_lowering_platforms = {list(platforms)}: choose from "
            + ", ".join(sorted(_PLATFORMS))
        )
    if model.output_vocabulary is None:
        raise UserError("an export needs the model's vocabulary: bind VOCABULARY")
    _check_features(model, output_features)
    directory = epath.Path(output_dir).expanduser()
    bundle.refuse_to_replace(directory)
    with console.interrupt_on_sigterm():
        params, step, checkpoint = _restore(model, partitioner, restore_checkpoint_cfg)
        content = bundle.Content(
            model=model,
            params=params,
            lengths=lengths,
            platforms=platforms,
            default_mode=inference_mode,
            about={
                "model_name": model_name,
                "checkpoint": f"{checkpoint.parent.name}/{checkpoint.name}",
                "checkpoint_step": step,
                "task": mixture_or_task_name,
            },
        )
        return bundle.write(content, directory, summarize_config_fn)


def _check_features(model: Any, features: Mapping[str, Any] | None) -> None:
    from clinical_t5x.data.materialise import describe_vocabulary
    from clinical_t5x.training.vocabularies import check_vocabularies

    found = {
        name: describe_vocabulary(feature.vocabulary)["content_sha256"]
        for name, feature in (features or {}).items()
    }
    check_vocabularies(model, found, "OUTPUT_FEATURES")


def _restore(
    model: Any, partitioner: PjitPartitioner | None, config: RestoreCheckpointConfig
) -> tuple[Any, int, epath.Path]:
    from clinical_t5x.partitioning import PjitPartitioner
    from clinical_t5x.training import checkpoints, compiled_programs

    compiled_programs.keep_compiled_programs()
    (path,) = checkpoints.paths_to_restore(config)[-1:]
    return checkpoints.restore_params_and_path(
        path,
        model,
        partitioner or PjitPartitioner(num_partitions=1),
        mode=config.mode,
        dtype=config.dtype,
    )


def _lengths(feature_lengths: Mapping[str, int] | None, batch_size: int | None) -> Any:
    from clinical_t5x.export.functions import Lengths

    given = dict(feature_lengths or {})
    for name in ("inputs", "targets"):
        length = given.get(name)
        if not isinstance(length, int) or length < 1:
            raise UserError(
                f"TASK_FEATURE_LENGTHS = {feature_lengths!r}: an export needs the number of "
                "tokens of inputs and of targets, such as {'inputs': 512, 'targets': 62}"
            )
    if batch_size is not None and batch_size < 1:
        raise UserError(f"BATCH_SIZE = {batch_size}: at least 1, or None for any number of rows")
    return Lengths(given["inputs"], given["targets"], batch_size)
