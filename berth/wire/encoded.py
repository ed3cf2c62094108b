"""The bytes of a protobuf message, straight from a value of the model: what records are made of.

Duty: `encoded(value)` is what `convert.to_proto(value).SerializeToString()` gives, up to the order
of fields, at half of its cost. Like `convert` it is derived from the dataclasses and their
messages by field name. Not here: reading (convert), messages that are sent as messages.

Why this stands apart: of a service of one task, a third of what the leader spent was filling the
message of its spec, ten nested ones of it, through attribute after attribute of protobuf's objects.
Most of what one service says the one before it said too (container, limits, restart policy, mode).
Parts of specs that were read from equal bytes are one object (`shared_parts`), whose bytes are kept
by its identity. Of what was made otherwise each dataclass keeps what was encoded of it last: to
read all fields at once and compare them costs a fraction of writing them. (Nobody alters a value of
the model, its mappings included.)
tests/unit/berth/wire/test_encoded.py holds every field of every dataclass to protobuf's reading.
"""

import typing
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from itertools import compress
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from berth.errors import InternalError
from berth.wire.convert import message_class, plain_type, reader_of_all
from berth.wire.shared_parts import BYTES_MAX, SHARED_KINDS
from berth.wire.varints import (
    delimited_head,
    float_bytes,
    float_head,
    number_head,
    short_varints,
    varint,
)

_Encode = Callable[[Any], bytes]
"""A field's value, which is not None, as the field's bytes, tag included."""

_SHORT = short_varints()
_NUMBERS = frozenset(
    {
        FieldDescriptor.TYPE_INT32,
        FieldDescriptor.TYPE_INT64,
        FieldDescriptor.TYPE_UINT32,
        FieldDescriptor.TYPE_UINT64,
        FieldDescriptor.TYPE_BOOL,
    }
)
_TWO_TO_64 = 1 << 64
_KEPT_MAX = 4096


def encoded(value: Any) -> bytes:
    """Return the bytes of the message that mirrors the dataclass instance `value`."""
    read, encoders, optional, last = _encoders(type(value))  # type: ignore[arg-type]
    parts = read(value)
    if last and last[0] == parts:
        known: bytes = last[1]
        return known
    # As in `convert.write_proto`: what is empty is absent, unless it may be None and is not.
    body = b"".join(
        [encode(part) for encode, part in compress(zip(encoders, parts, strict=True), parts)]
    )
    for place in optional:
        part = parts[place]
        if part is not None and not part:
            body += encoders[place](part)
    if last is not None:
        last[:] = parts, body
    return body


@cache
def _encoders(
    kind: type,
) -> tuple[
    Callable[[Any], tuple[Any, ...]], tuple[_Encode, ...], tuple[int, ...], list[Any] | None
]:
    """Return how to read and encode all fields, which are optional, and what was encoded last.

    The last is None for what consists of shared parts: these are known again one by one.
    """
    hints = typing.get_type_hints(kind)
    descriptor = message_class(kind).DESCRIPTOR
    names = sorted(
        (field.name for field in fields(kind)),
        key=lambda name: descriptor.fields_by_name[name].number,
    )
    return (
        reader_of_all(names),
        tuple(_encoder(descriptor, name, hints[name]) for name in names),
        tuple(place for place, name in enumerate(names) if plain_type(hints[name])[1]),
        None if any(plain_type(hints[name])[0] in SHARED_KINDS for name in names) else [],
    )


def _encoder(descriptor: Any, name: str, hint: Any) -> _Encode:
    field: FieldDescriptor = descriptor.fields_by_name[name]
    bare, _ = plain_type(hint)
    origin = typing.get_origin(bare)
    if origin is tuple:
        return _repeated(field, plain_type(typing.get_args(bare)[0])[0])
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping(field, typing.get_args(bare)[1])
    return _single(field, bare)


def _repeated(field: FieldDescriptor, bare: Any) -> _Encode:
    if field.type not in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_MESSAGE):
        raise InternalError(f"{field.full_name}: a repeated field of numbers is not encoded here")
    one = _single(field, bare)
    return lambda items: b"".join([one(item) for item in items])


def _mapping(field: FieldDescriptor, hint: Any) -> _Encode:
    entry = field.message_type
    assert entry is not None
    tag = _tag(field)
    key = _single(entry.fields_by_name["key"], str)
    if typing.get_origin(hint) is tuple:
        held = entry.fields_by_name["value"]
        assert held.message_type is not None
        inner = _repeated(held.message_type.fields_by_name["values"], str)
        head = _tag(held)

        def of_many(items: Any) -> bytes:
            return _delimited(head, inner(items))

        value: _Encode = of_many
    else:
        value = _single(entry.fields_by_name["value"], plain_type(hint)[0])
    return lambda items: b"".join(
        [_delimited(tag, key(name) + value(held)) for name, held in items.items()]
    )


def _tag(field: FieldDescriptor) -> bytes:
    """Return the tag of a text or an embedded message."""
    return delimited_head(field.number, 0)[:-1]


def _delimited(tag: bytes, body: bytes) -> bytes:
    size = len(body)
    return tag + (_SHORT[size] if size < len(_SHORT) else varint(size)) + body


def _shared(tag: bytes) -> _Encode:
    """Encode a part of which equal ones mostly are one object: by its identity."""
    kept: dict[int, tuple[Any, bytes]] = {}
    known = kept.get

    def encode(inner: Any) -> bytes:
        held = known(id(inner))
        if held is not None:  # It is held, so that no other has its identity.
            return held[1]
        whole = _delimited(tag, encoded(inner))
        if len(whole) <= BYTES_MAX:
            if len(kept) >= _KEPT_MAX:
                kept.clear()
            kept[id(inner)] = inner, whole
        return whole

    return encode


def _single(field: FieldDescriptor, bare: Any) -> _Encode:
    tag = _tag(field)
    encode: _Encode
    if bare in SHARED_KINDS:
        encode = _shared(tag)
    elif is_dataclass(bare):

        def encode(inner: Any) -> bytes:
            return _delimited(tag, encoded(inner))
    elif field.type == FieldDescriptor.TYPE_STRING:
        # A member of an enumeration of texts is its text.
        def encode(text: Any) -> bytes:
            raw: bytes = text.encode()
            size = len(raw)
            return tag + (_SHORT[size] if size < len(_SHORT) else varint(size)) + raw
    elif field.type == FieldDescriptor.TYPE_BYTES:

        def encode(raw: Any) -> bytes:
            return _delimited(tag, raw)
    elif field.type == FieldDescriptor.TYPE_DOUBLE:
        fixed = float_head(field.number)

        def encode(number: Any) -> bytes:
            return fixed + float_bytes(number)  # Equal ones are kept as one, -0.0 and 0.0 too.
    elif field.type in _NUMBERS and not (isinstance(bare, type) and issubclass(bare, Enum)):
        head = number_head(field.number)

        def encode(number: Any) -> bytes:
            return head + varint(number if number >= 0 else number + _TWO_TO_64)
    else:
        raise InternalError(f"{field.full_name}: its type is not encoded here")
    return encode
