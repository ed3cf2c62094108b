"""Who leads, as one process knows it: the port. Not here: finding out (scheduler.directory)."""

from typing import Protocol

from scheduler.election.port import LeaderInfo
from scheduler.leader import Leader


class LeaderDirectory(Protocol):
    """Who leads, as this process knows it; `scheduler.directory.Directory`."""

    own_name: str
    own_address: str

    @property
    def local(self) -> Leader | None:
        """The leader of this process, while it leads."""
        ...

    @property
    def current(self) -> LeaderInfo | None:
        """The leader that the election names."""
        ...

    @property
    def former(self) -> Leader | None:
        """Our own leadership that has ended, while nobody else is known to lead."""
        ...

    @property
    def candidates(self) -> tuple[LeaderInfo, ...]:
        """All schedulers that stand for election."""
        ...

    async def wait_known(self, timeout_s: float) -> None:
        """Wait until there is a leader to ask, here or elsewhere.

        Raises:
            NoLeaderError: there is none after `timeout_s`.
        """
        ...
