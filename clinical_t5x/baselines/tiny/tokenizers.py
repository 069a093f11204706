"""Vocabularies learnt from a few texts, in the files that each family's tokenizer is read from."""

from __future__ import annotations

import collections
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from clinical_t5x.data.vocabulary_training import VocabularyOptions, train_model
from clinical_t5x.interop.tokenizer import tokenizer_files

# Names of the benchmarks' formats, so that no vocabulary has to spell them.
_FORMATS = (
    "mednli premise: hypothesis: question: context: entailment neutral contradiction answer yes no"
)
_WORD = re.compile(r" *[^ 0-9]+|[0-9]| +")  # as our vocabulary's training counts them


def write_wordpiece(directory: Path, texts: Sequence[str], size: int, *, lower_case: bool) -> None:
    """BERT's vocab.txt."""
    from tokenizers import BertWordPieceTokenizer

    learner = BertWordPieceTokenizer(lowercase=lower_case)
    learner.train_from_iterator(
        [*texts, _FORMATS], vocab_size=size, min_frequency=1, show_progress=False
    )
    learner.save_model(str(directory))
    _write_config(
        directory,
        "BertTokenizer",
        {
            "do_lower_case": lower_case,
            **{
                f"{name}_token": f"[{name.upper()}]"
                for name in ("cls", "sep", "pad", "unk", "mask")
            },
            "model_max_length": 512,
        },
    )


def write_byte_pairs(
    directory: Path, texts: Sequence[str], size: int, *, kind: str, longest: int
) -> None:
    """vocab.json and merges.txt of byte-level pairs.

    Args:
      directory: of the model.
      texts: to learn from.
      size: tokens.
      kind: "RobertaTokenizer" or "GPT2Tokenizer", which differ in their special tokens.
      longest: tokens of the longest input.
    """
    from tokenizers import ByteLevelBPETokenizer

    special = {
        "RobertaTokenizer": ["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        "GPT2Tokenizer": ["<|endoftext|>"],
    }[kind]
    learner = ByteLevelBPETokenizer()
    learner.train_from_iterator(
        [*texts, _FORMATS], vocab_size=size, min_frequency=1, special_tokens=special,
        show_progress=False,
    )  # fmt: skip
    learner.save_model(str(directory))
    named = {"bos": special[0], "eos": special[min(2, len(special) - 1)]}
    if kind == "RobertaTokenizer":
        named |= {"cls": "<s>", "sep": "</s>", "pad": "<pad>", "unk": "<unk>", "mask": "<mask>"}
    tokens = {f"{name}_token": token for name, token in named.items()}
    _write_config(directory, kind, {**tokens, "model_max_length": longest})


def write_tokenizer_json(
    directory: Path,
    texts: Sequence[str],
    size: int,
    *,
    kind: str,
    special: Mapping[str, str],
    template: str | None,
) -> None:
    """tokenizer.json of byte-level pairs, with everything in it.

    Args:
      directory: of the model.
      texts: to learn from.
      size: tokens.
      kind: the tokenizer's class.
      special: special tokens by what they are for: "bos", "pad" and so on.
      template: special tokens around a text `$A`, with `$B` for a second one after it.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(dict.fromkeys(special.values())),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*texts, _FORMATS], trainer)
    if template:
        single, pair = template.split("$B")[0], template
        names = sorted({part for part in template.split() if not part.startswith("$")})
        tokenizer.post_processor = processors.TemplateProcessing(
            single=single.strip(),
            pair=re.sub(r"\$B", "$B:1", pair),
            special_tokens=[(name, tokenizer.token_to_id(name)) for name in names],
        )
    tokenizer.save(str(directory / "tokenizer.json"))
    tokens = {f"{name}_token": token for name, token in special.items()}
    _write_config(directory, kind, {**tokens, "model_max_length": 8192})


def write_sentencepiece(directory: Path, texts: Sequence[str], size: int) -> None:
    """T5's spiece.model with 100 sentinels above it, made by this project's vocabulary tools."""
    counts: collections.Counter[str] = collections.Counter()
    for text in (*texts, _FORMATS):
        counts.update(_WORD.findall(" " + " ".join(text.split())))
    write_sentencepiece_model(
        directory, train_model(counts, VocabularyOptions(size=size, t5_whitespace=True))
    )


def write_sentencepiece_model(directory: Path, model_proto: bytes) -> None:
    """The files of a SentencePiece model that is there already."""
    for name, content in tokenizer_files(model_proto).items():
        (directory / name).write_bytes(content)


def _write_config(directory: Path, kind: str, values: Mapping[str, Any]) -> None:
    content = {"tokenizer_class": kind, **values}
    (directory / "tokenizer_config.json").write_text(json.dumps(content, indent=2) + "\n")


_MASKED = {"cls": "[CLS]", "sep": "[SEP]", "pad": "[PAD]", "unk": "[UNK]", "mask": "[MASK]"}

# By family: what writes its files into a directory, from texts, with so many tokens.
WRITERS: Mapping[str, Callable[[Path, Sequence[str], int], None]] = {
    "bert": lambda *given: write_wordpiece(*given, lower_case=False),
    "megatron-bert": lambda *given: write_wordpiece(*given, lower_case=True),
    "roberta": lambda *given: write_byte_pairs(*given, kind="RobertaTokenizer", longest=512),
    "longformer": lambda *given: write_byte_pairs(*given, kind="RobertaTokenizer", longest=4096),
    "gpt2": lambda *given: write_byte_pairs(*given, kind="GPT2Tokenizer", longest=1024),
    "modernbert": lambda *given: write_tokenizer_json(
        *given,
        kind="PreTrainedTokenizerFast",
        special=_MASKED,
        template="[CLS] $A [SEP] $B [SEP]",
    ),
    "llama": lambda *given: write_tokenizer_json(
        *given,
        kind="PreTrainedTokenizerFast",
        special={"bos": "<|begin_of_text|>", "eos": "<|end_of_text|>"},
        template="<|begin_of_text|> $A $B",
    ),
    "qwen3": lambda *given: write_tokenizer_json(
        *given,
        kind="Qwen2Tokenizer",
        special={"eos": "<|im_end|>", "pad": "<|endoftext|>"},
        template=None,
    ),
    "t5gemma": lambda *given: write_tokenizer_json(
        *given,
        kind="PreTrainedTokenizerFast",
        special={"pad": "<pad>", "eos": "<eos>", "bos": "<bos>", "unk": "<unk>"},
        template="<bos> $A $B",
    ),
    "t5": write_sentencepiece,
}
