"""The benchmarks' persons leave the corpus, in MIMIC-III and in MIMIC-IV."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from clinical_t5x.corpus import benchmark_ids, csv_blocks, exclusion, identity, premises
from clinical_t5x.corpus.inputs import CorpusInputs
from clinical_t5x.corpus.keys import key_of
from clinical_t5x.corpus.selection import PERSON_OF, Selection
from clinical_t5x.corpus.sources import NoteSource, find_columns
from clinical_t5x.corpus.staged import scan_pieces


def links_of(scratch: Path) -> pl.DataFrame:
    """The pairs of patients who are one person, from the staged sketches (see `identity`)."""
    return identity.link_persons(scan_pieces(scratch / "sketches"))


def with_persons(notes: pl.DataFrame, links: pl.DataFrame | None) -> pl.DataFrame:
    """Add person: a linked MIMIC-IV patient is its MIMIC-III patient's person, others their own."""
    if links is None:
        return notes.with_columns(person="patient")
    person = pl.col("patient").replace(links.get_column("four"), links.get_column("three"))
    return notes.with_columns(person=person)


def describe_links(links: pl.DataFrame) -> dict[str, int]:
    """Counts about the linked patients, for the manifest."""
    return {
        "patients linked between MIMIC-III and MIMIC-IV": links.height,
        "n-grams needed for a link": identity.MIN_SHARED,
        "n-grams words": identity.GRAM_WORDS,
    }


def keys_of(strings: Iterable[str]) -> pl.Series:
    """The keys of some strings (see `keys`)."""
    frame = pl.DataFrame({"text": list(strings)}, schema={"text": pl.String})
    return frame.select(key=key_of(pl.col("text"))).get_column("key")


def patients_of(source: NoteSource) -> pl.Series:
    """The keys of all patients of a CSV source, its texts left aside."""
    header = csv_blocks.read_header(source.path)
    position = str(find_columns(source, header)["patient"])
    names = [str(index) for index in range(len(header))]
    patients: set[str] = set()
    for block in csv_blocks.record_blocks(source.path):
        found = csv_blocks.parse_block(block, names).get_column(position).str.strip_chars()
        patients.update(found.unique())
    return keys_of(f"{source.source}/{patient}" for patient in sorted(patients))


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
    known = with_persons(_patients_of_iii_notes(selection, scratch), links)
    report: dict[str, dict] = {}
    for benchmark in (benchmark_ids.RADQA, benchmark_ids.CLIP):
        report[benchmark] = {"present": inputs.has_benchmark(benchmark)}
        if report[benchmark]["present"]:
            ids = keys_of(sorted(benchmark_ids.note_ids(inputs.physionet, benchmark)))
            notes = known.filter(pl.col("note").is_in(ids.implode()))
            report[benchmark] |= {
                "notes named": len(ids),
                "notes found in MIMIC-III": notes.get_column("note").n_unique(),
            }
            if not keep:
                persons = notes.get_column("person")
                report[benchmark] |= selection.drop_persons(persons, PERSON_OF + benchmark)
    report[benchmark_ids.MEDNLI] = {"present": inputs.has_benchmark(benchmark_ids.MEDNLI)}
    if report[benchmark_ids.MEDNLI]["present"]:
        matches = scan_pieces(scratch / "premises").unique().collect()
        matches = with_persons(matches, links).select("premise", "person")
        persons, found = premises.persons_of_premises(matches)
        report[benchmark_ids.MEDNLI] |= found
        if not keep and not keep_mednli:
            reason = PERSON_OF + benchmark_ids.MEDNLI
            report[benchmark_ids.MEDNLI] |= selection.drop_persons(persons, reason)
    return report


def drop_listed_persons(
    selection: Selection, inputs: CorpusInputs, links: pl.DataFrame | None
) -> dict[str, dict]:
    """Take the persons of the lists out; by list what was found and removed.

    A patient on a list takes the linked patient of the other database along.
    """
    report = {}
    for path in inputs.exclusions:
        patients = keys_of(exclusion.read_patients(path))
        persons = with_persons(patients.alias("patient").to_frame(), links).get_column("person")
        there = selection.persons.filter(selection.persons.is_in(persons.implode()))
        report[path.name] = {
            "patients named": len(patients),
            "persons with notes": there.n_unique(),
            **selection.drop_persons(persons, f"{PERSON_OF}list {path.name}"),
        }
    return report


def _patients_of_iii_notes(selection: Selection, scratch: Path) -> pl.DataFrame:
    """Columns note and patient (keys) of all MIMIC-III rows that tell whose they are.

    Those that are no notes are included: a benchmark may name them.
    """
    dropped = scan_pieces(scratch / "dropped").collect()
    dropped = dropped.filter(~pl.col("patient_id").is_in(["", "mimic-iii/"])).select(
        "source", note=key_of(pl.col("note_id")), patient=key_of(pl.col("patient_id"))
    )
    of_iii = pl.col("source") == "mimic-iii"
    columns = ["note", "patient"]
    usable = pl.concat(
        part.filter(of_iii).select(columns)
        for _, part in selection.staged.read_pieces("source", *columns)
    )
    return pl.concat([usable, dropped.filter(of_iii).select(columns)])
