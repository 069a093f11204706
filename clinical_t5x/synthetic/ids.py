"""Identifiers in the ranges of the real ones, and a random stream for every patient.

An identifier is a fixed one-to-one map of a running number, so that it is unique without a table
of those already given, at any number of patients.
"""

from __future__ import annotations

import random

# A product with a constant modulo a prime is a permutation of 1 .. prime - 1. The first prime of
# each series gives the range of the real identifiers; the others serve when that is too small.
_III_PRIMES = (99_991, 9_999_991, 999_999_937)
_IV_PRIMES = (9_999_991, 999_999_937)

_STREAMS = {"plan": 1, "patient": 2, "iv": 3, "benchmark": 4}


def stream(seed: int, name: str, index: int) -> random.Random:
    """The random numbers of patient `index` for one purpose; independent of all others."""
    return random.Random(f"{seed}/{_STREAMS[name]}/{index}")


def _permuted(number: int, count: int, primes: tuple[int, ...], multiplier: int) -> int:
    prime = next(prime for prime in primes if count < prime - 1)
    return (number + 1) * multiplier % prime


def subject_id(index: int, patients: int) -> int:
    """MIMIC-III SUBJECT_ID of patient `index` of `patients`: 1 to 99,990 when that is enough."""
    return _permuted(index, patients, _III_PRIMES, 48_271)


def hadm_id(admission: int, admissions: int) -> int:
    """MIMIC-III HADM_ID of the running `admission`: 100,001 to 199,990 when that is enough."""
    return 100_000 + _permuted(admission, admissions, _III_PRIMES, 69_621)


def iv_subject_id(index: int, persons: int) -> int:
    """MIMIC-IV subject_id, 10,000,001 to 19,999,990: nothing in it tells the MIMIC-III id."""
    return 10_000_000 + _permuted(index, persons, _IV_PRIMES, 6_208_991)


def iv_hadm_id(admission: int, admissions: int) -> int:
    """MIMIC-IV hadm_id, 20,000,001 to 29,999,990."""
    return 20_000_000 + _permuted(admission, admissions, _IV_PRIMES, 7_049_123)
