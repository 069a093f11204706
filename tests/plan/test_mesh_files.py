"""The meshes of gin/meshes fit the topologies that their headers name."""

import ast
import re
from pathlib import Path

import pytest

from clinical_t5x.partitioning import PjitPartitioner
from clinical_t5x.plan.topology import read_topology

MESHES = Path(__file__).parents[2] / "gin" / "meshes"
PLANNED = [path for path in sorted(MESHES.glob("*.gin")) if "--topology=" in path.read_text()]


def test_every_kind_of_slice_has_a_file():
    names = {path.stem.partition("_")[0] for path in PLANNED}
    assert names >= {"v3", "v4", "v5e", "v5p", "v6e", "gpu8"}


@pytest.mark.parametrize("path", PLANNED, ids=lambda path: path.stem)
def test_mesh_takes_all_devices_of_its_topology(path):
    text = path.read_text()
    topology = read_topology(re.search(r"--topology=(\S+)", text).group(1))
    shape = ast.literal_eval(re.search(r"ici_mesh_shape = (\(.*\))", text).group(1))
    assert f"gin/meshes/{path.name}" in text
    one = PjitPartitioner(ici_mesh_shape=shape).on_counted_devices(topology.devices)
    assert one.mesh.size == topology.devices
    two = PjitPartitioner(ici_mesh_shape=shape).on_counted_devices(2 * topology.devices, slices=2)
    assert dict(two.mesh.shape) == {**one.mesh.shape, "slice": 2}
