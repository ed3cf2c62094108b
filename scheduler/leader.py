"""THE SHELL of the leader: feeds events into the core, stores what follows, then lets it out.

Duty: one loop that takes turns (scheduler.core.step), commits what they changed, and, in the order
of the commits, sends assignments and answers users once they are durable. Nothing leaves ahead of
the store. A refused commit ends the leadership and all of this object's memory with it.

Not here: deciding (scheduler.core), what agents say (scheduler.dispatch.desk), gRPC
(scheduler.dispatch.service, scheduler.control), winning the election (scheduler.replica). The
simulator runs this very class on virtual time: it needs an event loop, a `Clock`, an `Entropy` and
a `ClusterStore`, and nothing else.
"""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import structlog

from berth.clock import Clock
from berth.collector import Tending
from berth.entropy import Entropy
from berth.errors import NotLeaderError, StaleEpochError
from berth.model.ids import Epoch, NodeId, Revision, ServiceId, TaskId
from berth.model.instant import Instant
from scheduler.cohort_forms import make_forms
from scheduler.commit_pace import (
    COMMITS_AHEAD,
    JOINING_PER_COMMIT,
    NODES_PER_SLICE,
    CommitPace,
    Due,
    TurnRow,
)
from scheduler.commits_under_way import CommitsUnderWay
from scheduler.core import membership
from scheduler.core.now import Now
from scheduler.core.state import LeaderState
from scheduler.core.step import Timers, TurnReport, next_wake, take_turn
from scheduler.dispatch.desk import AgentDesk, AgentSession, DeskObserver
from scheduler.dispatch.files import FileOpener, FilePost, cannot_open
from scheduler.dispatch.packing import Delivery, Packing
from scheduler.dispatch.told_templates import Unsealer
from scheduler.event_mark import EventMark
from scheduler.store.port import ClusterStore
from scheduler.store.records import encode_changes
from scheduler.waiters import Waiters

T = TypeVar("T")
log = structlog.get_logger()

TURN_PAUSE_S = 0.002
"""After a turn, or a row of short ones: lets events gather, and lets every other coroutine run."""

TICK_S = 0.5
PAUSE_NOTICED_S = 1.0
"""A tick that comes this much too late means that we, not the nodes, were away."""


class LeaderObserver(DeskObserver, Protocol):
    """What the leader tells the scheduler's metrics."""

    def turn(self, report: TurnReport, duration_s: float) -> None:
        """Note one turn."""
        ...

    def node_lost(self, silent_s: float) -> None:
        """Note that a node was declared lost, after this long a silence."""
        ...

    def assignments_sent(self, tasks: int) -> None:
        """Note tasks put into outboxes."""
        ...


@dataclass(slots=True)
class _Parcel:
    """What may leave once a commit is durable."""

    durable: asyncio.Future[Revision]
    deliveries: list[Delivery] = field(default_factory=list)
    ends_commit: bool = True
    """False for all but the last slice of what one turn committed."""


class Leader:
    """The leading scheduler's shell, for one leadership; see the module."""

    def __init__(
        self,
        state: LeaderState,
        store: ClusterStore,
        epoch: Epoch,
        *,
        clock: Clock,
        entropy: Entropy,
        observer: LeaderObserver,
        unseal: Unsealer,
        schedulers: Callable[[], list[str]],
        open_file: FileOpener = cannot_open,
        tending: Tending | None = None,
    ) -> None:
        self.state = state
        self.epoch = epoch
        self.revision = Revision(0)
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._observer = observer
        self._tending = Tending() if tending is None else tending
        self._timers = Timers()
        self._due = asyncio.Event()
        self._parcels: asyncio.Queue[_Parcel] = asyncio.Queue()
        self._undelivered = 0
        self._is_held = False
        self._is_committing = False
        """Whether a turn broke in between two slices of a commit."""
        self._expected = clock.instant()
        """When the loop of turns should come round next."""
        self._waiters = Waiters()
        self._commits = CommitsUnderWay()
        self._ended: BaseException | None = None
        self.events = EventMark(state.chronicle, self._check_leading)
        self._superseded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.desk = AgentDesk(
            state,
            epoch,
            clock=clock,
            entropy=entropy,
            observer=observer,
            schedulers=schedulers,
            wake=self._due.set,
            supersede=self._note_superseded,
        )
        self.sessions = self.desk.sessions
        files = FilePost(state.files, open_file)
        note_sent = observer.assignments_sent
        self._packing = Packing(state, self.sessions, files, unseal, note_sent)

    # -- the loop ---------------------------------------------------------------------------------

    async def run(self) -> None:
        """Lead until a commit is refused or the caller cancels.

        Raises:
            StaleEpochError: another scheduler leads; drop this object and rejoin the election.
        """
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._take_turns())
                group.create_task(self._deliver())
                group.create_task(_await(self._superseded))
        except BaseExceptionGroup as failures:
            self._end(failures.exceptions[0])
            raise failures.exceptions[0] from None
        finally:
            self._end(NotLeaderError("this scheduler has stopped leading"))

    def _end(self, cause: BaseException) -> None:
        if self._ended is not None:
            return
        self._ended = cause
        self.events.end()
        self.desk.close(_as_not_leading(cause))
        self._waiters.end(_as_not_leading(cause))
        while not self._parcels.empty():
            self._parcels.get_nowait()

    def now(self) -> Now:
        """Read both clocks once."""
        return Now(self._clock.instant(), self._clock.timestamp())

    async def _take_turns(self) -> None:
        self._expected = self._clock.instant()
        pace, is_burst = CommitPace(self._expected), False
        row = TurnRow()
        while True:
            now = self.now()
            self._note_pause(now.instant)
            self._tending.begin_turn(is_burst=is_burst)
            report = take_turn(self.state, self._timers, now)
            make_forms(self.state)
            self._tending.end_turn(report.placed)
            is_burst = report.is_unfinished
            self._observer.turn(report, self._clock.instant() - now.instant)
            for node in report.lost:
                self._on_lost(node)
            self._is_held = self._undelivered >= COMMITS_AHEAD
            due = pace.due(
                now.instant,
                placed=report.placed,
                is_unfinished=report.is_unfinished,
                undelivered=self._undelivered,
                is_awaited=self._waiters.are_pressing(now.instant),
                has_changes=self._waiters.has_changes,
                nodes=len(self.state.untold),
            )
            if due is Due.ALL or self._is_committing:
                await self._commit_turn()
            elif due is Due.RECORDS:
                await self._clock.sleep(0)  # As between slices.
                self._commit_slice(nodes_max=0)  # Users do not wait until tasks have gathered.
            if report.is_unfinished:
                self._due.set()
            has_pause = row.ends(is_unfinished=report.is_unfinished, nodes=len(self.state.nodes))
            pause_s = TURN_PAUSE_S if has_pause else 0.0
            await self._clock.sleep(pause_s)
            wake_at = next_wake(self.state, self._timers)
            wait_s = min(max(wake_at - self._clock.instant(), 0.0), TICK_S)
            # Counted from the turn's beginning: a pause may hit at any point of the round.
            self._expected = Instant(self._expected + pause_s + wait_s)
            await self._wait_due(wait_s)

    def _note_pause(self, now: Instant) -> None:
        """Take our own sleep, if we come round much too late, for nobody's silence."""
        late_s = now - self._expected
        if late_s > PAUSE_NOTICED_S:
            log.warning("leader_was_paused", paused_s=round(late_s, 3))
            membership.postpone(self.state, late_s)
        self._expected = now

    async def _wait_due(self, wait_s: float) -> None:
        if not self._due.is_set() and wait_s > 0:
            timer = asyncio.get_running_loop().call_later(wait_s, self._due.set)
            try:
                await self._due.wait()
            finally:
                timer.cancel()
        self._due.clear()

    def _on_lost(self, node: NodeId) -> None:
        known = self.state.nodes[node]
        if known.is_departing:
            log.info("node_departed", node_id=node, node=known.description.hostname)
            self.desk.expel(node)
            return
        log.warning(
            "node_lost",
            node_id=node,
            node=known.description.hostname,
            tasks=len(self.state.node_tasks[node]),
            why=known.message,
        )
        silent_s = self._clock.instant() - self.state.liveness[node].heard_at
        self._observer.node_lost(silent_s)
        self.desk.expel(node)

    async def _commit_turn(self) -> None:
        """Hand a turn's changes to the store, and what rests on them to the delivery.

        With ten thousand nodes this takes seconds on a busy machine, so that it is done in slices,
        each of which could be the last: what changes between two of them goes with the next one. A
        turn breaks in when a node may be lost by now, which must not wait so long.
        """
        self._is_committing = True
        while self._is_committing:
            await self._clock.sleep(0)  # A turn was long enough for one round of the loop.
            self._is_committing = self._commit_slice()
            now = self._clock.instant()
            self._note_pause(now)
            if self.state.expiry_at <= now:
                break

    def _commit_slice(self, nodes_max: int = NODES_PER_SLICE) -> bool:
        """Commit all records and the placements of some nodes; return whether more is left."""
        state = self.state
        state.chronicle.seal(self._clock.timestamp())  # Events go with what they tell of.
        unsaved, untold, forgotten = state.take_changes(nodes_max)
        is_last = not state.unsaved.placements
        # The complete set that these sessions wait for rests on every slice, and holds all.
        for session in self.desk.joining:
            untold.pop(session.node, None)
            forgotten.pop(session.node, None)
        answers: list[Delivery] = self._waiters.take_changes()  # All records are in every slice.
        joining: list[AgentSession] = []
        purged: dict[NodeId, list[TaskId]] = {}
        if is_last:
            answers += self._waiters.take_all()
            joining = self.desk.take_joining(JOINING_PER_COMMIT)
            if self.desk.joining:
                self._due.set()  # The others go with the next commit, after a turn.
            purged = state.take_purged()
        news = self.events.take() if is_last else []
        if not (unsaved or untold or forgotten or purged or answers or joining or news):
            return not is_last
        deliveries = self._packing.pack(untold, forgotten, joining, purged)
        deliveries += news + answers
        if unsaved or self._commits.last is None:
            durable = self._store.commit_nowait(encode_changes(state, unsaved))
            self._commits.add(unsaved, durable)
        ends_commit = is_last or not nodes_max
        self._undelivered += ends_commit
        assert self._commits.last is not None
        self._parcels.put_nowait(_Parcel(self._commits.last, deliveries, ends_commit))
        return not is_last

    async def _deliver(self) -> None:
        while True:
            parcel = await self._parcels.get()
            try:
                self.revision = max(self.revision, await asyncio.shield(parcel.durable))
            except StaleEpochError as error:
                log.warning("commit_refused", epoch=self.epoch, why=str(error))
                raise
            self._undelivered -= parcel.ends_commit
            if self._is_held:
                self._due.set()  # What gathered meanwhile can go.
            for deliver in parcel.deliveries:
                deliver(self.revision)
            if not parcel.ends_commit:
                # Slices become durable together: told all at once, the writers of thousands of
                # streams would all run in one round of the loop.
                await self._clock.sleep(0)

    # -- users ------------------------------------------------------------------------------------

    async def perform(self, change: Callable[[LeaderState, Now], T]) -> T:
        """Apply a user's change and return its result once that is durable.

        Raises:
            BerthError: the change was refused, and nothing was changed.
            NotLeaderError: leadership ended before it was known to be durable.
        """
        self._check_leading()
        result = change(self.state, self.now())
        waiter = self._waiters.for_change()
        self._due.set()
        await waiter
        return result

    async def settled(self) -> Revision:
        """Have a turn taken, and wait until all that memory holds now is durable.

        Raises:
            NotLeaderError: leadership ended meanwhile.
        """
        self._check_leading()
        waiter = self._waiters.for_all()
        self._due.set()
        return await waiter

    def is_durable(self, services: Collection[ServiceId] | None = None) -> bool:
        """Return whether all that users see of `services` and of nodes now may leave at once.

        Args:
            services: which; None = of everything in memory.

        Raises:
            NotLeaderError: leadership has ended.
        """
        self._check_leading()
        has_begun = self._commits.last is not None
        is_saved = has_begun and not self.state.unsaved.concerns(services)
        return is_saved and self._commits.newest_with(services) is None

    async def wait_durable(self, services: Collection[ServiceId] | None = None) -> None:
        """Wait until what users see of `services` and of nodes now is durable, and may leave.

        No turn is taken for it where nothing is unsaved, and a burst goes at its own pace for a
        while: who reads waits for the commit that comes anyway.

        Args:
            services: which; None = of everything in memory.

        Raises:
            NotLeaderError: leadership ended meanwhile.
        """
        if self.is_durable(services):
            return
        if self._commits.last is None or self.state.unsaved.concerns(services):
            waiter = self._waiters.for_reading(self._clock.instant())
            self._due.set()
            await waiter
        elif under_way := self._commits.newest_with(services):
            await self._waiters.for_commit(under_way)

    @property
    def is_over(self) -> bool:
        """True once the leadership has ended; memory then stays as it was."""
        return self._ended is not None

    def _check_leading(self) -> None:
        if self._ended is not None:
            raise _as_not_leading(self._ended)

    def _note_superseded(self, error: StaleEpochError) -> None:
        if not self._superseded.done():
            self._superseded.set_exception(error)


async def _await(future: asyncio.Future[None]) -> None:
    await future


def _as_not_leading(cause: BaseException) -> NotLeaderError:
    if isinstance(cause, NotLeaderError):
        return cause
    return NotLeaderError(f"this scheduler has stopped leading: {cause}")
