"""Loops over bytes and words for which no columnar library has an operation.

numba compiles them at their first use (seconds) and keeps the result beside this file, or in the
user's cache. They leave the interpreter free, so that threads that call them run side by side.

Legend: B bytes and W words of D texts, one text after the other; G n-grams, N numbers; `offsets`
and `starts` say where each text begins in bytes and in words (length D + 1). Words and n-grams are
64-bit hashes, polynomials in `_BASE` modulo 2 ** 64 whose bits are mixed at the end: they are the
same on every machine and with every version of numba.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numba
import numpy as np

_Function = TypeVar("_Function", bound=Callable[..., Any])

# Numbers of this type only: numba makes a float of an unsigned and a signed integer.
_U = np.uint64
_BASE = _U(0x9E3779B97F4A7C15)
_GOLDEN = _U(0x9E3779B97F4A7C15)
_FACTORS = _U(0xBF58476D1CE4E5B9), _U(0x94D049BB133111EB)
_SHIFTS = _U(30), _U(27), _U(31)
_BYTES_A_WORD = 5  # room for words is made by this and doubled where it does not suffice
_AT_A_TIME = 2048  # numbers that stay in the cache between two loops
_EMPTY = np.uint32(0xFFFFFFFF)


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


def _compiled(function: _Function) -> _Function:
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # no directory to keep the result in
        return numba.njit(nogil=True)(function)


@_compiled
def mix(number):
    """SplitMix64's finaliser of one uint64."""
    number += _GOLDEN
    number = (number ^ (number >> _SHIFTS[0])) * _FACTORS[0]
    number = (number ^ (number >> _SHIFTS[1])) * _FACTORS[1]
    return number ^ (number >> _SHIFTS[2])


@_compiled
def hash_words(data, offsets, codes):
    """Hashes of all words.

    Args:
        data: uint8 (B).
        offsets: int64 (D + 1).
        codes: uint8 (256), a number for every byte, 0 for those that are no part of a word.

    Returns:
        hashes uint64 (W) and starts int64 (D + 1).
    """
    hashes = np.empty(len(data) // _BYTES_A_WORD + 16, np.uint64)
    starts = np.empty(len(offsets), np.int64)
    count = 0
    for text in range(len(offsets) - 1):
        starts[text] = count
        most = count + (offsets[text + 1] - offsets[text]) // 2 + 2
        if most > len(hashes):
            larger = np.empty(2 * most, np.uint64)
            larger[:count] = hashes[:count]
            hashes = larger
        # Without a branch, as where words end cannot be foretold: what was summed up so far is put
        # in the word's place at every byte, and behind the end of a word the place moves on.
        total, power = _U(0), _U(1)
        for place in range(offsets[text], offsets[text + 1]):
            code = _U(codes[data[place]])
            inside = _U(0) - _U(code != _U(0))  # all bits or none
            hashes[count] = total
            count += np.int64(~inside & _U(power != _U(1)))
            total = (total + code * power) & inside
            power = (power * _BASE) & inside | (_U(1) & ~inside)
        hashes[count] = total
        count += power != _U(1)
    starts[len(offsets) - 1] = count
    for word in range(count):
        hashes[word] = mix(hashes[word])
    return hashes[:count], starts


@_compiled
def hash_runs(hashes, positions, lengths):
    """Hashes of the `lengths[i]` words from every `positions[i]` on."""
    found = np.empty(len(positions), np.uint64)
    for index in range(len(positions)):
        total = _U(0)
        for place in range(positions[index] + lengths[index] - 1, positions[index] - 1, -1):
            total = total * _BASE + hashes[place]
        found[index] = mix(total)
    return found


@_compiled
def _power(size):
    power = _U(1)
    for _ in range(size):
        power *= _BASE
    return power


@_compiled
def _first_run(hashes, begin, end):
    total = _U(0)
    for place in range(end - 1, begin - 1, -1):
        total = total * _BASE + hashes[place]
    return total


@_compiled
def _one_back(total, hashes, place, size, out_of_run):
    """The run from `place` on: the one behind it times the base, less the word that leaves it."""
    return total * _BASE + hashes[place] - hashes[place + size] * out_of_run


@_compiled
def grams(hashes, starts, size, among):
    """All n-grams of `size` words inside the texts that `among` (bool, D) names.

    Returns:
        hashes uint64 (G), positions int64 (G) of the first word, and texts int32 (G); by position.
    """
    count = 0
    for text in range(len(starts) - 1):
        if among[text]:
            count += max(0, starts[text + 1] - starts[text] - size + 1)
    found = np.empty(count, np.uint64)
    positions, texts = np.empty(count, np.int64), np.empty(count, np.int32)
    out_of_run = _power(size)
    count = 0
    for text in range(len(starts) - 1):
        last = starts[text + 1] - size
        if not among[text] or last < starts[text]:
            continue
        total = _first_run(hashes, last, last + size)
        for place in range(last, starts[text] - 1, -1):
            if place < last:
                total = _one_back(total, hashes, place, size, out_of_run)
            index = count + place - starts[text]
            found[index], positions[index], texts[index] = mix(total), place, text
        count += last - starts[text] + 1
    return found, positions, texts


@_compiled
def find_grams(hashes, starts, size, table):
    """Which n-grams of `size` words are members of a table.

    Returns:
        positions (of the first word), texts and members' indices, all int64; texts ascend.
    """
    found = np.empty((256, 3), np.int64)
    count = 0
    numbers, likely = np.empty(_AT_A_TIME, np.uint64), np.empty(_AT_A_TIME + 1, np.int64)
    out_of_run = _power(size)
    for text in range(len(starts) - 1):
        last = starts[text + 1] - size
        if last < starts[text]:
            continue
        total = _first_run(hashes, last, last + size)
        first = last
        while first >= starts[text]:
            stop = max(starts[text], first - _AT_A_TIME + 1) - 1
            for place in range(first, stop, -1):
                if place < last:
                    total = _one_back(total, hashes, place, size, out_of_run)
                numbers[first - place] = mix(total)
            for index in range(_likely_members(numbers[: first - stop], table, likely)):
                member = _index_of(numbers[likely[index]], table)
                if member < 0:
                    continue
                if count == len(found):
                    larger = np.empty((2 * count, 3), np.int64)
                    larger[:count] = found
                    found = larger
                found[count, 0], found[count, 1] = first - likely[index], text
                found[count, 2] = member
                count += 1
            first = stop
    return found[:count, 0].copy(), found[:count, 1].copy(), found[:count, 2].copy()


@_compiled
def _likely_members(numbers, table, likely):
    """Put the indices of numbers whose bit is set into `likely`; returns how many they are.

    On its own and without a branch: which bits are set cannot be foretold.
    """
    count = 0
    for index in range(len(numbers)):
        likely[count] = index
        bit = numbers[index] >> table.bit_shift
        set_bit = (table.bits[bit >> _U(3)] >> np.uint8(bit & _U(7))) & np.uint8(1)
        count += np.int64(set_bit)
    return count


@_compiled
def _index_of(number, table):
    """The index of a number among the members of a table, -1 if it is none of them."""
    bucket = number >> table.bucket_shift
    for index in range(table.firsts[bucket], table.firsts[bucket + _U(1)]):
        if table.members[index] == number:
            return index
    return -1


@_compiled
def _fill_table(table):
    bucket = 0
    for index in range(len(table.members)):
        number = table.members[index]
        bit = number >> table.bit_shift
        table.bits[bit >> _U(3)] |= np.uint8(1) << np.uint8(bit & _U(7))
        while bucket <= np.int64(number >> table.bucket_shift):
            table.firsts[bucket] = index
            bucket += 1
    table.firsts[bucket:] = len(table.members)


@_compiled
def look_up(numbers, table):
    """Which numbers are members of a table.

    Returns:
        places int64, indices into `numbers` (uint64, N), ascending; and the member's index of each.
    """
    places, indices = np.empty(len(numbers) + 1, np.int64), np.empty(len(numbers), np.int64)
    count = 0
    for index in range(_likely_members(numbers, table, places)):
        member = _index_of(numbers[places[index]], table)
        if member >= 0:
            places[count], indices[count] = places[index], member
            count += 1
    return places[:count].copy(), indices[:count].copy()


@_compiled
def smallest_grams(hashes, starts, size, count, among):
    """The `count` smallest distinct n-grams of every text that `among` names.

    Returns:
        texts int64 and grams uint64, sorted by text, then gram.
    """
    kept = np.empty((len(starts) - 1) * count, np.uint64)
    texts = np.empty(len(kept), np.int64)
    total_kept = 0
    out_of_run = _power(size)
    for text in range(len(starts) - 1):
        last = starts[text + 1] - size
        if not among[text] or last < starts[text]:
            continue
        own = kept[total_kept : total_kept + count]
        filled = 0
        total = _first_run(hashes, last, last + size)
        for place in range(last, starts[text] - 1, -1):
            if place < last:
                total = _one_back(total, hashes, place, size, out_of_run)
            number = mix(total)
            if filled < count or number < own[filled - 1]:
                filled = _insert(own, filled, number)
        texts[total_kept : total_kept + filled] = text
        total_kept += filled
    return texts[:total_kept].copy(), kept[:total_kept].copy()


@_compiled
def _insert(ordered, filled, number):
    """Put a number in its place among the `filled` sorted ones; the largest goes if all are."""
    place = filled
    while place > 0 and ordered[place - 1] >= number:
        place -= 1
    if place < filled and ordered[place] == number:
        return filled
    filled = min(filled + 1, len(ordered))
    for later in range(filled - 1, place, -1):
        ordered[later] = ordered[later - 1]
    ordered[place] = number
    return filled


@_compiled
def minhash(hashes, starts, size, walks):
    """Signatures of all texts by one permutation (see `duplicates.signatures`).

    Args:
        hashes: uint64 (W).
        starts: int64 (D + 1).
        size: words of a shingle; a text of fewer is one shingle.
        walks: uint8 (L, L), for every lane all lanes in the order in which an empty one tries them.

    Returns:
        uint16 (L, D).
    """
    lanes = len(walks)
    bits = 0
    while 1 << bits < lanes:
        bits += 1
    shift = _U(64 - bits)
    signatures = np.empty((lanes, len(starts) - 1), np.uint16)
    least = np.empty(lanes, np.uint32)
    out_of_run = _power(size)
    for text in range(len(starts) - 1):
        least[:] = _EMPTY
        begin = starts[text]
        run = min(size, starts[text + 1] - begin)
        last = starts[text + 1] - run
        total = _first_run(hashes, last, last + run)
        for place in range(last, begin - 1, -1):
            if place < last:
                total = _one_back(total, hashes, place, size, out_of_run)
            number = mix(total)
            lane, value = number >> shift, np.uint32(number & _U(0x7FFFFFFF))
            if value < least[lane]:
                least[lane] = value
        for lane in range(lanes):
            source = lane
            step = 0
            while least[source] == _EMPTY:
                source = walks[lane, step]
                step += 1
            value = mix(_U(least[source]) | (_U(source) << _U(32)))
            signatures[lane, text] = np.uint16(value >> _U(48))
    return signatures


@_compiled
def shingle_sets(hashes, starts, size):
    """The distinct shingles of every text, by their upper 32 bits.

    Args:
        hashes: uint64 (W).
        starts: int64 (D + 1).
        size: words of a shingle; a text of fewer is one shingle.

    Returns:
        shingles uint32, each text's sorted, one text after the other; and how many each has, int64
        (D).
    """
    most = 0
    for text in range(len(starts) - 1):
        most += max(1, starts[text + 1] - starts[text] - size + 1)
    found, counts = np.empty(most, np.uint32), np.empty(len(starts) - 1, np.int64)
    out_of_run = _power(size)
    filled = 0
    for text in range(len(starts) - 1):
        begin = starts[text]
        run = min(size, starts[text + 1] - begin)
        last = starts[text + 1] - run
        total = _first_run(hashes, last, last + run)
        own = found[filled : filled + last - begin + 1]
        for place in range(last, begin - 1, -1):
            if place < last:
                total = _one_back(total, hashes, place, size, out_of_run)
            own[place - begin] = np.uint32(mix(total) >> _U(32))
        own.sort()
        count = 1
        for index in range(1, len(own)):
            if own[index] != own[count - 1]:
                own[count] = own[index]
                count += 1
        counts[text] = count
        filled += count
    return found[:filled].copy(), counts


@_compiled
def jaccard(members, starts, first, second):
    """Jaccard similarities of pairs of sets.

    Args:
        members: uint32, the sorted members of all sets, one set after the other.
        starts: int64, where each set begins, and one more.
        first, second: int64 (P), the sets of each pair.

    Returns:
        float32 (P).
    """
    similarities = np.empty(len(first), np.float32)
    for pair in range(len(first)):
        one, other = starts[first[pair]], starts[second[pair]]
        end_of_one, end_of_other = starts[first[pair] + 1], starts[second[pair] + 1]
        every = end_of_one - one + end_of_other - other
        shared = 0
        while one < end_of_one and other < end_of_other:
            here, there = members[one], members[other]
            shared += here == there
            one += here <= there
            other += there <= here
        similarities[pair] = shared / (every - shared)
    return similarities
