"""Protobuf's wire format by hand, for the few messages of which there are hundreds of thousands.

Duty: varints and length-delimited fields. Not here: which messages are joined by hand
(scheduler.store.placed_tasks, scheduler.dispatch.told_tasks), where tests hold the bytes to those
that protobuf itself makes.

Why by hand: a message of six fields costs 1 to 1.5 us to fill and serialise; joining it from parts
that thousands of its like share costs a fifth of that.
"""

from functools import lru_cache

_VARINT, _DELIMITED = 0, 2
_KNOWN_MAX = 0x3FFF


def varint(number: int) -> bytes:
    """Return a number that is 0 or more as protobuf writes it."""
    if number <= 0x7F:
        return b"%c" % number
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def short_varints() -> tuple[bytes, ...]:
    """Return the varints of the numbers of up to two bytes, by number: an index costs no call."""
    return tuple(varint(number) for number in range(_KNOWN_MAX + 1))


def number_head(field: int) -> bytes:
    """Return what stands before the varint of an integer field."""
    return varint(field << 3 | _VARINT)


@lru_cache(maxsize=65_536)
def number_field(field: int, number: int) -> bytes:
    """Return an integer field; nothing for 0, as proto3 has it."""
    return number_head(field) + varint(number) if number else b""


def delimited_head(field: int, length: int) -> bytes:
    """Return what stands before the `length` bytes of a text or an embedded message."""
    return varint(field << 3 | _DELIMITED) + varint(length)


def delimited(field: int, body: bytes) -> bytes:
    """Return a text or an embedded message as a field."""
    return delimited_head(field, len(body)) + body
