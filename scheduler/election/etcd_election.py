"""The election of the leader through etcd.

Duty: hold a candidate key under a lease, lead when it is the oldest one, tell who leads.
Not here: renewing the lease (scheduler.store.etcd_lease), fencing writes (scheduler.store).

Each candidate owns `<prefix>leader/<lease>`; the key with the smallest create revision leads, and
that revision is its epoch. Every other candidate watches only the key just before its own, so the
end of a leadership wakes one scheduler. etcd's own election service is not used: its Campaign call
is bound to one member and cannot be resumed at another.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Coroutine, Iterable, Sequence
from contextlib import aclosing
from typing import Any, Final

import structlog

from berth.clock import Clock
from berth.errors import BerthError, InternalError
from berth.model.ids import Epoch, Revision
from scheduler.election.port import LeaderInfo
from scheduler.store.commit_txn import LEADER_PREFIX
from scheduler.store.errors import CompactedError, EtcdCallError, LeaseNotFoundError
from scheduler.store.etcd_api import EtcdApi, LeaseKeeper, prefix_end
from scheduler.store.etcdpb import etcd_pb2 as pb
from scheduler.store.health import HealthRecord
from scheduler.store.pauses import Pauses
from scheduler.store.port import StoreHealth

_log = structlog.get_logger(__name__)

REVOKE_TIMEOUT_S: Final = 2.0


class EtcdLeadership:
    """A won election; see `Leadership`."""

    def __init__(
        self, api: EtcdApi, keeper: LeaseKeeper, lease_id: int, key: str, epoch: Epoch
    ) -> None:
        self._api = api
        self._keeper = keeper
        self._lease_id = lease_id
        self._is_resigned = False
        self.key = key
        self.epoch = epoch

    @property
    def lost(self) -> asyncio.Event:
        """See `Leadership.lost`."""
        return self._keeper.lost

    def is_valid(self) -> bool:
        """See `Leadership.is_valid`."""
        return not self._is_resigned and self._keeper.is_valid()

    async def wait_lost(self) -> None:
        """See `Leadership.wait_lost`."""
        await self._keeper.lost.wait()

    async def resign(self) -> None:
        """See `Leadership.resign`."""
        if self._is_resigned:
            return
        self._is_resigned = True
        await _give_up(self._api, self._keeper, self._lease_id)


class EtcdElection:
    """One scheduler's part in the election; see `Election`."""

    def __init__(
        self,
        api: EtcdApi,
        prefix: str,
        name: str,
        address: str,
        ttl_s: int,
        clock: Clock,
        http_address: str = "",
    ) -> None:
        """Make an election that has no candidate yet.

        Args:
            api: the etcd cluster.
            prefix: of all keys, with its final slash.
            name: of this scheduler.
            address: ``host:port`` where others reach its gRPC server.
            ttl_s: of the lease, in whole seconds; etcd grants no less than 2. A leader that dies
                is replaced after at most that long; below 3 a busy machine loses it needlessly.
            clock: for pauses and health.
            http_address: ``host:port`` where users reach its HTTP server.
        """
        self._api = api
        self._leaders = prefix + LEADER_PREFIX
        value = {"name": name, "address": address, "http_address": http_address}
        self._value = json.dumps(value).encode()
        self._candidates_seen: tuple[LeaderInfo, ...] = ()
        self._ttl_s = ttl_s
        self._clock = clock
        self._health = HealthRecord(clock)
        self._leadership: EtcdLeadership | None = None

    @property
    def health(self) -> StoreHealth:
        """See `Election.health`."""
        return self._health.current

    @property
    def candidates(self) -> tuple[LeaderInfo, ...]:
        """See `Election.candidates`."""
        return self._candidates_seen

    async def campaign(self) -> EtcdLeadership:
        """Wait until this scheduler leads; see `Election.campaign`."""
        assert self._leadership is None or not self._leadership.is_valid(), "already leading"
        if self._leadership is not None:
            # After an outage etcd may have prolonged the lease that we gave up: do not queue
            # behind our own key.
            await self._leadership.resign()
        pauses = Pauses(self._clock)
        while True:
            try:
                leadership = await self._stand_once()
            except (EtcdCallError, LeaseNotFoundError) as error:
                self._health.note_failure(error)
                await pauses.wait()
                continue
            if leadership is not None:
                self._leadership = leadership
                return leadership
            pauses = Pauses(self._clock)

    async def observe(self) -> AsyncGenerator[LeaderInfo | None, None]:
        """Yield the leader whenever it changes; see `Election.observe`."""
        pauses = Pauses(self._clock)
        told: LeaderInfo | None = None
        has_told = False
        while True:
            try:
                candidates, revision = await self._candidates()
                self._health.note_success()
                present = {entry.key: entry for entry in candidates}
                async with aclosing(self._watch_leaders(revision)) as changes:
                    while True:
                        self._candidates_seen = _queue_of(present.values())
                        leader = next(iter(self._candidates_seen), None)
                        if leader != told or not has_told:
                            told, has_told = leader, True
                            yield leader
                        for event in await anext(changes):
                            _apply(event, present)
            except CompactedError:
                continue  # Nothing is missed: what counts is who leads now.
            except EtcdCallError as error:
                self._health.note_failure(error)
                await pauses.wait()

    async def aclose(self) -> None:
        """Resign what was won; see `Election.aclose`."""
        if self._leadership is not None:
            await self._leadership.resign()

    # -- One candidacy

    async def _stand_once(self) -> EtcdLeadership | None:
        """Become a candidate and wait for our turn; None if the lease was lost meanwhile."""
        lease = await self._api.lease_grant(self._ttl_s)
        keeper = self._api.keep_lease(lease)
        key = f"{self._leaders}{lease.lease_id:016x}"
        is_won = False
        try:
            await self._put_candidate(key.encode(), lease.lease_id)
            self._health.note_success()
            epoch = await _unless_lost(self._wait_turn(key.encode()), keeper)
            if epoch is None or not keeper.is_valid():
                return None
            is_won = True
            _log.info("leadership_won", epoch=epoch, key=key)
            return EtcdLeadership(self._api, keeper, lease.lease_id, key, epoch)
        finally:
            if not is_won:
                await _give_up(self._api, keeper, lease.lease_id)

    async def _put_candidate(self, key: bytes, lease_id: int) -> None:
        """Create our key; repeating it is harmless, because the key is ours alone."""
        absent = pb.Compare(
            result=pb.Compare.EQUAL, target=pb.Compare.CREATE, key=key, create_revision=0
        )
        put = pb.PutRequest(key=key, value=self._value, lease=lease_id)
        request = pb.TxnRequest(compare=[absent], success=[pb.RequestOp(request_put=put)])
        await self._api.txn_repeatable(request)

    async def _wait_turn(self, key: bytes) -> Epoch | None:
        """Return our epoch once no older candidate is left; None if our own key is gone."""
        pauses = Pauses(self._clock)
        while True:
            try:
                candidates, revision = await self._candidates()
                self._health.note_success()
                mine = next((entry for entry in candidates if entry.key == key), None)
                if mine is None:
                    return None
                older = [c for c in candidates if c.create_revision < mine.create_revision]
                if not older:
                    return Epoch(mine.create_revision)
                await self._wait_deleted(older[-1].key, revision)
            except CompactedError:
                continue
            except EtcdCallError as error:
                self._health.note_failure(error)
                await pauses.wait()

    async def _wait_deleted(self, key: bytes, revision: Revision) -> None:
        async with aclosing(self._api.watch(key, b"", Revision(revision + 1))) as changes:
            async for events in changes:
                if any(event.type == pb.Event.DELETE for event in events):
                    return

    async def _candidates(self) -> tuple[Sequence[pb.KeyValue], Revision]:
        """Return all candidate keys, oldest first, and the revision at which they are so."""
        leaders = self._leaders.encode()
        response = await self._api.range(
            pb.RangeRequest(
                key=leaders,
                range_end=prefix_end(leaders),
                sort_order=pb.RangeRequest.ASCEND,
                sort_target=pb.RangeRequest.CREATE,
            )
        )
        return response.kvs, Revision(response.header.revision)

    def _watch_leaders(self, revision: Revision) -> AsyncGenerator[Sequence[pb.Event], None]:
        leaders = self._leaders.encode()
        return self._api.watch(leaders, prefix_end(leaders), Revision(revision + 1))


def _apply(event: pb.Event, present: dict[bytes, pb.KeyValue]) -> None:
    if event.type == pb.Event.DELETE:
        present.pop(event.kv.key, None)
    else:
        present[event.kv.key] = event.kv


def _queue_of(candidates: Iterable[pb.KeyValue]) -> tuple[LeaderInfo, ...]:
    oldest_first = sorted(candidates, key=lambda entry: int(entry.create_revision))
    return tuple(_info_of(entry) for entry in oldest_first)


def _info_of(entry: pb.KeyValue) -> LeaderInfo:
    try:
        value = json.loads(entry.value)
        return LeaderInfo(
            value["name"],
            value["address"],
            Epoch(entry.create_revision),
            value.get("http_address", ""),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        key = entry.key.decode(errors="replace")
        raise InternalError(
            f'the leader key "{key}" holds {entry.value!r}, which no scheduler wrote: remove it'
        ) from error


async def _unless_lost(
    turn: Coroutine[Any, Any, Epoch | None], keeper: LeaseKeeper
) -> Epoch | None:
    """Return what `turn` returns, or None as soon as the lease is lost."""
    waiting = asyncio.ensure_future(turn)
    losing = asyncio.ensure_future(keeper.lost.wait())
    try:
        await asyncio.wait({waiting, losing}, return_when=asyncio.FIRST_COMPLETED)
        return waiting.result() if waiting.done() else None
    finally:
        for task in (waiting, losing):
            task.cancel()
        await asyncio.gather(waiting, losing, return_exceptions=True)


async def _give_up(api: EtcdApi, keeper: LeaseKeeper, lease_id: int) -> None:
    """Stop renewing and revoke the lease; if etcd does not answer, the lease runs out."""
    await keeper.aclose()
    keeper.lost.set()
    try:
        async with asyncio.timeout(REVOKE_TIMEOUT_S):
            await api.lease_revoke(lease_id)
    except (BerthError, TimeoutError) as error:
        why = str(error) or f"etcd did not answer within {REVOKE_TIMEOUT_S:g} s"
        _log.warning("lease_not_revoked", lease_id=f"{lease_id:x}", error=why)
