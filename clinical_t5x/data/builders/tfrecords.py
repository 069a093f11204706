"""TFRecord files written without TensorFlow, some ten times faster than through it.

The formats are public: a record is its length, the length's checksum, its bytes and their checksum;
the bytes are a `tf.train.Example`, a protocol buffer with a map from names to lists.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import BinaryIO

import google_crc32c

_LENGTH, _CHECKSUM = struct.Struct("<Q"), struct.Struct("<I")
_MASK_DELTA = 0xA282EAD8
# Tags of protocol buffer fields that hold bytes: field number << 3 | 2.
_FIELD_1, _FIELD_2, _FIELD_3 = b"\x0a", b"\x12", b"\x1a"


def write_record(file: BinaryIO, content: bytes) -> None:
    """Append a record to a TFRecord file."""
    length = _LENGTH.pack(len(content))
    file.write(length + _CHECKSUM.pack(_masked_crc(length)) + content)
    file.write(_CHECKSUM.pack(_masked_crc(content)))


def example_writer(names_and_types: Mapping[str, type]) -> Callable[[Sequence], bytes]:
    """A function that makes a `tf.train.Example` of values in a fixed order.

    Args:
        names_and_types: the features, each a `str` or a non-negative `int`.

    Returns:
        Values, one for every feature -> the serialised example.
    """
    # Features are written in the order of their names, as a deterministic serialisation has them.
    places = {name: place for place, name in enumerate(names_and_types)}
    plan = [
        (_entry_head(name), _feature_of_text if kind is str else _feature_of_number, places[name])
        for name, kind in sorted(names_and_types.items())
    ]

    def serialise(values: Sequence) -> bytes:
        entries = []
        for head, feature_of, place in plan:
            entry = head + _delimited(_FIELD_2, feature_of(values[place]))
            entries.append(_delimited(_FIELD_1, entry))
        return _delimited(_FIELD_1, b"".join(entries))

    return serialise


def _entry_head(name: str) -> bytes:
    return _delimited(_FIELD_1, name.encode())


def _feature_of_text(value: str) -> bytes:
    return _delimited(_FIELD_1, _delimited(_FIELD_1, value.encode()))


def _feature_of_number(value: int) -> bytes:
    return _delimited(_FIELD_3, _delimited(_FIELD_1, _varint(value)))


def _delimited(field: bytes, content: bytes) -> bytes:
    return field + _varint(len(content)) + content


@functools.lru_cache(maxsize=1 << 16)
def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _masked_crc(content: bytes) -> int:
    crc = google_crc32c.value(content)
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF
