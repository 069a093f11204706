"""Table 3: FLOPs of pre-training as printed. What they should be is computed (evaluation/cost)."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class PrintedFlops:
    """A row of Table 3; None where it has a dash or a question mark.

    Attributes:
      model: Key of the registry.
      general: On general text, as printed.
      biomedical: On biomedical text.
      clinical: On clinical text.
      without_factor_six: Names of the cells that are P T, where the paper's own formula is 6 P T.
    """

    model: str
    general: float | None = None
    biomedical: float | None = None
    clinical: float | None = None
    without_factor_six: tuple[str, ...] = ()


PRINTED_FLOPS = (
    PrintedFlops("t5_base", general=4.5e19, biomedical=6.6e17),
    PrintedFlops("clinical_t5_base", clinical=5.3e19),
    PrintedFlops("roberta_large", general=4.6e21),
    PrintedFlops("bioclinroberta", biomedical=4.2e21, clinical=1.4e20),
    PrintedFlops(
        "gatortron",
        general=1.4e19,
        biomedical=1.9e20,
        clinical=3.3e21,
        without_factor_six=("general",),
    ),
    PrintedFlops("t5_large", general=2.6e19, biomedical=2.3e18, without_factor_six=("general",)),
    PrintedFlops("clinical_t5_large", clinical=1.8e20),
    PrintedFlops("pubmedgpt", biomedical=4.9e21),
    PrintedFlops("t5_xl", general=1e20, biomedical=9e18, without_factor_six=("general",)),
    PrintedFlops(
        "flan_t5_xxl",
        general=3.7e20,
        biomedical=5.5e18,
        without_factor_six=("general", "biomedical"),
    ),
    PrintedFlops("gpt3"),
)
