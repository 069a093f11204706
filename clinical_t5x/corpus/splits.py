"""Train and validation, divided by person so that no one's notes are on both sides."""

from __future__ import annotations

import hashlib

import polars as pl

TRAIN, VALIDATION = "train", "validation"
_SPLIT = pl.Enum([TRAIN, VALIDATION])
_SALT = b"clinical_t5x split v1:"


def person_fraction(person_id: str) -> float:
    """A number in [0, 1) that depends on the person alone, the same on every machine."""
    digest = hashlib.blake2b(_SALT + person_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def split_persons(person_ids: pl.Series, validation_percent: float) -> pl.DataFrame:
    """Assign every person to a split; adding notes or persons moves nobody.

    With two persons or more and a percentage above zero both splits have someone: when the hash
    leaves a split empty, the person nearest to the border goes there (then, and only then, another
    person can change the assignment).

    Args:
        person_ids: strings, in any order, repeats allowed.
        validation_percent: share of persons for validation, 0 to 100.

    Returns:
        Columns person_id (unique, sorted) and split.
    """
    persons = person_ids.unique().sort().to_list()
    fractions = [person_fraction(person) for person in persons]
    border = validation_percent / 100
    chosen = [fraction < border for fraction in fractions]
    if len(persons) >= 2 and 0 < border < 1 and len(set(chosen)) == 1:
        nearest = min(range(len(persons)), key=lambda i: abs(fractions[i] - border))
        chosen[nearest] = not chosen[nearest]
    splits = [VALIDATION if here else TRAIN for here in chosen]
    return pl.DataFrame(
        {"person_id": persons, "split": splits},
        schema={"person_id": pl.String, "split": _SPLIT},
    )
