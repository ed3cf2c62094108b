"""The store and the election on a model etcd, with a network that tests and simulator can break.

Duty: `ModelClient`, an `EtcdApi` over `ModelEtcd`, in which requests and answers travel for a time
that the test chooses and may be lost; `open_fake_store`, which wins an election there.
The commit pipeline and the election above it are the real ones (EtcdStore, EtcdElection), so what
the simulator exercises is what runs in production.
Deterministic on a virtual-time event loop: only asyncio and the injected clock.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from berth.clock import Clock
from berth.model.ids import Revision
from scheduler.election.etcd_election import EtcdElection, EtcdLeadership
from scheduler.store.errors import (
    AmbiguousError,
    EtcdCallError,
    LeaseNotFoundError,
    NotAppliedError,
)
from scheduler.store.etcd_api import GrantedLease, LeaseTerm
from scheduler.store.etcd_store import EtcdStore
from scheduler.store.etcdpb import etcd_pb2 as pb
from scheduler.store.pauses import Pauses
from scheduler.store.port import StoreObserver
from tests.fakes.model_etcd import ModelEtcd

T = TypeVar("T")

ATTEMPT_TIMEOUT_S = 2.0
CALL_TIMEOUT_S = 4.0


@dataclass
class LinkFaults:
    """What happens between one scheduler and etcd. Change the fields at any time."""

    latency_s: Callable[[], float] = lambda: 0.001
    """The time that the next message travels. Beyond the attempt's time-out it arrives late:
    after the scheduler has given it up."""
    is_cut: bool = False
    """Nothing arrives, in either direction; connections look alive."""
    is_refused: bool = False
    """Connecting fails at once."""
    loses_request: Callable[[], bool] = lambda: False
    loses_answer: Callable[[], bool] = lambda: False
    """Asked for each message; True loses it."""


class ModelLeaseKeeper:
    """Renews a lease from the event loop; the same arithmetic as the real one's thread."""

    def __init__(self, client: "ModelClient", lease: GrantedLease) -> None:
        self.lost = asyncio.Event()
        self._client = client
        self._lease_id = lease.lease_id
        self._term = LeaseTerm(lease)
        self._task = asyncio.create_task(self._renew())

    def is_valid(self) -> bool:
        """See `LeaseKeeper.is_valid`."""
        return not self.lost.is_set() and self._term.is_valid(self._client.clock.instant())

    async def aclose(self) -> None:
        """See `LeaseKeeper.aclose`."""
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _renew(self) -> None:
        clock, term = self._client.clock, self._term
        pause_s = term.ttl_s / 3
        while not term.is_over:
            left_s = term.deadline - clock.instant()
            await clock.sleep(max(0.001, min(pause_s, left_s)))
            sent_at = clock.instant()
            if term.expire(sent_at):
                break
            try:
                left_s = term.deadline - sent_at
                ttl_s = await self._client.lease_renew(self._lease_id, min(term.ttl_s / 6, left_s))
                term.renew(sent_at=sent_at, now=clock.instant(), ttl_s=ttl_s)
                pause_s = term.ttl_s / 3
            except EtcdCallError:
                pause_s = term.ttl_s / 24
        self.lost.set()


class ModelClient:
    """One scheduler's connection to the model; an `EtcdApi`."""

    def __init__(self, model: ModelEtcd, clock: Clock) -> None:
        self.model = model
        self.clock = clock
        self.faults = LinkFaults()

    async def txn(self, request: pb.TxnRequest) -> pb.TxnResponse:
        """See `EtcdApi.txn`."""
        return await self._send(lambda: self.model.txn(request), ATTEMPT_TIMEOUT_S)

    async def txn_repeatable(self, request: pb.TxnRequest) -> pb.TxnResponse:
        """See `EtcdApi.txn_repeatable`."""
        return await self._repeat(lambda: self.model.txn(request))

    async def range(self, request: pb.RangeRequest) -> pb.RangeResponse:
        """See `EtcdApi.range`."""
        return await self._repeat(lambda: self.model.range(request))

    async def lease_grant(self, ttl_s: int) -> GrantedLease:
        """See `EtcdApi.lease_grant`."""
        asked_at = self.clock.instant()
        lease_id, granted_s = await self._send(
            lambda: self.model.lease_grant(ttl_s), ATTEMPT_TIMEOUT_S
        )
        return GrantedLease(lease_id, float(granted_s), asked_at)

    async def lease_revoke(self, lease_id: int) -> None:
        """See `EtcdApi.lease_revoke`."""
        try:
            await self._repeat(lambda: self.model.lease_revoke(lease_id))
        except LeaseNotFoundError:
            return

    async def lease_renew(self, lease_id: int, timeout_s: float) -> float:
        """Return the lease's new TTL; 0 if it is gone."""
        return float(await self._send(lambda: self.model.lease_renew(lease_id), timeout_s))

    def keep_lease(self, lease: GrantedLease) -> ModelLeaseKeeper:
        """See `EtcdApi.keep_lease`."""
        return ModelLeaseKeeper(self, lease)

    async def watch(
        self, key: bytes, range_end: bytes, start_revision: Revision
    ) -> AsyncGenerator[Sequence[pb.Event], None]:
        """See `EtcdApi.watch`. While the link is cut, events wait at the far end."""
        resume_at = int(start_revision)
        news = self.model.subscribe()
        try:
            while True:
                news.clear()
                await self.clock.sleep(self.faults.latency_s())
                if self.faults.is_cut or self.faults.is_refused or not self.model.has_quorum:
                    await self.clock.sleep(0.05)
                    news.set()
                else:
                    events = self.model.events_from(resume_at, key, range_end)
                    if events:
                        resume_at = int(events[-1].kv.mod_revision) + 1
                        yield events
                await news.wait()
        finally:
            self.model.unsubscribe(news)

    async def _repeat(self, act: Callable[[], T]) -> T:
        give_up_at = self.clock.instant() + CALL_TIMEOUT_S
        pauses = Pauses(self.clock)
        while True:
            try:
                return await self._send(act, ATTEMPT_TIMEOUT_S)
            except EtcdCallError:
                await pauses.wait()
                if self.clock.instant() >= give_up_at:
                    raise

    async def _send(self, act: Callable[[], T], timeout_s: float) -> T:
        """Let a request travel, act, and the answer travel back; the test decides how far."""
        if self.faults.is_refused:
            await self.clock.sleep(self.faults.latency_s())
            raise NotAppliedError("model: connection refused")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        if not self.faults.loses_request():
            loop.call_later(self.faults.latency_s(), self._arrive, act, answer)
        try:
            async with asyncio.timeout(timeout_s):
                return await answer
        except TimeoutError:
            raise AmbiguousError(f"model: no answer within {timeout_s} s") from None

    def _arrive(self, act: Callable[[], T], answer: asyncio.Future[T]) -> None:
        if self.faults.is_cut:
            return
        try:
            value = act()
        except Exception as error:
            failure = error
            self._return(lambda: answer.set_exception(failure), answer)
        else:
            self._return(lambda: answer.set_result(value), answer)

    def _return(self, deliver: Callable[[], None], answer: asyncio.Future[T]) -> None:
        if self.faults.is_cut or self.faults.loses_answer():
            return

        def arrive() -> None:
            if not answer.done() and not self.faults.is_cut:
                deliver()

        asyncio.get_running_loop().call_later(self.faults.latency_s(), arrive)


async def open_fake_store(
    client: ModelClient,
    *,
    prefix: str = "/berth/",
    name: str = "s1",
    ttl_s: int = 5,
    observer: StoreObserver | None = None,
) -> tuple[EtcdStore, EtcdLeadership]:
    """Win the election on the model and return a store for that leadership."""
    election = EtcdElection(client, prefix, name, f"{name}.test:7701", ttl_s, client.clock)
    leadership = await election.campaign()
    return EtcdStore(client, prefix, leadership, observer, client.clock), leadership
