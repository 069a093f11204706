"""This project's run and model files under T5X's paths: complete, and built by gin."""

from pathlib import Path

import jax
import pytest
import tensorflow as tf

from clinical_t5x.launch import facade, static_check
from clinical_t5x.launch.gin_reading import read_configuration
from clinical_t5x.launch.program import built_arguments
from clinical_t5x.launch.programs import program_named
from clinical_t5x.launch.search_path import SearchPath

RUNS = Path(facade.CHECKOUT) / "t5x/configs/runs"
TINY = "t5x/examples/t5/t5_1_1/tiny.gin"
LENGTHS = "{'inputs': 12, 'targets': 6}"
VERBS = {
    "eval": "eval",
    "export": "export",
    "export_seqio": "export",
    "finetune": "train",
    "infer": "infer",
    "infer_from_tfexample_file": "infer",
    "precompile": "precompile",
    "pretrain": "train",
}
GIVEN = {
    "BATCH_SIZE": "4",
    "CHECKPOINT_PATH": "'x'",
    "DROPOUT_RATE": "0.1",
    "EVAL_OUTPUT_DIR": "'x'",
    "FEATURE_LENGTHS": LENGTHS,
    "INFER_OUTPUT_DIR": "'x'",
    "INITIAL_CHECKPOINT_PATH": "'x'",
    "MIXTURE_OR_TASK_NAME": "'x'",
    "MODEL_DIR": "'x'",
    "MODEL_NAME": "'x'",
    "MODEL_OUTPUT_DIR": "'x'",
    "TASK_FEATURE_LENGTHS": LENGTHS,
    "TF_EXAMPLE_FILE_PATHS": "['x']",
    "TF_EXAMPLE_FILE_TYPE": "'tfrecord'",
    "TRAIN_STEPS": "3",
    "USE_CACHED_TASKS": "False",
}


def _bindings(name, **given):
    """Values for what the run file leaves open."""
    text = (RUNS / f"{name}.gin").read_text()
    text += (RUNS / "export.gin").read_text() if name == "export_seqio" else ""
    known = {"DROPOUT_RATE", *(key for key in GIVEN if f"\n{key} = " in text)}
    values = {key: GIVEN[key] for key in GIVEN if key in known} | given
    return [f"{key} = {value}" for key, value in values.items()]


def test_every_run_file_of_t5x_is_there():
    assert {path.stem for path in RUNS.glob("*.gin")} == set(VERBS)


@pytest.mark.parametrize("name", VERBS)
def test_run_file_is_complete_and_binds_nothing_without_an_effect(name):
    facade.provide()
    files = [TINY, f"t5x/configs/runs/{name}.gin"]
    reading = read_configuration(files, _bindings(name), SearchPath())
    configuration = static_check.check(reading, program_named(VERBS[name]))
    told = [line for line in configuration.notices if "no effect" in line]
    # what export_seqio adds to export is the task's preprocessing in TensorFlow
    assert bool(told) == (name == "export_seqio"), told


@pytest.fixture
def byte_vocabulary(tmp_path):
    file = tmp_path / "bytes.gin"
    file.write_text(
        "from __gin__ import dynamic_registration\nimport seqio\n"
        "VOCABULARY = @seqio.ByteVocabulary()\n"
    )
    return str(file)


@pytest.mark.parametrize("name", sorted(VERBS))
def test_gin_builds_what_the_run_file_says(name, tmp_path, byte_vocabulary):
    path = str(tmp_path / "a.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        feature = {"inputs": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"fever"]))}
        example = tf.train.Example(features=tf.train.Features(feature=feature))
        writer.write(example.SerializeToString())
    more = {"TF_EXAMPLE_FILE_PATHS": [path]} if "tfexample" in name else {}
    with built_arguments(
        VERBS[name],
        gin_files=[TINY, f"t5x/configs/runs/{name}.gin", byte_vocabulary],
        bindings=_bindings(name, **more),
    ) as arguments:
        assert arguments["model"].config.emb_dim == 8
        if "tfexample" in name:
            assert arguments["dataset_cfg"].mixture_or_task_name.startswith("tfexamples_")


PUBLISHED = {
    "mt5/small": 300_176_768,
    "mt5/xxl": 12_921_057_280,
    "byt5/base": 581_653_248,
    "byt5/large": 1_228_183_552,
}


@pytest.mark.parametrize("size", PUBLISHED)
def test_multilingual_and_byte_models_have_their_size(size, byte_vocabulary):
    with built_arguments(
        "eval",
        gin_files=[f"t5x/examples/t5/{size}.gin", "t5x/configs/runs/eval.gin", byte_vocabulary],
        bindings=_bindings("eval"),
    ) as arguments:
        shapes = jax.tree.leaves(arguments["model"].abstract_params())
        assert sum(leaf.size for leaf in shapes) == PUBLISHED[size]


def test_vocabulary_in_a_bucket_is_not_opened_to_build():
    """T5's own files name gs://t5-data; a model with shapes needs no network."""
    with built_arguments(
        "eval", gin_files=[TINY, "t5x/configs/runs/eval.gin"], bindings=_bindings("eval")
    ) as arguments:
        vocabulary = arguments["model"].output_vocabulary
        assert vocabulary.sentencepiece_model_file.startswith("gs://t5-data/")
