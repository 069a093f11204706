"""Estimates of one run on many topologies and meshes."""

import dataclasses
import importlib.util

import pytest

from clinical_t5x.console import UserError
from clinical_t5x.launch.flags import parse_flags
from clinical_t5x.models.flops import step_flops
from clinical_t5x.plan import report
from clinical_t5x.plan.run import planned_run, row_features
from clinical_t5x.plan.search import search
from clinical_t5x.plan.topology import read_candidates, read_topology
from clinical_t5x.plan.verdict import plan_run
from clinical_t5x.training.config import DatasetConfig

LENGTHS = {"inputs": 128, "targets": 29}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    home = tmp_path_factory.mktemp("empty")
    flags = parse_flags("train", ["--gin_file=gin/demo.gin", f"--data_dir={home}"])
    with planned_run(flags, "tpu") as run:
        yield run


def estimate(run, name, mesh=None, **options):
    if mesh is not None:
        run = run.on(run.partitioner.with_mesh_shape(mesh))
    return plan_run(run, read_topology(name), mfu=0.5, may_compile=False, **options)


def with_batch(run, size):
    return dataclasses.replace(run, data=dataclasses.replace(run.data, batch_size=size))


def test_bytes_by_kind_add_up_and_follow_the_mesh(run):
    whole, split = estimate(run, "v5e:2x2"), estimate(run, "v5e:2x2", (1, 4, 1))
    for plan in (whole, split):
        found = report.as_json(plan)
        assert sum(found["bytes"].values()) == found["bytes_needed"] < found["bytes_limit"]
        of_kind = {"parameter": 0, "optimizer": 0}
        for tensor in found["tensors"]:
            of_kind[tensor["kind"]] += tensor["bytes"]
        assert of_kind["parameter"] == found["bytes"]["parameters"]
        assert of_kind["optimizer"] == found["bytes"]["optimizer"]
    # all but vectors are split; those are what remains replicated
    quarter = whole.memory.parameters / 4
    assert quarter < split.memory.parameters < 1.1 * quarter
    assert split.state.replicated_bytes < whole.state.replicated_bytes / 10
    assert whole.memory.batch == split.memory.batch == 8 // 4 * (128 + 3 * 29) * 4


def test_what_does_not_fit_says_by_how_much(run):
    plan = estimate(with_batch(run, 2**20), "v5e:1x1")
    assert plan.fits is False and plan.needed > plan.limit
    assert report.verdict(plan).startswith("DOES NOT FIT")
    assert f"{report.size(plan.needed - plan.limit)} too much" in report.verdict(plan)


def test_a_mesh_that_does_not_divide_is_said_with_the_reason(run):
    with_odd = run.with_config(mlp_dim=510)
    found = report.as_json(estimate(with_odd, "v5e:2x2", (1, 1, 4)))
    reasons = {reason for tensor in found["tensors"] for reason in tensor["fallbacks"]}
    assert reasons == {"mlp = 510 does not divide by ('tensor',) = 4"}


def test_recomputing_takes_less_memory_and_more_work(run):
    layers = {"num_encoder_layers": 12, "num_decoder_layers": 12, "scan_layers": True}
    deep = with_batch(run, 4096).with_config(**layers)
    plans = [
        estimate(deep.with_config(remat_policy=policy), "v5e:1x1")
        for policy in ("none", "minimal", "full")
    ]
    kept = [plan.memory.temporaries for plan in plans]
    again = [plan.cost.recomputed_flops for plan in plans]
    assert kept == sorted(kept, reverse=True) and kept[2] < kept[0] / 3
    assert again == sorted(again) and again[0] == 0 < again[1]


def test_time_and_price_follow_from_flops_and_mfu(run):
    cost = estimate(run, "v3:2x2", price_per_chip_hour=2.0).cost
    flops = step_flops(run.model.config, batch_size=8, inputs_length=128, targets_length=29)
    assert cost.step_flops == flops.model
    assert cost.input_tokens == 4000 * 8 * 128
    assert cost.peak_flops == 4 * 123e12  # four chips of two devices each
    assert cost.hours == pytest.approx(4000 * flops.model / (0.5 * 4 * 123e12) / 3600)
    assert cost.chip_hours == pytest.approx(4 * cost.hours)
    assert cost.price == pytest.approx(2 * cost.chip_hours)


def test_slices_are_replicas_with_an_axis_of_their_own(run):
    plan = estimate(run, "2xv5e:2x2")
    assert plan.mesh == {"slice": 2, "data": 4, "fsdp": 1, "tensor": 1}
    split = estimate(run, "2xv5e:2x2", (1, 4, 1))
    assert split.mesh == {"slice": 2, "data": 1, "fsdp": 4, "tensor": 1}
    one_slice = estimate(run, "v5e:2x2", (1, 4, 1))
    assert split.memory.parameters == one_slice.memory.parameters


@pytest.mark.skipif(
    any(map(importlib.util.find_spec, ("jax_cuda12_plugin", "jax_cuda13_plugin"))),
    reason="JAX's CUDA plugin is installed: it compiles",
)
def test_without_the_cuda_plugin_it_estimates_and_says_so(run):
    plan = plan_run(run, read_topology("h100:8"), mfu=0.5)
    assert plan.fits is True and plan.topology.chips == 8
    assert "JAX's CUDA plugin, the compiler for GPUs, is not installed" in report.verdict(plan)


def test_a_search_takes_more_chips_where_few_do_not_do_and_is_repeatable(run):
    large = with_batch(run, 65536)
    found, again = (
        search(large, read_candidates("v5e"), mfu=0.5, may_compile=False) for _ in range(2)
    )
    assert found.best.fits is True and found.best.topology.name == "v5e:4x8"
    assert found.compiled == ()
    assert report.search_as_json(found) == report.search_as_json(again)


def test_a_batch_that_splits_over_nothing_is_refused(run):
    with pytest.raises(
        UserError, match="BATCH_SIZE = 3 splits over the devices of none of v5e:4x4"
    ):
        search(with_batch(run, 3), [read_topology("v5e:4x4")], mfu=0.5, may_compile=False)


@pytest.mark.parametrize(
    ("task", "module", "pack", "kind", "has_segments"),
    [
        ("mimic_pretrain_v1", "tasks.pretrain", True, "running text", False),
        ("mednli_v1", "tasks.mednli", True, "packed examples", True),
        ("mednli_v1", "tasks.mednli", False, "one example", False),
        ("nobody_knows", None, True, "packed examples (supposed", True),
    ],
)
def test_features_are_those_that_the_task_gives(task, module, pack, kind, has_segments):
    data = DatasetConfig(task, LENGTHS, "train", 8, True, None, pack=pack, module=module)
    features, found = row_features(data)
    assert found.startswith(kind)
    assert ("encoder_segment_ids" in features) is has_segments
    assert features["encoder_input_tokens"].shape == (1, 128)
    assert features["decoder_target_tokens"].shape == (1, 29)
