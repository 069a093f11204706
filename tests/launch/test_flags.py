"""T5X's command line: flags, and gin values that need no quotes inside quotes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinical_t5x.console import UserError
from clinical_t5x.launch.flags import as_gin_value, binding_from_flag, parse_flags


@pytest.mark.parametrize(
    ("flag", "binding"),
    [
        ("TRAIN_STEPS=2", "TRAIN_STEPS = 2"),
        ("MODEL_DIR=/x/y", "MODEL_DIR = '/x/y'"),
        ("MODEL_DIR='/x/y'", "MODEL_DIR = '/x/y'"),
        ("MODEL_DIR=gs://bucket/run=1", "MODEL_DIR = 'gs://bucket/run=1'"),
        ("MIXTURE_OR_TASK_MODULE=tasks.pretrain", "MIXTURE_OR_TASK_MODULE = 'tasks.pretrain'"),
        ("network.T5Config.dtype=float32", "network.T5Config.dtype = 'float32'"),
        ("train/utils.DatasetConfig.pack=False", "train/utils.DatasetConfig.pack = False"),
        ("LENGTHS={'inputs': 512}", "LENGTHS = {'inputs': 512}"),
        ("OPTIMIZER=@adafactor.Adafactor()", "OPTIMIZER = @adafactor.Adafactor()"),
        ("A=%B", "A = %B"),
        ("PATH=[]", "PATH = []"),
        ("RATE=-1e-3", "RATE = -1e-3"),
        ("NAME=2 names", "NAME = '2 names'"),
        ("NAME=", "NAME = ''"),
    ],
)
def test_gin_flag_becomes_binding(flag, binding):
    assert binding_from_flag(flag) == binding


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("TRAIN_STEPS", "--gin.TRAIN_STEPS=VALUE"),
        ("=2", "no gin name"),
        ("a b=2", "no gin name"),
        ("LENGTHS={'inputs': 512", "brackets"),
        ("USE_CACHED_TASKS=true", "write True"),
        ("SEED=none", "write None"),
    ],
)
def test_malformed_gin_flag_says_how_to_write_it(flag, expected):
    with pytest.raises(UserError, match=expected):
        binding_from_flag(flag)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0"), max_size=40))
def test_every_value_is_readable_or_refused(value):
    """Whatever the user types, gin gets something that it can parse."""
    import gin

    try:
        text = as_gin_value(value, "X")
    except UserError:
        return
    gin.parse_config(f"X = {text}")
    gin.clear_config()


def test_flags_of_t5x_are_understood():
    flags = parse_flags(
        "train",
        [
            "--gin_file=a.gin", "--gin_file", "b.gin", "--gin.TRAIN_STEPS=2",
            "--gin_bindings=BATCH_SIZE = 3", "--gin_bindings=MODEL_DIR=/x", "-gin_file=c.gin",
            "--gin_search_paths=/p,/q", "--tfds_data_dir=/t", "--seqio_additional_cache_dirs=/c,/d",
            "--alsologtostderr", "-v", "1", "--seed=7", "--coordinator_address=h:1",
        ],
    )  # fmt: skip
    assert flags.gin_files == ("a.gin", "b.gin", "c.gin")
    assert flags.gin_bindings == (
        "BATCH_SIZE = 3",
        "MODEL_DIR = '/x'",
        "TRAIN_STEPS = 2",
        "RANDOM_SEED = 7",
    )
    assert flags.gin_search_paths == ("/p", "/q")
    assert flags.seqio_additional_cache_dirs == ("/c", "/d")
    assert (flags.tfds_data_dir, flags.coordinator_address) == ("/t", "h:1")


def test_shard_id_is_a_binding_of_infer():
    flags = parse_flags("infer", ["--shard_id=3"])
    assert flags.gin_bindings == ("infer_script.infer.shard_id = 3",)


def test_profile_is_a_binding_of_train():
    expected = ("train_script.train.profile = '100:110'",)
    assert parse_flags("train", ["--profile=100:110"]).gin_bindings == expected
    assert parse_flags("main", ["--run_mode=train", "--profile=100:110"]).gin_bindings == expected
    with pytest.raises(UserError, match="flag of training"):
        parse_flags("main", ["--run_mode=eval", "--profile=100:110"])


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("--gin_fil=x", "did you mean --gin_file"),
        ("--fdl_config=x", "Fiddle"),
        ("--seed=x", "invalid int"),
        ("--profile=110:100", "--profile=100:110"),
    ],
)
def test_wrong_flag_is_one_clear_error(argument, expected):
    with pytest.raises(UserError, match=expected):
        parse_flags("train", [argument])


@pytest.mark.parametrize("mode", ["train", "eval", "infer", "precompile", "export"])
def test_main_is_told_its_program(mode):
    assert parse_flags("main", [f"--run_mode={mode}", "--gin_file=a.gin"]).run_mode == mode


def test_main_refuses_an_unknown_program():
    with pytest.raises(UserError, match="invalid choice: 'sing'"):
        parse_flags("main", ["--run_mode=sing"])


def test_flags_of_jax_are_kept_apart():
    flags = parse_flags("train", ["--jax_debug_nans", "--nojax_disable_jit", "--jax_a=b=c"])
    assert flags.jax_options == (
        ("jax_debug_nans", "true"),
        ("jax_disable_jit", "false"),
        ("jax_a", "b=c"),
    )


@pytest.mark.parametrize(
    ("arguments", "binding"),
    [
        (["eval"], "eval_script.evaluate.with_scores = True"),
        (["train"], "train_script.train.with_scores = True"),
        (["main", "--run_mode=eval"], "eval_script.evaluate.with_scores = True"),
    ],
)
def test_with_scores_is_a_binding_of_the_program(arguments, binding):
    verb, *others = arguments
    assert parse_flags(verb, [*others, "--with_scores"]).gin_bindings == (binding,)


def test_with_scores_belongs_to_what_evaluates():
    with pytest.raises(UserError, match="flag of eval and train; infer"):
        parse_flags("main", ["--run_mode=infer", "--with_scores"])


def test_with_text_is_a_binding_of_what_writes_predictions():
    expected = ("eval_script.evaluate.with_text = True",)
    assert parse_flags("eval", ["--with_text"]).gin_bindings == expected
    assert parse_flags("main", ["--run_mode=eval", "--with_text"]).gin_bindings == expected
    inferring = parse_flags("infer", ["--with_text"]).gin_bindings
    assert inferring == ("infer_script.infer.with_text = True",)
    with pytest.raises(UserError, match="writes no predictions"):
        parse_flags("main", ["--run_mode=train", "--with_text"])
