"""Answers with lists: short ones at once, long ones in pieces that do not hold the event loop.

Duty: a JSON list as a response. Not here: what is in it.
"""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final, TypeVar

from starlette.responses import JSONResponse, Response, StreamingResponse

from berth.clock import Clock

T = TypeVar("T")

_AT_ONCE_MAX: Final = 100
_PIECE: Final = 50
_PAUSE_S: Final = 0.001  # A mere sleep(0) would starve the streams of all agents.


def list_response(items: Sequence[T], write: Callable[[T], Any], clock: Clock) -> Response:
    """Return `items`, each as `write` makes it."""
    if len(items) <= _AT_ONCE_MAX:
        return JSONResponse([write(item) for item in items])
    return StreamingResponse(_pieces(items, write, clock), media_type="application/json")


async def _pieces(
    items: Sequence[T], write: Callable[[T], Any], clock: Clock
) -> AsyncIterator[bytes]:
    yield b"["
    for begin in range(0, len(items), _PIECE):
        written = (to_json(write(item)) for item in items[begin : begin + _PIECE])
        yield (b"," if begin else b"") + b",".join(written)
        await clock.sleep(_PAUSE_S)
    yield b"]\n"


def to_json(value: Any) -> bytes:
    """Return compact JSON."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
