"""Fused attention kernels for one kind of device each, with T5's additive bias.

XLA's attention (in `attention`) writes the logits of all pairs of positions to memory. cuDNN's on
NVIDIA GPUs and the Pallas kernel that comes with JAX on TPUs keep them on the chip, forward and
backward, and give the gradient of the bias. `T5Config.attention_implementation` asks for one; on
another kind of device the same configuration runs XLA's, so that it may stay in the gin file.

Both kernels mask by what is added to the logits. Dropout of attention weights needs nothing of
them: T5 drops a key for all queries of a head, which is the same as dropping its value, and that is
done before they are called.

Suffixes of names give shapes; the legend is in `layers`.
"""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.sharding import AbstractMesh
from jax.sharding import PartitionSpec as P

from clinical_t5x.models.activations import mesh_of, platform_of
from clinical_t5x.models.config import T5Config

# The mesh axis that heads are split over, where there is one; all others split the batch.
TENSOR_AXIS = "tensor"

_PLATFORMS = {"cudnn": ("gpu", "cuda"), "pallas": ("tpu",)}
_MASKED = -1e10
# Below `_MASKED`: a query that may attend to nothing still leaves filled-up positions out.
_FILLED_UP = -1e30
# The least that may be added to logits: cuDNN goes wrong below (jax._src.cudnn says the same).
_CUDNN_LEAST = {"bfloat16": -(2.0**41), "float16": -(2.0**15)}
_CUDNN_MULTIPLE = 2
_PALLAS_BLOCKS = (512, 256, 128)

_log = logging.getLogger(__name__)


def kernel_for(config: T5Config, x: jax.Array) -> Callable | None:
    """The kernel that the configuration asks for, where `x` is computed; None for XLA's attention.

    A kernel takes queries `[B, Q, H, F]`, keys and values `[B, K, H, F]`, a bias `[H, Q, K]` or
    None, and a bool mask that broadcasts to `[B, H, Q, K]`; it returns `[B, Q, H, F]`.

    Raises:
      ValueError: the kernel does not take this configuration's dtype or head_dim.
    """
    name = config.attention_implementation
    if name == "xla":
        return None
    platform = platform_of(x)
    if platform not in _PLATFORMS[name]:
        _say_once(name, platform)
        return None
    if name == "cudnn":
        _check_cudnn(config)
        return cudnn_attention
    _check_pallas(config)
    return pallas_attention


@functools.cache
def _say_once(name: str, platform: str) -> None:
    _log.warning(
        "network.T5Config.attention_implementation = '%s' means 'xla' here: it is for %s, "
        "and this is compiled for %s",
        name,
        _PLATFORMS[name][0],
        platform,
    )


def _check_cudnn(config: T5Config) -> None:
    if config.dtype not in _CUDNN_LEAST or config.float32_attention_logits:
        raise ValueError(
            "T5Config.attention_implementation = 'cudnn' computes in bfloat16 or float16; this "
            f"model has dtype = '{config.dtype}' and float32_attention_logits = "
            f"{config.float32_attention_logits}: change those, or take 'xla'"
        )
    if config.head_dim % 8 or config.head_dim > 256:
        raise ValueError(
            "T5Config.attention_implementation = 'cudnn' needs a head_dim that is a multiple of 8 "
            f"and at most 256 (128 before Hopper); it is {config.head_dim}: take 'xla'"
        )


def _check_pallas(config: T5Config) -> None:
    if config.head_dim > 128 and config.head_dim % 128:
        raise ValueError(
            "T5Config.attention_implementation = 'pallas' needs a head_dim of at most 128 or a "
            f"multiple of it; it is {config.head_dim}: take 'xla'"
        )


def cudnn_attention(
    q_BQHF, k_BKHF, v_BKHF, bias_HQK, mask, *, implementation: str = "cudnn"
) -> jax.Array:
    """cuDNN's flash attention, by `jax.nn.dot_product_attention`; it splits itself over a mesh.

    `implementation` is for tests where there is no GPU: "xla" does the same in plain JAX.
    """
    (q_BQHF, k_BKHF, v_BKHF), added_BHQK, length = _filled_up(
        q_BQHF, k_BKHF, v_BKHF, bias_HQK, mask, _CUDNN_MULTIPLE
    )
    added_BHQK = jnp.maximum(added_BHQK, _CUDNN_LEAST[q_BQHF.dtype.name]).astype(q_BQHF.dtype)
    mixed_BQHF = jax.nn.dot_product_attention(
        q_BQHF, k_BKHF, v_BKHF, bias=added_BHQK, scale=1.0, implementation=implementation
    )
    return mixed_BQHF[:, :length]


def pallas_attention(q_BQHF, k_BKHF, v_BKHF, bias_HQK, mask) -> jax.Array:
    """JAX's flash attention for TPU; on a mesh each device runs it on its rows and heads."""
    arrays, logits_bias, length = _filled_up(
        q_BQHF, k_BKHF, v_BKHF, bias_HQK, mask, _PALLAS_BLOCKS[-1]
    )
    by_head = tuple(array.swapaxes(1, 2) for array in arrays)
    kernel = _flash_attention
    mesh = mesh_of(q_BQHF)
    if mesh is not None and mesh.size > 1:
        split = _split(mesh, *by_head[0].shape[:2])
        # The kernel says nothing of which axes its results vary over.
        kernel = jax.shard_map(
            kernel, mesh=mesh, in_specs=(split,) * 4, out_specs=split, check_vma=False
        )
    return kernel(*by_head, logits_bias).swapaxes(1, 2)[:, :length]


def _flash_attention(q_BHQF, k_BHKF, v_BHKF, bias_BHQK) -> jax.Array:
    from jax.experimental.pallas.ops.tpu import flash_attention as tpu

    block_q, block_k = (_block(x.shape[2]) for x in (q_BHQF, k_BHKF))
    blocks = tpu.BlockSizes(
        block_q=block_q,
        block_k_major=block_k,
        block_k=block_k,
        block_b=1,
        block_q_major_dkv=block_q,
        block_k_major_dkv=block_k,
        block_k_dkv=block_k,
        block_q_dkv=block_q,
        block_k_major_dq=block_k,
        block_k_dq=block_k,
        block_q_dq=block_q,
    )
    return tpu.flash_attention(q_BHQF, k_BHKF, v_BHKF, ab=bias_BHQK, block_sizes=blocks)


def _block(length: int) -> int:
    return next(block for block in _PALLAS_BLOCKS if length % block == 0)


def _split(mesh: AbstractMesh, batch: int, heads: int) -> P:
    """Rows over all axes but the tensor axis, heads over that; whole where they do not divide."""
    rows = tuple(name for name in mesh.axis_names if name != TENSOR_AXIS)
    shards = math.prod(mesh.shape[name] for name in rows)
    tensor = mesh.shape.get(TENSOR_AXIS, 1)
    return P(
        rows if batch % shards == 0 else None,
        TENSOR_AXIS if tensor > 1 and heads % tensor == 0 else None,
    )


def _filled_up(q_BQHF, k_BKHF, v_BKHF, bias_HQK, mask, multiple: int):
    """All lengths filled up to a multiple; what is added to the logits; and the queries' length.

    Both kernels want the sum of bias and mask at its full shape, float32 `[B, H, Q, K]`.
    """
    batch, length, heads, _ = q_BQHF.shape
    shape = (batch, heads, length, k_BKHF.shape[1])
    added = jnp.where(mask, 0.0, _MASKED)
    if bias_HQK is not None:
        added = added + bias_HQK
    added = jnp.broadcast_to(added, shape)
    of_queries, of_keys = (-size % multiple for size in shape[2:])
    added = jnp.pad(added, ((0, 0), (0, 0), (0, of_queries), (0, 0)))
    added = jnp.pad(added, ((0, 0), (0, 0), (0, 0), (0, of_keys)), constant_values=_FILLED_UP)
    fill = (of_queries, of_keys, of_keys)
    arrays = tuple(
        jnp.pad(array, ((0, 0), (0, more), (0, 0), (0, 0)))
        for array, more in zip((q_BQHF, k_BKHF, v_BKHF), fill, strict=True)
    )
    return arrays, added, length
