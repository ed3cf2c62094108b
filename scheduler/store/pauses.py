"""Growing pauses between attempts at something that should come back."""

from typing import Final

from berth.clock import Clock

PAUSE_S_MIN: Final = 0.05
PAUSE_S_MAX: Final = 0.5


class Pauses:
    """Pauses of one series of attempts: 50 ms, doubling up to half a second.

    There is no jitter: at most a handful of schedulers speak to one etcd, and only one writes.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next_s = PAUSE_S_MIN

    async def wait(self) -> None:
        """Wait once, and longer the next time."""
        pause_s = self._next_s
        self._next_s = min(pause_s * 2, PAUSE_S_MAX)
        await self._clock.sleep(pause_s)
