"""What tests of checkpoint layouts share: a tiny T5 in memory as a source, and comparisons."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpy as np

from clinical_t5x.interop import t5x_names
from clinical_t5x.interop.adafactor_memory import AdafactorMemory, empty_memory
from clinical_t5x.interop.source import TensorInfo
from clinical_t5x.models.config import T5Config

T5_1_0 = T5Config(
    vocab_size=160, emb_dim=128, num_heads=2, head_dim=3, mlp_dim=132, num_encoder_layers=2,
    num_decoder_layers=3, logits_via_embedding=True,
)  # fmt: skip
T5_1_1 = dataclasses.replace(
    T5_1_0, mlp_activations=("gelu", "linear"), logits_via_embedding=False, emb_dim=8
)
CONFIGS = {"1.0": T5_1_0, "1.1": T5_1_1}


class MemorySource:
    """A random T5 as a `TensorSource`."""

    kind, path = "memory", "memory"

    def __init__(self, config, dtype="float32", *, step=7, remembers=True, seed=0):
        rng = np.random.default_rng(seed)
        self.config, self.step = config, step
        self.tensors = {
            name: rng.standard_normal(shape, np.float32).astype(jnp.dtype(dtype))
            for name, shape in t5x_names.t5x_shapes(config).items()
        }
        self.infos = {name: TensorInfo(a.shape, dtype) for name, a in self.tensors.items()}
        self.optimizer = self._memory(rng, step) if remembers else None

    def _memory(self, rng, updates):
        infos = empty_memory(self.infos).infos
        arrays = {name: rng.random(info.shape, np.float32) for name, info in infos.items()}
        return AdafactorMemory(infos, arrays.__getitem__, updates)

    def read(self, name):
        return self.tensors[name]


def assert_same_tensors(found, expected):
    assert set(found.infos) == set(expected.infos)
    for name, info in expected.infos.items():
        array = found.read(name)
        assert (array.shape, array.dtype.name) == (info.shape, info.dtype), name
        assert found.infos[name] == info, name
        assert array.tobytes() == expected.read(name).tobytes(), name


def assert_same(found, expected):
    """The same parameters, step and optimizer memory, to the bit."""
    assert_same_tensors(found, expected)
    assert found.step == expected.step
    assert found.optimizer.updates == expected.optimizer.updates
    assert_same_tensors(found.optimizer, expected.optimizer)
