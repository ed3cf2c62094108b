"""What answers of the Control API were read as, so that the same is not read twice.

Duty: keep the value that a message stands for as long as there is room, and give it again for a
message of the same bytes. The values are frozen: whoever gets one may compare it by identity, and
keep by it what was made of it. Ages are left out (0): they would make every answer a new one.
Not here: reading (berth.wire.convert).
Invariant (tests/unit/berth/test_answer_memory.py): but for ages, what is given is what would be
read; and never more than `room` values are kept.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final, Protocol, TypeVar

from google.protobuf.message import Message

from berth.model.node import Node
from berth.views import NodeView, ServiceView, TaskView
from berth.wire.convert import from_proto

T = TypeVar("T")

ROOM: Final = 8192
_LISTS_MAX: Final = 512
_NUMBERS: Final = [
    field.name for field in fields(NodeView) if field.name not in ("node", "heard_age_s")
]


class Reader(Protocol):
    """Makes a value of a message; `berth.wire.convert.from_proto`."""

    def __call__(self, kind: type[T], message: Any) -> T:
        """Return the `kind` that `message` mirrors."""
        ...


class AnswerMemory:
    """Remembers services, tasks and nodes."""

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._values: dict[tuple[type, bytes], Any] = {}
        self._lists: dict[tuple[str, bytes], tuple[str, Sequence[Any]]] = {}

    def read(self, kind: type[T], message: Any) -> T:
        """Return the `kind` that `message` mirrors, and alter its ages."""
        if kind is NodeView:
            # Its numbers change all the time, the node itself hardly ever.
            numbers = {name: getattr(message, name) for name in _NUMBERS}
            node = self._remembered(Node, message.node)
            return kind(node=node, **numbers)  # type: ignore[call-arg]  # It is NodeView.
        if kind is TaskView:
            message.status.state_age_s = 0.0
        elif kind is not ServiceView:
            return from_proto(kind, message)
        return self._remembered(kind, message)

    def listed(self, method: str, request: bytes) -> tuple[str, Sequence[Any]]:
        """Return edition and values of the last answer to a request; "" = none is remembered."""
        return self._lists.get((method, request), ("", ()))

    def keep_list(self, method: str, request: bytes, edition: str, values: Sequence[Any]) -> None:
        """Remember the answer to a request; what does not change is given as it is."""
        self._lists.pop((method, request), None)
        if edition:
            self._lists[method, request] = edition, values
        if len(self._lists) > _LISTS_MAX:
            del self._lists[next(iter(self._lists))]

    def _remembered(self, kind: type[T], message: Message) -> T:
        key = (kind, message.SerializeToString(deterministic=True))
        found: T | None = self._values.get(key)
        if found is None:
            found = self._values[key] = from_proto(kind, message)
            if len(self._values) > self._room:  # The oldest goes, asked for or not.
                del self._values[next(iter(self._values))]
        return found
