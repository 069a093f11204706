"""The four models that only the paper's appendix has (Tables 7, 9 and 10)."""

from __future__ import annotations

from clinical_t5x.evaluation.registry import commands
from clinical_t5x.evaluation.registry.row import (
    APPENDIX,
    ENCODER,
    ENCODER_DECODER,
    FINE_TUNING,
    ModelRow,
    TokenCounts,
)

_T5_TOKENIZER = "T5Tokenizer (SentencePiece unigram)"
_NO_LICENCE = "none stated on its page"
_NO_UNIQUE_COUNT = "the paper's different tokens of this model are not at hand"
_UNIQUE_UNKNOWN = TokenCounts(None, None, None)

APPENDIX_MODELS = (
    ModelRow(
        key="clinicalbert",
        name="ClinicalBERT",
        group=APPENDIX,
        architecture=ENCODER,
        family="bert",
        tokenizer="BertTokenizer (WordPiece)",
        parameters=110_000_000,
        source="emilyalsentzer/Bio_ClinicalBERT",
        licence="MIT",
        use=FINE_TUNING,
        preset="encoder_sweep",
        command=commands.fine_tuned(
            "clinicalbert", "emilyalsentzer/Bio_ClinicalBERT", "encoder_sweep"
        ),
        tokens=TokenCounts(general=137e9, biomedical=46e9, clinical=0.6e9),
        unique_tokens=_UNIQUE_UNKNOWN,
        notes=(_NO_UNIQUE_COUNT,),
    ),
    ModelRow(
        key="clinical_longformer",
        name="Clinical-Longformer",
        group=APPENDIX,
        architecture=ENCODER,
        family="longformer",
        tokenizer="RobertaTokenizer (byte-level BPE)",
        parameters=150_000_000,
        source="yikuan8/Clinical-Longformer",
        licence=_NO_LICENCE,
        use=FINE_TUNING,
        preset="encoder_sweep",
        command=commands.fine_tuned(
            "clinical_longformer", "yikuan8/Clinical-Longformer", "encoder_sweep"
        ),
        tokens=TokenCounts(general=2200e9, clinical=15e9),
        unique_tokens=_UNIQUE_UNKNOWN,
        notes=(_NO_UNIQUE_COUNT,),
    ),
    ModelRow(
        key="scifive",
        name="SciFive",
        group=APPENDIX,
        architecture=ENCODER_DECODER,
        family="t5",
        tokenizer=_T5_TOKENIZER,
        parameters=220_000_000,
        source="razent/SciFive-base-Pubmed",
        licence=_NO_LICENCE,
        use=FINE_TUNING,
        preset="t5",
        command=commands.own_t5("scifive", "SCIFIVE_BASE", "gin/models/clinical_base.gin"),
        tokens=TokenCounts(general=34e9, biomedical=27e9),
        unique_tokens=_UNIQUE_UNKNOWN,
        notes=(_NO_UNIQUE_COUNT,),
    ),
    ModelRow(
        key="scifive_large",
        name="SciFive-Large",
        group=APPENDIX,
        architecture=ENCODER_DECODER,
        family="t5",
        tokenizer=_T5_TOKENIZER,
        parameters=770_000_000,
        source="razent/SciFive-large-Pubmed",
        licence=_NO_LICENCE,
        use=FINE_TUNING,
        preset="t5",
        command=commands.own_t5("scifive_large", "SCIFIVE_LARGE", "gin/models/clinical_large.gin"),
        tokens=TokenCounts(general=34e9, biomedical=14e9),
        unique_tokens=_UNIQUE_UNKNOWN,
        notes=(
            "the paper's id is not at hand; this is the large model of the base one's family",
            _NO_UNIQUE_COUNT,
        ),
    ),
)
