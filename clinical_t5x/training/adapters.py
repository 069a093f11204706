"""Low-rank adapters in a run: read with a checkpoint, merged where they are not wanted, or new.

A checkpoint of a run with adapters holds everything: the parameters that stayed as they were and
the adapters, so that it resumes bit for bit and needs no other file. What reads it with a model
without adapters (eval, infer, a further fine-tuning) gets the merged parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax

from clinical_t5x.console import UserError
from clinical_t5x.models import lora
from clinical_t5x.partitioning import PjitPartitioner
from clinical_t5x.training import state as states

CONFIG = "config"  # of a checkpoint's position: the network's configuration


def description(model: Any) -> dict[str, Any] | None:
    """A model's adapters, or None; also for models of someone's own, which have none."""
    config = getattr(model, "config", None)
    return None if config is None else lora.description(config)


def base(model: Any) -> Any:
    """The model without adapters."""
    if description(model) is None:
        return model
    return model.with_config(lora.with_adapters(model.config, None))


def as_saved(model: Any, position: Mapping[str, Any]) -> Any:
    """The model with the adapters that a checkpoint of this position was saved with."""
    saved = position.get(CONFIG) or {}
    if not saved.get("lora_rank"):
        return base(model)
    found = model.with_config(lora.with_adapters(model.config, saved))
    return model if description(found) == description(model) else found


def fitted(params: Any, saved: Any, model: Any, partitioner: PjitPartitioner) -> Any:
    """Parameters of the model `saved` as those of `model`, which differ in adapters at most.

    Adapters that `model` has not are merged; those that only `model` has begin as no change.
    """
    if description(saved) == description(model):
        return params
    if description(saved) is not None:
        plain = base(saved)
        shardings = states.shardings_of(placed(plain, partitioner))

        def merge(params: Any) -> Any:
            return lora.merged(params, saved.config)

        params = jax.jit(merge, out_shardings=shardings)(params)
    return with_new(params, model, partitioner, jax.random.key(0))


def with_new(params: Any, model: Any, partitioner: PjitPartitioner, rng: jax.Array) -> Any:
    """Parameters without adapters, and new ones where the model has any."""
    if description(model) is None:
        return params
    shardings = lora.split(states.shardings_of(placed(model, partitioner)))[0]
    return lora.join(model.init_params(rng, shardings), params)


def refuse_other(path: Any, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Refuse to resume a run with other adapters; of another strength, no shape would show it.

    Args:
      path: of the checkpoint, for the message.
      found: the checkpoint's position.
      wanted: this run's; without a configuration nothing is compared.

    Raises:
      UserError: naming both.
    """
    if wanted.get(CONFIG) is None:
        return
    there, here = _described(found), _described(wanted)
    if there != here:
        raise UserError(
            f"{path} was made with {there}, this run has {here}: restore "
            "network.T5Config.lora_rank, lora_alpha and lora_targets, or choose another MODEL_DIR"
        )


def _described(position: Mapping[str, Any]) -> str:
    saved = position.get(CONFIG) or {}
    if not saved.get("lora_rank"):
        return "no adapters"
    targets = ", ".join(sorted(saved["lora_targets"]))
    return f"adapters of rank {saved['lora_rank']}, alpha {saved['lora_alpha']:g} on {targets}"


def placed(model: Any, partitioner: PjitPartitioner) -> Any:
    """The model's parameters as ShapeDtypeStructs that carry their shardings."""
    return states.place_abstract(states.abstract_params(model), model.logical_axes(), partitioner)
