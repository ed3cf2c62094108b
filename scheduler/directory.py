"""Who leads, as this scheduler process knows it: the one place that everything here asks.

Duty: hold the local `Leader` while we lead, the observed leader otherwise, and let callers wait for
a change. Not here: finding out (scheduler.replica feeds it from the election).
"""

import asyncio
from collections.abc import Callable

from berth.errors import NoLeaderError, NotLeaderError
from scheduler.election.port import LeaderInfo
from scheduler.leader import Leader


class Directory:
    """Implements `scheduler.control.leader_directory.LeaderDirectory`."""

    def __init__(self, own_name: str, own_address: str) -> None:
        self.own_name = own_name
        self.own_address = own_address
        self.local: Leader | None = None
        self.current: LeaderInfo | None = None
        self._candidates: Callable[[], tuple[LeaderInfo, ...]] = tuple
        self._changed = asyncio.Event()
        self.former: Leader | None = None
        """Our own leadership that has ended, until somebody else is known to lead: its memory is
        the best that readers can be shown while the store is away."""

    def set_local(self, leader: Leader | None) -> None:
        """Note that we began or ceased to lead."""
        if leader is not None or self.local is not None:
            self.former = None if leader is not None else self.local
        self.local = leader
        self._announce()

    @property
    def candidates(self) -> tuple[LeaderInfo, ...]:
        """All schedulers that stand for election now, the leader first."""
        return self._candidates()

    def set_current(
        self, current: LeaderInfo | None, candidates: Callable[[], tuple[LeaderInfo, ...]]
    ) -> None:
        """Note who the election says leads.

        Args:
            current: the leader, None for nobody.
            candidates: tells who stands for election at any time: others come and go while the
                leader stays the same.
        """
        if current is not None and current.address != self.own_address:
            self.former = None
        self.current = current
        self._candidates = candidates
        self._announce()

    def _announce(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    @property
    def changed(self) -> asyncio.Event:
        """Set when who leads has changed, as far as we know; another one then takes its place."""
        return self._changed

    @property
    def is_known(self) -> bool:
        """True when we lead, or know another scheduler that does."""
        if self.local is not None:
            return True
        return self.current is not None and self.current.address != self.own_address

    async def wait_known(self, timeout_s: float) -> None:
        """Wait until there is a leader to ask.

        Raises:
            NoLeaderError: there is none after `timeout_s` seconds.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while not self.is_known:
                    await self._changed.wait()
        except TimeoutError:
            raise NoLeaderError(
                f"no scheduler has led for {timeout_s:g} s: look at etcd (quorum, disk space) and "
                "at the schedulers' logs; containers run on meanwhile"
            ) from None

    def require_local(self) -> Leader:
        """Return the local leader.

        Raises:
            NotLeaderError: we do not lead; it names who does.
        """
        if self.local is not None:
            return self.local
        address = ""
        if self.current is not None and self.current.address != self.own_address:
            address = self.current.address
        where = f"the leader is at {address}" if address else "no leader is known now"
        raise NotLeaderError(f"scheduler {self.own_name} does not lead: {where}", address)

    def addresses(self) -> list[str]:
        """Return the gRPC addresses of all schedulers known now, our own included."""
        return sorted({self.own_address, *(info.address for info in self.candidates)})
