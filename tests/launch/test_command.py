"""The commands as people type them: fast and clear about mistakes, before anything heavy loads."""

import os
import subprocess
import sys

import pytest

from clinical_t5x.launch import facade

COMMANDS = (["-m", "t5x.train"], ["-m", "clinical_t5x.train"], ["-m", "clinical_t5x", "train"])

# Runs a command and prints, at its end, which slow libraries it imported.
WATCHED = """
import atexit, runpy, sys
slow = ("jax", "flax", "tensorflow", "seqio", "orbax", "optax")
atexit.register(lambda: print("IMPORTED", *[name for name in slow if name in sys.modules]))
module = sys.argv.pop(1)
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


def run(*arguments, cwd=facade.CHECKOUT, **environment):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, "CLINICAL_T5X_DATA": "/no/such/data/home", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--gin_file=gin/clincal_large.gin"], "did you mean gin/clinical_large.gin?"),
        (["--gin_file=gin/demo.gin", "--gin.BACTH=5"], "did you mean BATCH_SIZE?"),
        (["--gin_file=gin/finetune_clip.gin"], "INITIAL_CHECKPOINT_PATH has no value"),
        (["--gin_file=gin/clinical_large.gin"], "python -m clinical_t5x.prepare"),
        (["--gin_file=gin/demo.gin", "--bogus"], "unrecognized arguments: --bogus"),
        ([], "no gin file"),
    ],
)
def test_mistake_ends_with_one_message_and_nothing_heavy(arguments, expected):
    result = run("-c", WATCHED, "t5x.train", *arguments)
    assert result.returncode == 2
    assert expected in result.stderr
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.stderr
    assert result.stdout.splitlines()[-1] == "IMPORTED"


def test_debug_shows_the_traceback():
    result = run("-m", "t5x.train", "--gin_file=nothing.gin", "--debug")
    assert result.returncode == 2
    assert "Traceback" in result.stderr


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_way_to_type_the_command(command):
    result = run(*command, "--gin_file=gin/clinical_large.gin")
    assert result.returncode == 2
    assert "no data set clinical_notes" in result.stderr


def test_command_works_outside_of_the_clone(tmp_path):
    path = os.fspath(facade.CHECKOUT)
    result = run(
        "-m", "clinical_t5x", "train", "--gin_file=gin/demo.gin", cwd=tmp_path, PYTHONPATH=path
    )
    assert "no data set clinical_notes" in result.stderr


@pytest.mark.parametrize("verb", ["train", "eval", "infer"])
def test_help_is_fast_and_names_the_flags(verb):
    result = run("-c", WATCHED, f"t5x.{verb}", "--help")
    assert result.returncode == 0
    for flag in ("--gin_file", "--gin.NAME=VALUE", "--tfds_data_dir", "--gin_search_paths"):
        assert flag in result.stdout
    assert result.stdout.splitlines()[-1] == "IMPORTED"
