"""Plans that are really compiled, on eight pretended CPU devices, beside arrays really made there.

Does not show: layouts, fusions and memory of a TPU's or GPU's compiler.
"""

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.long_file


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    # Level 0: most of the time here is compilation.
    flags = "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
    flags = f"{os.environ.get('XLA_FLAGS', '')} {flags}"
    environment = os.environ | {
        "PYTHONPATH": os.getcwd(),
        "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache")),
        "XLA_FLAGS": flags,
        "JAX_PLATFORMS": "cpu",
    }
    command = [sys.executable, "-m", "tests.plan.eight_devices"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("mesh", ["data", "fsdp"])
def test_planned_bytes_are_those_of_the_arrays(report, mesh):
    planned, held = report[mesh]["planned"], report[mesh]["held"]
    assert {name: planned[name] for name in held} == held
    # the compiler counts the same arguments: state and batch, and nothing but a step's number more
    assert 0 <= planned["layout"] < 64


def test_fsdp_holds_an_eighth_of_what_replicas_hold(report):
    whole, part = (report[mesh]["held"]["parameters"] for mesh in ("data", "fsdp"))
    assert whole / 8 < part < whole / 7


def test_collectives_are_those_that_the_mesh_needs(report):
    assert set(report["data"]["collectives"]) == {"all-reduce"}
    # replicas add up the gradients of all parameters, those of the embedding once for each use
    gradients = report["data"]["held"]["parameters"]
    assert gradients <= report["data"]["collectives"]["all-reduce"] < 4 * gradients
    assert "all-gather" in report["fsdp"]["collectives"]


def test_what_was_compiled_is_known_the_next_time(report):
    assert report["data"]["seconds"] > 0 == report["again"]["seconds"]
    same = ("planned", "collectives", "fits")
    assert all(report["data"][name] == report["again"][name] for name in same)


def test_a_search_compiles_at_most_three_and_finds_what_was_compiled(report):
    found = report["searched"]
    assert found["method"] == "compiled"
    assert found["mesh"] == {"slice": 1, "data": 8, "fsdp": 1, "tensor": 1}
    assert found["remat"] == "none"
    assert found["compiled"] == [0.0]  # the plan before it was of the very same program


def test_a_limit_that_nobody_knows_gives_no_verdict(report):
    assert report["data"]["fits"] is None
