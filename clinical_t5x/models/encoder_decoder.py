"""The model that training and evaluation use: loss, prediction and scoring as pure functions."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from clinical_t5x.models import initial, losses
from clinical_t5x.models.activations import LOGITS, constrain
from clinical_t5x.models.config import T5Config
from clinical_t5x.models.decoding import beam_search
from clinical_t5x.models.network import T5, Transformer
from clinical_t5x.models.projected_loss import TargetLosses, weighted_cross_entropy

Batch = Mapping[str, jax.Array]
Params = dict[str, Any]


class EncoderDecoderModel:
    """A T5 with its loss and its decoding, under T5X's constructor and method names.

    The object holds no parameters: they are a nested dict that every method takes, so that the
    methods can be jitted, differentiated and sharded by the caller. Batches have T5X's features:
    `encoder_input_tokens`, `decoder_input_tokens`, `decoder_target_tokens`, `decoder_loss_weights`,
    and when packed `encoder_segment_ids` and `decoder_segment_ids` (`*_positions` say nothing
    more).
    """

    def __init__(
        self,
        module: Transformer,
        input_vocabulary: Any,
        output_vocabulary: Any,
        optimizer_def: Any = None,
        decode_fn: Callable = beam_search,
        feature_converter_cls: Callable | None = None,
        label_smoothing: float = 0.0,
        z_loss: float = 0.0,
        loss_normalizing_factor: float | int | str | None = None,
        default_decoder_params: Mapping[str, Any] | None = None,
    ):
        """Join a network with vocabularies and a loss.

        Args:
          module: the network's definition.
          input_vocabulary: vocabulary of the encoder; read are `vocab_size`, `extra_ids`, `eos_id`.
            None where no decoding and no content loss is wanted.
          output_vocabulary: vocabulary of the decoder.
          optimizer_def: kept for training; not used here.
          decode_fn: `decoding.beam_search`, `decoding.temperature_sample`, or the like.
          feature_converter_cls: kept for training; not used here.
          label_smoothing: see `losses.cross_entropy_with_logits`.
          z_loss: see `losses.cross_entropy_with_logits`.
          loss_normalizing_factor: see `losses.normalizing_factor_and_weights`.
          default_decoder_params: parameters of `decode_fn` in every prediction.

        Raises:
          ValueError: if a vocabulary does not fit into the embedding (a vocabulary in a bucket is
            first opened when parameters are made or used), or the factor is unknown.
        """
        self.module = module
        self.input_vocabulary = input_vocabulary
        self.output_vocabulary = output_vocabulary
        self.optimizer_def = optimizer_def
        self.feature_converter_cls = feature_converter_cls
        self.decode_fn = decode_fn
        self._label_smoothing = label_smoothing
        self._z_loss = z_loss
        self._loss_normalizing_factor = loss_normalizing_factor
        self.default_decoder_params = dict(default_decoder_params or {})
        if isinstance(loss_normalizing_factor, str):
            losses.parse_normalizing_factor(loss_normalizing_factor)
        self._vocabularies_fit = False
        if not any(map(_is_remote, (input_vocabulary, output_vocabulary))):
            self._check_vocabularies()
        self._prepare()

    def _prepare(self) -> None:
        # One graph for all parameter values, made without allocating any.
        self._graph, self._abstract = nnx.split(nnx.eval_shape(self.module.build))
        self._predict = jax.jit(
            self._predict_traced, static_argnames=("num_decodes", "prompt_with_targets", "options")
        )
        self._token_scores = jax.jit(self._token_scores_traced)
        self._candidate_scores = jax.jit(self._candidate_scores_traced)

    @property
    def config(self) -> T5Config:
        """The network's sizes and switches."""
        return self.module.config

    def with_config(self, config: T5Config) -> EncoderDecoderModel:
        """The same model around a network of another configuration."""
        other = copy.copy(self)
        other.module = type(self.module)(config)
        other._prepare()
        return other

    def _check_vocabularies(self) -> None:
        if self._vocabularies_fit:
            return
        for name in ("input_vocabulary", "output_vocabulary"):
            vocabulary = getattr(self, name)
            if vocabulary is not None and vocabulary.vocab_size > self.config.vocab_size:
                padded = -(-vocabulary.vocab_size // 128) * 128
                raise ValueError(
                    f"the {name.replace('_', ' ')} has {vocabulary.vocab_size} ids but "
                    f"T5Config.vocab_size is {self.config.vocab_size}; set "
                    f"network.T5Config.vocab_size = {padded}"
                )
        self._vocabularies_fit = True

    def init_params(self, rng: jax.Array, shardings: Any = None) -> Params:
        """Freshly initialised float32 parameters, a pure function of the key.

        Not to be jitted: it runs one compiled program for each kind of parameter (see `initial`).

        Args:
          rng: the key.
          shardings: where each parameter is to be made; of a part of the tree, only that part is.
        """
        self._check_vocabularies()
        places = None if shardings is None else nnx.traversals.flatten_mapping(shardings)
        declared = {
            path: initial.Declared(
                variable.initial, variable.shape, _is_stacked(variable), places and places[path]
            )
            for path, variable in nnx.to_flat_state(self._abstract)
            if places is None or path in places
        }
        return nnx.traversals.unflatten_mapping(initial.draw(rng, declared))

    def abstract_params(self) -> Params:
        """Shapes and dtypes of the parameters, as `jax.ShapeDtypeStruct`s."""
        return nnx.to_pure_dict(self._abstract)

    def logical_axes(self) -> Params:
        """The tree of `init_params` with a tuple of logical axis names for each array.

        Stacked parameters (`scan_layers`) begin with "layers".
        """

        def names(variable):
            axes = variable.logical_axes
            return ("layers", *axes) if _is_stacked(variable) else axes

        is_variable = functools.partial(_is_instance, nnx.Variable)
        named = jax.tree.map(names, self._abstract, is_leaf=is_variable)
        return nnx.to_pure_dict(named)

    def bind(self, params: Params) -> T5:
        """The network with these parameters in it."""
        self._check_vocabularies()
        return nnx.merge(self._graph, params)

    def logits(self, params: Params, batch: Batch, dropout_rng=None) -> jax.Array:
        """Teacher-forced float32 logits `[B, Q, V]` of the batch's targets."""
        network, x_BQD = self._decoded(params, batch, dropout_rng)
        return constrain(network.logits(x_BQD), LOGITS)

    def _decoded(self, params: Params, batch: Batch, dropout_rng) -> tuple[T5, jax.Array]:
        """The network, and what it projects to logits, `[B, Q, D]`."""
        encoder_key, decoder_key = (
            (None, None) if dropout_rng is None else jax.random.split(dropout_rng)
        )
        network = self.bind(params)
        encoder_segments = batch.get("encoder_segment_ids")
        encoded = network.encode(batch["encoder_input_tokens"], encoder_segments, encoder_key)
        x_BQD = network.decode_to_width(
            encoded,
            batch["encoder_input_tokens"],
            batch["decoder_input_tokens"],
            encoder_segments,
            batch.get("decoder_segment_ids"),
            decoder_key,
        )
        return network, x_BQD

    def loss_fn(
        self, params: Params, batch: Batch, dropout_rng: jax.Array | None = None
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The loss to minimise, and sums for metrics.

        Args:
          params: as from `init_params`.
          batch: features of the step.
          dropout_rng: key for dropout; None for none.

        Returns:
          A scalar, normalised as `loss_normalizing_factor` says, and a dict of float32 sums over
          weighted target positions, never normalised: `loss` (nats, z-loss part included),
          `z_loss`, `cross_ent_loss` (`loss` without `z_loss`), `accuracy` (correct predictions),
          `num_targets` (weights). With a vocabulary also `content_loss` and `content_num_targets`:
          `cross_ent_loss` and `num_targets` over targets that are neither sentinels nor
          end-of-sequence.
        """
        factor, weights = losses.normalizing_factor_and_weights(
            self._loss_normalizing_factor, batch
        )
        network, x_BQD = self._decoded(params, batch, dropout_rng)
        total, of_targets = weighted_cross_entropy(
            *network.logit_factors(x_BQD),
            batch["decoder_target_tokens"],
            weights,
            z_loss=self._z_loss,
            label_smoothing=self._label_smoothing,
            mebibytes=self.config.logits_mebibytes,
        )
        return total / factor, self._sums(of_targets, batch)

    def _sums(self, of_targets: TargetLosses, batch: Batch) -> dict[str, jax.Array]:
        loss, z_part, correct = of_targets
        targets = batch["decoder_target_tokens"]
        weights = losses.target_weights(batch)
        sums = {
            "loss": jnp.sum(loss * weights),
            "z_loss": jnp.sum(z_part * weights),
            "cross_ent_loss": jnp.sum((loss - z_part) * weights),
            "accuracy": jnp.sum(correct * weights),
            "num_targets": jnp.sum(weights),
        }
        if self.output_vocabulary is not None:
            content = weights * self._is_content(targets)
            sums["content_loss"] = jnp.sum((loss - z_part) * content)
            sums["content_num_targets"] = jnp.sum(content)
        return sums

    def _is_content(self, targets) -> jax.Array:
        """True where a target is neither a sentinel nor end-of-sequence."""
        vocabulary = self.output_vocabulary
        if hasattr(vocabulary, "sentinel_ids"):  # ours; they count down without a gap
            sentinels = vocabulary.sentinel_ids() or [-1]
            low, high = sentinels[-1], sentinels[0]
        else:  # SeqIO's: the last ids
            high = vocabulary.vocab_size - 1
            low = high + 1 - (getattr(vocabulary, "extra_ids", 0) or 0)
        return ~((targets >= low) & (targets <= high)) & (targets != vocabulary.eos_id)

    def eval_fn(self, params: Params, batch: Batch) -> tuple[jax.Array, dict[str, jax.Array]]:
        """`loss_fn` without dropout."""
        return self.loss_fn(params, batch, None)

    def predict_batch(
        self, params: Params, batch: Batch, rng: jax.Array | None = None
    ) -> jax.Array:
        """Decoded tokens int32 `[B, L]`, one sequence for each example."""
        return self.predict_batch_with_aux(params, batch, rng)[0]

    def predict_batch_with_aux(
        self,
        params: Params,
        batch: Batch,
        rng: jax.Array | None = None,
        decoder_params: Mapping[str, Any] | None = None,
        return_all_decodes: bool | None = None,
        num_decodes: int | None = None,
        prompt_with_targets: bool = False,
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Decode a batch; compiled once for each shape of batch and setting.

        Args:
          params: as from `init_params`.
          batch: `encoder_input_tokens`, and `decoder_input_tokens` whose length is the maximum
            length.
          rng: key for sampling.
          decoder_params: parameters of the decode function, over the model's defaults; `eos_id` is
            taken from the output vocabulary unless given here.
          return_all_decodes: return every decode instead of the best.
          num_decodes: beams, or samples, of each example (1 unless given here or in
            `decoder_params`).
          prompt_with_targets: force the non-zero `decoder_input_tokens` as beginnings of the
            outputs; an end-of-sequence among them is left out, as T5X does.

        Returns:
          Tokens int32 `[B, L]`, or `[B, N, L]` with the best last, as in T5X; and `{"scores": ...}`
          of the same leading dims.
        """
        options = {**self.default_decoder_params, **(decoder_params or {})}
        from_options = options.pop("num_decodes", 1)
        num_decodes = from_options if num_decodes is None else num_decodes
        if "eos_id" not in options:
            options["eos_id"] = self.output_vocabulary.eos_id
        features = {name: batch[name] for name in ("encoder_input_tokens", "decoder_input_tokens")}
        tokens, scores = self._predict(
            params,
            features,
            rng,
            num_decodes=num_decodes,
            prompt_with_targets=prompt_with_targets,
            options=tuple(sorted((name, _hashable(value)) for name, value in options.items())),
        )
        if return_all_decodes:
            return tokens, {"scores": scores}
        return tokens[:, -1], {"scores": scores[:, -1]}

    def _predict_traced(self, params, batch, rng, *, num_decodes, prompt_with_targets, options):
        network = self.bind(params)
        prompt = batch["decoder_input_tokens"]
        prompt = jnp.where(prompt == dict(options)["eos_id"], 0, prompt)
        cache = network.init_cache(
            batch["encoder_input_tokens"], num_decodes=num_decodes, max_length=prompt.shape[1]
        )
        return self.decode_fn(
            inputs=prompt if prompt_with_targets else jnp.zeros_like(prompt),
            cache=cache,
            tokens_to_logits=network.decode_step,
            decode_rng=rng,
            num_decodes=num_decodes,
            **dict(options),
        )

    def score_batch(
        self, params: Params, batch: Batch, *, return_intermediates: bool = False
    ) -> jax.Array | tuple[jax.Array, dict[str, jax.Array]]:
        """Summed log-likelihood of each example's targets, in nats, `[B]`; compiled once a shape.

        With `return_intermediates` also a dict with `token_scores` `[B, Q]` (0 at padding).
        """
        token_scores = self._token_scores(params, batch)
        scores = jnp.sum(token_scores, axis=-1)
        return (scores, {"token_scores": token_scores}) if return_intermediates else scores

    def score_candidates(self, params: Params, batch: Batch) -> jax.Array:
        """Log-likelihood of each token of several targets for each input, in nats, `[B, Q]`.

        `decoder_target_tokens` holds an example's targets one after another, each shifted right on
        its own in `decoder_input_tokens` and numbered in `decoder_segment_ids`. The input is
        encoded once for all of them; compiled once a shape. Padding scores 0.
        """
        return self._candidate_scores(params, batch)

    def _candidate_scores_traced(self, params, batch) -> jax.Array:
        network = self.bind(params)
        inputs = batch["encoder_input_tokens"]
        x_BQD = network.decode_side_by_side(
            network.encode(inputs),
            inputs,
            batch["decoder_input_tokens"],
            batch["decoder_segment_ids"],
        )
        return self._target_scores(network, x_BQD, batch)

    def _token_scores_traced(self, params, batch) -> jax.Array:
        network, x_BQD = self._decoded(params, batch, None)
        return self._target_scores(network, x_BQD, batch)

    def _target_scores(self, network: T5, x_BQD, batch) -> jax.Array:
        weights = losses.target_weights(batch)
        _, of_targets = weighted_cross_entropy(
            *network.logit_factors(x_BQD),
            batch["decoder_target_tokens"],
            weights,
            mebibytes=self.config.logits_mebibytes,
        )
        return -of_targets.loss * weights


def get_input_vocabulary(model: EncoderDecoderModel) -> Any:
    """The model's input vocabulary (T5X's gin files refer to it by this function)."""
    return model.input_vocabulary


def get_output_vocabulary(model: EncoderDecoderModel) -> Any:
    """The model's output vocabulary (T5X's gin files refer to it by this function)."""
    return model.output_vocabulary


def _is_remote(vocabulary: Any) -> bool:
    """Whether opening the vocabulary means a network: then it waits until something needs it."""
    return "://" in str(getattr(vocabulary, "sentencepiece_model_file", ""))


def _is_stacked(variable: nnx.Variable) -> bool:
    """Whether a parameter's first dim counts layers."""
    return len(variable.shape) > len(variable.logical_axes)


def _is_instance(kind, value) -> bool:
    return isinstance(value, kind)


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
