"""Protobuf's wire format by hand, for the few messages of which there are hundreds of thousands.

Duty: varints and length-delimited fields. Not here: which messages are joined by hand
(scheduler.store.placed_tasks, scheduler.dispatch.told_tasks), where tests hold the bytes to those
that protobuf itself makes.

Why by hand: a message of six fields costs 1 to 1.5 us to fill and serialise; joining it from parts
that thousands of its like share costs a fifth of that.
"""

import struct
from functools import lru_cache

_VARINT, _FIXED64, _DELIMITED = 0, 1, 2
_KNOWN_MAX = 0x3FFF
_KNOWN_BITS = 14
_FLOAT = struct.Struct("<d").pack


def _by_byte(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


_SHORT = tuple(_by_byte(number) for number in range(_KNOWN_MAX + 1))
_MORE = tuple(bytes((n & 0x7F | 0x80, n >> 7 | 0x80)) for n in range(_KNOWN_MAX + 1))
"""The fourteen lowest bits of a number that has more of them."""


def varint(number: int) -> bytes:
    """Return a number that is 0 or more as protobuf writes it.

    Raises:
        OverflowError: it is negative: as an index it would name another number's bytes.
    """
    if 0 <= number <= _KNOWN_MAX:
        return _SHORT[number]
    if number < 0:
        raise OverflowError(f"varint({number}): negative numbers are the caller's to fold first")
    low = b""
    while number > _KNOWN_MAX:
        low += _MORE[number & _KNOWN_MAX]
        number >>= _KNOWN_BITS
    return low + _SHORT[number]


def short_varints() -> tuple[bytes, ...]:
    """Return the varints of the numbers of up to two bytes, by number: an index costs no call."""
    return _SHORT


def number_head(field: int) -> bytes:
    """Return what stands before the varint of an integer field."""
    return varint(field << 3 | _VARINT)


@lru_cache(maxsize=65_536)
def number_field(field: int, number: int) -> bytes:
    """Return an integer field; nothing for 0, as proto3 has it."""
    return number_head(field) + varint(number) if number else b""


def float_head(field: int) -> bytes:
    """Return what stands before the eight bytes of a double."""
    return varint(field << 3 | _FIXED64)


def float_bytes(number: float) -> bytes:
    """Return the eight bytes of a double. Of the two zeros there is one here."""
    return _FLOAT(number + 0.0)


def delimited_head(field: int, length: int) -> bytes:
    """Return what stands before the `length` bytes of a text or an embedded message."""
    return _SHORT[field << 3 | _DELIMITED] + varint(length)


def delimited(field: int, body: bytes) -> bytes:
    """Return a text or an embedded message as a field."""
    return _SHORT[field << 3 | _DELIMITED] + varint(len(body)) + body
