import pytest

from clinical_t5x.console import UserError
from clinical_t5x.plan.chips import CHIPS
from clinical_t5x.plan.topology import cloud_meaning, read_candidates, read_topology


@pytest.mark.parametrize(
    ("name", "chips", "devices", "slices"),
    [
        ("v5e:4x4", 16, 16, 1),
        ("V5E:4x4", 16, 16, 1),
        ("v5e:1x1", 1, 1, 1),
        ("v4:2x2x2", 8, 8, 1),
        ("v4:2x2", 4, 4, 1),
        ("v3:2x2", 4, 8, 1),
        ("tpu7x:2x2x1", 4, 8, 1),
        ("2xv5p:4x4x4", 128, 128, 2),
        ("trillium:2x4", 8, 8, 1),
        ("h100:8", 8, 8, 1),
        ("h100:2x8", 16, 16, 1),
        ("h100:1x2x8", 16, 16, 1),
        ("cpu:8", 8, 8, 1),
    ],
)
def test_names_say_how_many_devices_there_are(name, chips, devices, slices):
    found = read_topology(name)
    assert (found.chips, found.devices, found.slices) == (chips, devices, slices)
    assert read_topology(found.name) == found


@pytest.mark.parametrize(
    ("cloud", "ours"),
    [
        ("v4-8", "v4:2x2x1"),
        ("v4-16", "v4:2x2x2"),
        ("v5litepod-16", "v5e:4x4"),
        ("v5e-16", "v5e:4x4"),
        ("v5p-128", "v5p:4x4x4"),
        ("v6e-8", "v6e:2x4"),
        ("v3-8", "v3:2x2"),
        ("v2-32", "v2:4x4"),
        ("2xv5litepod-64", "2xv5e:8x8"),
    ],
)
def test_clouds_names_are_translated_and_told(cloud, ours):
    assert read_topology(cloud).name == ours
    assert ours in cloud_meaning(cloud)
    assert cloud_meaning(ours) is None


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("v5x:4x4", "did you mean v5"),
        ("h1000:8", "did you mean h100"),
        ("zebra:1", "there are v2, v3"),
        ("v5e:3x3", "nearest is v5e:2x4"),
        ("v5e:4x4x4", "v5e comes in slices of 1x1, 2x2"),
        ("v4:4x4", "nearest is v4:2x2x4"),
        ("v5e:0x4", "leaves no chips"),
        ("v5e", "without a shape"),
        ("v4-12", "there are v4-8, v4-16"),
        ("v5litepod-5", "there are v5litepod-1"),
        ("0xv5e:4x4", "at least one slice"),
        ("v5e:4*4", "cannot be read"),
        ("", "cannot be read"),
        ("tpu7x-16", "no chip is called 'tpu7x-16'; did you mean tpu7x?"),
    ],
)
def test_names_that_mean_nothing_are_refused_with_what_would(name, named):
    with pytest.raises(UserError, match="--topology=") as caught:
        read_topology(name)
    assert named in str(caught.value)


def test_a_search_goes_over_all_slices_of_a_chip():
    shapes = [topology.shape for topology in read_candidates("v5e")]
    assert shapes == [(1, 1), (2, 2), (2, 4), (4, 4), (4, 8), (8, 8), (8, 16), (16, 16)]


def test_a_search_goes_over_what_is_listed_once():
    names = [topology.name for topology in read_candidates("v5e:4x4, v4-8,v5litepod-16")]
    assert names == ["v5e:4x4", "v4:2x2x1"]


def test_every_accelerator_has_a_peak():
    """A chip that a plan knows and whose speed nobody knows would have no time and no price."""
    from clinical_t5x.models.accelerators import peak_flops

    for chip in CHIPS.values():
        if chip.platform != "cpu":
            assert peak_flops(chip.device_kind, "float32"), chip.name
            assert chip.memory > 5 * 2**30, chip.name
