"""How much an event loop worked since a moment: for row 9, which asks why it woke so late.

Duty: note when each of the loop's rounds began and ended, and the CPU time that its thread used in
it. Not here: when the loop is asked to wake (bench.watched_scheduler).

A loop that wakes late has worked, or has waited for a core. The CPU time since it fell asleep tells
the two apart only roughly, since it counts what was done before the loop was to wake.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

ROUNDS_KEPT = 2000


class LoopRounds:
    """The last rounds of one loop; a round lasts from one look at the sockets to the next."""

    def __init__(
        self,
        wall: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.thread_time,
    ) -> None:
        self._wall = wall
        self._cpu = cpu
        self._ended: deque[tuple[float, float, float]] = deque(maxlen=ROUNDS_KEPT)
        self._began = wall(), cpu()

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Note the rounds of `loop` from now on; call this on it."""
        selector = vars(loop)["_selector"]
        look = selector.select

        def select(timeout: float | None = None) -> object:
            self.end()
            found = look(timeout)
            self.begin()
            return found

        vars(selector)["select"] = select

    def begin(self) -> None:
        """A round begins: the loop has found out what there is to do."""
        self._began = self._wall(), self._cpu()

    def end(self) -> None:
        """All of it is done."""
        self._ended.append(self._until_now())

    def worked_s(self, since: float) -> float:
        """Return the CPU time used since then; of the round that it fell into, its part by time."""
        total = 0.0
        for began, ended, cpu in (self._until_now(), *reversed(self._ended)):
            if ended <= since:
                break
            total += cpu if began >= since else cpu * (ended - since) / (ended - began)
        return total

    def _until_now(self) -> tuple[float, float, float]:
        began, used = self._began
        return began, self._wall(), self._cpu() - used
