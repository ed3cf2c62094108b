"""The only reader of the time. Everything else is given a `Clock`."""

import asyncio
import time
from typing import Protocol

from berth.model.instant import Instant, Timestamp


class Clock(Protocol):
    """What a process may know of time. The simulator has its own."""

    def instant(self) -> Instant:
        """Return monotonic seconds, for deadlines within this process."""
        ...

    def timestamp(self) -> Timestamp:
        """Return wall-clock seconds since 1970 (UTC), for records and people."""
        ...

    async def sleep(self, delay_s: float) -> None:
        """Wait `delay_s` seconds of this clock."""
        ...


class SystemClock:
    """The machine's clock.

    Instants count the time during which the machine slept (CLOCK_BOOTTIME), because a lease goes
    on running out while a virtual machine is suspended.
    """

    def instant(self) -> Instant:
        """Return seconds since boot, suspended time included."""
        return Instant(time.clock_gettime(time.CLOCK_BOOTTIME))

    def timestamp(self) -> Timestamp:
        """Return seconds since 1970 (UTC)."""
        return Timestamp(time.time())  # noqa: TID251 - this is the one place

    async def sleep(self, delay_s: float) -> None:
        """Wait `delay_s` seconds."""
        await asyncio.sleep(delay_s)
