"""Protobuf <-> model, by field name: total, lossless, derived from the dataclasses themselves.

Duty: turn each value of `berth.model` into the message of the same name in types.proto, and back.
A field is mapped by its declared type, so that a new field needs a line in the dataclass and a line
in the proto, and nothing here; a test holds the two together. None is protobuf's absence.

Not here: which messages exist (proto/), what a value means (berth.model).
"""

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from itertools import compress
from operator import attrgetter
from typing import Any, TypeVar, Union

from google.protobuf.message import Message

from berth.errors import InternalError
from berth.model.cluster import ClusterSettings
from berth.model.files import FilePayload
from berth.model.network import Network, NetworkSpec
from berth.model.node import Node, NodeDescription, NodeSpec
from berth.model.task import TaskState, TaskStatus
from berth.v1 import types_pb2
from berth.wire.shared_parts import BYTES_MAX, PARTS_MAX, SHARED_KINDS, Recent

T = TypeVar("T")
_Write = Callable[[Any, Message], None]
"""Writes one field's value, which is not None and, unless it is optional, not empty either."""
_Read = Callable[[Message], Any]

# Messages that stand for a plain tuple of the model.
_TUPLE_FIELDS: Mapping[tuple[type, str], tuple[str, ...]] = {
    (TaskStatus, "ports"): ("protocol", "target_port", "published_port"),
    (TaskStatus, "addresses"): ("network", "address"),
}


def message_class(kind: type) -> type[Message]:
    """Return the message class that mirrors the dataclass `kind`.

    Raises:
        InternalError: types.proto has no message of that name (a programmer's mistake).
    """
    found: type[Message] | None = getattr(types_pb2, kind.__name__, None)
    if found is None:
        raise InternalError(f"types.proto has no message for {kind.__name__}")
    return found


def to_proto(value: Any) -> Any:
    """Return the message that mirrors the dataclass instance `value`."""
    message = message_class(type(value))()
    write_proto(value, message)
    return message


def write_proto(value: Any, message: Message) -> None:
    """Fill the empty `message` from the dataclass instance `value`.

    Most fields of most specs are as nobody set them. What is empty, 0 or False is what protobuf
    holds for absent anyway, so it is passed over, without a line of Python for it: an ordinary
    service is written in a quarter of the time. An optional field is passed over only when None.
    """
    read, writers, read_optional, optional_writers = _writers(type(value))  # type: ignore[arg-type]
    parts = read(value)
    for write, part in compress(zip(writers, parts, strict=True), parts):
        write(part, message)
    if optional_writers:
        for write, part in zip(optional_writers, read_optional(value), strict=True):
            if part is not None and not part:
                write(part, message)


def from_proto(kind: type[T], message: Message) -> T:
    """Return the `kind` that `message` mirrors.

    Raises:
        InternalError: a text is not a member of its enumeration; the sender is newer than we are.
    """
    try:
        readers = _readers(kind)  # type: ignore[arg-type]  # typeshed: a class is hashable
        return kind(**{name: read(message) for name, read in readers})
    except ValueError as error:
        raise InternalError(f"cannot read {kind.__name__}: {error}") from error


def status_from_proto(message: types_pb2.TaskStatus) -> TaskStatus:
    """Return what `from_proto(TaskStatus, message)` does, several times faster.

    The leader reads one of these for every change of every task; the test holds the two together.
    """
    ports, addresses = message.ports, message.addresses
    return TaskStatus(
        message.task_id,  # type: ignore[arg-type]  # a TaskId; the call would cost as much
        _TASK_STATES.get(message.state) or TaskState(message.state),
        message.state_age_s,
        message.message,
        message.error,
        message.exit_code if message.HasField("exit_code") else None,
        message.container_id,
        message.pid,
        message.image_digest,
        message.platform,
        message.ran_s,
        message.local_restarts,
        tuple((p.protocol, p.target_port, p.published_port) for p in ports) if ports else (),
        tuple((a.network, a.address) for a in addresses) if addresses else (),
    )


_ReadAll = Callable[[Any], tuple[Any, ...]]

_TASK_STATES = {state.value: state for state in TaskState}


@cache
def _writers(kind: type) -> tuple[_ReadAll, tuple[_Write, ...], _ReadAll, tuple[_Write, ...]]:
    """Return how to read and write all fields, and the same of those that may be None or empty."""
    hints = typing.get_type_hints(kind)
    names = [field.name for field in fields(kind)]
    optional = [name for name in names if plain_type(hints[name])[1]]
    return (
        reader_of_all(names),
        tuple(_writer(kind, name, hints[name]) for name in names),
        reader_of_all(optional),
        tuple(_writer(kind, name, hints[name]) for name in optional),
    )


def reader_of_all(names: list[str]) -> _ReadAll:
    """Return what reads all of these attributes at once."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda value: tuple(getattr(value, name) for name in names)


@cache
def _readers(kind: type) -> tuple[tuple[str, _Read], ...]:
    hints = typing.get_type_hints(kind)
    return tuple((f.name, _reader(kind, f.name, hints[f.name])) for f in fields(kind))


def plain_type(hint: Any) -> tuple[Any, bool]:
    """Strip NewType and Optional; return the bare type and whether None is allowed."""
    optional = False
    if typing.get_origin(hint) in (Union, types.UnionType):
        (hint,) = [arm for arm in typing.get_args(hint) if arm is not type(None)]
        optional = True
    while hasattr(hint, "__supertype__"):
        hint = hint.__supertype__
    return hint, optional


def _writer(kind: type, name: str, hint: Any) -> _Write:
    bare, _ = plain_type(hint)
    origin = typing.get_origin(bare)
    write: _Write
    if (kind, name) in _TUPLE_FIELDS:
        parts = _TUPLE_FIELDS[kind, name]

        def write(items: Any, message: Message) -> None:
            for item in items:
                getattr(message, name).add(**dict(zip(parts, item, strict=True)))
    elif origin is tuple:
        element, _ = plain_type(typing.get_args(bare)[0])
        if is_dataclass(element):

            def write(items: Any, message: Message) -> None:
                for item in items:
                    write_proto(item, getattr(message, name).add())
        else:

            def write(items: Any, message: Message) -> None:
                getattr(message, name).extend(items)
    elif isinstance(origin, type) and issubclass(origin, Mapping):
        if typing.get_origin(typing.get_args(bare)[1]) is tuple:

            def write(items: Any, message: Message) -> None:
                for key, values in items.items():
                    getattr(message, name)[key].values.extend(values)
        else:

            def write(items: Any, message: Message) -> None:
                getattr(message, name).update(items)
    elif is_dataclass(bare):
        # One that is there counts as there, whatever is in it.
        assert not hasattr(bare, "__bool__"), bare
        assert not hasattr(bare, "__len__"), bare

        def write(inner: Any, message: Message) -> None:
            target = getattr(message, name)
            target.SetInParent()
            write_proto(inner, target)
    elif isinstance(bare, type) and issubclass(bare, Enum):

        def write(member: Any, message: Message) -> None:
            setattr(message, name, member.value)
    else:

        def write(plain: Any, message: Message) -> None:
            setattr(message, name, plain)

    return write


def _reader(kind: type, name: str, hint: Any) -> _Read:
    bare, optional = plain_type(hint)
    origin = typing.get_origin(bare)
    if (kind, name) in _TUPLE_FIELDS:
        parts = _TUPLE_FIELDS[kind, name]
        return lambda message: tuple(
            tuple(getattr(item, part) for part in parts) for item in getattr(message, name)
        )
    if origin is tuple:
        element, _ = plain_type(typing.get_args(bare)[0])
        if is_dataclass(element):
            return lambda message: tuple(
                from_proto(element, item)  # type: ignore[arg-type]  # a class, checked above
                for item in getattr(message, name)
            )
        return lambda message: tuple(getattr(message, name))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if typing.get_origin(typing.get_args(bare)[1]) is tuple:
            return lambda message: {
                key: tuple(items.values) for key, items in getattr(message, name).items()
            }
        return lambda message: dict(getattr(message, name))
    return _scalar_reader(name, bare, optional)


def _shared_reader(name: str, bare: Any, optional: bool) -> _Read:
    """Read a part of which equal ones are one object, by its bytes: see `shared_parts`."""
    parts: Recent[bytes, Any] = Recent(PARTS_MAX)

    def read(message: Message) -> Any:
        if optional and not message.HasField(name):
            return None
        part = getattr(message, name)
        raw = part.SerializeToString()
        found = parts.get(raw)
        if found is None:
            found = from_proto(bare, part)
            if len(raw) <= BYTES_MAX:
                parts.put(raw, found)
        return found

    return read


def _scalar_reader(name: str, bare: Any, optional: bool) -> _Read:
    if bare in SHARED_KINDS:
        return _shared_reader(name, bare, optional)
    if is_dataclass(bare):
        if optional:
            return lambda message: (
                from_proto(bare, getattr(message, name))  # type: ignore[arg-type]
                if message.HasField(name)
                else None
            )
        return lambda message: from_proto(bare, getattr(message, name))  # type: ignore[arg-type]
    if isinstance(bare, type) and issubclass(bare, Enum):
        if optional:
            return lambda message: bare(getattr(message, name)) if message.HasField(name) else None
        # A record from before the field existed has no text; the first member is the default.
        first = next(iter(bare))
        return lambda message: bare(found) if (found := getattr(message, name)) else first
    if optional:
        return lambda message: getattr(message, name) if message.HasField(name) else None
    return lambda message: getattr(message, name)


MIRRORED: tuple[type, ...] = (
    ClusterSettings,
    FilePayload,
    Network,
    NetworkSpec,
    Node,
    NodeDescription,
    NodeSpec,
    TaskStatus,
)
"""Top-level dataclasses besides ServiceSpec that cross the wire (for the test of completeness)."""
