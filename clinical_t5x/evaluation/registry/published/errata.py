"""Where the paper contradicts itself: a re-implementation must not fail because of these."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Erratum:
    """A contradiction inside the paper.

    Attributes:
      where: Tables, figures or sections.
      text: What is wrong and, where known, what is right.
      models: Keys of the rows that it touches; none where it touches no model's numbers.
    """

    where: str
    text: str
    models: tuple[str, ...] = ()


ERRATA = (
    Erratum(
        "Table 3",
        "Some FLOPs lack the factor 6 of the paper's own formula, 6 P T: the general ones of"
        " GatorTron, T5-Large, T5-XL and Flan-T5-XXL, and the biomedical ones of Flan-T5-XXL."
        " Figure 3 was drawn with right ones.",
        ("gatortron", "t5_large", "t5_xl", "flan_t5_xxl"),
    ),
    Erratum(
        "Section 4.1",
        "Clinical-T5-Large is said to be cheaper than T5-XL from about 40B tokens of inference; the"
        " paper's formula gives 33.9B with its tokenizer weight of 1.12, and 39.4B with 1.0.",
        ("clinical_t5_large", "t5_xl"),
    ),
    Erratum(
        "Tables 2 and 9",
        "Clinical-T5-Base-Ckpt on RadQA: Table 2 has EM 0.507 and F1 0.689, Table 9 has 0.505 and"
        " 0.684.",
        ("clinical_t5_base_ckpt",),
    ),
    Erratum(
        "Tables 3, 7 and 9",
        "GPT-3: Table 3 has MedNLI 0.805 and RadQA F1 0.619, Tables 7 and 9 have 0.807 and 0.620.",
        ("gpt3",),
    ),
    Erratum(
        "Table 7",
        "The model of 11B parameters is called Flan-T5-XL; it is Flan-T5-XXL.",
        ("flan_t5_xxl",),
    ),
    Erratum(
        "Tables 14 and 15",
        "The rows GatorTron and RoBERTa are in each other's place: their 100 % columns are each"
        " other's values in Table 10, and Figure 4 plots GatorTron with the row RoBERTa.",
        ("gatortron", "roberta_large"),
    ),
    Erratum(
        "Table 12",
        "PubMedGPT at 100 %: 0.729 ±.005 is T5-XL's number; Tables 3 and 9 have 0.698 ±.004.",
        ("pubmedgpt",),
    ),
    Erratum(
        "Tables 12 and 13",
        "BioClinRoBERTa at 1 % and 5 % is nearly the same (F1 0.369 and 0.370, EM 0.322 and 0.322"
        " with the same spread): it probably answers nothing (inferred).",
        ("bioclinroberta",),
    ),
    Erratum(
        "Figure 3",
        "Clinical-T5-Large's RadQA F1 is plotted at about 0.737; the tables have 0.745.",
        ("clinical_t5_large",),
    ),
    Erratum(
        "Table 10 and the released code",
        "GPT-3 on CLIP (0.154, 0.146, on a quarter of the test split) is probably far too low: the"
        " released metric scores an answer with two labels or more as no label, and the prompt"
        " offers six of the seven labels, so that macro F1 cannot pass 6/7.",
        ("gpt3",),
    ),
    Erratum(
        "Table 6",
        "107K sentences are CLIP's whole data set; its training split has 76,654.",
    ),
    Erratum(
        "Data availability",
        "Results on n2c2 2010, 2012 and 2014 are promised; only 2012 appears, in the ablation of"
        " de-identification tags.",
    ),
    Erratum(
        "Tables 9 and 10",
        "Several marks in the columns for biomedical and clinical pre-training contradict Table 5.",
    ),
)
