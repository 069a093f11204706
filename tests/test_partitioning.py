import logging

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from clinical_t5x.console import UserError
from clinical_t5x.partitioning import PjitPartitioner, standard_logical_axis_rules


def on_mesh(data, fsdp, tensor, **options):
    """A partitioner on a mesh that this machine does not have; it can place nothing."""
    partitioner = PjitPartitioner(ici_mesh_shape=(data, fsdp, tensor), **options)
    return partitioner.on_counted_devices(data * fsdp * tensor)


def spec(partitioner, shape, *names):
    array = {"array": jax.ShapeDtypeStruct(shape, np.float32)}
    return partitioner.shardings(array, {"array": names})["array"].spec


def test_one_table_places_t5x_names():
    mesh = on_mesh(2, 4, 8)
    assert spec(mesh, (512, 2048), "embed", "mlp") == PartitionSpec("fsdp", "tensor")
    assert spec(mesh, (512, 512), "joined_kv", "embed") == PartitionSpec("tensor", "fsdp")
    assert spec(mesh, (32128, 512), "vocab", "embed") == PartitionSpec("tensor", "fsdp")
    assert spec(mesh, (8, 32), "heads", "relpos_buckets") == PartitionSpec("tensor", None)
    stacked = spec(mesh, (24, 512, 2048), "layers", "embed", "mlp")
    assert stacked == PartitionSpec(None, "fsdp", "tensor")


def test_vectors_stay_whole():
    mesh = on_mesh(1, 8, 1)
    assert spec(mesh, (512,), "embed") == PartitionSpec(None)
    assert spec(mesh, (24, 512), "layers", "embed") == PartitionSpec(None, None)


def test_two_dimensional_parameter_partitioning_uses_data_too():
    rules = standard_logical_axis_rules(parameter_partitioning_dims=2)
    mesh = on_mesh(2, 4, 1, logical_axis_rules=rules)
    assert spec(mesh, (512, 64), "embed", "mlp") == PartitionSpec(("fsdp", "data"), None)
    assert spec(mesh, (12, 64), "embed", "mlp") == PartitionSpec("fsdp", None)  # the next rule


def test_additional_rules_come_first_and_model_means_tensor():
    rules = standard_logical_axis_rules(additional_rules=[("embed", "model"), ("mlp", None)])
    mesh = on_mesh(1, 1, 4, logical_axis_rules=rules)
    assert spec(mesh, (512, 64), "embed", "mlp") == PartitionSpec("tensor", None)


def test_what_does_not_divide_is_logged_with_name_shape_and_reason(caplog):
    with caplog.at_level(logging.WARNING, "clinical_t5x"):
        assert spec(on_mesh(1, 1, 3), (512, 64), "embed", "mlp") == PartitionSpec(None, None)
    assert "array (512, 64) kept whole: mlp = 64 does not divide by ('tensor',) = 3" in caplog.text


def test_placements_count_bytes_on_each_device():
    array = {"array": jax.ShapeDtypeStruct((512, 2048), np.float32)}
    (placement,) = on_mesh(2, 4, 8).placements(array, {"array": ("embed", "mlp")})
    assert placement.bytes_per_device == 512 * 2048 * 4 // 32


def test_names_must_fit_the_array():
    with pytest.raises(ValueError, match="array"):
        spec(on_mesh(1, 1, 1), (512, 64), "embed")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"ici_mesh_shape": (1, 5, 1)}, "ici_mesh_shape"),
        ({"ici_mesh_shape": (-1, -1, 1)}, "only one -1"),
        ({"ici_mesh_shape": (1,)}, "ici_mesh_shape"),
    ],
)
def test_meshes_that_do_not_fit_the_devices_are_refused(options, named):
    with pytest.raises(UserError, match=named):
        PjitPartitioner(**options).mesh  # noqa: B018 - the property does the work


def test_model_partitions_must_divide_the_devices():
    with pytest.raises(UserError, match="num_partitions"):
        PjitPartitioner(num_partitions=3).on_counted_devices(8).mesh  # noqa: B018


def test_lone_cpu_takes_the_model_whole(caplog):
    """Gin files for accelerators say num_partitions = 2 and run on a laptop all the same."""
    mesh = PjitPartitioner(num_partitions=2).on_devices(jax.devices()[:1]).mesh
    assert mesh.size == 1
    assert "num_partitions = 2 ignored" in caplog.text


def test_contradictory_model_partitions_are_refused():
    with pytest.raises(UserError, match="disagree"):
        PjitPartitioner(num_partitions=2, model_parallel_submesh=(1, 1, 1, 4))


@pytest.mark.parametrize("dims", ["activation_partitioning_dims", "parameter_partitioning_dims"])
def test_unknown_partitioning_dims_are_refused(dims):
    with pytest.raises(UserError, match=dims):
        standard_logical_axis_rules(**{dims: 3})


def test_unknown_mesh_axes_are_refused():
    with pytest.raises(UserError, match="expert"):
        PjitPartitioner(logical_axis_rules=[("mlp", "expert")])


def test_a_missing_backend_is_ignored_with_a_warning(caplog):
    with caplog.at_level(logging.WARNING, "clinical_t5x"):
        mesh = PjitPartitioner(backend="tpu").mesh
    assert mesh.size == len(jax.devices())
    assert "backend = 'tpu' ignored" in caplog.text


def test_batches_are_read_by_rows_and_placed_whole():
    partitioner = PjitPartitioner()
    assert partitioner.local_rows(8) == slice(0, 8)
    rows = np.arange(24, dtype=np.int32).reshape(8, 3)
    placed = partitioner.place_batch({"tokens": rows}, 8)
    np.testing.assert_array_equal(placed["tokens"], rows)


def test_batches_that_do_not_split_name_the_macro():
    with pytest.raises(UserError, match="BATCH_SIZE = 12 does not split over 8"):
        on_mesh(2, 4, 1).check_batch_size(12)


def test_every_slice_is_a_replica_unless_said_otherwise():
    partitioner = PjitPartitioner(ici_mesh_shape=(1, -1, 2)).on_counted_devices(32, slices=2)
    assert dict(partitioner.mesh.shape) == {"slice": 2, "data": 1, "fsdp": 8, "tensor": 2}
    assert partitioner.batch_shards == 16
    assert spec(partitioner, (512, 64), "embed", "mlp") == PartitionSpec("fsdp", "tensor")


def test_an_axis_may_reach_over_slices():
    options = {"ici_mesh_shape": (1, 4, 4), "dcn_mesh_shape": (1, 2, 1)}
    mesh = PjitPartitioner(**options).on_counted_devices(32, slices=2).mesh
    assert dict(mesh.shape) == {"slice": 1, "data": 1, "fsdp": 8, "tensor": 4}


def test_slices_that_are_not_there_are_refused():
    partitioner = PjitPartitioner(dcn_mesh_shape=(4, 1, 1)).on_counted_devices(32, slices=2)
    with pytest.raises(UserError, match="asks for 4 slices; these devices have 2"):
        partitioner.mesh  # noqa: B018


def test_placements_say_what_splitting_evenly_would_save():
    shapes = {"whole": jax.ShapeDtypeStruct((512,), np.float32)}
    (placement,) = on_mesh(2, 4, 1).placements(shapes, {"whole": ("embed",)})
    assert placement.bytes_per_device == 2048
    assert placement.replicated_bytes == 2048 - 256


def test_other_devices_and_shapes_leave_the_partitioner_as_it_was():
    partitioner = PjitPartitioner()
    before = partitioner.mesh
    assert partitioner.on_counted_devices(8).with_mesh_shape((2, 2, 2)).mesh.size == 8
    assert partitioner.mesh is before
