"""JSON that was written before, given again while what it was made of is the same.

Duty: keep what was rendered, by the identity of the values that it was made of; they are frozen,
and the control client gives the same ones as long as they say the same (berth.answer_memory). A
docker CLI that waits asks for the same nodes and tasks five times a second.
Not here: what the JSON says (gateway.translate).
Invariant (tests/unit/gateway/test_renderings.py): what is given is what would be rendered now; and
never more than `room` objects and BODIES_BYTES_MAX of whole answers are kept.
"""

from collections.abc import Callable
from typing import Any, Final

from gateway.answers import KEPT_BYTES_MAX, to_json

ROOM: Final = 8192
BODIES_BYTES_MAX: Final = 2 * KEPT_BYTES_MAX


class Renderings:
    """Remembers the JSON of single objects."""

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._kept: dict[tuple[object, ...], tuple[tuple[object, ...], bytes]] = {}
        self._bodies: dict[tuple[str, str, int], tuple[object, bytes]] = {}
        self._bodies_bytes = 0

    def for_list(self, length: int) -> "Renderings":
        """Return where a list of that length is kept: a long one would drive out all else."""
        return self if length <= self._room // 4 else Renderings(0)

    def of(self, write: Callable[[], Any], kind: str, *parts: object) -> bytes:
        """Return the JSON of what `write` returns.

        Args:
            write: makes plain values of `parts`, and of nothing else.
            kind: tells apart what is made of the same parts in different ways.
            parts: frozen values.
        """
        key = (kind, *map(id, parts))
        found = self._kept.get(key)
        if found is None:
            # While the parts are kept nothing else can have their identity.
            found = self._kept[key] = (parts, to_json(write()))
            if len(self._kept) > self._room:
                del self._kept[next(iter(self._kept))]
        return found[1]

    def body(self, kind: str, query: str, values: object) -> bytes | None:
        """Return the body of an answer that was made of the very same values; None = none is kept.

        Args:
            kind: of the answer.
            query: what else was asked.
            values: what the cluster told, and what alone the answer was made of.
        """
        found = self._bodies.get((kind, query, id(values)))
        return None if found is None else found[1]

    def keep_body(self, kind: str, query: str, values: object, body: bytes) -> None:
        """Keep the body of an answer, and let go of the oldest ones for it."""
        key = (kind, query, id(values))
        if len(body) > KEPT_BYTES_MAX or key in self._bodies:
            return
        # While the values are kept nothing else can have their identity.
        self._bodies[key] = values, body
        self._bodies_bytes += len(body)
        while self._bodies_bytes > BODIES_BYTES_MAX:
            _, oldest = self._bodies.pop(next(iter(self._bodies)))
            self._bodies_bytes -= len(oldest)
