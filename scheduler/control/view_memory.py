"""Messages of frozen values, kept while the value is the same.

Duty: copy a message that was made before, many times faster than to make it anew: clients that wait
ask for the same nodes and specs all the time. Not here: what is shown (views).
Invariant (tests/unit/scheduler/control/test_view_memory.py): what is written is what write_proto
writes; and never more than `room` messages are kept.
"""

from typing import Final

from google.protobuf.message import Message

from berth.wire.convert import write_proto

ROOM: Final = 8192


class ViewMemory:
    """Remembers one message for each key."""

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._kept: dict[str, tuple[object, Message]] = {}

    def write(self, key: str, value: object, message: Message) -> None:
        """Fill the empty `message` from the frozen `value`.

        Args:
            key: what the value is of, such as a node's ID.
            value: is told from the one before by identity.
            message: of the value's kind.
        """
        kept = self._kept.get(key)
        if kept is None or kept[0] is not value:
            made = type(message)()
            write_proto(value, made)
            kept = self._kept[key] = value, made
            if len(self._kept) > self._room:
                del self._kept[next(iter(self._kept))]
        message.CopyFrom(kept[1])
