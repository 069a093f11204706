"""Loss in parts and the TPU's attention kernel on meshes of pretended CPU devices.

Does not show: speed, or the numerics of a real interconnect and of a TPU.
"""

import json
import os
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def report():
    command = [sys.executable, "-m", "tests.models.on_meshes"]
    environment = os.environ | {"PYTHONPATH": os.getcwd()}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_the_loss_in_parts_is_that_of_one_device_with_all_logits(report):
    found = report["loss"]
    assert found["vocabulary"] == ["tensor", "fsdp"]
    assert found["loss"] < 1e-6
    assert found["sums"] < 1e-6
    assert found["gradients"] < 5e-6


def test_a_part_is_as_large_as_one_devices_share_may_be(report):
    assert report["loss"]["positions"] == 2


def test_the_tpus_kernel_takes_each_devices_rows_and_heads(report):
    assert report["pallas"]["value"] < 1e-5
    assert report["pallas"]["gradients"] < 1e-5
