"""Lets agents' sessions work a few at a time, so that no round of the event loop is long.

Duty: bound what all sessions together do in one round of the loop. When a commit lets thousands of
messages out, or thousands of agents answer or connect at once, every one of their coroutines is
ready in the same round; everybody else (users' calls, the lease, the leader's own turns) would wait
until all of them had run. Not here: what they do (session), the order of one session's messages.

Each entrant says how much work follows, in units of about a tenth of a millisecond; those that are
too many for the round wait for the next ones, first come, first served. Nobody holds the turnstile:
an agent that does not read hinders no other.
"""

import asyncio
from collections import deque
from typing import Final

ROUND_UNITS: Final = 10
"""About one millisecond."""


class Turnstile:
    """Of one event loop; see the module."""

    def __init__(self, round_units: int = ROUND_UNITS) -> None:
        self._round_units = round_units
        self._used = 0
        self._is_turning = False
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def enter(self, units: int = 1) -> None:
        """Wait for a round that has room; work that is larger than one takes up the next, too."""
        if self._waiting or self._used >= self._round_units:
            passed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((units, passed))
            await passed
            return
        self._used += units
        self._turn_next()

    def _turn_next(self) -> None:
        if not self._is_turning:
            self._is_turning = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        """Begin a round: those let in run in it, before this is called again."""
        self._is_turning = False
        self._used = max(self._used - self._round_units, 0)
        while self._waiting and self._used < self._round_units:
            units, passed = self._waiting.popleft()
            if not passed.done():  # Else its session has ended meanwhile.
                passed.set_result(None)
                self._used += units
        if self._used:
            self._turn_next()
