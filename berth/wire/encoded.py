"""The bytes of a protobuf message, straight from a value of the model: what records are made of.

Duty: `encoded(value)` is what `convert.to_proto(value).SerializeToString()` gives, up to the order
of fields, at half of its cost. Like `convert` it is derived from the dataclasses and their
messages by field name. Not here: reading (convert), messages that are sent as messages.

Why this stands apart: of a service of one task, a third of what the leader spent was filling the
message of its spec, ten nested ones of it, through attribute after attribute of protobuf's objects.
Most of what one service says the one before it said too (container, limits, restart policy, mode).
So each dataclass keeps what was encoded of it last: to read all fields at once and compare them
costs a fraction of writing them, and next to nothing where they are the very same objects, as parts
of specs are that were read from equal bytes (`shared_parts`). Where services differ nevertheless,
by a name or a constraint, is said here (`_OWN`): these fields are written each time, after what the
others amount to. Parts that several services say in turn are known by their identity. (Nobody
alters a value of the model, its mappings included.)
tests/unit/berth/wire/test_encoded.py holds every field of every dataclass to protobuf's reading.
"""

import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from itertools import compress
from operator import attrgetter
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from berth.errors import InternalError
from berth.model.service import Placement, ServiceSpec, TaskSpec
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

_OWN: Mapping[type, tuple[str, ...]] = {
    ServiceSpec: ("name", "task"),
    TaskSpec: ("placement",),
    Placement: ("constraints",),
}
"""The fields by which services differ that are like each other. None of them may be None."""

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
    return _whole(type(value))(value)  # type: ignore[arg-type]


@cache
def _whole(kind: type) -> _Encode:
    """Return what encodes a value of `kind`: what is like the last one's is known already."""
    hints = typing.get_type_hints(kind)
    descriptor = message_class(kind).DESCRIPTOR
    number = {field.name: descriptor.fields_by_name[field.name].number for field in fields(kind)}
    names = sorted(number, key=number.__getitem__)
    own = [
        (attrgetter(name), _encoder(descriptor, name, hints[name]))
        for name in names
        if name in _OWN.get(kind, ())
    ]
    others = [name for name in names if name not in _OWN.get(kind, ())]
    read = reader_of_all(others)
    write = _writer([(_encoder(descriptor, name, hints[name]), hints[name]) for name in others])
    last: tuple[Any, ...] = ()
    known = b""

    def encode(value: Any) -> bytes:
        nonlocal last, known
        parts = read(value)
        if parts != last:
            known = write(parts)
            last = parts
        body = known
        for get, encode_own in own:
            part = get(value)
            if part:
                body += encode_own(part)
        return body

    return encode


def _writer(fields_: Sequence[tuple[_Encode, Any]]) -> _Encode:
    """Return what joins the fields of a message, given their values in this order."""
    encoders = [encode for encode, _ in fields_]
    optional = [place for place, (_, hint) in enumerate(fields_) if plain_type(hint)[1]]

    def write(parts: tuple[Any, ...]) -> bytes:
        # As in `convert.write_proto`: what is empty is absent, unless it may be None and is not.
        body = b"".join(
            [encode(part) for encode, part in compress(zip(encoders, parts, strict=True), parts)]
        )
        for place in optional:
            part = parts[place]
            if part is not None and not part:
                body += encoders[place](part)
        return body

    return write


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
    if bare in SHARED_KINDS and bare not in _OWN:
        encode = _shared(tag)
    elif is_dataclass(bare):
        whole = _whole(bare)  # type: ignore[arg-type]

        def encode(inner: Any) -> bytes:
            body = whole(inner)
            size = len(body)
            return tag + (_SHORT[size] if size < len(_SHORT) else varint(size)) + body
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
