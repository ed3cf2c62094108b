"""What a scheduler may ask of the election.

Duty: the ports `Election` and `Leadership`.
Not here: etcd (scheduler.election.etcd_election); what a leader does (scheduler.leader).
Invariants of every implementation (tests/contract/test_election.py): of all leaderships of a
cluster at most one is valid at any moment, and epochs only rise.
"""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from berth.model.ids import Epoch
from scheduler.store.port import StoreHealth


@dataclass(frozen=True, slots=True)
class LeaderInfo:
    """Who leads."""

    name: str
    address: str
    """``host:port`` of its gRPC server."""
    epoch: Epoch
    """Of a candidate that does not lead: where it stands in the queue."""
    http_address: str = ""
    """``host:port`` of its Docker API, metrics and health."""


class Leadership(Protocol):
    """The right to lead, for as long as the lease lives."""

    @property
    def epoch(self) -> Epoch:
        """The create revision of the leader key; goes with every write and every message."""
        ...

    @property
    def key(self) -> str:
        """The leader key in full, which every write compares."""
        ...

    @property
    def lost(self) -> asyncio.Event:
        """Set once and for ever when the leadership is over."""
        ...

    def is_valid(self) -> bool:
        """Tell whether we surely lead right now; check it before anything that cannot be fenced.

        It may turn false for a moment while the lease is close to its end and true again when it
        is renewed; once `lost` is set it stays false.
        """
        ...

    async def wait_lost(self) -> None:
        """Wait until the leadership is over."""
        ...

    async def resign(self) -> None:
        """Give the leadership up at once. The next candidate leads within milliseconds."""
        ...


class Election(Protocol):
    """One scheduler's part in the election of the leader."""

    @property
    def health(self) -> StoreHealth:
        """How etcd does, as far as the election's last calls tell."""
        ...

    @property
    def candidates(self) -> tuple[LeaderInfo, ...]:
        """Every scheduler that stands for election, the leader first, as `observe` last saw it."""
        ...

    async def campaign(self) -> Leadership:
        """Wait until this scheduler leads. Cancelling it withdraws the candidacy."""
        ...

    def observe(self) -> AsyncGenerator[LeaderInfo | None, None]:
        """Yield the present leader, then every other one; None while there is none.

        Close it (``contextlib.aclosing``) when done.
        """
        ...

    async def aclose(self) -> None:
        """Withdraw: resign the leadership that this election won, if any."""
        ...
