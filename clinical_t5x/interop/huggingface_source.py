"""Hugging Face's checkpoints as a `TensorSource`: a directory, or one file of weights.

PyTorch's and Flax's names are told apart by the file's format. Flax keeps kernels as T5X does,
PyTorch transposed; beyond that both have the same parts. What a file holds beside the parameters
(copies of the embedding, a table that no T5 uses) is checked, left out and noted.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from etils import epath

from clinical_t5x.interop import huggingface, t5x_names, weight_files
from clinical_t5x.interop.source import CheckpointError, TensorInfo, config_from_shapes
from clinical_t5x.interop.tensor_files import TensorFile, weight_dtype
from clinical_t5x.models.config import T5Config

CONFIG_FILE = "config.json"
_LM_HEAD = "lm_head.weight"
_SHARED = "shared.weight"
# In files of the first T5s; no release of transformers has used it.
_UNUSED = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
_BLOCK = re.compile(r"(encoder|decoder)\.block\.(\d+)\.")
_MOST_LAYERS = 1_000


@dataclasses.dataclass(frozen=True)
class _Place:
    """Where a tensor is and how it lies there.

    Attributes:
      file: the file that holds it.
      name: its name in the file.
      t5x_transposed: whether T5X has it the other way round.
      pytorch_transposed: whether PyTorch has it the other way round.
    """

    file: TensorFile
    name: str
    t5x_transposed: bool
    pytorch_transposed: bool

    @property
    def dtype(self) -> str:
        return self.file.infos[self.name].dtype

    @property
    def t5x_info(self) -> TensorInfo:
        info = self.file.infos[self.name]
        return TensorInfo(info.shape[::-1], info.dtype) if self.t5x_transposed else info

    @property
    def pytorch_shape(self) -> tuple[int, ...]:
        shape = self.file.infos[self.name].shape
        return shape[::-1] if self.pytorch_transposed else shape

    def read(self) -> np.ndarray:
        """The tensor in T5X's orientation."""
        array = self.file.read(self.name)
        return array.T if self.t5x_transposed else array

    def digest(self) -> bytes:
        """SHA-256 of the numbers in PyTorch's order."""
        array = self.file.read(self.name)
        array = array.T if self.pytorch_transposed else array
        return hashlib.sha256(np.ascontiguousarray(array).reshape(-1).view(np.uint8)).digest()


class HuggingFaceSource:
    """A Hugging Face checkpoint, checked when it is opened, read tensor by tensor.

    Attributes are those of `TensorSource`, and:
      notes: what was left out or taken in another way, in sentences for people.
      assumed: fields of the configuration that neither shapes nor files tell.

    Args:
      path: a directory, or a file of weights; `config.json` is looked for beside a file.
      **overrides: fields of the configuration that are known otherwise.

    Raises:
      CheckpointError: there are no weights, a file is damaged or holds more than tensors, or names,
        shapes or dtypes are not a T5's; the message lists what does not match.
    """

    step: int | None = None
    assumed: tuple[str, ...] = ()

    def __init__(self, path: epath.Path, **overrides: Any):
        found = weight_files.find(path)
        self.path = str(path)
        self.kind = f"Hugging Face, {found.format}"
        self.directory = path if path.is_dir() else path.parent
        self.notes = list(found.notes)
        places = _places(found)
        settings = self._settings()
        layers = _layers(self.path, places)
        if settings is None:
            self.config = self._inferred_config(places, layers, overrides)
            self.assumed = ("mlp_activations",)
            self.notes.append(f"there is no {CONFIG_FILE}; sizes were inferred from shapes")
        else:
            self.config = self._told_config(settings, overrides)
        self._leave_out_copies(places)
        if settings is not None and "scale_decoder_outputs" in settings:
            self._share_logits(places)
        self._check(places)
        self._places = {
            name: places[theirs] for name, theirs in huggingface.name_table(self.config).items()
        }
        self.infos: dict[str, TensorInfo] = {
            name: place.t5x_info for name, place in self._places.items()
        }

    def read(self, name: str) -> np.ndarray:
        """The whole tensor in T5X's orientation and in its own dtype."""
        return self._places[name].read()

    def _settings(self) -> dict[str, Any] | None:
        file = self.directory / CONFIG_FILE
        if not file.exists():
            return None
        try:
            settings = json.loads(file.read_text())
        except (ValueError, RecursionError):
            raise CheckpointError(f"{file} is no JSON; fetch it again") from None
        if not isinstance(settings, dict):
            raise CheckpointError(f"{file} is no configuration: it must hold one object")
        return settings

    def _told_config(self, settings: Mapping[str, Any], overrides: Mapping) -> T5Config:
        try:
            return huggingface.t5_config(settings, **overrides)
        except (ValueError, TypeError) as error:
            raise CheckpointError(f"{self.directory / CONFIG_FILE}: {error}") from None

    def _inferred_config(
        self, places: Mapping[str, _Place], layers: dict[str, int], overrides: Mapping
    ) -> T5Config:
        head = places.get(_LM_HEAD)
        tied = head is None or (_SHARED in places and _are_equal(head, places[_SHARED]))
        shapes = {
            ours: places[theirs].t5x_info.shape
            for ours, theirs in _all_names(layers).items()
            if theirs in places and not (tied and theirs == _LM_HEAD)
        }
        try:
            return config_from_shapes(shapes, **overrides)
        except CheckpointError as error:
            raise CheckpointError(f"{self.path}: {error}") from None

    def _leave_out_copies(self, places: dict[str, _Place]) -> None:
        """Take copies of the embedding out, compared; one may stand in for it."""
        copies = [*huggingface.COPIES]
        if self.config.logits_via_embedding:
            copies.append(_LM_HEAD)
        for copy in copies:
            place = places.pop(copy, None)
            if place is None:
                continue
            shared = places.setdefault(_SHARED, place)
            if not _are_equal(place, shared):
                raise CheckpointError(
                    f"{self.path}: {copy} differs from {_SHARED}, but the configuration says that "
                    "they are one (tie_word_embeddings)"
                )
        if places.pop(_UNUSED, None) is not None:
            self.notes.append(f"left out {_UNUSED}: no T5 uses it")

    def _share_logits(self, places: dict[str, _Place]) -> None:
        """Newer releases leave the logits' matrix out where it is the embedding, not rescaled."""
        if not self.config.logits_via_embedding and _LM_HEAD not in places and _SHARED in places:
            places[_LM_HEAD] = dataclasses.replace(places[_SHARED], t5x_transposed=True)
            self.notes.append(f"the file has no {_LM_HEAD}; it is {_SHARED}, as its writer means")

    def _check(self, places: Mapping[str, _Place]) -> None:
        found = {name: place.pytorch_shape for name, place in places.items()}
        try:
            t5x_names.check_named(found, huggingface.hf_shapes(self.config))
            for name, place in places.items():
                weight_dtype(self.path, name, place.dtype)
        except CheckpointError:
            raise
        except ValueError as error:
            raise CheckpointError(f"{self.path}: {error}") from None


def _places(found: weight_files.Found) -> dict[str, _Place]:
    """Every tensor of the files by PyTorch's name."""
    places: dict[str, _Place] = {}
    for file, names in found.files:
        for name in names:
            if found.is_flax:
                theirs, is_kernel = huggingface.from_flax_name(name)
            else:
                theirs, is_kernel = name, False
            if theirs in places:
                raise CheckpointError(f"{file.path}: {theirs} occurs twice")
            t5x_transposed = huggingface.is_transposed(theirs) and not is_kernel
            places[theirs] = _Place(file, name, t5x_transposed, pytorch_transposed=is_kernel)
    return places


def _layers(path: str, places: Mapping[str, _Place]) -> dict[str, int]:
    """Layers of each stack, by the highest number in a name."""
    layers = {"encoder": 0, "decoder": 0}
    for name in places:
        match = _BLOCK.match(name)
        if match:
            layers[match[1]] = max(layers[match[1]], int(match[2]) + 1)
    if max(layers.values()) > _MOST_LAYERS:
        raise CheckpointError(f"{path} has names of more than {_MOST_LAYERS} layers")
    return layers


def _all_names(layers: Mapping[str, int]) -> dict[str, str]:
    """Hugging Face's name by T5X's for every parameter that a T5 of so many layers may have."""
    names: dict[str, str] = {}
    for activations in (("relu",), ("gelu", "linear")):
        config = T5Config(
            vocab_size=1,
            num_encoder_layers=max(1, layers["encoder"]),
            num_decoder_layers=max(1, layers["decoder"]),
            mlp_activations=activations,
        )
        names |= huggingface.name_table(config)
    return names


def _are_equal(place: _Place, other: _Place) -> bool:
    """Whether two tensors have the same bits; only one is in memory at a time."""
    if place.file is other.file and place.file.is_same_memory(place.name, other.name):
        return True
    if place.pytorch_shape != other.pytorch_shape or place.dtype != other.dtype:
        return False
    return place.digest() == other.digest()
