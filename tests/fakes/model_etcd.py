"""A model of an etcd cluster in memory: what it stores, and when leases end.

Duty: revisions, history, transactions, leases, watches and limits as etcd has them, with hooks to
take its quorum or its space away. tests/contract runs the same suite on it and on a real etcd.
Not here: the network between a scheduler and it (tests.fakes.fake_store).
Deterministic: everything happens in the order of the calls and of the event loop's timers; no
threads, no randomness, no clock but the injected one.
"""

import asyncio
import bisect
from collections.abc import Sequence
from dataclasses import dataclass

from berth.clock import Clock
from berth.model.ids import Revision
from berth.model.instant import Instant, after
from scheduler.store.errors import (
    CompactedError,
    EtcdRefusedError,
    LeaseNotFoundError,
    NoQuorumError,
    NoSpaceError,
)
from scheduler.store.etcdpb import etcd_pb2 as pb

TXN_OPS_MAX = 128
REQUEST_BYTES_MAX = 1536 * 1024
HISTORY_KEPT = 20_000
LEASE_TTL_S_MIN = 2


@dataclass
class _Lease:
    ttl_s: int
    expires_at: Instant
    keys: set[bytes]


class ModelEtcd:
    """The state of the whole cluster; all members agree at all times."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.revision = 1
        self.has_quorum = True
        self.has_space = True
        self.txn_count = 0
        self._keys: list[bytes] = []  # Sorted; those that exist now.
        self._history: dict[bytes, list[pb.KeyValue]] = {}  # Versions; version 0 marks a delete.
        self._log: list[tuple[int, list[pb.Event]]] = []
        self._compacted = 0
        self._leases: dict[int, _Lease] = {}
        self._next_lease = 0x1000
        self._watchers: dict[asyncio.Event, None] = {}  # In the order of subscribing.

    # -- Faults

    def lose_quorum(self) -> None:
        """From now on no call succeeds and no lease ends."""
        self.has_quorum = False

    def regain_quorum(self) -> None:
        """A new etcd leader gives every lease its full time again."""
        self.has_quorum = True
        for lease_id, lease in self._leases.items():
            self._arm(lease_id, lease)

    def compact(self, revision: int) -> None:
        """Forget the history before `revision`."""
        self._compacted = max(self._compacted, revision)
        self._log = [(at, events) for at, events in self._log if at > revision]
        for key in list(self._history):
            versions = self._history[key]
            newest_kept = bisect.bisect_right(versions, revision, key=_mod_revision) - 1
            del versions[: max(newest_kept, 0)]
            if (
                len(versions) == 1
                and not versions[0].version
                and _mod_revision(versions[0]) <= revision
            ):
                del self._history[key]

    # -- Calls

    def txn(self, request: pb.TxnRequest) -> pb.TxnResponse:
        """Apply a transaction, whole or not at all."""
        self._check_quorum()
        self._check_txn(request)
        succeeded = all(self._holds(compare) for compare in request.compare)
        operations = request.success if succeeded else request.failure
        writes = any(not op.HasField("request_range") for op in operations)
        self.txn_count += 1
        at = self.revision + 1
        events: list[pb.Event] = []
        responses = [self._apply(op, at, events) for op in operations]
        if writes and events:
            self._publish(at, events)
        header = pb.ResponseHeader(revision=self.revision)
        return pb.TxnResponse(header=header, succeeded=succeeded, responses=responses)

    def range(self, request: pb.RangeRequest) -> pb.RangeResponse:
        """Read keys, now or at an older revision."""
        self._check_quorum()
        return self._range(request)

    def lease_grant(self, ttl_s: int) -> tuple[int, int]:
        """Return a new lease and its TTL, which is never below etcd's minimum."""
        self._check_quorum()
        self._check_space()
        self._next_lease += 1
        ttl_s = max(ttl_s, LEASE_TTL_S_MIN)
        lease = _Lease(ttl_s, Instant(0.0), set())
        self._leases[self._next_lease] = lease
        self._arm(self._next_lease, lease)
        return self._next_lease, ttl_s

    def lease_renew(self, lease_id: int) -> int:
        """Return the TTL that the lease has again; 0 if it is gone."""
        self._check_quorum()
        lease = self._leases.get(lease_id)
        if lease is None:
            return 0
        self._arm(lease_id, lease)
        return lease.ttl_s

    def lease_revoke(self, lease_id: int) -> None:
        """End a lease and remove its keys in one revision."""
        self._check_quorum()
        if lease_id not in self._leases:
            raise LeaseNotFoundError("model: lease not found")
        self._end_lease(lease_id)

    # -- Watches

    def subscribe(self) -> asyncio.Event:
        """Return an event that is set at each new revision."""
        event = asyncio.Event()
        self._watchers[event] = None
        return event

    def unsubscribe(self, event: asyncio.Event) -> None:
        """End a subscription."""
        self._watchers.pop(event, None)

    def events_from(self, start: int, key: bytes, range_end: bytes) -> list[pb.Event]:
        """Return the events of the range from revision `start` on, in order."""
        if start <= self._compacted:
            raise CompactedError(
                f"model: compacted at {self._compacted}",
                compact_revision=Revision(self._compacted),
            )
        first = bisect.bisect_left(self._log, start, key=lambda entry: entry[0])
        return [
            event
            for _, events in self._log[first:]
            for event in events
            if _is_within(event.kv.key, key, range_end)
        ]

    # -- Inside

    def _check_quorum(self) -> None:
        if not self.has_quorum:
            raise NoQuorumError("model: no leader")

    def _check_space(self) -> None:
        if not self.has_space:
            raise NoSpaceError("model: database space exceeded")

    def _check_txn(self, request: pb.TxnRequest) -> None:
        most = max(len(request.compare), len(request.success), len(request.failure))
        if most > TXN_OPS_MAX:
            raise EtcdRefusedError(f"model: {most} operations, more than {TXN_OPS_MAX}")
        if request.ByteSize() > REQUEST_BYTES_MAX:
            raise EtcdRefusedError(f"model: request of {request.ByteSize()} bytes is too large")
        for operations in (request.success, request.failure):
            puts = [op.request_put.key for op in operations if op.HasField("request_put")]
            if len(puts) != len(set(puts)):
                raise EtcdRefusedError("model: duplicate key given in txn request")
            if puts:
                self._check_space()
            for op in operations:
                lease_id = op.request_put.lease if op.HasField("request_put") else 0
                if lease_id and lease_id not in self._leases:
                    raise LeaseNotFoundError("model: lease not found")

    def _newest(self, key: bytes) -> pb.KeyValue | None:
        versions = self._history.get(key)
        return versions[-1] if versions and versions[-1].version else None

    def _holds(self, compare: pb.Compare) -> bool:
        entry = self._newest(compare.key)
        found: int | bytes
        wanted: int | bytes
        match compare.target:
            case pb.Compare.CREATE:
                found, wanted = entry.create_revision if entry else 0, compare.create_revision
            case pb.Compare.MOD:
                found, wanted = entry.mod_revision if entry else 0, compare.mod_revision
            case pb.Compare.VERSION:
                found, wanted = entry.version if entry else 0, compare.version
            case pb.Compare.VALUE:
                if entry is None:
                    return False  # As etcd: the value of a missing key compares with nothing.
                found, wanted = entry.value, compare.value
            case _:
                found, wanted = entry.lease if entry else 0, compare.lease
        assert compare.result == pb.Compare.EQUAL, "the model knows no other comparison"
        return found == wanted

    def _apply(self, op: pb.RequestOp, at: int, events: list[pb.Event]) -> pb.ResponseOp:
        if op.HasField("request_range"):
            return pb.ResponseOp(response_range=self._range(op.request_range))
        if op.HasField("request_put"):
            self._put(op.request_put, at, events)
            return pb.ResponseOp(response_put=pb.PutResponse())
        delete = op.request_delete_range
        doomed = self._select(delete.key, delete.range_end)
        for key in doomed:
            self._remove(key, at, events)
        response = pb.DeleteRangeResponse(deleted=len(doomed))
        return pb.ResponseOp(response_delete_range=response)

    def _put(self, put: pb.PutRequest, at: int, events: list[pb.Event]) -> None:
        before = self._newest(put.key)
        if before is None:
            bisect.insort(self._keys, put.key)
        elif before.lease in self._leases:
            self._leases[before.lease].keys.discard(put.key)
        entry = pb.KeyValue(
            key=put.key,
            value=put.value,
            lease=put.lease,
            mod_revision=at,
            create_revision=before.create_revision if before else at,
            version=before.version + 1 if before else 1,
        )
        if put.lease:
            self._leases[put.lease].keys.add(put.key)
        self._history.setdefault(put.key, []).append(entry)
        events.append(pb.Event(type=pb.Event.PUT, kv=entry))

    def _remove(self, key: bytes, at: int, events: list[pb.Event]) -> None:
        before = self._newest(key)
        assert before is not None
        if before.lease in self._leases:
            self._leases[before.lease].keys.discard(key)
        del self._keys[bisect.bisect_left(self._keys, key)]
        grave = pb.KeyValue(key=key, mod_revision=at)
        self._history[key].append(grave)
        events.append(pb.Event(type=pb.Event.DELETE, kv=grave))

    def _publish(self, at: int, events: list[pb.Event]) -> None:
        self.revision = at
        self._log.append((at, events))
        if at - self._compacted > 2 * HISTORY_KEPT:
            self.compact(at - HISTORY_KEPT)
        for watcher in self._watchers:
            watcher.set()

    def _select(self, key: bytes, range_end: bytes) -> list[bytes]:
        if not range_end:
            return [key] if self._newest(key) is not None else []
        first = bisect.bisect_left(self._keys, key)
        last = len(self._keys) if range_end == b"\0" else bisect.bisect_left(self._keys, range_end)
        return self._keys[first:last]

    def _range(self, request: pb.RangeRequest) -> pb.RangeResponse:
        at = request.revision or self.revision
        if at < self._compacted:
            raise CompactedError(
                f"model: compacted at {self._compacted}",
                compact_revision=Revision(self._compacted),
            )
        if at == self.revision:
            found = self._select(request.key, request.range_end)
            entries = [self._history[key][-1] for key in found]
        else:
            entries = self._entries_at(at, request.key, request.range_end)
        if request.sort_target == pb.RangeRequest.CREATE:
            entries.sort(key=lambda entry: int(entry.create_revision))
        count = len(entries)
        limit = request.limit or count
        return pb.RangeResponse(
            header=pb.ResponseHeader(revision=self.revision),
            kvs=() if request.count_only else entries[:limit],
            more=count > limit,
            count=count,
        )

    def _entries_at(self, revision: int, key: bytes, range_end: bytes) -> list[pb.KeyValue]:
        entries = []
        for name in sorted(n for n in self._history if _is_within(n, key, range_end)):
            versions = self._history[name]
            index = bisect.bisect_right(versions, revision, key=_mod_revision) - 1
            if index >= 0 and versions[index].version:
                entries.append(versions[index])
        return entries

    def _arm(self, lease_id: int, lease: _Lease) -> None:
        lease.expires_at = after(self.clock.instant(), lease.ttl_s)
        loop = asyncio.get_running_loop()
        loop.call_later(lease.ttl_s, self._expire, lease_id, lease.expires_at)

    def _expire(self, lease_id: int, expires_at: Instant) -> None:
        lease = self._leases.get(lease_id)
        if lease is not None and lease.expires_at == expires_at and self.has_quorum:
            self._end_lease(lease_id)

    def _end_lease(self, lease_id: int) -> None:
        lease = self._leases.pop(lease_id)
        events: list[pb.Event] = []
        for key in sorted(lease.keys):
            self._remove(key, self.revision + 1, events)
        if events:
            self._publish(self.revision + 1, events)


def _mod_revision(entry: pb.KeyValue) -> int:
    return int(entry.mod_revision)


def _is_within(name: bytes, key: bytes, range_end: bytes) -> bool:
    if not range_end:
        return name == key
    return name >= key and (range_end == b"\0" or name < range_end)


def dump(model: ModelEtcd, prefix: bytes = b"") -> dict[bytes, bytes]:
    """Return all entries under `prefix`, for assertions."""
    keys: Sequence[bytes] = model._keys
    return {key: model._history[key][-1].value for key in keys if key.startswith(prefix)}
