"""T5X's names for the parts of a TensorFlow SavedModel, which an export here does not have.

T5X's export files refer to them without calling them, and that is all they are good for: `save`
receives them and builds nothing with them. Calling one is refused with the reason.
"""

from __future__ import annotations

from typing import Any, NoReturn

from clinical_t5x.console import UserError

REASON = (
    "an export is StableHLO over token ids, with a loader in Python, not a TensorFlow SavedModel"
)


def _refuse(name: str) -> NoReturn:
    raise UserError(f"export_lib.{name} makes nothing here: {REASON}")


class ExportableModule:
    """T5X's tf.Module around a model."""

    def __init__(
        self,
        preproc_tf_fn: Any,
        model_tf_fn: Any,
        postproc_tf_fn: Any,
        params: Any,
        batch_size: int | None,
        num_batch_threads: int = 8,
        max_enqueued_batches: int = 64,
        batch_timeout_micros: int = 1_000_000,
        max_batch_size: int | None = None,
        allowed_batch_sizes: Any = None,
        jit_compile: bool = True,
        use_batch_function: bool = False,
        use_gpu: bool = False,
        enable_large_batch_splitting: bool = True,
    ):
        _refuse("ExportableModule")


def create_preprocessor(
    batch_size: int | None,
    output_features: Any,
    task_feature_lengths: Any,
    tokenized_inputs: bool = False,
    *,
    input_tensor_name: str = "text_batch",
    split_separator: str | None = None,
    bucket_keys: Any = None,
) -> NoReturn:
    """T5X's tokenisation in TensorFlow."""
    _refuse("create_preprocessor")


def create_preprocessor_from_task(
    batch_size: int | None,
    output_features: Any,
    task_feature_lengths: Any,
    tokenized_inputs: bool,
    *,
    model: Any,
    task_name: str = "",
    serialized_examples: bool = True,
    run_precache: bool = False,
    input_tensor_name: str = "text_batch",
) -> NoReturn:
    """T5X's preprocessing by a SeqIO task in TensorFlow."""
    _refuse("create_preprocessor_from_task")


def create_inference_function(
    *,
    model: Any,
    inference_mode: Any,
    partitioner: Any,
    train_state_initializer: Any,
    decoding_state_callback_fn: Any = None,
    enable_jax2tf: bool,
    enable_xla: bool = True,
    polymorphic_shapes_inputs: Any = None,
    native_lowering: bool = True,
    native_lowering_platforms: Any = None,
    model_fn_extra_kwargs: Any = None,
    jax2tf_disable_platform_checks: bool = False,
    output_len: int | None = None,
) -> NoReturn:
    """T5X's model function by jax2tf."""
    _refuse("create_inference_function")


def create_postprocessor(
    vocab: Any,
    inference_mode: Any,
    decode_outputs: bool = True,
    output_feature_names: Any = None,
    add_token_length_to_output: bool = False,
) -> NoReturn:
    """T5X's decoding to text in TensorFlow."""
    _refuse("create_postprocessor")


def create_batch_polymorphic_shapes(
    input_signature: Any,
    preprocessor: Any,
    *,
    create_fake_input_fn: Any = None,
    overrides: Any = None,
) -> NoReturn:
    """T5X's shapes for an open batch size; here BATCH_SIZE = None says it."""
    _refuse("create_batch_polymorphic_shapes")


def write_warmup_examples(
    text_batch: Any,
    output_dir: str,
    model_name: str,
    signature_name: str,
    *,
    generate_examples_fn: Any = None,
    batch_sizes: Any,
    input_tensor_name: str = "text_batch",
    decoder_params_spec: Any = None,
    request_to_prediction_log: Any = None,
    input_tensor_dtype: Any = None,
) -> NoReturn:
    """T5X's requests that warm up a TensorFlow server."""
    _refuse("write_warmup_examples")
