"""Long answers in pieces: none holds the event loop for long, and few are in memory at a time.

Duty: cut a list into pieces while others have the event loop, and let each piece leave only when it
is durable. Not here: what is in the list (views), durability (durable, scheduler.leader).
Invariants (tests/unit/scheduler/control/test_pieces.py): all items in their order, once each; never
more than AHEAD_MAX pieces are held back; who reads slowly makes only its own answer late.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Final, TypeVar

from berth.clock import Clock

T = TypeVar("T")

PIECE_MAX: Final = 200
"""Items of one message: written and read in well under a millisecond each."""
AHEAD_MAX: Final = 50
"""Pieces that are gathered while the first of them is not durable yet."""
_SLICE_S: Final = 0.001
_SLICE_PAUSE_S: Final = 0.001  # A mere sleep(0) would starve the streams of all agents.
_LOOK_EVERY: Final = 16


async def durable_pieces(
    items: Iterable[T | None],
    clock: Clock,
    *,
    is_durable: Callable[[], bool],
    wait_durable: Callable[[], Awaitable[None]],
) -> AsyncGenerator[list[T], None]:
    """Yield `items` in pieces, at least one, each once what it shows may leave.

    Args:
        items: read from memory as they are asked for; None where one was left out.
        clock: measures and pauses.
        is_durable: whether what was read so far may leave at once.
        wait_durable: waits until it may.
    """
    held: list[list[T]] = []
    async with aclosing(_pieces(items, clock)) as pieces:
        async for piece in pieces:
            held.append(piece)
            if len(held) < AHEAD_MAX and not is_durable():
                continue
            await wait_durable()
            for each in held:
                yield each
            held = []
    if held:
        await wait_durable()
        for each in held:
            yield each


async def _pieces(items: Iterable[T | None], clock: Clock) -> AsyncGenerator[list[T], None]:
    piece: list[T] = []
    is_first = True
    began = clock.instant()
    for number, item in enumerate(items, start=1):
        if item is not None:
            piece.append(item)
        if number % _LOOK_EVERY == 0 and clock.instant() - began >= _SLICE_S:
            await clock.sleep(_SLICE_PAUSE_S)
            began = clock.instant()
        if len(piece) == PIECE_MAX:
            yield piece
            piece, is_first = [], False
    if piece or is_first:
        yield piece
