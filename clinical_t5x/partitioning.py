"""Where arrays live: one mesh, one table of rules from logical dims to mesh axes.

The mesh has four axes, in this order: `slice` (replicas over the slices of a multi-slice pod, whose
links are slow), `data` (replicas within a slice), `fsdp` (the batch and the parameters are both
split over it) and `tensor` (single matrices are split; T5X's `num_partitions`).
Models name the dims of their parameters ('vocab', 'embed', 'mlp', ...); nothing but the table here
knows which mesh axis a name goes to. Constraints hold on every platform, CPU included, so that
tests on fake CPU devices see the errors that a pod would.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AbstractMesh, AxisType, Mesh, NamedSharding, PartitionSpec

from clinical_t5x.console import UserError

MESH_AXES = ("slice", "data", "fsdp", "tensor")
BATCH_AXES = ("slice", "data", "fsdp")
_AXIS_TYPES = (AxisType.Auto,) * len(MESH_AXES)

_log = logging.getLogger(__name__)

# T5X calls the axis that single matrices are split over `model`.
_MESH_AXIS_SYNONYMS = {"model": "tensor"}

LogicalAxisRules = Sequence[tuple[str, str | tuple[str, ...] | None]]

_BASE_RULES: LogicalAxisRules = (
    ("batch", BATCH_AXES),
    ("vocab", "tensor"),
    ("mlp", "tensor"),
    ("heads", "tensor"),
    ("joined_kv", "tensor"),
    ("embed", "fsdp"),
    ("kv", None),
    ("length", None),
    ("layers", None),
    ("stack", None),
    ("relpos_buckets", None),
    ("abspos_buckets", None),
    ("mlp_activations", None),
    ("lora_rank", None),
)


def standard_logical_axis_rules(
    activation_partitioning_dims: int = 1,
    parameter_partitioning_dims: int = 1,
    additional_rules: LogicalAxisRules | None = None,
) -> list[tuple[str, str | tuple[str, ...] | None]]:
    """The rules table, with T5X's knobs.

    Args:
      activation_partitioning_dims: Accepted for T5X's sake. Activations follow from the batch's
        and the parameters' shardings, so that 1 and 2 mean the same here.
      parameter_partitioning_dims: 1 splits 'embed' over `fsdp`; 2 also over `data` (T5X's
        two-dimensional parameter partitioning: no replica keeps a whole copy).
      additional_rules: Rules that go before the standard ones; `model` is read as `tensor`.

    Raises:
      UserError: when a knob is neither 1 nor 2.
    """
    for name, dims in (
        ("activation_partitioning_dims", activation_partitioning_dims),
        ("parameter_partitioning_dims", parameter_partitioning_dims),
    ):
        if dims not in (1, 2):
            raise UserError(f"standard_logical_axis_rules.{name} = {dims}: choose 1 or 2")
    rules = list(additional_rules or ())
    if parameter_partitioning_dims == 2:
        rules.append(("embed", ("fsdp", "data")))
    return rules + list(_BASE_RULES)


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where one array goes: its spec, and why dims that a rule names stayed whole.

    Attributes:
      name: path of the array.
      shape, dtype: of the whole array.
      logical: names of its dims.
      spec: mesh axes of its dims.
      bytes_per_device: what each device holds.
      replicated_bytes: the part of it that splitting evenly over all devices would save.
      fallbacks: why dims that a rule names stayed whole.
    """

    name: str
    shape: tuple[int, ...]
    dtype: Any
    logical: tuple[str, ...]
    spec: PartitionSpec
    bytes_per_device: int
    replicated_bytes: int
    fallbacks: tuple[str, ...]


class PjitPartitioner:
    """Makes the mesh and says where parameters, optimizer state and batches live.

    Args:
      num_partitions: Size of the `tensor` axis (T5X: the number of model partitions).
      model_parallel_submesh: T5X's other way to say it: the product is the `tensor` axis.
      params_on_devices: Accepted for T5X's sake; parameters are always on the devices.
      backend: 'cpu', 'gpu' or 'tpu'. A platform that this machine lacks is ignored with a warning,
        so that one recipe runs everywhere.
      ici_mesh_shape: (data, fsdp, tensor) of one slice, or T5X's (data, model). One entry may be
        -1: the rest of the devices.
      dcn_mesh_shape: How often each axis is repeated over the slices of a multi-slice pod, in the
        same order; its `data` entry is the `slice` axis. By default every slice is a replica.
      logical_axis_rules: The rules table; default `standard_logical_axis_rules()`.
    """

    def __init__(
        self,
        num_partitions: int | None = None,
        model_parallel_submesh: Sequence[int] | None = None,
        params_on_devices: bool = True,
        backend: str | None = None,
        ici_mesh_shape: Sequence[int] | None = None,
        dcn_mesh_shape: Sequence[int] | None = None,
        logical_axis_rules: LogicalAxisRules | None = None,
    ):
        self._tensor = _tensor_axis_size(num_partitions, model_parallel_submesh)
        self._backend = backend
        self._ici, self._dcn = ici_mesh_shape, dcn_mesh_shape
        given = standard_logical_axis_rules() if logical_axis_rules is None else logical_axis_rules
        self._rules = [(name, _mesh_axes(axes)) for name, axes in given]
        self._given: Sequence[jax.Device] | _Counted | None = None

    def on_devices(self, devices: Sequence[jax.Device]) -> PjitPartitioner:
        """The same wishes and rules on other devices than this process's.

        Args:
          devices: such as those of a topology that is only compiled for.
        """
        return self._changed(_given=list(devices))

    def on_counted_devices(self, count: int, *, slices: int = 1) -> PjitPartitioner:
        """The same on devices of which only the number is known.

        Its mesh is abstract: placements can be asked for, nothing can be compiled or placed.
        """
        return self._changed(_given=_Counted(count, slices))

    def with_mesh_shape(self, ici_mesh_shape: Sequence[int]) -> PjitPartitioner:
        """The same rules and devices with another (data, fsdp, tensor)."""
        return self._changed(_ici=ici_mesh_shape)

    def _changed(self, **fields: Any) -> PjitPartitioner:
        other = copy.copy(self)
        other.__dict__.pop("mesh", None)  # cached
        other.__dict__.update(fields)
        return other

    @functools.cached_property
    def mesh(self) -> Mesh | AbstractMesh:
        """The device mesh, axes (slice, data, fsdp, tensor)."""
        devices = _devices(self._backend) if self._given is None else self._given
        over_slices = self._over_slices(devices)
        slices = math.prod(over_slices)
        within = (1, *self._mesh_shape(_count(devices) // slices, alone=_is_one_cpu(devices)))
        shape = tuple(a * b for a, b in zip(over_slices, within, strict=True))
        if isinstance(devices, _Counted):
            return AbstractMesh(shape, MESH_AXES, axis_types=_AXIS_TYPES)
        if slices == 1:
            return jax.make_mesh(shape, MESH_AXES, axis_types=_AXIS_TYPES, devices=devices)
        return Mesh(_hybrid_grid(devices, within, over_slices), MESH_AXES, axis_types=_AXIS_TYPES)

    def _over_slices(self, devices: Sequence[jax.Device] | _Counted) -> tuple[int, int, int, int]:
        """How often (slice, data, fsdp, tensor) are repeated over slices."""
        found = _slices(devices)
        if self._dcn is None:
            return (found, 1, 1, 1)
        slices, fsdp, tensor = _three_axes(self._dcn, "dcn_mesh_shape")
        asked = slices * fsdp * tensor
        if asked != found and not (found == 1 and _may_pretend_slices(devices, asked)):
            raise UserError(
                f"PjitPartitioner.dcn_mesh_shape = {tuple(self._dcn)} asks for {asked} slices; "
                f"these devices have {found}"
            )
        return (slices, 1, fsdp, tensor)

    def _mesh_shape(self, num_devices: int, *, alone: bool = False) -> tuple[int, int, int]:
        """(data, fsdp, tensor) of one slice; `alone`: there is one device, a CPU."""
        if self._ici is None:
            shape = [-1, 1, self._tensor_on(alone=alone)]
        else:
            shape = _three_axes(self._ici, "ici_mesh_shape")
        if shape.count(-1) > 1:
            raise UserError(f"PjitPartitioner.ici_mesh_shape = {tuple(shape)}: only one -1 allowed")
        known = math.prod(size for size in shape if size != -1)
        shape = [num_devices // known if size == -1 else size for size in shape]
        if math.prod(shape) != num_devices:
            raise UserError(
                f"a mesh of data x fsdp x tensor = {' x '.join(map(str, shape))} does not use "
                f"the {num_devices} devices exactly; change num_partitions or "
                "ici_mesh_shape of PjitPartitioner"
            )
        return tuple(shape)

    def _tensor_on(self, *, alone: bool) -> int:
        """The `tensor` axis; a lone CPU device, which cannot split a model, takes it whole.

        So that a gin file for accelerators runs on a laptop, as under T5X.
        """
        if not alone or self._tensor == 1:
            return self._tensor
        _log.warning(
            "PjitPartitioner.num_partitions = %d ignored: there is one CPU device", self._tensor
        )
        return 1

    @property
    def batch_sharding(self) -> NamedSharding:
        """Rows of a batch split over (slice, data, fsdp)."""
        return NamedSharding(self.mesh, PartitionSpec(BATCH_AXES))

    @property
    def replicated(self) -> NamedSharding:
        """A whole copy on every device."""
        return NamedSharding(self.mesh, PartitionSpec())

    @property
    def batch_shards(self) -> int:
        """How many parts a batch is split into."""
        return math.prod(self.mesh.shape[axis] for axis in BATCH_AXES)

    def placements(self, abstract_tree: Any, logical_axes: Any) -> list[Placement]:
        """One `Placement` an array, in tree order."""
        leaves = jax.tree_util.tree_leaves_with_path(abstract_tree)
        names = _axes_like(abstract_tree, logical_axes)
        return [
            self._place(_path_name(path), leaf, logical)
            for (path, leaf), logical in zip(leaves, names, strict=True)
        ]

    def shardings(self, abstract_tree: Any, logical_axes: Any) -> Any:
        """A tree of `NamedSharding` like `abstract_tree`; what did not divide is logged.

        Args:
          abstract_tree: Arrays or ShapeDtypeStructs.
          logical_axes: The same tree with a tuple of names (one a dim) at each array.
        """
        placements = self.placements(abstract_tree, logical_axes)
        for placement in placements:
            for reason in placement.fallbacks:
                _log.warning("%s %s kept whole: %s", placement.name, placement.shape, reason)
        specs = [NamedSharding(self.mesh, placement.spec) for placement in placements]
        return jax.tree.unflatten(jax.tree.structure(abstract_tree), specs)

    def constrain(self, x: jax.Array, logical_axes: tuple[str, ...]) -> jax.Array:
        """Lay an activation out as the rules say, inside of a jitted function.

        Without it a compiler may take the layout of a parameter for the activations that it meets,
        and then moves whole activations between devices where moving the parameter would do. A dim
        that does not divide is left to the compiler.

        Args:
          x: any array of the computation.
          logical_axes: names of its dims: batch, length, embed, vocab, ... or parameters' names.
        """
        if self.mesh.size == 1:
            return x
        spec, fallbacks = self._spec(x.shape, logical_axes)
        if fallbacks:
            spec = [PartitionSpec.UNCONSTRAINED if axes is None else axes for axes in spec]
        return jax.lax.with_sharding_constraint(x, NamedSharding(self.mesh, PartitionSpec(*spec)))

    def _place(self, name: str, leaf: Any, logical: tuple[str, ...]) -> Placement:
        shape = tuple(leaf.shape)
        if len(logical) != len(shape):
            raise ValueError(f"{name}: {len(shape)} dims {shape} but axis names {logical}")
        spec, fallbacks = self._spec(shape, logical)
        parts = math.prod(self._size(axes) for axes in spec)
        whole = math.prod(shape) * np.dtype(leaf.dtype).itemsize
        held = whole // parts
        spared = held - whole // self.mesh.size
        spec = PartitionSpec(*spec)
        return Placement(name, shape, leaf.dtype, logical, spec, held, spared, fallbacks)

    def _spec(
        self, shape: tuple[int, ...], logical: tuple[str, ...]
    ) -> tuple[list[tuple[str, ...] | str | None], tuple[str, ...]]:
        """Take rules in order; each mesh axis is used once an array, each dim gets one rule."""
        spec: list[Any] = [None] * len(shape)
        fallbacks: list[str] = []
        if sum(name not in ("layers", "stack") for name in logical) < 2:
            return spec, ()  # a vector a layer: gathering it would cost more than keeping it
        used: set[str] = set()
        for rule_name, axes in self._rules:
            axes = tuple(axis for axis in axes if self.mesh.shape[axis] > 1)
            if not axes or used.intersection(axes):
                continue
            for dim, name in enumerate(logical):
                if name != rule_name or spec[dim] is not None:
                    continue
                parts = self._size(axes)
                if shape[dim] % parts:
                    fallbacks.append(f"{name} = {shape[dim]} does not divide by {axes} = {parts}")
                    continue
                spec[dim] = axes if len(axes) > 1 else axes[0]
                used.update(axes)
                break
        return spec, tuple(fallbacks)

    def _size(self, axes: str | tuple[str, ...] | None) -> int:
        axes = (axes,) if isinstance(axes, str) else axes or ()
        return math.prod(self.mesh.shape[axis] for axis in axes)

    def check_batch_size(self, batch_size: int, macro: str = "BATCH_SIZE") -> None:
        """Refuse a batch that does not split evenly over the mesh."""
        if batch_size % self.batch_shards:
            raise UserError(
                f"{macro} = {batch_size} does not split over {self.batch_shards} batch shards "
                f"(slice x data x fsdp); take a multiple of {self.batch_shards}"
            )

    def local_rows(self, batch_size: int) -> slice:
        """The rows of a global batch that this process's devices hold."""
        places = self.batch_sharding.addressable_devices_indices_map((batch_size,))
        ranges = [index[0].indices(batch_size)[:2] for index in places.values()]
        return slice(min(start for start, _ in ranges), max(stop for _, stop in ranges))

    def place_batch(
        self, features: Mapping[str, np.ndarray], batch_size: int
    ) -> dict[str, jax.Array]:
        """Put a batch on the devices.

        Args:
          features: Arrays [rows, ...] that hold `local_rows` of the global batch.
          batch_size: Rows of the global batch.
        """
        first = self.local_rows(batch_size).start

        def place(feature: np.ndarray) -> jax.Array:
            def part(index: tuple[slice, ...]) -> np.ndarray:
                start, stop, _ = index[0].indices(batch_size)
                return feature[start - first : stop - first]

            shape = (batch_size, *feature.shape[1:])
            return jax.make_array_from_callback(shape, self.batch_sharding, part)

        return {name: place(np.asarray(feature)) for name, feature in features.items()}


def _tensor_axis_size(num_partitions: int | None, submesh: Sequence[int] | None) -> int:
    if submesh is None:
        return num_partitions or 1
    size = math.prod(submesh)
    if num_partitions not in (None, 1, size):
        raise UserError(
            f"PjitPartitioner.num_partitions = {num_partitions} and model_parallel_submesh = "
            f"{tuple(submesh)} (product {size}) disagree; give one of them"
        )
    return size


def _three_axes(shape: Sequence[int], parameter: str) -> list[int]:
    """(data, fsdp, tensor) from itself or from T5X's (data, model)."""
    if len(shape) == 2:
        return [shape[0], 1, shape[1]]
    if len(shape) != 3:
        raise UserError(
            f"PjitPartitioner.{parameter} = {tuple(shape)}: give (data, fsdp, tensor) or T5X's "
            "(data, model)"
        )
    return list(shape)


def _mesh_axes(axes: str | Sequence[str] | None) -> tuple[str, ...]:
    axes = (axes,) if isinstance(axes, str) else tuple(axes or ())
    named = tuple(_MESH_AXIS_SYNONYMS.get(axis, axis) for axis in axes)
    unknown = [axis for axis in named if axis not in MESH_AXES]
    if unknown:
        raise UserError(
            f"logical_axis_rules name the mesh axis {unknown[0]!r}; the mesh has {MESH_AXES}"
        )
    return named


def _devices(backend: str | None) -> Sequence[jax.Device]:
    if backend is None:
        return jax.devices()
    try:
        return jax.devices(backend)
    except RuntimeError:
        _log.warning(
            "PjitPartitioner.backend = %r ignored: this machine has %s only",
            backend,
            jax.default_backend(),
        )
        return jax.devices()


@dataclasses.dataclass(frozen=True)
class _Counted:
    """Devices of which only the number is known."""

    count: int
    slices: int

    def __post_init__(self):
        if self.slices < 1 or self.count % self.slices:
            raise ValueError(f"{self.count} devices do not make {self.slices} equal slices")


def _count(devices: Sequence[jax.Device] | _Counted) -> int:
    return devices.count if isinstance(devices, _Counted) else len(devices)


def _slices(devices: Sequence[jax.Device] | _Counted) -> int:
    """How many slices of a multi-slice pod the devices belong to; 1 where there are no slices."""
    if isinstance(devices, _Counted):
        return devices.slices
    return len({getattr(device, "slice_index", 0) for device in devices})


def _is_one_cpu(devices: Sequence[jax.Device] | _Counted) -> bool:
    return _count(devices) == 1 and not isinstance(devices, _Counted) and _are_cpus(devices)


def _are_cpus(devices: Sequence[jax.Device]) -> bool:
    return all(device.platform == "cpu" for device in devices)


def _may_pretend_slices(devices: Sequence[jax.Device] | _Counted, slices: int) -> bool:
    """Devices of a CPU may be dealt out to slices, to try a multi-slice mesh at home."""
    if isinstance(devices, _Counted):
        return False
    return _are_cpus(devices) and len(devices) % slices == 0


def _hybrid_grid(
    devices: Sequence[jax.Device], within: Sequence[int], over_slices: Sequence[int]
) -> np.ndarray:
    """Devices [slice, data, fsdp, tensor] such that each axis' fast part stays within a slice."""
    from jax.experimental import mesh_utils

    if _slices(devices) > 1:
        return mesh_utils.create_hybrid_device_mesh(
            within, over_slices, devices=devices, allow_split_physical_axes=True
        )
    # pretended slices: consecutive devices
    blocks = np.array(devices).reshape(*over_slices, *within)
    order = [axis + part for axis in range(len(within)) for part in (0, len(within))]
    sizes = [a * b for a, b in zip(over_slices, within, strict=True)]
    return blocks.transpose(order).reshape(sizes)


def _axes_like(tree: Any, logical_axes: Any) -> list[tuple[str, ...]]:
    """The tuple of dim names of each array, in the order of the tree's leaves."""
    return jax.tree.structure(tree).flatten_up_to(logical_axes)


def _path_name(path: tuple[Any, ...]) -> str:
    return "/".join(
        str(getattr(key, "key", getattr(key, "name", getattr(key, "idx", key)))) for key in path
    )
