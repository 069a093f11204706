"""What the report's models cost: pre-training, inference, and when the dearer start pays.

FLOPs are computed (evaluation/cost), neither measured nor published; where the paper's Table 3
prints another number, that one is said and marked. Tokens and prices of prompting are measured.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from clinical_t5x.evaluation.cost import (
    BreakEven,
    ModelCost,
    break_even,
    model_costs,
    side_of_model,
)
from clinical_t5x.evaluation.cost.model_costs import KINDS
from clinical_t5x.evaluation.registry import MODELS
from clinical_t5x.evaluation.registry.row import ENCODER_DECODER, FINE_TUNING
from clinical_t5x.evaluation.report.csv_rows import csv_of
from clinical_t5x.evaluation.report.main_table import MainTable, size_words
from clinical_t5x.evaluation.report.table import title_of
from clinical_t5x.evaluation.results import Evaluation

# Weights of a general vocabulary: the paper's, and none.
WEIGHTS = (1.12, 1.0)


@dataclasses.dataclass(frozen=True)
class CostLine:
    """One model of the registry.

    Attributes:
      key, name: In the registry, and for readers.
      parameters: The P of 6PT.
      cost: Its FLOPs.
    """

    key: str
    name: str
    parameters: int
    cost: ModelCost

    def printed(self, kind: str) -> float | None:
        """What the paper's Table 3 prints for a kind of text, where that is wrong."""
        if kind not in self.cost.wrong_cells:
            return None
        return getattr(self.cost.printed, kind)


@dataclasses.dataclass(frozen=True)
class BreakEvenLine:
    """A clinical model against a larger general one, with each of `WEIGHTS`."""

    clinical: str
    general: str
    answers: tuple[BreakEven, ...]


@dataclasses.dataclass(frozen=True)
class UsageLine:
    """What prompting used: whole numbers of an evaluation's counts, by their names."""

    system: str
    task: str
    counts: Mapping[str, int]


@dataclasses.dataclass(frozen=True)
class CostTable:
    """Everything about costs that a report shows."""

    lines: tuple[CostLine, ...]
    break_evens: tuple[BreakEvenLine, ...]
    usage: tuple[UsageLine, ...]

    def __bool__(self) -> bool:
        return bool(self.lines or self.usage)

    @property
    def wrong(self) -> tuple[tuple[CostLine, str, float], ...]:
        """Cells that the paper's Table 3 prints wrong: model, kind of text, what is printed."""
        return tuple(
            (line, kind, line.printed(kind))
            for line in self.lines
            for kind in KINDS
            if line.printed(kind) is not None
        )


def cost_table(table: MainTable, evaluations: Sequence[Evaluation] = ()) -> CostTable:
    """The costs of the models that a main table has.

    Args:
      table: Whose models.
      evaluations: What was measured, for tokens and prices of prompting.
    """
    keys = [key for key in MODELS if any(line.key == key for line in table.lines)]
    lines = tuple(
        CostLine(cost.key, MODELS[cost.key].name, MODELS[cost.key].parameters, cost)
        for cost in model_costs(keys)
    )
    return CostTable(lines, tuple(_break_evens(keys)), tuple(_usage(evaluations)))


def _break_evens(keys: Sequence[str]) -> list[BreakEvenLine]:
    """Each model of clinical text alone against each larger general model of its architecture."""
    rows = [MODELS[key] for key in keys]
    rows = [r for r in rows if r.architecture == ENCODER_DECODER and r.use == FINE_TUNING]
    clinical = [r for r in rows if r.tokens.clinical and r.tokens.clinical == r.tokens.total]
    general = [r for r in rows if r.tokens.clinical == 0]
    return [
        BreakEvenLine(
            mine.name,
            theirs.name,
            tuple(
                break_even(
                    side_of_model(mine.key, pays_pretraining=True),
                    side_of_model(theirs.key, weight=weight, pays_pretraining=False),
                )
                for weight in WEIGHTS
            ),
        )
        for mine in clinical
        for theirs in general
        if theirs.parameters > mine.parameters
    ]


def _usage(evaluations: Sequence[Evaluation]) -> list[UsageLine]:
    found = []
    for evaluation in evaluations:
        counts = {
            name: count
            for name, count in evaluation.counts.items()
            if name in _USED or "price" in name
        }
        if counts:
            first = evaluation.results[0]
            found.append(
                UsageLine(f"{title_of(first.initialisation)} ({first.model})", first.task, counts)
            )
    return found


# Counts of an evaluation that say what asking a model used (baselines/prompting).
_USED = frozenset({"requests", "prompt_tokens", "completion_tokens"})
_MILLIONTHS = "_in_millionths"  # how the name of a price ends


def flops(value: float | None) -> str:
    """FLOPs as a table gives them."""
    if value is None:
        return "unknown"
    return "0" if value == 0 else f"{value:.1e}".replace("e+0", "e").replace("e+", "e")


CSV_FIELDS = (
    "kind", "model", "key", "parameters", "general_flops", "biomedical_flops", "clinical_flops",
    "total_flops", "printed_general_flops", "printed_biomedical_flops", "printed_clinical_flops",
    "wrong_in_table_3", "inference_flops_per_token", "exact_flops_per_token", "against",
    "vocabulary_weight", "break_even", "break_even_tokens",
)  # fmt: skip


def rows_as_dicts(table: CostTable) -> list[dict[str, Any]]:
    """Models and break-evens, one flat dict each; empty where something is not known."""
    found: list[dict[str, Any]] = []
    for line in table.lines:
        cost = line.cost
        row = {
            "kind": "model", "model": line.name, "key": line.key, "parameters": line.parameters,
            "total_flops": cost.pretraining.total,
            "wrong_in_table_3": " ".join(cost.wrong_cells),
            "inference_flops_per_token": cost.inference_per_token,
            "exact_flops_per_token": cost.exact_per_token,
        }  # fmt: skip
        for kind in KINDS:
            row[f"{kind}_flops"] = getattr(cost.pretraining, kind)
            row[f"printed_{kind}_flops"] = (
                None if cost.printed is None else getattr(cost.printed, kind)
            )
        found.append(row)
    for line in table.break_evens:
        for weight, answer in zip(WEIGHTS, line.answers, strict=True):
            found.append(
                {
                    "kind": "break-even", "model": line.clinical, "against": line.general,
                    "vocabulary_weight": weight, "break_even": answer.kind,
                    "break_even_tokens": answer.tokens,
                }
            )  # fmt: skip
    return found


def csv_text(table: CostTable) -> str:
    """Models and break-evens as CSV."""
    return csv_of(CSV_FIELDS, rows_as_dicts(table))


HEADINGS = (
    "model", "parameters", "general", "biomedical", "clinical", "total", "2P a token",
    "counted a token",
)  # fmt: skip


def fields(table: CostTable, line: CostLine) -> list[str]:
    """The cells of a model's row as text; wrong cells of the paper's Table 3 have a marker."""
    wrong = [(other.key, kind) for other, kind, _ in table.wrong]
    by_kind = []
    for kind in KINDS:
        shown = flops(getattr(line.cost.pretraining, kind))
        marked = (line.key, kind) in wrong
        by_kind.append(shown + (f" [{1 + wrong.index((line.key, kind))}]" if marked else ""))
    cost = line.cost
    return [
        line.name,
        size_words(line.parameters),
        *by_kind,
        flops(cost.pretraining.total),
        flops(cost.inference_per_token),
        "not public" if cost.exact_per_token is None else flops(cost.exact_per_token),
    ]


def notes(table: CostTable) -> list[str]:
    """What the markers of `fields` mean, in order."""
    return [
        f"[{k}] {line.name}, {kind} text: the paper's Table 3 prints {flops(printed)}, which lacks"
        " the factor 6 of its own formula."
        for k, (line, kind, printed) in enumerate(table.wrong, 1)
    ]


EXPLANATION = (
    "FLOPs of pre-training by kind of text, 6PT with the registry's parameters and tokens; of"
    " inference a token, 2P; and counted product by product from the sizes (512 tokens read, and 8"
    " written by models that write, divided by 512). Computed, neither measured nor published."
)


BREAK_EVEN_HEADINGS = (
    "clinical model", "general model", *(f"weight {weight:g}" for weight in WEIGHTS),
)  # fmt: skip
BREAK_EVEN_EXPLANATION = (
    "From how many tokens of inference on the clinical model, whose pre-training is paid for, costs"
    " less than the larger general one, which is there already. The weight says how many tokens of"
    " the general vocabulary a text has for one of the clinical vocabulary: 1.12 in the paper."
)


def break_even_fields(line: BreakEvenLine) -> list[str]:
    """The cells of a pair's row as text: a volume, or a word where there is none."""
    shown = [
        answer.kind if answer.tokens is None else f"{answer.kind} {answer.tokens / 1e9:.1f}B"
        for answer in line.answers
    ]
    return [line.clinical, line.general, *shown]


def usage_fields(line: UsageLine) -> list[str]:
    """System, task, and what it used."""
    used = ", ".join(_used(name, count) for name, count in line.counts.items())
    return [line.system, line.task, used]


def _used(name: str, count: int) -> str:
    """A count in words; counts are whole numbers, so prices are in millionths."""
    what = name.removesuffix(_MILLIONTHS)
    shown = f"{count:,}" if what == name else f"{count / 1e6:,.4f}"
    return f"{what.replace('_', ' ')} {shown}"
