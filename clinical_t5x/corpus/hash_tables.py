"""Sets of 64-bit hashes in which many numbers are looked up: compiled loops, as in `kernels`.

Legend: N numbers. Hashes are spread evenly: their upper bits say where in a table they are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from clinical_t5x.corpus.compiling import compiled

_U = np.uint64  # numbers and places alike; see `kernels`
_0, _1 = _U(0), _U(1)


class Table(NamedTuple):
    """Sorted numbers, and what tells at once whether and where another one is among them.

    Attributes:
        members: uint64.
        bits: uint8, a bit for every value of a number's upper bits, set where a member has it: most
            numbers that are no members end there.
        bit_shift: how many lower bits of a number have no part in that.
        firsts: uint32, the first member of every bucket, which is a value of fewer upper bits; and
            one more.
        bucket_shift: the lower bits that have no part in the bucket.
    """

    members: np.ndarray
    bits: np.ndarray
    bit_shift: np.uint64
    firsts: np.ndarray
    bucket_shift: np.uint64


def table_of(members: np.ndarray) -> Table:
    """The table of some sorted numbers, about a member a bucket and one of 32 bits set."""
    size = min(24, max(11, len(members).bit_length()))
    bits = np.zeros(1 << (size + 2), np.uint8)
    firsts = np.zeros((1 << size) + 1, np.uint32)
    table = Table(members, bits, np.uint64(64 - 5 - size), firsts, np.uint64(64 - size))
    _fill_table(table)
    return table


@compiled
def find_members(numbers, table, places, members):
    """Which numbers are members of a table: where they stand, and which members they are.

    In loops without a branch that could be foretold wrongly, as a look into the table takes long
    and the next one must not wait for it: first for the bit alone, which few numbers pass.

    Args:
        numbers: uint64 (N).
        table: the table.
        places, members: uint64 (N + 1), to be filled.

    Returns:
        How many there are; so many of `places` (ascending) and of `members` are theirs.
    """
    likely = _0
    for index in range(_U(len(numbers))):
        places[likely] = index
        bit = numbers[index] >> table.bit_shift
        set_bit = (table.bits[bit >> _U(3)] >> np.uint8(bit & _U(7))) & np.uint8(1)
        likely += _U(set_bit)
    last = _U(len(table.members)) - _1
    for index in range(likely):
        first = _U(table.firsts[numbers[places[index]] >> table.bucket_shift])
        members[index] = min(first, last)
    count = _0
    for index in range(likely):
        place, first = places[index], members[index]
        number = numbers[place]
        # Most buckets have one member or two.
        second = min(first + _1, last)
        is_second = table.members[second] == number
        is_member = is_second | (table.members[first] == number)
        member = second if is_second else first
        if not is_member and table.members[second] < number:
            member = second
            while member < last and table.members[member] < number:
                member += _1
            is_member = table.members[member] == number
        places[count], members[count] = place, member
        count += _U(is_member)
    return count


@compiled
def _fill_table(table):
    bucket = _0
    for index in range(_U(len(table.members))):
        number = table.members[index]
        bit = number >> table.bit_shift
        table.bits[bit >> _U(3)] |= np.uint8(1) << np.uint8(bit & _U(7))
        while bucket <= number >> table.bucket_shift:
            table.firsts[bucket] = index
            bucket += _1
    table.firsts[bucket:] = len(table.members)


@compiled
def look_up(numbers, table):
    """Which numbers are members of a table.

    Returns:
        places int64, indices into `numbers` (uint64, N), ascending; and the member's index of each.
    """
    places, members = np.empty(len(numbers) + 1, np.uint64), np.empty(len(numbers) + 1, np.uint64)
    count = find_members(numbers, table, places, members)
    return places[:count].astype(np.int64), members[:count].astype(np.int64)
