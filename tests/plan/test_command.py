"""`python -m clinical_t5x.plan` where no compiler is installed: arithmetic, and saying so."""

import importlib.util
import json
import shlex

import pytest

from clinical_t5x.console import UserError
from clinical_t5x.plan.__main__ import main

DEMO = "--gin_file=gin/demo.gin"
TOO_LARGE = "--gin.BATCH_SIZE=1048576"


@pytest.fixture
def plan(capsys, tmp_path):
    """Run the command in a data home that is empty; its text and its JSON."""

    def run(*arguments):
        assert main([f"--data_dir={tmp_path}", *arguments, "--json"]) == 0
        lines = capsys.readouterr().out.splitlines()
        return "\n".join(lines[:-1]), json.loads(lines[-1])

    return run


@pytest.mark.skipif(importlib.util.find_spec("libtpu") is not None, reason="libtpu compiles")
def test_without_libtpu_data_and_vocabulary_it_estimates_and_says_so(plan):
    text, found = plan(DEMO, "--topology=v4-8", "--price_per_chip_hour=2")
    assert "v4-8 is Google Cloud's name, which counts cores: read as v4:2x2x1 (4 chips)" in text
    assert "the vocabulary clinical is not in the data home: a stand-in takes its place" in text
    assert "a row of the batch is running text" in text
    assert "FITS" in text
    assert "estimated, not compiled: libtpu, the compiler for TPUs, is not installed" in text
    assert "encoder/layers_*/mlp/wi/kernel x 2" in text and "--all_tensors" in text
    assert found["method"] == "arithmetic" and found["fits"] is True
    assert "libtpu" in found["why_not_compiled"]
    assert found["collectives"] is None
    assert found["mesh"] == {"slice": 1, "data": 4, "fsdp": 1, "tensor": 1}
    assert found["dtype"] == "bfloat16"  # as the gin files say, not as this machine would
    assert found["cost"]["price"] == pytest.approx(2 * found["cost"]["chip_hours"])


def test_a_plan_for_cpus_computes_as_cpus_do(plan):
    text, found = plan(DEMO, "--topology=cpu:1", "--arithmetic")
    assert found["dtype"] == "float32"
    assert found["fits"] is None and "whose limit is unknown" in text
    assert "unknown: the peak of cpu is not known" in text


def test_a_search_proposes_the_smallest_and_the_command_for_it(plan):
    text, found = plan(DEMO, "--topology=v5e", "--search", "--arithmetic")
    proposal = found["proposal"]
    assert proposal["topology"] == "v5e:1x1" and proposal["fits"] is True
    command = shlex.split(text.splitlines()[-1].removeprefix("next: "))
    assert command[:3] == ["python", "-m", "t5x.train"]
    again, _ = plan("--topology=v5e:1x1", "--arithmetic", *command[3:])
    assert (
        f"mesh of one device; remat {proposal['remat_policy']}; bfloat16, layers scanned" in again
    )


def test_a_search_that_finds_nothing_names_what_comes_nearest(plan):
    text, found = plan(DEMO, "--topology=v5e:1x1", "--search", "--arithmetic", TOO_LARGE)
    assert found["proposal"] is None
    assert "NOTHING FITS" in text and "on v5e:1x1 (1 chip)" in text


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--topology=v5e:4x4", "--mfu=40"], "--mfu=40"),
        (["--topology=v5e:4x4", "--mfu=0"], "--mfu=0"),
        (["--topology=v5e:4x4", "--price_per_chip_hour=-1"], "--price_per_chip_hour"),
        ([], "no topology"),
        (["--topology=v5e:2x2", "--gin.BATCH_SIZE=6"], "BATCH_SIZE = 6 does not split over 4"),
        (["--topology=v5e,h100", "--search"], "one kind at a time"),
        (["--topology=v5e:2x2", "--gin.TASK_FEATURE_LENGTHS=None"], "give TASK_FEATURE_LENGTHS"),
        (["--topology=v5e:2x2", "--gin.BATCH_SIZES=6"], "did you mean BATCH_SIZE"),
        (
            ["--topology=v5e:2x2", "--gin.partitioning.PjitPartitioner.ici_mesh_shape=(1,3,1)"],
            "does not use the 4 devices exactly",
        ),
        (["--topology=v5e:2x2", "--serach"], "--serach"),
    ],
)
def test_mistakes_name_the_thing_and_the_cure(arguments, named, tmp_path):
    with pytest.raises(UserError) as caught:
        main([DEMO, f"--data_dir={tmp_path}", *arguments])
    assert named in str(caught.value)
