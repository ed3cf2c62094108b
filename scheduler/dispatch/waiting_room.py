"""Where agents wait while nobody leads.

Duty: hold a session's beginning for as long as it would be in vain: until this scheduler leads, or
another one does that the agent may reach. Not here: the session itself (session), who leads
(scheduler.directory).

A leader that dies leaves thousands of agents behind, and its lease runs out seconds later. Refused
meanwhile, each would come back several times, by a new connection each time (1 ms, 2.5 with TLS, on
either side), and the next leader would begin under the heaviest load of its life. Held on their
streams they cost nothing, and are there when it begins.

A leader is given up early only if both the agent and this scheduler fail to reach it: an agent that
is cut off from a leader must try it again soon, and a scheduler that is cut off must not keep
agents from it.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection
from typing import Final, Protocol

from berth.clock import Clock
from berth.model.instant import START
from scheduler.election.port import LeaderInfo
from scheduler.leader import Leader

HOLD_S: Final = 10.0
"""How long an agent is held at most; it comes back if that was in vain."""

PROBE_S: Final = 1.0
"""How long the answer holds whether a leader can be reached, and how long it may take."""


class LeaderSource(Protocol):
    """What this scheduler knows of who leads."""

    own_address: str
    local: Leader | None
    current: LeaderInfo | None

    def require_local(self) -> Leader:
        """Return the local leader, or raise NotLeaderError with the address of the one who is."""
        ...

    @property
    def changed(self) -> asyncio.Event:
        """Set when anything of it has changed; another one then takes its place."""
        ...


class WaitingRoom:
    """See the module."""

    def __init__(
        self, source: LeaderSource, can_reach: Callable[[str], Awaitable[bool]], clock: Clock
    ) -> None:
        """Open it.

        Args:
            source: who leads.
            can_reach: whether anybody listens at ``host:port``.
            clock: says how old that answer is.
        """
        self._source = source
        self._can_reach = can_reach
        self._clock = clock
        self._probing = asyncio.Lock()
        self._probed = ""
        self._probed_at = START
        self._was_reached = False

    def require_local(self) -> Leader:
        """Return the local leader, or raise NotLeaderError."""
        return self._source.require_local()

    async def is_in_vain(self, unreachable: Collection[str]) -> bool:
        """Return whether an agent had better wait than be answered now.

        Args:
            unreachable: the schedulers that it could not reach a moment ago.
        """
        source = self._source
        if source.local is not None:
            return False
        if source.current is None or source.current.address == source.own_address:
            return True  # Nobody leads, or we are about to.
        address = source.current.address
        return address in unreachable and not await self._reaches(address)

    async def wait(self, unreachable: Collection[str]) -> None:
        """Wait until it is not in vain any more, and no longer than `HOLD_S`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HOLD_S):
                changed = self._source.changed  # Before looking: a probe takes its time.
                while await self.is_in_vain(unreachable):
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(2 * PROBE_S):
                            await changed.wait()
                    changed = self._source.changed

    async def _reaches(self, address: str) -> bool:
        """Ask whether somebody listens at `address`, once for all who wait."""
        async with self._probing:
            now = self._clock.instant()
            if self._probed != address or now - self._probed_at >= PROBE_S:
                try:
                    async with asyncio.timeout(PROBE_S):
                        self._was_reached = await self._can_reach(address)
                except TimeoutError:
                    self._was_reached = False
                self._probed, self._probed_at = address, self._clock.instant()
            return self._was_reached
