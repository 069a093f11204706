"""How long examples are in tokens, and what a choice of feature lengths cuts of them.

Everything is read from a finished token store: offsets give lengths, so that tens of thousands of
examples take well under a second.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from clinical_t5x.console import UserError
from clinical_t5x.data.token_store import EXAMPLES, RECORDS_FILE, TokenStore

QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999)


def length_report(
    store: TokenStore, feature_lengths: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """Lengths of a store's examples, end of sequence included.

    Args:
      store: of examples, not of documents.
      feature_lengths: as TASK_FEATURE_LENGTHS; None cuts nothing.

    Returns:
      `examples`; `cut_by_task` (a CLIP sentence longer than its budget); for each feature the
      `quantiles` (the smallest length that so many examples keep to), `max`, and where a length is
      given `limit`, `cut` (examples) and `tokens_lost`; `cut`, the examples of which anything is.
    """
    lengths = {name: sequences.lengths for name, sequences in store.features.items()}
    limits = dict(feature_lengths or {})
    unknown = sorted(limits.keys() - lengths.keys())
    if unknown:
        raise UserError(f"there is no feature {unknown[0]!r}; there are {', '.join(lengths)}")
    cut = _cut_by_task(store)
    report: dict[str, Any] = {"examples": store.manifest["items"], "cut_by_task": int(cut.sum())}
    for name, found in lengths.items():
        report[name] = _of_feature(found, limits.get(name))
        if name in limits:
            cut = cut | (found > limits[name])
    return {**report, "cut": int(cut.sum())}


def _of_feature(lengths: np.ndarray, limit: int | None) -> dict[str, Any]:
    if not len(lengths):
        return {"quantiles": {}, "max": 0}
    found = np.quantile(lengths, QUANTILES, method="inverted_cdf")
    described: dict[str, Any] = {
        "quantiles": {str(q): int(value) for q, value in zip(QUANTILES, found, strict=True)},
        "max": int(lengths.max()),
    }
    if limit is not None:
        over = np.maximum(lengths - limit, 0)
        described |= {
            "limit": limit, "cut": int((over > 0).sum()), "tokens_lost": int(over.sum()),
        }  # fmt: skip
    return described


def _cut_by_task(store: TokenStore) -> np.ndarray:
    """Which examples the task itself had to cut [N]."""
    cut = np.zeros(store.manifest["items"], bool)
    path = store.directory / RECORDS_FILE
    if store.kind != EXAMPLES or not path.exists():
        return cut
    with path.open("r") as file:
        for number, line in enumerate(file):
            # Parsing every record takes longer than all the rest; few are cut.
            cut[number] = '"sentence_cut": true' in line and json.loads(line)["sentence_cut"]
    return cut


def report_lines(name: str, report: Mapping[str, Any]) -> list[str]:
    """A report as lines of text, the first of them a heading."""
    lines = [f"{name}: {report['examples']:,} examples; lengths in tokens, end included"]
    for feature in ("inputs", "targets"):
        of = report[feature]
        quantiles = "  ".join(f"{100 * float(q):g}% {n:,}" for q, n in of["quantiles"].items())
        lines.append(f"  {feature:8}{quantiles}  longest {of['max']:,}")
        if "limit" in of:
            share = of["cut"] / max(1, report["examples"])
            lines.append(
                f"          {of['limit']:,} would cut {of['cut']:,} ({share:.2%}) and lose"
                f" {of['tokens_lost']:,} tokens"
            )
    if report["cut_by_task"]:
        lines.append(f"  {report['cut_by_task']:,} are cut by the task itself (window_tokens)")
    return lines


def truncation_lines(
    summary: Mapping[str, Mapping[str, Any]], feature_lengths: Mapping[str, int], split: str
) -> list[str]:
    """What a run says of the examples that its feature lengths cut; nothing where none is.

    Args:
      summary: of `Batches`: measured counts by task.
      feature_lengths: of the run.
      split: which one was opened.
    """
    lines = []
    for task, counts in summary.items():
        for feature, cut in counts.get("truncated", {}).items():
            if cut:
                lines.append(
                    f"{task} {split}: {cut:,} of {counts['examples']:,} {feature}"
                    f" ({cut / counts['examples']:.2%}) are cut to {feature_lengths[feature]:,}"
                    f" tokens; the longest has {counts['longest'][feature]:,}"
                    " (TASK_FEATURE_LENGTHS)"
                )
    return lines


def parse_feature_lengths(texts: Sequence[str]) -> dict[str, int]:
    """Lengths from `inputs=512` and `targets=64`, in several arguments or joined by commas."""
    lengths: dict[str, int] = {}
    for part in ",".join(texts).split(","):
        name, _, number = part.partition("=")
        if not part:
            continue
        if not number.strip().isdecimal() or int(number) < 1:
            raise UserError(f"--feature_lengths {part!r}: write inputs=512,targets=64")
        lengths[name.strip()] = int(number)
    return lengths
