"""Any causal model through Hugging Face and PyTorch: left padding, batches, greedy decoding."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from clinical_t5x.baselines.finetuning.forward import device_named
from clinical_t5x.baselines.finetuning.loading import require_torch
from clinical_t5x.baselines.prompting.answering import Query
from clinical_t5x.baselines.prompting.rendering import Rendered
from clinical_t5x.baselines.prompting.replies import Reply, ReplyStore
from clinical_t5x.console import Progress, UserError
from clinical_t5x.storage import fingerprint

_LONGEST_CONTEXT = 8192  # tokens, of models that have room for more: memory has less
_SAMPLED = 1 << 16  # numbers of each array that identify it


class CausalModel:
    """A causal model and its tokenizer.

    Args:
      source: a directory in Hugging Face's format, or a hub id.
      context_tokens: of a prompt and its reply together; default the model's positions.
      batch_size: prompts that are decoded together.
      device: "auto", "cpu" or "cuda".
      precision: "bfloat16" or "float32"; default by device.
      chat: whether to use the tokenizer's chat template; default where it has one.

    Raises:
      UserError: no such model, or PyTorch is missing.
    """

    counts_exactly = True

    def __init__(
        self,
        source: str | os.PathLike,
        *,
        context_tokens: int | None = None,
        batch_size: int = 8,
        device: str = "auto",
        precision: str | None = None,
        chat: bool | None = None,
    ):
        torch = require_torch()
        import transformers

        source = os.fspath(source)
        self.name = Path(source).name
        self._device = device_named(device)
        precision = precision or ("float32" if self._device.type == "cpu" else "bfloat16")
        try:
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(
                source, padding_side="left"
            )
            self._model = transformers.AutoModelForCausalLM.from_pretrained(
                source, dtype=getattr(torch, precision)
            )
        except (OSError, ValueError) as error:
            raise UserError(
                f"--causal_model {source}: no causal model can be loaded from there"
                f" ({type(error).__name__}); name a Hugging Face directory or id"
            ) from error
        self._model.to(self._device).eval()
        if self._tokenizer.pad_token_id is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        self._chat = bool(self._tokenizer.chat_template) if chat is None else chat
        if self._chat and not self._tokenizer.chat_template:
            raise UserError(f"{source} has no chat template; leave --chat out")
        self._batch_size = batch_size
        positions = _positions(self._model.config)
        self._context_tokens = min(context_tokens or positions, positions)
        self._identity = fingerprint(
            {
                "weights": _weights_hash(self._model),
                "tokenizer": fingerprint(self._tokenizer.get_vocab()),
                "template": self._tokenizer.chat_template if self._chat else None,
                "precision": precision,
            }
        )

    def identity(self) -> str:
        """A hash of weights, tokenizer and precision."""
        return self._identity

    def room(self, max_tokens: int) -> int:
        """Tokens that a prompt may have beside a reply of `max_tokens`."""
        return self._context_tokens - max_tokens

    def count_tokens(self, rendered: Rendered) -> int:
        """Tokens of a prompt as the model gets it."""
        return len(self._tokens(rendered))

    def count_answer(self, text: str) -> int:
        """Tokens of an answer, its end included."""
        return len(self._tokenizer.encode(" " + text, add_special_tokens=False)) + 1

    def key(self, query: Query) -> str:
        """A hash of model, prompt, limit and stop texts."""
        return fingerprint(
            {
                "model": self._identity,
                "tokens": self._tokens(query.rendered),
                "max": query.max_tokens,
                "stop": query.stop,
            }
        )

    def ask(self, queries: Sequence[Query], store: ReplyStore) -> Iterator[tuple[int, Reply]]:
        """Decode greedily, longest prompts first."""
        order = sorted(range(len(queries)), key=lambda k: -queries[k].tokens)
        with Progress(f"ask {self.name}", len(order), unit="prompts") as progress:
            for start in range(0, len(order), self._batch_size):
                numbers = order[start : start + self._batch_size]
                replies = self._generate([queries[k] for k in numbers])
                for number, reply in zip(numbers, replies, strict=True):
                    store.add(self.key(queries[number]), reply)
                    progress.advance()
                    yield number, reply

    def close(self) -> None:
        """Nothing is under way between two replies."""

    def _tokens(self, rendered: Rendered) -> list[int]:
        if not self._chat:
            return self._tokenizer.encode(rendered.text)
        text = self._tokenizer.apply_chat_template(
            rendered.messages,
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=False,  # templates that do not know it leave it aside
        )
        return self._tokenizer.encode(text, add_special_tokens=False)

    def _generate(self, queries: Sequence[Query]) -> list[Reply]:
        import torch

        rows = [self._tokens(query.rendered) for query in queries]
        padded = self._tokenizer.pad({"input_ids": rows}, return_tensors="pt").to(self._device)
        stop = sorted({text for query in queries for text in query.stop})
        with torch.inference_mode():
            out = self._model.generate(
                input_ids=padded["input_ids"],
                attention_mask=padded["attention_mask"],
                max_new_tokens=max(query.max_tokens for query in queries),
                do_sample=False,
                num_beams=1,
                temperature=None,
                top_p=None,
                top_k=None,
                pad_token_id=self._tokenizer.pad_token_id,
                **({"stop_strings": stop, "tokenizer": self._tokenizer} if stop else {}),
            )
        width = padded["input_ids"].shape[1]
        written = out[:, width:].tolist()
        return [self._reply(*pair) for pair in zip(queries, written, strict=True)]

    def _reply(self, query: Query, tokens: list[int]) -> Reply:
        ends = self._model.generation_config.eos_token_id
        ends = {*(ends if isinstance(ends, list) else [ends]), self._tokenizer.eos_token_id}
        ends.add(self._tokenizer.pad_token_id)  # fills rows that ended before others
        length = next((k for k, token in enumerate(tokens) if token in ends), len(tokens))
        text = self._tokenizer.decode(tokens[:length], skip_special_tokens=True)
        stops = [text.index(one) for one in query.stop if one in text]
        return Reply(
            text[: min(stops)] if stops else text,
            prompt_tokens=query.tokens,
            completion_tokens=length,
            at_limit=length >= query.max_tokens and not stops,
        )


def _positions(config: Any) -> int:
    """Tokens that a model has positions for, but no more than memory may be expected to hold."""
    found = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None)
    return min(int(found or _LONGEST_CONTEXT), _LONGEST_CONTEXT)


def _weights_hash(model: Any) -> str:
    """A hash of names, shapes and the beginning and sum of every array."""
    import torch

    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        head = value.detach().flatten()[:_SAMPLED].to("cpu", torch.float32)
        total = value.detach().sum(dtype=torch.float64).item()
        digest.update(f"{name} {tuple(value.shape)} {total!r}".encode())
        digest.update(head.numpy().tobytes())
    return digest.hexdigest()
