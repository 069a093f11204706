"""The benchmarks' persons leave the corpus, in MIMIC-III and in MIMIC-IV."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from clinical_t5x.corpus import benchmark_ids, csv_blocks, identity, premises
from clinical_t5x.corpus.inputs import CorpusInputs
from clinical_t5x.corpus.selection import Selection
from clinical_t5x.corpus.sources import NoteSource, find_columns


def links_of(scratch: Path) -> pl.DataFrame:
    """The pairs of patients who are one person, from the staged sketches (see `identity`)."""
    return identity.link_persons(pl.scan_parquet(scratch / "sketches" / "*.parquet"))


def with_persons(notes: pl.DataFrame, links: pl.DataFrame | None) -> pl.DataFrame:
    """Add person_id: a linked MIMIC-IV patient has its MIMIC-III patient's id, others their own."""
    if links is None:
        return notes.with_columns(person_id="patient_id")
    persons = links.select(patient_id="four", person_id="three")
    return notes.join(persons, on="patient_id", how="left", maintain_order="left").with_columns(
        pl.col("person_id").fill_null(pl.col("patient_id"))
    )


def describe_links(links: pl.DataFrame) -> dict[str, int]:
    """Counts about the linked patients, for the manifest."""
    return {
        "patients linked between MIMIC-III and MIMIC-IV": links.height,
        "n-grams needed for a link": identity.MIN_SHARED,
        "n-grams words": identity.GRAM_WORDS,
    }


def patients_of(source: NoteSource) -> pl.Series:
    """All patients of a CSV source, its texts left aside."""
    header = csv_blocks.read_header(source.path)
    position = str(find_columns(source, header)["patient"])
    names = [str(index) for index in range(len(header))]
    patients = pl.Series("patient_id", [], dtype=pl.String)
    for block in csv_blocks.record_blocks(source.path):
        found = csv_blocks.parse_block(block, names).get_column(position).str.strip_chars()
        patients = pl.concat([patients, f"{source.source}/" + found.unique()]).unique()
    return patients.sort()


def drop_benchmark_persons(
    selection: Selection,
    inputs: CorpusInputs,
    scratch: Path,
    links: pl.DataFrame | None,
    *,
    keep: bool,
    keep_mednli: bool,
) -> dict[str, dict]:
    """Take the persons of RadQA, CLIP and MedNLI out of a selection.

    Args:
        selection: changed in place.
        inputs: where the benchmarks are.
        scratch: the staged pieces (dropped rows name persons too; premises found).
        links: pairs of patients who are one person.
        keep: report only, remove nobody.
        keep_mednli: remove nobody for MedNLI.

    Returns:
        By benchmark what was found and removed; `present` is false where it was not downloaded.
    """
    dropped = pl.read_parquet(scratch / "dropped" / "*.parquet")
    known = pl.concat(
        [
            selection.notes.select("source", "note_id", "patient_id", "person_id"),
            with_persons(dropped.select("source", "note_id", "patient_id"), links),
        ]
    )
    report: dict[str, dict] = {}
    for benchmark in (benchmark_ids.RADQA, benchmark_ids.CLIP):
        report[benchmark] = {"present": inputs.has_benchmark(benchmark)}
        if report[benchmark]["present"]:
            persons, found = _persons_of_notes(known, inputs, benchmark)
            report[benchmark] |= found
            if not keep:
                report[benchmark] |= selection.drop_persons(persons, f"person of {benchmark}")
    report[benchmark_ids.MEDNLI] = {"present": inputs.has_benchmark(benchmark_ids.MEDNLI)}
    if report[benchmark_ids.MEDNLI]["present"]:
        matches = pl.read_parquet(scratch / "premises" / "*.parquet")
        matches = with_persons(matches, links).select("premise", "person_id")
        persons, found = premises.persons_of_premises(matches)
        report[benchmark_ids.MEDNLI] |= found
        if not keep and not keep_mednli:
            report[benchmark_ids.MEDNLI] |= selection.drop_persons(persons, "person of mednli")
    return report


def _persons_of_notes(
    known: pl.DataFrame, inputs: CorpusInputs, benchmark: str
) -> tuple[pl.Series, dict[str, int]]:
    ids = benchmark_ids.note_ids(inputs.physionet, benchmark)
    notes = known.filter(pl.col("source") == "mimic-iii", pl.col("note_id").is_in(sorted(ids)))
    found = {
        "notes named": len(ids),
        "notes found in MIMIC-III": notes.get_column("note_id").n_unique(),
    }
    return notes.get_column("person_id"), found
