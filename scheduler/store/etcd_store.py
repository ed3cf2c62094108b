"""`ClusterStore` on etcd: fenced, ordered, exactly-once commits, several under way at once.

Duty: load all documents at one revision; carry queued changes into etcd in order.
Not here: the form of a transaction (commit_txn), packing (commit_queue), fail-over (etcd_client).
Invariants: at most `IN_FLIGHT_MAX` transactions are unanswered; they settle in order; nothing is
sent unless the lease surely lives; a transaction whose fate is unknown is looked up before it is
sent again (and could not take effect twice even so).
One store per leadership: a second one would count the same sequence.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from berth.clock import Clock
from berth.errors import BerthError, InternalError, StaleEpochError, StoreUnavailableError
from berth.model.ids import Epoch, Revision
from scheduler.election.port import Leadership
from scheduler.store.commit_queue import Batch, CommitQueue
from scheduler.store.commit_txn import CommitForm, Seen
from scheduler.store.errors import (
    AmbiguousError,
    CompactedError,
    EtcdCallError,
    EtcdRefusedError,
    ValueTooLargeError,
)
from scheduler.store.etcd_api import EtcdApi
from scheduler.store.etcd_load import load_entries
from scheduler.store.etcdpb import etcd_pb2 as pb
from scheduler.store.health import HealthRecord
from scheduler.store.pauses import Pauses
from scheduler.store.port import (
    Change,
    SilentObserver,
    StoreHealth,
    StoreObserver,
    StoreSnapshot,
)

_log = structlog.get_logger(__name__)

IN_FLIGHT_MAX: Final = 4
LINGER_S: Final = 0.002
"""While others are in flight, a batch that is not full waits this long for company."""
RECHECK_S: Final = 0.02


@dataclass(slots=True)
class _Txn:
    """A transaction under way."""

    sequence: int
    request: pb.TxnRequest
    batch: Batch
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    predecessor: "_Txn | None" = None


class EtcdStore:
    """The cluster's documents, open for one leadership; see `ClusterStore`."""

    def __init__(
        self,
        api: EtcdApi,
        prefix: str,
        leadership: Leadership,
        observer: StoreObserver | None,
        clock: Clock,
    ) -> None:
        self._api = api
        self._prefix = prefix
        self._leadership = leadership
        self._observer = observer or SilentObserver()
        self._clock = clock
        self._form = CommitForm(prefix, leadership.key, leadership.epoch)
        self._health = HealthRecord(clock)
        self._queue = CommitQueue(prefix)
        self._in_flight: deque[_Txn] = deque()
        self._sent_last: _Txn | None = None
        self._base_revision: Revision | None = None
        self._wake = asyncio.Event()
        self._linger_timer: asyncio.TimerHandle | None = None
        self._failure: BerthError | None = None
        self._writer: asyncio.Task[None] | None = None

    @property
    def health(self) -> StoreHealth:
        """See `ClusterStore.health`."""
        return self._health.current

    async def load(self) -> StoreSnapshot:
        """Read every document; see `ClusterStore.load`."""
        pauses = Pauses(self._clock)
        while True:
            try:
                seen = await self._look()
                if seen.leader != self._leadership.epoch:
                    raise self._stale(seen.leader)
                return await load_entries(self._api, self._prefix, seen.revision)
            except CompactedError:
                continue  # etcd was compacted while we read: begin again at the present revision.
            except EtcdCallError as error:
                self._note_failure(error)
            if self._leadership.lost.is_set():
                raise self._stale(None)
            await pauses.wait()

    def commit_nowait(self, changes: Sequence[Change]) -> asyncio.Future[Revision]:
        """Queue `changes`; see `ClusterStore.commit_nowait`."""
        future: asyncio.Future[Revision] = asyncio.get_running_loop().create_future()
        if self._failure is not None:
            _refuse(future, self._failure)
            return future
        try:
            self._queue.add(changes, future, self._clock.instant())
        except ValueTooLargeError as error:
            future.set_exception(error)
            return future
        if self._writer is None:
            # Not a Supervisor's task: whatever ends it fails every commit, which ends leadership.
            self._writer = asyncio.create_task(self._write(), name="store-writer")  # noqa: TID251
            self._writer.add_done_callback(self._note_writer_end)
        self._wake.set()
        return future

    async def aclose(self) -> None:
        """Stop writing; see `ClusterStore.aclose`."""
        self._fail(StoreUnavailableError("the store was closed before the change was durable"))
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.wait({self._writer})  # Its end fails what was under way.

    # -- The writer

    async def _write(self) -> None:
        """Send batches in order until the leadership ends or the store is closed."""
        async with asyncio.TaskGroup() as carriers:
            watcher = carriers.create_task(self._watch_leadership())
            base_revision = await self._begin()
            while await self._wait_for_batch():
                txn = self._next_txn(self._queue.pop(), base_revision)
                self._in_flight.append(txn)
                self._observer.in_flight(len(self._in_flight))
                carriers.create_task(self._carry(txn))
            watcher.cancel()

    async def _begin(self) -> Revision:
        """Return when the commit key was last written, by whoever led before us."""
        pauses = Pauses(self._clock)
        while self._failure is None:
            try:
                seen = await self._look()
            except EtcdCallError as error:
                self._note_failure(error)
                await pauses.wait()
                continue
            except EtcdRefusedError as error:
                self._fail(error)
                break
            if seen.leader != self._leadership.epoch:
                self._fail(self._stale(seen.leader))
            elif seen.sequence:
                epoch = self._leadership.epoch
                self._fail(InternalError(f"epoch {epoch} has committed already: open one store"))
            return seen.commit_revision
        return Revision(0)

    async def _wait_for_batch(self) -> bool:
        """Wait until a batch should be sent; False when the store has failed instead."""
        while self._failure is None:
            if self._queue and len(self._in_flight) < IN_FLIGHT_MAX:
                waited_s = self._clock.instant() - self._queue.oldest
                if not self._in_flight or self._queue.has_full_batch or waited_s >= LINGER_S:
                    return True
                loop = asyncio.get_running_loop()
                # Timers may fire a little early: the rest must not shrink to nothing.
                left_s = max(LINGER_S - waited_s, LINGER_S / 20)
                self._linger_timer = loop.call_later(left_s, self._wake.set)
            self._wake.clear()
            await self._wake.wait()
            if self._linger_timer is not None:
                self._linger_timer.cancel()
        return False

    def _next_txn(self, batch: Batch, base_revision: Revision) -> _Txn:
        before = self._sent_last
        changes = batch.changes.values()
        if before is None:
            txn = _Txn(1, self._form.first(changes, base_revision), batch)
        else:
            sequence = before.sequence + 1
            unsettled = None if before.settled.is_set() else before
            txn = _Txn(sequence, self._form.next(changes, sequence), batch, predecessor=unsettled)
        self._sent_last = txn
        return txn

    async def _carry(self, txn: _Txn) -> None:
        """See one transaction through until it is settled."""
        pauses = Pauses(self._clock)
        while not txn.settled.is_set():
            await self._wait_until_valid()
            if self._failure is not None:
                self._drop(txn, self._failure)
                return
            try:
                response = await self._api.txn(txn.request)
                if response.succeeded:
                    self._settle_through(txn.sequence, Revision(response.header.revision))
                    return
                await self._judge(txn, self._form.seen(response), pauses)
            except EtcdCallError as error:
                self._note_failure(error)
                await pauses.wait()
                if isinstance(error, AmbiguousError):
                    await self._look_for(txn, pauses)
            except BerthError as error:  # Never accepted as it is: nothing after it can be either.
                self._fail(error)

    async def _look_for(self, txn: _Txn, pauses: Pauses) -> None:
        """Find out whether a transaction was applied whose answer did not come."""
        if txn.settled.is_set() or self._failure is not None:
            return
        try:
            await self._judge(txn, await self._look(), pauses)
        except EtcdCallError as error:
            self._note_failure(error)

    async def _judge(self, txn: _Txn, seen: Seen, pauses: Pauses) -> None:
        """Conclude from what the store shows; return if `txn` should be sent again."""
        if seen.sequence:
            self._settle_through(seen.sequence, seen.commit_revision)
        if seen.leader != self._leadership.epoch:
            self._observer.store_error("stale_epoch")
            self._fail(self._stale(seen.leader))
        elif seen.sequence < txn.sequence - 1 and txn.predecessor is not None:
            await txn.predecessor.settled.wait()  # It overtook its predecessor.
        elif seen.sequence < txn.sequence:
            await pauses.wait()

    async def _wait_until_valid(self) -> None:
        """Wait out the margin at the lease's end: it is renewed, or lost."""
        while self._failure is None and not self._leadership.is_valid():
            if self._leadership.lost.is_set():
                self._fail(self._stale(None))
                return
            await self._clock.sleep(RECHECK_S)

    async def _watch_leadership(self) -> None:
        await self._leadership.wait_lost()
        self._fail(self._stale(None))

    async def _look(self) -> Seen:
        return self._form.seen(await self._api.txn_repeatable(self._form.look()))

    # -- Outcomes

    def _settle_through(self, sequence: int, revision: Revision) -> None:
        """All transactions up to `sequence` are in the store, at `revision` or before."""
        now = self._clock.instant()
        has_settled = False
        while self._in_flight and self._in_flight[0].sequence <= sequence:
            txn = self._in_flight.popleft()
            has_settled = True
            self._end(txn)
            for future in txn.batch.futures:
                if not future.done():  # Its owner may have cancelled it.
                    future.set_result(revision)
            self._observer.committed(
                len(txn.batch.changes), txn.batch.size_bytes, now - txn.batch.queued_at
            )
        if has_settled:  # That we could look is no sign that etcd takes writes.
            self._health.note_success()

    def _drop(self, txn: _Txn, error: BerthError) -> None:
        """Give up a transaction that is under way; it may be in the store or not."""
        if not txn.settled.is_set():
            self._in_flight.remove(txn)
            self._end(txn)
            _refuse_all(txn.batch, error)

    def _end(self, txn: _Txn) -> None:
        txn.predecessor = None  # Or every transaction ever sent would stay in memory.
        txn.settled.set()
        self._observer.in_flight(len(self._in_flight))
        self._wake.set()

    def _fail(self, error: BerthError) -> None:
        """Fail all that is queued and all that will be; what is under way ends by itself."""
        if self._failure is None:
            self._failure = error
        for batch in self._queue.drain():
            _refuse_all(batch, self._failure)
        self._wake.set()

    def _note_failure(self, error: EtcdCallError) -> None:
        self._health.note_failure(error)
        self._observer.store_error(error.kind)

    def _note_writer_end(self, writer: asyncio.Task[None]) -> None:
        """Fail what is left; a crash of the writer must not leave anybody waiting."""
        crash = None if writer.cancelled() else writer.exception()
        if crash is not None:
            _log.error("store_writer_crashed", exc_info=crash)
        self._fail(InternalError(f"the store's writer ended: {crash!r}"))
        assert self._failure is not None
        for txn in tuple(self._in_flight):
            self._drop(txn, self._failure)

    def _stale(self, current: Epoch | None) -> StaleEpochError:
        return StaleEpochError(ours=self._leadership.epoch, current=current)


def _refuse_all(batch: Batch, error: BerthError) -> None:
    for future in batch.futures:
        _refuse(future, error)


def _refuse(future: asyncio.Future[Revision], error: BerthError) -> None:
    """Fail `future`, without a complaint in the log if nobody waits for it.

    The end of leadership is told to the leader by other means as well.
    """
    if not future.done():
        future.set_exception(error)
        future.exception()
