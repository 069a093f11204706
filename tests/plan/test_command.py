"""`python -m clinical_t5x.plan` where no compiler is installed: arithmetic, and saying so."""

import importlib.util
import json
import shlex

import pytest

from clinical_t5x.console import UserError
from clinical_t5x.models.flops import step_flops
from clinical_t5x.plan.__main__ import main

DEMO = "--gin_file=gin/demo.gin"
TOO_LARGE = "--gin.BATCH_SIZE=1048576"
WITHOUT_LIBTPU = pytest.mark.skipif(
    importlib.util.find_spec("libtpu") is not None, reason="libtpu is installed: it compiles"
)


@pytest.fixture
def plan(capsys, tmp_path):
    """Run the command in a data home that is empty; its text and its JSON."""

    def run(*arguments):
        assert main([f"--data_dir={tmp_path}", *arguments, "--json"]) == 0
        lines = capsys.readouterr().out.splitlines()
        return "\n".join(lines[:-1]), json.loads(lines[-1])

    return run


@WITHOUT_LIBTPU
def test_without_libtpu_it_estimates_and_says_so(plan):
    text, found = plan(DEMO, "--topology=v5e:2x2")
    assert "FITS" in text
    assert "estimated, not compiled: libtpu, the compiler for TPUs, is not installed" in text
    assert found["method"] == "arithmetic" and found["fits"] is True
    assert "libtpu" in found["why_not_compiled"]
    assert found["collectives"] is None
    assert found["mesh"] == {"slice": 1, "data": 4, "fsdp": 1, "tensor": 1}


@pytest.mark.skipif(
    any(map(importlib.util.find_spec, ("jax_cuda12_plugin", "jax_cuda13_plugin"))),
    reason="JAX's CUDA plugin is installed: it compiles",
)
def test_without_the_cuda_plugin_it_estimates_and_says_so(plan):
    text, found = plan(DEMO, "--topology=h100:8")
    assert "JAX's CUDA plugin, the compiler for GPUs, is not installed" in text
    assert found["chips"] == 8 and found["fits"] is True


def test_no_data_and_no_vocabulary_is_needed(plan):
    text, found = plan(DEMO, "--topology=v5e:1x1", "--arithmetic")
    assert "the vocabulary clinical is not in the data home: a stand-in takes its place" in text
    assert "a row of the batch is running text" in text
    assert "--arithmetic asked for an estimate" in found["why_not_compiled"]


def test_gin_files_dtype_is_that_of_the_hardware_not_of_this_machine(plan):
    assert plan(DEMO, "--topology=v5e:1x1", "--arithmetic")[1]["dtype"] == "bfloat16"
    assert plan(DEMO, "--topology=cpu:1", "--arithmetic")[1]["dtype"] == "float32"


def test_bytes_by_kind_add_up_and_follow_the_mesh(plan):
    _, whole = plan(DEMO, "--topology=v5e:2x2", "--arithmetic")
    fsdp = "--gin.partitioning.PjitPartitioner.ici_mesh_shape=(1,4,1)"
    text, split = plan(DEMO, "--topology=v5e:2x2", "--arithmetic", fsdp)
    for found in (whole, split):
        assert sum(found["bytes"].values()) == found["bytes_needed"] < found["bytes_limit"]
        of_kind = {"parameter": 0, "optimizer": 0}
        for tensor in found["tensors"]:
            of_kind[tensor["kind"]] += tensor["bytes"]
        assert of_kind["parameter"] == found["bytes"]["parameters"]
        assert of_kind["optimizer"] == found["bytes"]["optimizer"]
    # all but vectors are split; those are what remains replicated
    quarter = whole["bytes"]["parameters"] / 4
    assert quarter < split["bytes"]["parameters"] < 1.1 * quarter
    assert split["replicated_bytes"] < whole["replicated_bytes"] / 10
    assert "encoder/layers_*/mlp/wi/kernel x 2" in text
    assert "--all_tensors" in text


def test_what_does_not_fit_says_by_how_much_and_is_no_failure(plan):
    text, found = plan(DEMO, "--topology=v5e:1x1", "--arithmetic", TOO_LARGE)
    assert "DOES NOT FIT" in text and "too much" in text
    assert found["fits"] is False and found["bytes_needed"] > found["bytes_limit"]


def test_recomputing_takes_less_memory_and_more_work(plan):
    def with_policy(policy):
        layers = [
            f"--gin.network.T5Config.num_{stack}_layers=12" for stack in ("encoder", "decoder")
        ]
        bindings = (f"--gin.network.T5Config.remat_policy='{policy}'", "--gin.BATCH_SIZE=4096")
        found = plan(DEMO, "--topology=v5e:1x1", "--arithmetic", *bindings, *layers)[1]
        return found["bytes"]["temporaries"], found["cost"]["recomputed_flops"]

    none, minimal, full = map(with_policy, ("none", "minimal", "full"))
    assert none[0] > minimal[0] > full[0]
    assert none[1] == 0 < minimal[1] < full[1]


def test_time_and_price_follow_from_flops_and_mfu(plan):
    _, found = plan(
        DEMO, "--topology=v3:2x2", "--arithmetic", "--mfu=0.5", "--price_per_chip_hour=2"
    )
    cost = found["cost"]
    from clinical_t5x.models.config import T5Config

    sizes = {"emb_dim": 128, "num_heads": 4, "head_dim": 32, "mlp_dim": 512}
    config = T5Config(4096, num_encoder_layers=2, num_decoder_layers=2, **sizes)
    flops = step_flops(config, batch_size=8, inputs_length=128, targets_length=29)
    assert cost["step_flops"] == flops.model
    assert cost["input_tokens"] == 4000 * 8 * 128
    assert cost["peak_flops"] == 4 * 123e12  # four chips of two devices each
    assert cost["hours"] == pytest.approx(4000 * flops.model / (0.5 * 4 * 123e12) / 3600)
    assert cost["chip_hours"] == pytest.approx(4 * cost["hours"])
    assert cost["price"] == pytest.approx(2 * cost["chip_hours"])


def test_slices_are_replicas_with_an_axis_of_their_own(plan):
    text, found = plan(DEMO, "--topology=2xv5e:2x2", "--arithmetic")
    assert found["mesh"] == {"slice": 2, "data": 4, "fsdp": 1, "tensor": 1}
    assert "mesh slice 2 x data 4" in text


def test_clouds_names_are_explained(plan):
    text, _ = plan(DEMO, "--topology=v4-8", "--arithmetic")
    assert "v4-8 is Google Cloud's name, which counts cores: read as v4:2x2x1 (4 chips)" in text


def test_a_search_proposes_the_smallest_and_the_command_for_it(plan):
    asked = (DEMO, "--topology=v5e", "--search", "--arithmetic")
    text, found = plan(*asked)
    assert plan(*asked) == (text, found)
    proposal = found["proposal"]
    assert proposal["topology"] == "v5e:1x1" and proposal["fits"] is True
    command = shlex.split(text.splitlines()[-1].removeprefix("next: "))
    assert command[:3] == ["python", "-m", "t5x.train"]
    again, _ = plan("--topology=v5e:1x1", "--arithmetic", *command[3:])
    assert (
        f"mesh of one device; remat {proposal['remat_policy']}; bfloat16, layers scanned" in again
    )


def test_a_search_takes_more_chips_where_few_do_not_do(plan):
    _, found = plan(DEMO, "--topology=v5e", "--search", "--arithmetic", "--gin.BATCH_SIZE=65536")
    proposal = found["proposal"]
    assert proposal["fits"] is True and proposal["chips"] > 1


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
