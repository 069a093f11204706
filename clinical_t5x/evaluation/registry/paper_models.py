"""The twelve models of "Do We Still Need Clinical Language Models?" (Lehman et al. 2023).

Parameters and tokens are the paper's (Tables 1 to 3 and 5); it says where each model is from only
in part, and ids that its code does not show are marked. Licences are those of the models' pages.
"""

from __future__ import annotations

from clinical_t5x.evaluation.registry import commands
from clinical_t5x.evaluation.registry.row import (
    DECODER,
    ENCODER,
    ENCODER_DECODER,
    ENDPOINT,
    FINE_TUNING,
    IN_CONTEXT,
    PAPER,
    UNKNOWN_TOKENS,
    ModelRow,
    TokenCounts,
)

_T5_TOKENIZER = "T5Tokenizer (SentencePiece unigram)"
_ROBERTA_TOKENIZER = "RobertaTokenizer (byte-level BPE)"
_APACHE, _MIT = "Apache-2.0", "MIT"
_PHYSIONET = "PhysioNet Credentialed Health Data License"
_T5_TOKENS = TokenCounts(general=34e9, biomedical=0.5e9)
_ID_INFERRED = "the paper's code does not show the id; this is the model of that name and size"
_RELEASED = (
    "the published weights are Hugging Face files that --model KEY=DIRECTORY takes as well; only"
    " credentialed users may have them"
)
_SENTENCEPIECE_ONLY = (
    "the published model's tokenizer was made by Hugging Face's tokenizers; our trainer reads"
    " SentencePiece models, so it needs a conversion that is not part of this project"
)

_T5_BASED = (
    ModelRow(
        key="t5_base",
        name="T5-Base",
        group=PAPER,
        architecture=ENCODER_DECODER,
        family="t5",
        tokenizer=_T5_TOKENIZER,
        parameters=220_000_000,
        source="google-t5/t5-base",
        licence=_APACHE,
        use=FINE_TUNING,
        preset="t5",
        command=commands.own_t5("t5_base", "T5_BASE", "gin/models/clinical_base.gin"),
        tokens=_T5_TOKENS,
        unique_tokens=_T5_TOKENS,
        aliases=("t5-base",),
    ),
    ModelRow(
        key="clinical_t5_base_ckpt",
        name="Clinical-T5-Base-Ckpt",
        group=PAPER,
        architecture=ENCODER_DECODER,
        family="t5",
        tokenizer=_T5_TOKENIZER,
        parameters=220_000_000,
        source="physionet.org/content/clinical-t5/1.0.0, directory Clinical-T5-Base",
        licence=_PHYSIONET,
        use=FINE_TUNING,
        preset="t5",
        command=commands.tagged_t5(
            "clinical_t5_base_ckpt", "CLINICAL_T5_BASE", "gin/models/clinical_base.gin"
        ),
        tokens=TokenCounts(general=34e9, biomedical=0.5e9, clinical=13e9),
        unique_tokens=TokenCounts(general=34e9, biomedical=0.5e9, clinical=2.3e9),
        notes=(
            "the directory is called Clinical-T5-Base: that is this model, trained on from T5-Base",
            "gin/clinical_base_ckpt.gin trains one anew",
            "whether its 15 tags have the ids that `extend` gives (32,100 to 32,114) could not be"
            " looked up: compare with the tokenizer beside it",
            _RELEASED,
        ),
    ),
    ModelRow(
        key="clinical_t5_base",
        name="Clinical-T5-Base",
        group=PAPER,
        architecture=ENCODER_DECODER,
        family="t5",
        tokenizer=_T5_TOKENIZER,
        parameters=220_000_000,
        source="physionet.org/content/clinical-t5/1.0.0, directory Clinical-T5-Scratch",
        licence=_PHYSIONET,
        use=FINE_TUNING,
        preset="t5",
        command=commands.pretrained_here(
            "clinical_t5_base", "gin/clinical_base.gin", "gin/models/clinical_base.gin"
        ),
        tokens=TokenCounts(clinical=40e9),
        unique_tokens=TokenCounts(clinical=2e9),
        notes=(
            "the directory is called Clinical-T5-Scratch: the paper's Clinical-T5-Base is this one",
            "its vocabulary is lower-cased by accident; gin/paper_clinical_base.gin has that too",
            _RELEASED,
            _SENTENCEPIECE_ONLY,
        ),
    ),
    ModelRow(
        key="t5_large",
        name="T5-Large",
        group=PAPER,
        architecture=ENCODER_DECODER,
        family="t5",
        tokenizer=_T5_TOKENIZER,
        parameters=770_000_000,
        source="google-t5/t5-large",
        licence=_APACHE,
        use=FINE_TUNING,
        preset="t5",
        command=commands.own_t5("t5_large", "T5_LARGE", "gin/models/clinical_large.gin"),
        tokens=_T5_TOKENS,
        unique_tokens=_T5_TOKENS,
        notes=(_ID_INFERRED,),
        aliases=("t5-large",),
    ),
    ModelRow(
        key="clinical_t5_large",
        name="Clinical-T5-Large",
        group=PAPER,
        architecture=ENCODER_DECODER,
        family="t5",
        tokenizer=_T5_TOKENIZER,
        parameters=770_000_000,
        source="physionet.org/content/clinical-t5/1.0.0, directory Clinical-T5-Large",
        licence=_PHYSIONET,
        use=FINE_TUNING,
        preset="t5",
        command=commands.pretrained_here(
            "clinical_t5_large", "gin/clinical_large.gin", "gin/models/clinical_large.gin"
        ),
        tokens=TokenCounts(clinical=38e9),
        unique_tokens=TokenCounts(clinical=2e9),
        notes=(_RELEASED, _SENTENCEPIECE_ONLY),
    ),
    ModelRow(
        key="t5_xl",
        name="T5-XL",
        group=PAPER,
        architecture=ENCODER_DECODER,
        family="t5",
        tokenizer=_T5_TOKENIZER,
        parameters=3_000_000_000,
        source="google-t5/t5-3b",
        licence=_APACHE,
        use=FINE_TUNING,
        preset="t5",
        command=commands.own_t5("t5_xl", "T5_3B", "gin/models/clinical_xl.gin")
        + " --set mednli.epochs=15 --set radqa.epochs=15 --set clip.epochs=15",
        tokens=_T5_TOKENS,
        unique_tokens=_T5_TOKENS,
        notes=(_ID_INFERRED, "the plots of the paper's code call it T5-3B"),
        aliases=("t5-3b",),
    ),
)

_ENCODERS = (
    ModelRow(
        key="roberta_large",
        name="RoBERTa-Large",
        group=PAPER,
        architecture=ENCODER,
        family="roberta",
        tokenizer=_ROBERTA_TOKENIZER,
        parameters=345_000_000,
        source="FacebookAI/roberta-large",
        licence=_MIT,
        use=FINE_TUNING,
        preset="roberta",
        command=commands.fine_tuned("roberta_large", "FacebookAI/roberta-large", "roberta"),
        tokens=TokenCounts(general=2200e9),
        unique_tokens=TokenCounts(general=55e9),
        notes=(_ID_INFERRED,),
        aliases=("roberta-large",),
    ),
    ModelRow(
        key="bioclinroberta",
        name="BioClinRoBERTa",
        group=PAPER,
        architecture=ENCODER,
        family="roberta",
        tokenizer=_ROBERTA_TOKENIZER,
        parameters=345_000_000,
        source="github.com/facebookresearch/bio-lm, RoBERTa-large-PM-M3-Voc (Hugging Face form)",
        licence="see the repository (not verified)",
        use=FINE_TUNING,
        preset="roberta",
        command=commands.fine_tuned("bioclinroberta", "ROBERTA_LARGE_PM_M3_VOC", "roberta"),
        tokens=TokenCounts(biomedical=2037e9, clinical=65e9),
        unique_tokens=TokenCounts(biomedical=32e9, clinical=0.8e9),
        notes=("RoBERTa-large-PM-M3-Voc, renamed by the paper; a download, not a Hugging Face id",),
    ),
    ModelRow(
        key="gatortron",
        name="GatorTron",
        group=PAPER,
        architecture=ENCODER,
        family="megatron-bert",
        tokenizer="BertTokenizer (WordPiece)",
        parameters=345_000_000,
        source="UFNLP/gatortron-base",
        licence=_APACHE,
        use=FINE_TUNING,
        preset="encoder_sweep",
        command=commands.fine_tuned("gatortron", "UFNLP/gatortron-base", "encoder_sweep"),
        tokens=TokenCounts(general=40e9, biomedical=92e9, clinical=1570e9),
        unique_tokens=TokenCounts(general=4e9, biomedical=9e9, clinical=157e9),
        notes=("the paper had the files of NVIDIA's NGC; the Hugging Face id came later",),
    ),
)

_DECODER = ModelRow(
    key="pubmedgpt",
    name="PubMedGPT",
    group=PAPER,
    architecture=DECODER,
    family="gpt2",
    tokenizer="GPT2Tokenizer (byte-level BPE)",
    parameters=2_700_000_000,
    source="stanford-crfm/BioMedLM",
    licence="BigScience BLOOM RAIL 1.0",
    use=FINE_TUNING,
    preset="gpt",
    command=commands.fine_tuned("pubmedgpt", "stanford-crfm/BioMedLM", "gpt"),
    tokens=TokenCounts(biomedical=300e9),
    unique_tokens=TokenCounts(biomedical=50e9),
    notes=("since renamed BioMedLM; stanford-crfm/pubmedgpt leads there",),
    aliases=("stanford-crfm/pubmedgpt",),
)

_IN_CONTEXT = (
    ModelRow(
        key="flan_t5_xxl",
        name="Flan-T5-XXL",
        group=PAPER,
        architecture=ENCODER_DECODER,
        family="t5",
        tokenizer=_T5_TOKENIZER,
        parameters=11_000_000_000,
        source="google/flan-t5-xxl",
        licence=_APACHE,
        use=IN_CONTEXT,
        preset=None,
        command=commands.prompted("flan_t5_xxl", "--model FLAN_T5_XXL"),
        tokens=_T5_TOKENS,
        unique_tokens=_T5_TOKENS,
        notes=(
            "a gated MLP and an output matrix of its own (T5 1.1), unlike the T5s above",
            "tokens are as the paper has them, those of T5 1.0; instruction tuning is not counted",
        ),
    ),
    ModelRow(
        key="gpt3",
        name="GPT-3",
        group=PAPER,
        architecture=DECODER,
        family=ENDPOINT,
        tokenizer="tiktoken p50k_base (byte-level BPE), on the server",
        parameters=175_000_000_000,
        source="text-davinci-003, retired: OpenAI on 4 January 2024, Azure on 5 July 2024",
        licence="the provider's terms, and your data-use agreement",
        use=IN_CONTEXT,
        preset=None,
        command=commands.prompted("gpt3", "--endpoint URL --endpoint_model NAME"),
        tokens=UNKNOWN_TOKENS,
        unique_tokens=UNKNOWN_TOKENS,
        notes=(
            "nobody can run it any more: the row is run with any server of OpenAI's completions or"
            " chat API in its place, and its results then carry that model's name",
            "the paper gives 175B parameters and no tokens; the maker has confirmed neither",
        ),
    ),
)

PAPER_MODELS = (
    *_T5_BASED[:3],
    *_ENCODERS,
    *_T5_BASED[3:5],
    _DECODER,
    _T5_BASED[5],
    *_IN_CONTEXT,
)
