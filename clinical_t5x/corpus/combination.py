"""MIMIC-III and MIMIC-IV share patients and years: which notes of III join those of IV."""

from __future__ import annotations

import polars as pl

from clinical_t5x.corpus.sources import DISCHARGE, RADIOLOGY

COVERED_BY_IV = "discharge summary or radiology report of a patient outside CareVue"


def combination_sets(carevue_patients: pl.Series) -> dict[str, tuple[pl.Expr, str]]:
    """The paper's combination (as its released code does it) as disjoint sets of notes.

    MIMIC-IV's notes, all MIMIC-III notes of the CareVue subset's patients (who are not in
    MIMIC-IV), and those MIMIC-III notes of other patients that are neither radiology reports nor
    discharge summaries, which MIMIC-IV has.

    Args:
        carevue_patients: the CareVue subset's patients (keys).

    Returns:
        Name of the set -> (which notes are in it, the reason for leaving it out or "").
    """
    of_carevue = pl.col("patient").is_in(carevue_patients.unique().implode())
    three = pl.col("source") == "mimic-iii"
    covered = pl.col("category").is_in([DISCHARGE, RADIOLOGY])
    return {
        "MIMIC-IV": (pl.col("source") == "mimic-iv", ""),
        "MIMIC-III, CareVue patients": (three & of_carevue, ""),
        "MIMIC-III, other patients, other categories": (three & ~of_carevue & ~covered, ""),
        "MIMIC-III, left to MIMIC-IV": (three & ~of_carevue & covered, COVERED_BY_IV),
        "other hospitals": (~pl.col("source").is_in(["mimic-iii", "mimic-iv"]), ""),
    }
