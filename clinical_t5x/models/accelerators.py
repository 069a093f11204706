"""What accelerators can do at most, by the names that JAX gives them.

Figures are the makers' for dense matrix products (no structured sparsity) at the clock they quote.
"""

from __future__ import annotations

import re

# TPU: bfloat16 FLOP/s of a chip, TensorCores in it, and how many of those JAX shows as one device:
# v2, v3 and 7x show two devices a chip; v4 and v5p one, whose cores work as one ("megacore").
# Figures of v5p, v6e and 7x: cloud.google.com/tpu/docs/v5p, v6e and tpu7x. All agree with JAX's own
# table (jax/_src/pallas/mosaic/tpu_info.py, where the names of devices come from) but for rounding
# and v3, which is 140 there. "v4 lite" is v4i.
_TPU_CHIPS = {
    "TPU v2": (46e12, 2, 1),
    "TPU v3": (123e12, 2, 1),
    "TPU v4 lite": (138e12, 1, 1),
    "TPU v4": (275e12, 2, 2),
    "TPU v5 lite": (197e12, 1, 1),
    "TPU v5e": (197e12, 1, 1),
    "TPU v5": (459e12, 2, 2),
    "TPU v5p": (459e12, 2, 2),
    "TPU v6 lite": (918e12, 1, 1),
    "TPU v6e": (918e12, 1, 1),
    "TPU7x": (2307e12, 2, 1),
}

# NVIDIA: a pattern of names, then FLOP/s in 16 bits (tensor cores, float32 sums) and in "float32".
# The latter is TensorFloat-32 where the device has it, as JAX's default precision takes that. The
# first pattern that is found counts. Figures: as NVIDIA's data sheets quote them, halved where they
# are "with sparsity".
_NVIDIA = (
    (r"\bH200 NVL\b", 835.5e12, 417.5e12),
    (r"\bH100 NVL\b", 835.5e12, 417.5e12),
    (r"\bH100 PCIe\b", 756e12, 378e12),
    (r"\b(H200|H100|GH200)\b", 989.4e12, 494.7e12),
    (r"\bA100\b", 312e12, 156e12),
    (r"\bL4\b", 121e12, 60e12),
    (r"\bV100-PCIE\b", 112e12, 14e12),
    (r"\bV100\b", 125e12, 15.7e12),
    (r"\bT4\b", 65e12, 8.1e12),
)
_WITHOUT_BFLOAT16 = re.compile(r"\b(V100|T4)\b")
_PART_OF_A_DEVICE = re.compile(r"\bMIG\b")


def peak_flops(device_kind: str, dtype: str, *, cores: int | None = None) -> float | None:
    """The most FLOP/s that one device does in dense matrix products.

    Args:
      device_kind: `jax.Device.device_kind`.
      dtype: What is multiplied: 'bfloat16', 'float16' or 'float32', the last at JAX's default
        precision, which is one bfloat16 pass on TPU and TensorFloat-32 on GPUs that have it.
      cores: TensorCores behind the device (`jax.Device.num_cores` of a TPU), where that is not the
        usual number: a v4 without megacore has one.

    Returns:
      FLOP/s of one device as JAX counts devices; None for CPUs, unknown devices, parts of a GPU
      (MIG), and what the device has no unit for.
    """
    if device_kind in _TPU_CHIPS:
        of_chip, in_chip, in_device = _TPU_CHIPS[device_kind]
        known = dtype in ("bfloat16", "float32")
        return of_chip * (cores or in_device) / in_chip if known else None
    if _PART_OF_A_DEVICE.search(device_kind):
        return None
    if dtype == "bfloat16" and _WITHOUT_BFLOAT16.search(device_kind):
        return None
    for pattern, half, single in _NVIDIA:
        if re.search(pattern, device_kind):
            return {"bfloat16": half, "float16": half, "float32": single}.get(dtype)
    return None
