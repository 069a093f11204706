"""T5X's names are this project's own objects, under T5X's module paths."""

import importlib
import inspect
import sys

import pytest

from clinical_t5x.launch import facade

NAMES = {
    "t5x.adafactor": ["Adafactor", "standard_logical_factor_rules"],
    "t5x.checkpoints": ["Checkpointer", "OrbaxCheckpointManagerInterface", "SaveBestCheckpointer"],
    "t5x.decoding": ["beam_search", "temperature_sample"],
    "t5x.eval": ["evaluate"],
    "t5x.examples.t5.network": ["T5Config", "Transformer"],
    "t5x.export": ["save"],
    "t5x.export_lib": [
        "ExportableModule",
        "create_batch_polymorphic_shapes",
        "create_inference_function",
        "create_postprocessor",
        "create_preprocessor",
        "create_preprocessor_from_task",
        "save",
        "write_warmup_examples",
    ],
    "t5x.gin_utils": ["summarize_gin_config"],
    "t5x.infer": ["infer"],
    "t5x.models": [
        "DecoderOnlyModel",
        "EncoderDecoderModel",
        "get_input_vocabulary",
        "get_output_vocabulary",
    ],
    "t5x.optimizers": [
        "MultiOptimizer",
        "OptaxStatePartitionRules",
        "OptaxWrapper",
        "Optimizer",
        "OptimizerDef",
        "OptimizerDefType",
        "OptimizerState",
        "OptimizerType",
        *("adabelief", "adagrad", "adam", "adamw", "chain", "fromage", "lamb", "lars", "lion"),
        *("noisy_sgd", "radam", "rmsprop", "sgd", "wrap_optax_optimizer", "yogi"),
    ],
    "t5x.partitioning": ["PjitPartitioner", "standard_logical_axis_rules"],
    "t5x.precompile": ["precompile"],
    "t5x.train": ["train"],
    "t5x.trainer": ["EarlyStoppingAction", "TerminateOnNanAction", "Trainer"],
    "t5x.utils": [
        "CheckpointConfig",
        "DatasetConfig",
        "RestoreCheckpointConfig",
        "SaveCheckpointConfig",
        "create_learning_rate_scheduler",
    ],
}


@pytest.fixture(autouse=True)
def ours():
    facade.provide()


@pytest.mark.parametrize("module", NAMES)
def test_names_are_the_very_objects(module):
    """No subclass and no copy: gin would not carry a binding from one to the other."""
    for name in NAMES[module]:
        value = getattr(importlib.import_module(module), name)
        assert value.__module__.split(".")[0] in ("clinical_t5x", "optax")
        assert value is getattr(importlib.import_module(value.__module__), value.__name__)


@pytest.mark.parametrize("module", NAMES)
def test_facade_defines_nothing_of_its_own(module):
    loaded = importlib.import_module(module)
    public = getattr(loaded, "__all__", NAMES[module])
    assert sorted(public) == sorted(NAMES[module])
    classes = [value for value in vars(loaded).values() if inspect.isclass(value)]
    assert all(value.__module__ != module for value in classes)


def test_unknown_name_of_a_program_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"t5x\.train has no attribute 'trian'"):
        importlib.import_module("t5x.train").trian  # noqa: B018


def test_foreign_t5x_in_this_process_is_refused(monkeypatch):
    from clinical_t5x.console import UserError

    foreign = type(sys)("t5x")
    foreign.__path__ = ["/elsewhere/t5x"]
    monkeypatch.setitem(sys.modules, "t5x", foreign)
    with pytest.raises(UserError, match="another package named t5x"):
        facade.provide()


# Parameters that T5X has and its users bind; read from T5X.md section 3a.
T5X_PARAMETERS = {
    ("t5x.train", "train"): """model train_dataset_cfg train_eval_dataset_cfg
        infer_eval_dataset_cfg checkpoint_cfg partitioner trainer_cls model_dir total_steps
        eval_steps eval_period relative_steps stats_period random_seed use_hardware_rng
        summarize_config_fn inference_evaluator_cls get_dataset_fn concurrent_metrics actions
        train_eval_get_dataset_fn run_eval_before_training train_state_initializer_cls use_orbax
        verify_matching_vocabs_fn gc_period""",
    ("t5x.eval", "evaluate"): """model dataset_cfg restore_checkpoint_cfg partitioner output_dir
        inference_evaluator_cls training_evaluator_cls summarize_config_fn
        train_state_initializer_cls train_eval_get_dataset_fn fallback_init_rng use_orbax""",
    ("t5x.infer", "infer"): """mode model dataset_cfg restore_checkpoint_cfg partitioner output_dir
        checkpoint_period shard_id num_shards merge_chunked_results write_fn checkpoint_ds_iter
        train_state_initializer_cls fallback_init_rng merge_fn summarize_config_fn
        verify_matching_vocabs_fn output_vocab_feature_name file_extension keep_aux_as_numpy
        use_orbax""",
    ("t5x.utils", "DatasetConfig"): """mixture_or_task_name task_feature_lengths split batch_size
        shuffle seed use_cached pack use_custom_packing_ops module use_memory_cache
        trim_output_features runtime_preprocessors num_prefetch_threads num_workers""",
    ("t5x.utils", "SaveCheckpointConfig"): """dtype period checkpoint_steps keep
        keep_dataset_checkpoints save_dataset checkpointer_cls state_transformation_fns
        checkpoint_manager_cls""",
    ("t5x.utils", "RestoreCheckpointConfig"): """path mode assignment_map strict
        fallback_to_scratch dtype restore_dataset checkpointer_cls state_transformation_fns
        checkpoint_manager_cls""",
    ("t5x.utils", "create_learning_rate_scheduler"): """factors base_learning_rate warmup_steps
        decay_factor steps_per_decay steps_per_cycle step_offset min_learning_rate""",
    ("t5x.adafactor", "Adafactor"): """learning_rate factored multiply_by_parameter_scale beta1
        decay_rate step_offset clipping_threshold weight_decay_rate min_dim_size_to_factor epsilon1
        epsilon2 dtype_momentum factor_map logical_factor_rules weight_decay_rate_lr_exponent
        global_norm_clip_threshold max_parameter_scale skip_nan_updates""",
    ("t5x.models", "EncoderDecoderModel"): """module input_vocabulary output_vocabulary
        optimizer_def decode_fn feature_converter_cls label_smoothing z_loss
        loss_normalizing_factor default_decoder_params""",
    ("t5x.partitioning", "PjitPartitioner"): """num_partitions model_parallel_submesh
        params_on_devices backend ici_mesh_shape dcn_mesh_shape logical_axis_rules""",
    ("t5x.examples.t5.network", "T5Config"): """vocab_size dtype emb_dim num_heads
        num_encoder_layers num_decoder_layers head_dim mlp_dim mlp_activations dropout_rate
        logits_via_embedding float32_attention_logits""",
    ("t5x.precompile", "precompile"): """model train_dataset_cfg partitioner model_dir random_seed
        get_dataset_fn verify_matching_vocabs_fn""",
    ("t5x.export_lib", "save"): """model inference_mode restore_checkpoint_cfg exportable_module_cls
        create_preprocessor_fn create_inference_function_fn create_postprocessor_fn partitioner
        create_decoding_state_callback_fn output_features task_feature_lengths batch_size
        output_dir model_name warmup_examples tokenized_inputs write_warmup_example_fn
        mixture_or_task_name validation_examples native_lowering native_lowering_platforms
        enable_xla decode_outputs trailing_shapes output_vocab_feature_name signature_name
        create_polymorphic_shapes_fn""",
    ("t5x.export_lib", "ExportableModule"): "jit_compile use_batch_function",
    ("t5x.export_lib", "create_inference_function"): "output_len",
    ("t5x.export_lib", "create_postprocessor"): "output_feature_names",
    ("t5x.export_lib", "create_preprocessor"): "output_features task_feature_lengths",
    ("t5x.export_lib", "create_preprocessor_from_task"): """model run_precache serialized_examples
        task_feature_lengths task_name""",
    ("t5x.decoding", "temperature_sample"): """inputs cache tokens_to_logits eos_id decode_rng
        num_decodes temperature topk topp cache_offset initial_index max_decode_steps
        max_decode_steps_hard_limit rescale_log_probs state_callback_fn logit_callback_fn""",
    ("t5x.decoding", "beam_search"): """inputs cache tokens_to_logits eos_id num_decodes alpha
        max_decode_len max_decode_step min_log_prob decode_rng cache_offset initial_index""",
    ("t5x.models", "DecoderOnlyModel"): """module vocabulary optimizer_def decode_fn
        inputs_bidirectional_attention feature_converter_cls label_smoothing z_loss
        loss_normalizing_factor""",
    ("t5x.partitioning", "standard_logical_axis_rules"): """activation_partitioning_dims
        parameter_partitioning_dims additional_rules""",
    ("t5x.checkpoints", "Checkpointer"): """train_state partitioner checkpoints_dir dataset_iterator
        keep save_dtype restore_dtype keep_dataset_checkpoints""",
    ("t5x.checkpoints", "OrbaxCheckpointManagerInterface"): """directory train_state partitioner
        dataset_iterator save_dtype restore_dtype keep period checkpoint_steps
        keep_dataset_checkpoints force_keep_period metric_name_to_monitor metric_mode
        keep_checkpoints_without_metrics""",
    ("t5x.checkpoints", "SaveBestCheckpointer"): """train_state partitioner checkpoints_dir
        dataset_iterator keep save_dtype restore_dtype metric_name_to_monitor metric_mode
        keep_checkpoints_without_metrics force_keep_period keep_dataset_checkpoints""",
    ("t5x.gin_utils", "summarize_gin_config"): "model_dir summary_writer step",
    ("t5x.optimizers", "chain"): "transformations",
    ("t5x.optimizers", "OptaxWrapper"): "optax_optimizer",
    ("t5x.optimizers", "MultiOptimizer"): "traversals_and_optimizers",
    ("t5x.trainer", "Trainer"): """model train_state partitioner eval_names summary_dir
        train_state_axes rng learning_rate_fn num_microbatches weight_metrics_computer""",
    ("t5x.examples.t5.network", "Transformer"): "config parent name",
    ("t5x.trainer", "TerminateOnNanAction"): "task metric",
    ("t5x.trainer", "EarlyStoppingAction"): "metric mode patience atol rtol",
}


@pytest.mark.parametrize(("module", "name"), T5X_PARAMETERS)
def test_t5x_parameters_are_accepted(module, name):
    value = getattr(importlib.import_module(module), name)
    accepted = set(inspect.signature(value).parameters)
    assert set(T5X_PARAMETERS[module, name].split()) <= accepted


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        (
            "predict_batch_with_aux",
            "params batch rng decoder_params return_all_decodes num_decodes prompt_with_targets",
        ),
        ("score_batch", "params batch return_intermediates"),
    ],
)
def test_t5x_parameters_of_methods_are_accepted(method, parameters):
    from t5x.models import EncoderDecoderModel

    accepted = set(inspect.signature(getattr(EncoderDecoderModel, method)).parameters)
    assert set(parameters.split()) <= accepted


def test_functions_of_gin_files_are_on_main():
    """T5X's files name these as attributes of `__main__`, whatever program runs."""
    from clinical_t5x.launch.programs import MAIN_NAMES, names_on_main

    expected = {"train", "evaluate", "infer", "precompile", "create_task_from_tfexample_file"}
    assert set(MAIN_NAMES) == expected
    with names_on_main():
        task = sys.modules["__main__"].create_task_from_tfexample_file
        parameters = set(inspect.signature(task).parameters)
    expected = {"paths", "file_type", "inputs_key", "targets_key", "features", "task_id"}
    assert parameters >= expected
