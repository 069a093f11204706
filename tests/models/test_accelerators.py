"""Peaks by the names that JAX reports."""

import jax
import pytest

from clinical_t5x.models.accelerators import peak_flops


@pytest.mark.parametrize(
    ("kind", "dtype", "peak"),
    [
        ("TPU v2", "bfloat16", 23e12),
        ("TPU v3", "bfloat16", 61.5e12),
        ("TPU v4", "bfloat16", 275e12),
        ("TPU v4", "float32", 275e12),
        ("TPU v5 lite", "bfloat16", 197e12),
        ("TPU v5", "bfloat16", 459e12),
        ("TPU v5p", "bfloat16", 459e12),
        ("TPU v6 lite", "bfloat16", 918e12),
        ("TPU7x", "bfloat16", 1153.5e12),
        ("TPU v6 lite", "float16", None),
        ("NVIDIA A100-SXM4-80GB", "bfloat16", 312e12),
        ("NVIDIA A100-SXM4-40GB", "float32", 156e12),
        ("NVIDIA H100 80GB HBM3", "bfloat16", 989.4e12),
        ("NVIDIA H100 PCIe", "bfloat16", 756e12),
        ("NVIDIA H100 NVL", "bfloat16", 835.5e12),
        ("NVIDIA H200", "float16", 989.4e12),
        ("NVIDIA L4", "bfloat16", 121e12),
        ("Tesla T4", "float16", 65e12),
        ("Tesla T4", "bfloat16", None),
        ("Tesla V100-SXM2-16GB", "float16", 125e12),
        ("Tesla V100-PCIE-32GB", "float32", 14e12),
        ("NVIDIA L40S", "bfloat16", None),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", "bfloat16", None),
        ("NVIDIA H200", "float64", None),
        ("NVIDIA GeForce RTX 4090", "bfloat16", None),
        ("TPU v9", "bfloat16", None),
    ],
)
def test_peak_of_one_device(kind, dtype, peak):
    assert peak_flops(kind, dtype) == peak


def test_a_v4_core_without_megacore_is_half_a_chip():
    assert peak_flops("TPU v4", "bfloat16", cores=1) == 137.5e12
    assert peak_flops("TPU v4", "bfloat16", cores=2) == 275e12


def test_cpus_have_no_stated_peak():
    assert peak_flops(jax.devices("cpu")[0].device_kind, "float32") is None
