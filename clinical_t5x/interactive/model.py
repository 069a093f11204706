"""What may be done with a model in a notebook: predict, score, train, evaluate, save."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from etils import epath

from clinical_t5x.console import UserError
from clinical_t5x.evaluation.predictor import ModelPredictor, Request, bucket_length, round_up
from clinical_t5x.models.config import T5Config
from clinical_t5x.models.encoder_decoder import EncoderDecoderModel
from clinical_t5x.partitioning import PjitPartitioner
from clinical_t5x.training import adapters, checkpoints, runtime
from clinical_t5x.training import state as states
from clinical_t5x.training.metric_log import per_token
from clinical_t5x.training.optimizer import bind_optimizer
from clinical_t5x.training.step import make_eval_step, make_train_step

Example = tuple[str, str] | Mapping[str, str]
MetricFn = Callable[[Sequence[str], Sequence[str]], Mapping[str, float]]

VOCABULARY_FILE = "spiece.model"  # as in Hugging Face's T5
_KEYS = (("input", "target"), ("inputs", "targets"))


class InteractiveModel:
    """A model, its parameters and what may be done with them.

    An example is a pair (input, target), or T5X's {"input": ..., "target": ...}. Inputs and targets
    are encoded with the model's vocabulary and end with end-of-sequence.

    Args:
      model: an `EncoderDecoderModel` with a vocabulary.
      params: its parameters.
      step: updates that they have seen.
      max_target_tokens: for predictions that do not say.
      batch_size: rows of a batch at most.
      learning_rate: a number, or a function of the step.
      partitioner: where arrays lie.
      seed: of dropout.

    Attributes:
      model: as given.
      loaded_from: the checkpoint, or None.
    """

    def __init__(
        self,
        model: EncoderDecoderModel,
        params: Any,
        *,
        step: int = 0,
        max_target_tokens: int | None = None,
        batch_size: int = 32,
        learning_rate: float | Callable[[Any], Any] = 1e-3,
        partitioner: PjitPartitioner | None = None,
        seed: int = 0,
    ):
        self.model = model
        self.loaded_from: str | None = None
        self._params: Any = params
        self._step = step
        self._max_target_tokens = max_target_tokens
        self._partitioner = partitioner or PjitPartitioner(num_partitions=1)
        self._batch_size = round_up(batch_size, self._partitioner.batch_shards)
        self._learning_rate = learning_rate
        self._seed = seed
        self._state: states.TrainState | None = None  # made at the first update
        self._update: Any = None
        self._eval_step: Any = None
        self._predictors: dict[Any, ModelPredictor] = {}

    @property
    def params(self) -> Any:
        """The parameters; an update takes them away and puts new ones in their place."""
        return self._params if self._state is None else self._state.params

    @property
    def step(self) -> int:
        """Updates that the parameters have seen, those before they were loaded included."""
        return self._step if self._state is None else int(self._state.step)

    @property
    def vocabulary(self) -> Any:
        """The vocabulary of inputs and targets."""
        return self.model.output_vocabulary

    @property
    def config(self) -> T5Config:
        """The network's sizes."""
        return self.model.config

    def predict(
        self,
        inputs: Sequence[str],
        *,
        max_target_tokens: int | None = None,
        num_decodes: int = 1,
        **decoder_params: Any,
    ) -> list[str]:
        """The decoded text of every input.

        Args:
          inputs: texts of any length.
          max_target_tokens: where decoding stops, end-of-sequence included; rounded up to a
            multiple of 8.
          num_decodes: beams (or samples) of each input, of which the best is taken.
          **decoder_params: of the decode function, as alpha=0.6.

        Raises:
          UserError: nothing says how long a prediction may be.
        """
        return self.predict_with_aux(
            inputs,
            max_target_tokens=max_target_tokens,
            num_decodes=num_decodes,
            **decoder_params,
        )[0]

    def predict_with_aux(
        self,
        inputs: Sequence[str],
        *,
        max_target_tokens: int | None = None,
        num_decodes: int = 1,
        **decoder_params: Any,
    ) -> tuple[list[str], dict[str, list[Any]]]:
        """As `predict`, and in lists: `scores`, and `at_limit`, whether the text was cut off."""
        limit = max_target_tokens or self._max_target_tokens
        if limit is None:
            raise UserError("say how long a prediction may be: max_target_tokens=...")
        requests = self._requests(inputs)
        predictor = self._predictor(len(requests), num_decodes, decoder_params)
        found = dict(predictor.generate(requests, max_target_tokens=limit))
        generations = [found[position] for position in range(len(requests))]
        aux = {
            "scores": [generation.score for generation in generations],
            "at_limit": [generation.at_limit for generation in generations],
        }
        return [generation.text for generation in generations], aux

    def score(self, inputs: Sequence[str], targets: Sequence[str]) -> np.ndarray:
        """Log-likelihood of each target given its input, end-of-sequence included, in nats: [N]."""
        pairs = list(zip(inputs, targets, strict=True))
        requests = self._requests([text for text, _ in pairs])
        wanted = [self._encode(text) for _, text in pairs]
        return self._predictor(len(requests), 1, {}).score(requests, wanted)

    def train_step(self, examples: Sequence[Example]) -> dict[str, float]:
        """One update on these examples; its metrics, those of the parameters before it.

        Returns:
          `loss` (nats a target token), `accuracy` and the like, `learning_rate`, and `step` after
          the update.
        """
        batch = self._batch(_pairs(examples))
        update, state = self._trainable()
        rate = float(self._rate(state.step))
        key = runtime.random_key(self._seed, runtime.DROPOUT_STREAM)
        self._params = None
        self._state, sums = update(state, batch, key)
        self._predictors.clear()
        metrics = per_token({name: float(value) for name, value in jax.device_get(sums).items()})
        return metrics | {"learning_rate": rate, "step": self.step}

    def train_loop(
        self, examples: Sequence[Example], *, num_steps: int, batch_size: int | None = None
    ) -> list[dict[str, float]]:
        """Several updates, on the examples in an order that is drawn anew each time round.

        Args:
          examples: all there are.
          num_steps: how many updates.
          batch_size: examples an update; default all, or as many as a batch of the model takes.

        Returns:
          The metrics of every update.
        """
        pairs = _pairs(examples)
        size = min(batch_size or self._batch_size, len(pairs))
        order = _epochs(len(pairs), seed=self._seed)
        return [
            self.train_step([pairs[next(order)] for _ in range(size)]) for _ in range(num_steps)
        ]

    def evaluate(
        self,
        examples: Sequence[Example],
        metric_fns: Sequence[MetricFn] = (),
        *,
        max_target_tokens: int | None = None,
        num_decodes: int = 1,
    ) -> dict[str, float]:
        """Metrics of the model as it is.

        Args:
          examples: pairs.
          metric_fns: each from (targets, predictions) to numbers by name.
          max_target_tokens: as in `predict`; default the longest target.
          num_decodes: as in `predict`.

        Returns:
          `loss` (nats a target token) and `accuracy` (of tokens given those before them),
          `exact_match` (share of predictions that are the target), and what `metric_fns` give.
        """
        pairs = _pairs(examples)
        if self._eval_step is None:
            self._eval_step = make_eval_step(self.model, self._partitioner)
        sums: dict[str, float] = {}
        for start in range(0, len(pairs), self._batch_size):
            batch = self._batch(pairs[start : start + self._batch_size])
            for name, value in jax.device_get(self._eval_step(self.params, batch)).items():
                sums[name] = sums.get(name, 0.0) + float(value)
        targets = [target for _, target in pairs]
        longest = max(len(self._encode(target)) for target in targets)
        predictions = self.predict(
            [text for text, _ in pairs],
            max_target_tokens=max_target_tokens or longest,
            num_decodes=num_decodes,
        )
        same = [a == b for a, b in zip(predictions, targets, strict=True)]
        metrics = per_token(sums) | {"exact_match": float(np.mean(same))}
        for metric_fn in metric_fns:
            metrics |= metric_fn(targets, predictions)
        return metrics

    def save(self, directory: str | os.PathLike) -> epath.Path:
        """Write `directory/checkpoint_<step>`, which training, eval, infer and convert read.

        The vocabulary's file is put beside it, so that `load_model(directory)` needs nothing else.

        Returns:
          The checkpoint.

        Raises:
          UserError: there is a checkpoint of this step already.
        """
        store = checkpoints.CheckpointStore(directory)
        path = store.path(self.step)
        if path.exists():
            raise UserError(f"{path} exists; save into another directory")
        position = {
            "seed": self._seed,
            "first_step": self._step,
            "initialisation": "scratch" if self.loaded_from is None else "pretrained",
            "parameters_from": self.loaded_from,
            adapters.CONFIG: dataclasses.asdict(self.config),
        }
        store.save(self._trainable()[1], position)
        store.close()
        file = getattr(self.vocabulary, "sentencepiece_model_file", None)
        if file is not None:
            partial = store.directory / f".{VOCABULARY_FILE}.partial"
            partial.write_bytes(epath.Path(file).read_bytes())
            partial.replace(store.directory / VOCABULARY_FILE)
        return path

    def _trainable(self) -> tuple[Any, states.TrainState]:
        """The compiled update and the state; made once."""
        if self._state is None:
            optimizer = bind_optimizer(
                self.model.optimizer_def,
                lambda updates: self._rate(updates + self._step),
                states.abstract_params(self.model),
                self.model.logical_axes(),
                first_step=self._step,
            )
            abstract = states.abstract_state(self.model, optimizer, self._partitioner)
            self._update = make_train_step(self.model, optimizer, self._partitioner, abstract)
            self._state = states.state_from_params(self._params, optimizer, abstract, self._step)
        return self._update, self._state

    def _rate(self, step: Any) -> Any:
        rate = self._learning_rate
        return rate(step) if callable(rate) else rate

    def _predictor(
        self, rows: int, num_decodes: int, decoder_params: Mapping[str, Any]
    ) -> ModelPredictor:
        """One a batch size and way to decode, since each compiles by itself."""
        size = min(self._batch_size, 1 << max(0, rows - 1).bit_length())
        key = (size, num_decodes, repr(sorted(decoder_params.items())))
        if key not in self._predictors:
            self._predictors[key] = ModelPredictor(
                self.model,
                self.params,
                batch_size=size,
                partitioner=self._partitioner,
                num_decodes=num_decodes,
                decoder_params=decoder_params,
            )
        return self._predictors[key]

    def _encode(self, text: str) -> np.ndarray:
        return np.array([*self.vocabulary.encode(text), self.vocabulary.eos_id], np.int32)

    def _requests(self, texts: Sequence[str]) -> list[Request]:
        if isinstance(texts, str):
            raise TypeError("give a list of texts, not one text")
        return [Request(str(i), text, self._encode(text)) for i, text in enumerate(texts)]

    def _batch(self, pairs: Sequence[tuple[str, str]]) -> dict[str, jax.Array]:
        """Features of one batch, padded to few different shapes."""
        rows = round_up(len(pairs), self._partitioner.batch_shards)
        inputs = self._padded([text for text, _ in pairs], rows)
        targets = self._padded([text for _, text in pairs], rows)
        inputs[len(pairs) :, 0] = self.vocabulary.eos_id  # rows that only fill the batch
        features = {
            "encoder_input_tokens": inputs,
            "decoder_target_tokens": targets,
            "decoder_input_tokens": np.pad(targets, ((0, 0), (1, 0)))[:, :-1],
            "decoder_loss_weights": (targets != 0).astype(np.int32),
        }
        return self._partitioner.place_batch(features, rows)

    def _padded(self, texts: Sequence[str], rows: int) -> np.ndarray:
        sequences = [self._encode(text) for text in texts]
        longest = max(map(len, sequences))
        padded = np.zeros((rows, bucket_length(longest, round_up(longest, 32))), np.int32)
        for row, sequence in zip(padded, sequences, strict=False):
            row[: len(sequence)] = sequence
        return padded


def _pairs(examples: Sequence[Example]) -> list[tuple[str, str]]:
    """Examples as pairs of texts.

    Raises:
      ValueError: there are none, or one is neither a pair nor a dict with input and target.
    """
    pairs = []
    for example in examples:
        if isinstance(example, Mapping):
            keys = next((keys for keys in _KEYS if set(keys) <= set(example)), None)
            example = None if keys is None else tuple(example[key] for key in keys)
        if isinstance(example, str) or example is None or len(example) != 2:
            raise ValueError('an example is (input, target) or {"input": ..., "target": ...}')
        pairs.append((example[0], example[1]))
    if not pairs:
        raise ValueError("there are no examples")
    return pairs


def _epochs(count: int, *, seed: int) -> Iterator[int]:
    """Numbers below `count`, each once an epoch, shuffled anew for every epoch, without end."""
    rng = np.random.default_rng(seed)
    while True:
        yield from (int(i) for i in rng.permutation(count))
