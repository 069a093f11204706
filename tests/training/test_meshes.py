"""The same training on every mesh, on eight pretended CPU devices.

Does not show: speed, memory, or the numerics of bfloat16 and of a real interconnect.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.long_file


def measured(length):
    environment = os.environ | {"PYTHONPATH": os.getcwd()}
    command = [sys.executable, "-m", "tests.training.eight_devices", length]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def report():
    return measured("short")


def test_every_mesh_gives_the_loss_of_one_device(report):
    expected = report["meshes"]["one"]["losses"]
    for name, found in report["meshes"].items():
        np.testing.assert_allclose(found["losses"], expected, rtol=1e-5, err_msg=name)


@pytest.mark.slow
def test_every_mesh_gives_the_loss_of_one_device_for_20_steps():
    meshes = measured("long")["meshes"]
    for name, found in meshes.items():
        np.testing.assert_allclose(
            found["losses"], meshes["one"]["losses"], rtol=1e-5, err_msg=name
        )


def test_parameters_are_split_as_the_mesh_says(report):
    shares = {name: found["share"] for name, found in report["meshes"].items()}
    assert shares["one"] == 1.0
    assert shares["fsdp"] < 0.2  # an eighth, and the norm scales that stay whole
    assert shares["all"] < 0.3


def test_state_is_born_where_it_belongs(report):
    assert report["born_sharded"]


def test_microbatches_change_nothing(report):
    found = report["microbatches"]
    for name in ("one 4", "data 2"):
        np.testing.assert_allclose(found[name], found["one 1"], rtol=1e-6, err_msg=name)


def test_adapters_train_and_merge_alike_on_a_mesh(report):
    one, mesh = report["adapted"]["one"], report["adapted"]["all"]
    np.testing.assert_allclose(mesh["losses"], one["losses"], rtol=1e-5)
    assert mesh["spec"] == ["(None, 'fsdp', None)", "(None, None, 'tensor')"]
    assert max(one["merged_apart"], mesh["merged_apart"]) < 1e-6


def test_a_checkpoint_goes_on_on_another_mesh(report):
    found = report["another_mesh"]
    assert found["moved"] == 0.0
    np.testing.assert_allclose(found["there"], found["here"], rtol=1e-6)


def test_dims_that_do_not_divide_stay_whole_and_are_logged(report):
    found = report["odd_sizes"]
    assert found["spec"] == "(None, None)"
    (message,) = found["log"]
    assert "odd (12, 16)" in message and "embed = 12 does not divide" in message
