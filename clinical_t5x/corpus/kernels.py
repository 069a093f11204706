"""Loops over bytes and words for which no columnar library has an operation.

numba compiles them at their first use (seconds) and keeps the result beside this file, or in the
user's cache. They leave the interpreter free, so that threads that call them run side by side.

Legend: B bytes and W words of D texts, one text after the other; G n-grams, N numbers; `offsets`
and `starts` say where each text begins in bytes and in words (length D + 1). Words and n-grams are
64-bit hashes, polynomials in `_BASE` modulo 2 ** 64 whose bits are mixed at the end: they are the
same on every machine and with every version of numba.
"""

from __future__ import annotations

import numpy as np

from clinical_t5x.corpus.compiling import compiled
from clinical_t5x.corpus.hash_tables import find_members

# Numbers of this type only: numba makes a float of an unsigned and a signed integer. Places are
# unsigned too: a signed index may be negative, and asking whether it is takes more than half the
# time of some of these loops.
_U = np.uint64
_0, _1 = _U(0), _U(1)
_BASE = _U(0x9E3779B97F4A7C15)
_GOLDEN = _U(0x9E3779B97F4A7C15)
_FACTORS = _U(0xBF58476D1CE4E5B9), _U(0x94D049BB133111EB)
_SHIFTS = _U(30), _U(27), _U(31)
_POWERS = 1024  # of the base that are at hand; longer words are rare
_AT_A_TIME = 2048  # numbers that stay in the cache between two loops
_EMPTY = np.uint32(0xFFFFFFFF)


@compiled
def mix(number):
    """SplitMix64's finaliser of one uint64."""
    number += _GOLDEN
    number = (number ^ (number >> _SHIFTS[0])) * _FACTORS[0]
    number = (number ^ (number >> _SHIFTS[1])) * _FACTORS[1]
    return number ^ (number >> _SHIFTS[2])


def hash_words(
    data: np.ndarray, offsets: np.ndarray, codes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of all words.

    Args:
        data: uint8 (B).
        offsets: int64 (D + 1).
        codes: uint8 (256), a number for every byte, 0 for those that are no part of a word.

    Returns:
        hashes uint64 (W) and starts int64 (D + 1).
    """
    # Room for words of one letter: no memory is used for what is not written. It is numpy's, which
    # asks for large pages; the first look at every small one would take a fifth of the time.
    hashes = np.empty((len(data) + len(offsets)) // 2 + 1, np.uint64)
    starts = np.empty(len(offsets), np.int64)
    _hash_words(data, offsets, codes, hashes, starts)
    return hashes[: starts[-1]], starts


@compiled
def _hash_words(data, offsets, codes, hashes, starts):
    powers = _powers(_POWERS)
    count = _0
    for text in range(_U(len(offsets) - 1)):
        starts[text] = first = count
        # Without a branch, as where words end cannot be foretold: the sum over all words so far is
        # put in the word's place at every byte, and behind the end of a word the place moves on.
        total, length, lengths = _0, _0, _0
        begin, end = _U(offsets[text]), _U(offsets[text + _1])
        for place in range(begin, end):
            code = _U(codes[data[place]])
            inside = _0 - _U(code != _0)  # all bits or none
            hashes[count] = total
            count += ~inside & _U(length != _0)
            total += code * powers[length & _U(_POWERS - 1)]
            length = (length + _1) & inside
            lengths |= length
        hashes[count] = total
        count += _U(length != _0)
        if lengths >= _U(_POWERS):  # for each and so for all together: it is a power of two
            _sum_long_words(data[begin:end], codes, hashes[first:])
        before = _0
        for word in range(first, count):
            total = hashes[word]
            hashes[word] = mix(total - before)
            before = total
    starts[len(offsets) - 1] = count


@compiled
def _sum_long_words(data, codes, sums):
    """What `_hash_words` sums up over the words of a text, however long they are."""
    count, total, power = _0, _0, _1
    for place in range(_U(len(data))):
        code = _U(codes[data[place]])
        if code != _0:
            total += code * power
            power *= _BASE
        elif power != _1:
            sums[count] = total
            count += _1
            power = _1
    if power != _1:
        sums[count] = total


@compiled
def count_words(data, offsets, codes):
    """How many words every text has, int64 (D); arguments as those of `hash_words`."""
    counts = np.empty(len(offsets) - 1, np.int64)
    for text in range(_U(len(counts))):
        count, before = _0, _0
        for place in range(_U(offsets[text]), _U(offsets[text + _1])):
            inside = _U(codes[data[place]] != 0)
            count += inside & (before ^ _1)
            before = inside
        counts[text] = count
    return counts


@compiled
def _powers(count):
    powers = np.empty(count, np.uint64)
    power = _1
    for index in range(_U(count)):
        powers[index] = power
        power *= _BASE
    return powers


@compiled
def hash_runs(hashes, positions, lengths):
    """Hashes of the `lengths[i]` words from every `positions[i]` on."""
    found = np.empty(len(positions), np.uint64)
    for index in range(_U(len(positions))):
        begin = _U(positions[index])
        found[index] = mix(_run(hashes, begin, begin + _U(lengths[index])))
    return found


@compiled
def _run(hashes, begin, end):
    """The polynomial of some words, the first of which is its last digit; not mixed yet."""
    total = _0
    for back in range(end - begin):
        total = total * _BASE + hashes[end - _1 - back]
    return total


@compiled
def _power(size):
    power = _1
    for _ in range(size):
        power *= _BASE
    return power


@compiled
def _one_back(total, hashes, place, size, out_of_run):
    """The run from `place` on: the one behind it times the base, less the word that leaves it."""
    return total * _BASE + hashes[place] - hashes[place + size] * out_of_run


@compiled
def _hash_grams(hashes, begin, size, found):
    """Hashes of the n-grams of `size` words from `begin` on, as many as `found` has room for."""
    count = _U(len(found))
    if count == _0:
        return
    out_of_run = _power(size)
    last = begin + count - _1
    total = _run(hashes, last, last + size)
    found[count - _1] = total
    for back in range(_1, count):
        total = _one_back(total, hashes, last - back, size, out_of_run)
        found[count - _1 - back] = total
    for index in range(count):
        found[index] = mix(found[index])


@compiled
def grams(hashes, starts, size, among):
    """All n-grams of `size` words inside the texts that `among` (bool, D) names.

    Returns:
        hashes uint64 (G), positions int64 (G) of the first word, and texts int32 (G); by position.
    """
    size = _U(size)
    most = _0
    for text in range(_U(len(among))):
        most += _grams_of(starts, text, size) if among[text] else _0
    found = np.empty(most, np.uint64)
    positions, texts = np.empty(most, np.int64), np.empty(most, np.int32)
    done = _0
    for text in range(_U(len(among))):
        count = _grams_of(starts, text, size) if among[text] else _0
        begin = _U(starts[text])
        _hash_grams(hashes, begin, size, found[done : done + count])
        for index in range(count):
            positions[done + index], texts[done + index] = begin + index, text
        done += count
    return found, positions, texts


@compiled
def _grams_of(starts, text, size):
    words = _U(starts[text + _1]) - _U(starts[text])
    return words - size + _1 if words >= size else _0


@compiled
def find_grams(hashes, starts, size, table):
    """Which n-grams of `size` words are members of a table.

    Returns:
        positions (of the first word), texts and members' indices, all int64; by position.
    """
    size = _U(size)
    words = _U(len(hashes))
    every = words - size + _1 if words >= size else _0
    found = np.empty((256, 3), np.int64)
    count = _0
    numbers = np.empty(_AT_A_TIME, np.uint64)
    likely, members = np.empty(_AT_A_TIME + 1, np.uint64), np.empty(_AT_A_TIME + 1, np.uint64)
    text = _0
    # All words as if they were one text; what reaches from one text into the next is no n-gram.
    for begin in range(_0, every, _U(_AT_A_TIME)):
        here = numbers[: min(_U(_AT_A_TIME), every - begin)]
        _hash_grams(hashes, begin, size, here)
        for index in range(find_members(here, table, likely, members)):
            position = begin + likely[index]
            while _U(starts[text + _1]) <= position:
                text += _1
            if position + size > _U(starts[text + _1]):
                continue
            if count == _U(len(found)):
                larger = np.empty((_U(2) * count, 3), np.int64)
                larger[:count] = found
                found = larger
            found[count, 0], found[count, 1], found[count, 2] = position, text, members[index]
            count += _1
    return found[:count, 0].copy(), found[:count, 1].copy(), found[:count, 2].copy()


@compiled
def smallest_grams(hashes, starts, size, count, among):
    """The `count` smallest distinct n-grams of every text that `among` names.

    Returns:
        texts int64 and grams uint64, sorted by text, then gram.
    """
    size, most = _U(size), _U(count)
    kept = np.empty(_U(len(among)) * most, np.uint64)
    texts = np.empty(len(kept), np.int64)
    done = _0
    out_of_run = _power(size)
    for text in range(_U(len(among))):
        here = _grams_of(starts, text, size) if among[text] else _0
        if here == _0:
            continue
        own = kept[done : done + most]
        last = _U(starts[text]) + here - _1
        total = _run(hashes, last, last + size)
        filled = _insert(own, _0, mix(total))
        for back in range(_1, here):
            total = _one_back(total, hashes, last - back, size, out_of_run)
            number = mix(total)
            if filled < most or number < own[filled - _1]:
                filled = _insert(own, filled, number)
        for index in range(filled):
            texts[done + index] = text
        done += filled
    return texts[:done].copy(), kept[:done].copy()


@compiled
def _insert(ordered, filled, number):
    """Put a number in its place among the `filled` sorted ones; the largest goes if all are."""
    place = filled
    while place > _0 and ordered[place - _1] >= number:
        place -= _1
    if place < filled and ordered[place] == number:
        return filled
    filled = min(filled + _1, _U(len(ordered)))
    later = filled - _1
    while later > place:
        ordered[later] = ordered[later - _1]
        later -= _1
    if place < filled:
        ordered[place] = number
    return filled


@compiled
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
    lanes = _U(len(walks))
    bits = _0
    while _1 << bits < lanes:
        bits += _1
    shift = _U(64) - bits
    signatures = np.empty((len(walks), len(starts) - 1), np.uint16)
    least = np.empty(len(walks), np.uint32)
    for text in range(_U(len(starts) - 1)):
        least[:] = _EMPTY
        begin, end = _U(starts[text]), _U(starts[text + _1])
        run = min(_U(size), end - begin)
        last = end - run
        out_of_run = _power(run)
        total = _run(hashes, last, end)
        for back in range(last - begin + _1):
            if back > _0:
                total = _one_back(total, hashes, last - back, run, out_of_run)
            number = mix(total)
            lane, value = number >> shift, np.uint32(number & _U(0x7FFFFFFF))
            least[lane] = min(least[lane], value)
        for lane in range(lanes):
            source, step = lane, _0
            while least[source] == _EMPTY:
                source = _U(walks[lane, step])
                step += _1
            value = mix(_U(least[source]) | (source << _U(32)))
            signatures[lane, text] = np.uint16(value >> _U(48))
    return signatures


@compiled
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
    texts = _U(len(starts) - 1)
    most = _0
    for text in range(texts):
        most += max(_1, _grams_of(starts, text, _U(size)))
    found, counts = np.empty(most, np.uint32), np.empty(texts, np.int64)
    filled = _0
    for text in range(texts):
        begin, end = _U(starts[text]), _U(starts[text + _1])
        run = min(_U(size), end - begin)
        last = end - run
        out_of_run = _power(run)
        total = _run(hashes, last, end)
        own = found[filled : filled + last - begin + _1]
        for back in range(last - begin + _1):
            if back > _0:
                total = _one_back(total, hashes, last - back, run, out_of_run)
            own[last - back - begin] = np.uint32(mix(total) >> _U(32))
        own.sort()
        count = _1
        for index in range(_1, _U(len(own))):
            if own[index] != own[count - _1]:
                own[count] = own[index]
                count += _1
        counts[text] = count
        filled += count
    return found[:filled].copy(), counts


@compiled
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
    for pair in range(_U(len(first))):
        one, end_of_one = _U(starts[first[pair]]), _U(starts[first[pair] + 1])
        other, end_of_other = _U(starts[second[pair]]), _U(starts[second[pair] + 1])
        every = end_of_one - one + end_of_other - other
        shared = _0
        while one < end_of_one and other < end_of_other:
            here, there = members[one], members[other]
            shared += _U(here == there)
            one += _U(here <= there)
            other += _U(there <= here)
        similarities[pair] = np.float64(shared) / np.float64(every - shared)
    return similarities
