"""Models of today, one of each architecture, that the paper's question should be asked of again.

What their pages say (read in November 2026) is stated; what was only inferred is in the notes.
"""

from __future__ import annotations

from clinical_t5x.evaluation.registry import commands
from clinical_t5x.evaluation.registry.row import (
    DECODER,
    ENCODER,
    ENCODER_DECODER,
    FINE_TUNING,
    IN_CONTEXT,
    TODAY,
    UNKNOWN_TOKENS,
    ModelRow,
    TokenCounts,
)

TODAYS_MODELS = (
    ModelRow(
        key="bioclinical_modernbert",
        name="BioClinical ModernBERT",
        group=TODAY,
        architecture=ENCODER,
        family="modernbert",
        tokenizer="PreTrainedTokenizerFast (byte-level BPE)",
        parameters=396_000_000,
        source="thomas-sounack/BioClinical-ModernBERT-large",
        licence="MIT",
        use=FINE_TUNING,
        preset="encoder_sweep",
        command=commands.fine_tuned(
            "bioclinical_modernbert", "thomas-sounack/BioClinical-ModernBERT-large", "encoder_sweep"
        ),
        tokens=TokenCounts(general=2e12, biomedical=None, clinical=None),
        unique_tokens=UNKNOWN_TOKENS,
        notes=(
            "also as BioClinical-ModernBERT-base, 150M",
            "53.5B biomedical and clinical tokens together (arXiv 2506.10896, its card), after"
            " ModernBERT's 2T general ones (its card); how they divide is not on the card",
            "the preset is the paper's for encoders, not one of its authors",
        ),
    ),
    ModelRow(
        key="t5gemma",
        name="T5Gemma 2B-2B",
        group=TODAY,
        architecture=ENCODER_DECODER,
        family="t5gemma",
        tokenizer="GemmaTokenizer (SentencePiece BPE)",
        parameters=5_600_000_000,
        source="google/t5gemma-2b-2b-prefixlm",
        licence="Gemma terms of use (to be accepted on its page)",
        use=FINE_TUNING,
        preset="lora",
        command=commands.fine_tuned("t5gemma", "google/t5gemma-2b-2b-prefixlm", "lora"),
        tokens=UNKNOWN_TOKENS,
        unique_tokens=UNKNOWN_TOKENS,
        notes=(
            "Gemma 2 2B twice, made an encoder-decoder by further training (arXiv 2504.06225); how"
            " many tokens in all is not on its card",
            "its page rounds the parameters to 6B, its configuration makes 5.6B",
            "it is fine-tuned here by its encoder alone, with adapters",
        ),
    ),
    ModelRow(
        key="qwen3_8b",
        name="Qwen3-8B",
        group=TODAY,
        architecture=DECODER,
        family="qwen3",
        tokenizer="Qwen2Tokenizer (byte-level BPE)",
        parameters=8_200_000_000,
        source="Qwen/Qwen3-8B",
        licence="Apache-2.0",
        use=IN_CONTEXT,
        preset=None,
        command=commands.prompted("qwen3_8b", "--causal_model Qwen/Qwen3-8B"),
        tokens=TokenCounts(general=36e12, biomedical=None, clinical=None),
        unique_tokens=UNKNOWN_TOKENS,
        notes=(
            "an open model of text alone that one GPU holds and every server knows; any other may"
            " stand in its place",
            "36T tokens in all, says its maker; what of them is biomedical or clinical it does not"
            " say",
        ),
    ),
)
