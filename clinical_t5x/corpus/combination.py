"""MIMIC-III and MIMIC-IV share patients and years: which notes of III join those of IV."""

from __future__ import annotations

import polars as pl

from clinical_t5x.corpus.selection import Selection
from clinical_t5x.corpus.sources import DISCHARGE, RADIOLOGY

COVERED_BY_IV = "discharge summary or radiology report outside CareVue (MIMIC-IV has these)"


def combine(selection: Selection, carevue_patients: pl.Series) -> dict[str, int]:
    """The paper's combination (section 4, step 4), when both corpora are there.

    MIMIC-IV's notes, all MIMIC-III notes of the CareVue subset's patients (who are not in
    MIMIC-IV), and those MIMIC-III notes of other patients that are neither radiology reports nor
    discharge summaries.

    Args:
        selection: the notes; changed in place.
        carevue_patients: patient_id of the CareVue subset.

    Returns:
        The number of notes in every set of the combination.
    """
    of_carevue = pl.col("patient_id").is_in(carevue_patients.unique().implode())
    three = pl.col("source") == "mimic-iii"
    covered = pl.col("category").is_in([DISCHARGE, RADIOLOGY])
    kept = selection.kept
    sets = {
        "MIMIC-IV notes": pl.col("source") == "mimic-iv",
        "MIMIC-III notes of CareVue patients": three & of_carevue,
        "MIMIC-III notes of other patients, other categories": three & ~of_carevue & ~covered,
        "MIMIC-III notes left out": three & ~of_carevue & covered,
    }
    counts = {name: kept.filter(condition).height for name, condition in sets.items()}
    selection.drop_where(sets["MIMIC-III notes left out"], COVERED_BY_IV)
    return counts
