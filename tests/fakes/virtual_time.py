"""An event loop on which waiting costs no time.

Duty: run a coroutine on a loop whose selector jumps to the next timer instead of sleeping, with a
`Clock` that shows the loop's time. The same program then always runs the same way.
Not here: faults, nodes, schedulers.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from berth.model.instant import Instant, Timestamp

T = TypeVar("T")

_EPOCH = 1_700_000_000.0


class _JumpingSelector(selectors.SelectSelector):
    """Never blocks; tells the loop how long it would have blocked."""

    def __init__(self) -> None:
        super().__init__()
        self.jumped_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("everybody waits for something that no timer will bring")
            self.jumped_s += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that starts at 1000 s and moves only by its timers."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return 1000.0 + self._jumping.jumped_s


class VirtualClock:
    """The running virtual loop's time, as a `Clock`."""

    def instant(self) -> Instant:
        return Instant(asyncio.get_running_loop().time())

    def timestamp(self) -> Timestamp:
        return Timestamp(_EPOCH + asyncio.get_running_loop().time())

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end on a virtual loop."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
