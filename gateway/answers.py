"""Answers with lists: short ones at once, long ones in pieces that do not hold the event loop.

Duty: a JSON list as a response. Not here: what is in it.
Invariant (tests/unit/gateway/test_answers.py): after each slice of rendering others get their turn.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Any, Final, TypeVar

from starlette.responses import Response, StreamingResponse

from berth.clock import Clock

T = TypeVar("T")

KEPT_BYTES_MAX: Final = 16 * 2**20
"""Of one answer: some 15,000 nodes."""
_AT_ONCE_MAX: Final = 100
_SLICE_S: Final = 0.001
"""How long one slice of a long answer may hold the event loop."""
_LOOK_EVERY: Final = 8
_PAUSE_S: Final = 0.001  # A mere sleep(0) would starve the streams of all agents.


def list_response(items: Sequence[T], write: Callable[[T], Any], clock: Clock) -> Response:
    """Return `items`, each as `write` makes it."""
    return rendered_list(items, lambda item: to_json(write(item)), clock)


def rendered_list(
    items: Sequence[T],
    render: Callable[[T], bytes],
    clock: Clock,
    keep: Callable[[bytes], object] | None = None,
) -> Response:
    """Return `items`, each as the JSON that `render` makes; what is not too long goes to `keep`."""
    if len(items) <= _AT_ONCE_MAX:
        body = b"[" + b",".join(map(render, items)) + b"]"
        if keep is not None:
            keep(body)
        return rendered(body)
    pieces = _pieces(items, render, clock)
    if keep is not None:
        pieces = _kept(pieces, keep)
    return StreamingResponse(pieces, media_type="application/json")


async def _kept(
    pieces: AsyncIterator[bytes], keep: Callable[[bytes], object]
) -> AsyncIterator[bytes]:
    """Pass pieces on, and give all of them to `keep` when the last one has left."""
    whole: list[bytes] = []
    size = 0
    async for piece in pieces:
        size += len(piece)
        if size <= KEPT_BYTES_MAX:
            whole.append(piece)
        else:
            whole.clear()
        yield piece
    if size <= KEPT_BYTES_MAX:
        keep(b"".join(whole))


async def _pieces(
    items: Sequence[T], render: Callable[[T], bytes], clock: Clock
) -> AsyncIterator[bytes]:
    """Yield the list in pieces; between two of them all others have their turn."""
    piece, began = [b"["], clock.instant()
    for number, item in enumerate(items):
        piece += (b",", render(item)) if number else (render(item),)
        if number % _LOOK_EVERY == 0 and clock.instant() - began >= _SLICE_S:
            yield b"".join(piece)
            await clock.sleep(_PAUSE_S)
            piece, began = [], clock.instant()
    yield b"".join([*piece, b"]\n"])


async def walked_list(
    pieces: AsyncGenerator[Sequence[T], None],
    wants: Callable[[T], bool],
    render: Callable[[T], bytes],
    clock: Clock,
) -> Response:
    """Return a list of any length, made and sent piece by piece, as fast as its reader takes it.

    Args:
        pieces: what the cluster tells, at least one piece; asked for as they are sent.
        wants: which items to show.
        render: makes the JSON of one.
        clock: measures and pauses.
    """
    first = await anext(pieces)  # A refusal becomes a status.

    async def body() -> AsyncIterator[bytes]:
        mark, piece = b"[", first
        async with aclosing(pieces):
            while True:
                wanted = await in_slices(piece, wants, clock)
                async for rendered_part in _rendered_parts(wanted, render, clock):
                    yield mark + rendered_part
                    mark = b","
                try:
                    piece = await anext(pieces)
                except StopAsyncIteration:
                    break
        yield b"[]\n" if mark == b"[" else b"]\n"

    return StreamingResponse(body(), media_type="application/json")


async def _rendered_parts(
    items: Sequence[T], render: Callable[[T], bytes], clock: Clock
) -> AsyncIterator[bytes]:
    """Yield the items, joined; each part is what one slice of time made."""
    part, began = [], clock.instant()
    for number, item in enumerate(items, start=1):
        part.append(render(item))
        if number % _LOOK_EVERY == 0 and clock.instant() - began >= _SLICE_S:
            yield b",".join(part)
            await clock.sleep(_PAUSE_S)
            part, began = [], clock.instant()
    if part:
        yield b",".join(part)


async def in_slices(items: Sequence[T], wants: Callable[[T], bool], clock: Clock) -> list[T]:
    """Return the items that `wants` accepts, letting others have the event loop meanwhile."""
    found, began = [], clock.instant()
    for number, item in enumerate(items):
        if wants(item):
            found.append(item)
        if number % _LOOK_EVERY == 0 and clock.instant() - began >= _SLICE_S:
            await clock.sleep(_PAUSE_S)
            began = clock.instant()
    return found


def rendered(body: bytes) -> Response:
    """Return JSON that is written already."""
    return Response(body, media_type="application/json")


def to_json(value: Any) -> bytes:
    """Return compact JSON."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
