"""The slice of etcd that the store and the election stand on, as a port.

Duty: `EtcdApi`, so that the same store and election run on a real cluster (etcd_client) and on the
model that the simulator uses (tests/fakes).
Not here: any transport.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from berth.model.ids import Revision
from berth.model.instant import Instant, after
from scheduler.store.etcdpb import etcd_pb2 as pb


@dataclass(frozen=True, slots=True)
class GrantedLease:
    """A lease as etcd granted it. The deadline counts from before the request was sent."""

    lease_id: int
    ttl_s: float
    asked_at: Instant


class LeaseKeeper(Protocol):
    """Somebody who renews a lease until it is lost or closed."""

    @property
    def lost(self) -> asyncio.Event:
        """Set once and for ever when the lease can no longer be relied on."""
        ...

    def is_valid(self) -> bool:
        """Tell whether the lease surely lives right now, with a margin."""
        ...

    async def aclose(self) -> None:
        """Stop renewing. The lease is not revoked."""
        ...


class EtcdApi(Protocol):
    """Calls to etcd. Errors are those of scheduler.store.errors."""

    async def txn(self, request: pb.TxnRequest) -> pb.TxnResponse:
        """Send a transaction once.

        Raises:
            NotAppliedError: it had no effect; send it again.
            AmbiguousError: look before sending it again.
            EtcdRefusedError: it will never be accepted.
        """
        ...

    async def txn_repeatable(self, request: pb.TxnRequest) -> pb.TxnResponse:
        """Send a transaction as often as needed within the call's time.

        Only for one that writes nothing, or whose second sending changes nothing.
        """
        ...

    async def range(self, request: pb.RangeRequest) -> pb.RangeResponse:
        """Read keys, trying as often as needed within the call's time."""
        ...

    async def lease_grant(self, ttl_s: int) -> GrantedLease:
        """Ask for a lease. One whose answer is lost runs out by itself."""
        ...

    async def lease_revoke(self, lease_id: int) -> None:
        """End a lease and remove its keys. A lease that is gone already is no error."""
        ...

    def keep_lease(self, lease: GrantedLease) -> LeaseKeeper:
        """Begin to renew `lease`."""
        ...

    def watch(
        self, key: bytes, range_end: bytes, start_revision: Revision
    ) -> AsyncGenerator[Sequence[pb.Event], None]:
        """Yield the events of keys from `start_revision` on, each once, through fail-overs.

        Raises:
            CompactedError: events are gone; read afresh, then watch from there.
        """
        ...


class LeaseTerm:
    """How long a lease surely lives; arithmetic only.

    Invariant: once over, over for good, even if a late answer says otherwise.
    """

    MARGIN_S_MAX = 1.0

    def __init__(self, lease: GrantedLease) -> None:
        self.ttl_s = lease.ttl_s
        self.margin_s = min(self.MARGIN_S_MAX, lease.ttl_s / 5)
        self.deadline = after(lease.asked_at, lease.ttl_s)
        self.is_over = False

    def renew(self, *, sent_at: Instant, now: Instant, ttl_s: float) -> None:
        """Take in an answer: the lease lives `ttl_s` from when the ping was *sent*."""
        if ttl_s <= 0 or now >= self.deadline:
            self.is_over = True
            return
        self.deadline = max(self.deadline, after(sent_at, ttl_s))

    def expire(self, now: Instant) -> bool:
        """Take in the time; True if the lease is over."""
        if now >= self.deadline:
            self.is_over = True
        return self.is_over

    def is_valid(self, now: Instant) -> bool:
        """Tell whether the holder may act at `now`, with the margin taken off."""
        return not self.is_over and now < self.deadline - self.margin_s


def prefix_end(prefix: bytes) -> bytes:
    """Return the `range_end` that selects all keys beginning with `prefix`."""
    for index in range(len(prefix) - 1, -1, -1):
        if prefix[index] < 0xFF:
            return prefix[:index] + bytes((prefix[index] + 1,))
    return b"\0"
