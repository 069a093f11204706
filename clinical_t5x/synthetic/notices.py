"""What makes every directory and file say that it is synthetic."""

from __future__ import annotations

SHORT = "SYNTHETIC DATA by clinical_t5x.synthetic: no real patient, nothing derived from MIMIC"

_WHAT = {
    "": "A synthetic stand-in for a PhysioNet download.",
    "mimiciii/1.4": "Imitates MIMIC-III v1.4: only NOTEEVENTS, with its columns and quirks.",
    "mimic3-carevue/1.4": "Imitates the MIMIC-III CareVue subset v1.4: only NOTEEVENTS.",
    "mimic-iv-note/2.2": "Imitates MIMIC-IV-Note v2.2.",
    "mimic-iv-note/2.2/note": "Imitates the notes of MIMIC-IV-Note v2.2.",
    "mednli/1.0.0": "Imitates MedNLI 1.0.0; labels follow from rules, see docs/synthetic.md.",
    "mednli-bionlp19/1.0.1": "Imitates MedNLI's test set of BioNLP 2019; labels follow from rules.",
    "radqa/1.0.0": "Imitates RadQA 1.0.0; answers follow from rules, see docs/synthetic.md.",
    "mimic-iii-clinical-action/1.0.0": "Imitates CLIP 1.0.0; labels follow from rules.",
    "truth": "What the generator planted: drafts, pasted passages, persons in both databases.",
}


def notice(directory: str, files: list[str], *, patients: int, seed: int) -> str:
    """The text of a directory's SYNTHETIC.txt."""
    listed = "".join(f"  {name}\n" for name in sorted(files))
    return (
        f"{SHORT}.\n\n{_WHAT.get(directory, 'Synthetic data.')}\n"
        f"Made by `python -m clinical_t5x.synthetic --patients {patients} --seed {seed}`.\n"
        "File names, columns and types are those of the real files; every word is invented.\n"
        "Scores on these files say nothing about scores on the real ones.\n"
        + (f"\nSynthetic files here:\n{listed}" if files else "")
    )
