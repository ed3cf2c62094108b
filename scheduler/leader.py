"""THE SHELL of the leader: feeds events into the core, stores what follows, then lets it out.

Duty: one loop that takes turns (scheduler.core.step), commits what they changed, and, in the order
of the commits, sends assignments and answers users once they are durable. Nothing leaves ahead of
the store. A refused commit ends the leadership and all of this object's memory with it.

Not here: deciding (scheduler.core), gRPC (scheduler.dispatch.service, scheduler.control), winning
the election (scheduler.replica). The simulator runs this very class on virtual time: it needs an
event loop, a `Clock`, an `Entropy` and a `ClusterStore`, and nothing else.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import structlog

from berth.clock import Clock
from berth.entropy import Entropy
from berth.errors import BerthError, InternalError, NotLeaderError, StaleEpochError
from berth.model.ids import Epoch, NodeId, Revision, SessionId, TaskId
from berth.model.instant import Instant
from berth.model.node import NodeDescription
from berth.model.registry_auth import RegistryAuth
from berth.model.task import Task, TaskStatus
from berth.v1 import dispatcher_pb2, types_pb2
from berth.wire.convert import from_proto, write_proto
from scheduler.core import liveness, membership
from scheduler.core.state import LeaderState, Now
from scheduler.core.step import Timers, TurnReport, next_wake, take_turn
from scheduler.dispatch.messages import assignment_of, template_key, template_of
from scheduler.dispatch.outbox import Outbox
from scheduler.store.port import ClusterStore
from scheduler.store.records import encode_changes

T = TypeVar("T")
log = structlog.get_logger()

TURN_PAUSE_S = 0.002
"""Between two turns under load: lets events gather, and lets every other coroutine run."""

COMMIT_EVERY_S = 0.1
"""How long changes may wait for a burst to end."""

TICK_S = 0.5
PAUSE_NOTICED_S = 1.0
"""A tick that comes this much too late means that we, not the nodes, were away."""


class LeaderObserver(Protocol):
    """What the leader tells the scheduler's metrics."""

    def turn(self, report: TurnReport, duration_s: float) -> None:
        """Note one turn."""
        ...

    def session_opened(self) -> None:
        """Note that an agent's session began."""
        ...

    def session_closed(self) -> None:
        """Note that an agent's session ended."""
        ...

    def heard(self, late_s: float) -> None:
        """Note a message of an agent; `late_s` is how much later than the heartbeat period."""
        ...

    def assignments_sent(self, tasks: int) -> None:
        """Note tasks put into outboxes."""
        ...

    def task_running(self, since_created_s: float) -> None:
        """Note that a task reached RUNNING."""
        ...


class Unsealer(Protocol):
    """Opens stored registry credentials."""

    def __call__(self, sealed: bytes, context: bytes) -> RegistryAuth | None:
        """Return the credentials, or None where there are none."""
        ...


@dataclass(slots=True, eq=False)
class AgentSession:
    """One agent's stream, as the leader sees it."""

    id: SessionId
    node: NodeId
    boot_id: str
    outbox: Outbox
    needs_complete: bool = True
    is_leaving: bool = False


@dataclass(slots=True)
class _Parcel:
    """What may leave once a commit is durable."""

    durable: asyncio.Future[Revision]
    deliveries: list[Callable[[Revision], None]] = field(default_factory=list)


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
    ) -> None:
        self.state = state
        self.epoch = epoch
        self.sessions: dict[NodeId, AgentSession] = {}
        self.revision = Revision(0)
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._observer = observer
        self._unseal = unseal
        self._schedulers = schedulers
        self._timers = Timers()
        self._due = asyncio.Event()
        self._parcels: asyncio.Queue[_Parcel] = asyncio.Queue()
        self._waiters: list[asyncio.Future[Revision]] = []
        self._unanswered: set[asyncio.Future[Revision]] = set()
        """Every waiter until it is answered, in `_waiters` or in a parcel."""
        self._joining: list[AgentSession] = []
        self._last_commit: asyncio.Future[Revision] | None = None
        self._ended: BaseException | None = None
        self._superseded: asyncio.Future[None] = asyncio.get_running_loop().create_future()

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
        for session in list(self.sessions.values()):
            session.outbox.close()
        for waiter in self._unanswered:
            if not waiter.done():
                waiter.set_exception(_as_not_leading(cause))
        while not self._parcels.empty():
            self._parcels.get_nowait()

    def now(self) -> Now:
        """Read both clocks once."""
        return Now(self._clock.instant(), self._clock.timestamp())

    async def _take_turns(self) -> None:
        expected = committed = self._clock.instant()
        while True:
            now = self.now()
            late_s = now.instant - expected
            if late_s > PAUSE_NOTICED_S:
                log.warning("leader_was_paused", paused_s=round(late_s, 3))
                membership.postpone(self.state, late_s)
            report = take_turn(self.state, self._timers, now)
            self._observer.turn(report, self._clock.instant() - now.instant)
            for node in report.lost:
                self._on_lost(node)
            # In a burst the same documents change turn after turn: write them once in a while.
            if not report.is_unfinished or now.instant - committed >= COMMIT_EVERY_S:
                self._commit_turn()
                committed = now.instant
            if report.is_unfinished:
                self._due.set()
            await self._clock.sleep(TURN_PAUSE_S)
            wake_at = next_wake(self.state, self._timers)
            wait_s = min(max(wake_at - self._clock.instant(), 0.0), TICK_S)
            expected = Instant(self._clock.instant() + wait_s)
            await self._wait_due(wait_s)

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
        log.warning(
            "node_lost",
            node_id=node,
            node=known.description.hostname,
            tasks=len(self.state.node_tasks[node]),
            why=known.message,
        )
        session = self.sessions.pop(node, None)
        if session is not None:
            session.outbox.close()
            self._observer.session_closed()

    def _commit_turn(self) -> None:
        """Hand a turn's changes to the store, and what rests on them to the delivery."""
        state = self.state
        unsaved, untold, forgotten = state.take_changes()
        waiters, self._waiters = self._waiters, []
        joining, self._joining = self._joining, []
        if not (unsaved or untold or forgotten or waiters or joining):
            return
        deliveries = self._prepare(untold, forgotten, joining)
        if unsaved or self._last_commit is None:
            self._last_commit = self._store.commit_nowait(encode_changes(state, unsaved))
            self._last_commit.add_done_callback(_mark_retrieved)
        for waiter in waiters:
            deliveries.append(_resolver(waiter))
        self._parcels.put_nowait(_Parcel(self._last_commit, deliveries))

    async def _deliver(self) -> None:
        while True:
            parcel = await self._parcels.get()
            try:
                self.revision = max(self.revision, await asyncio.shield(parcel.durable))
            except StaleEpochError as error:
                log.warning("commit_refused", epoch=self.epoch, why=str(error))
                raise
            for deliver in parcel.deliveries:
                deliver(self.revision)

    def _prepare(
        self,
        untold: dict[NodeId, dict[TaskId, Task]],
        forgotten: dict[NodeId, list[TaskId]],
        joining: list[AgentSession],
    ) -> list[Callable[[Revision], None]]:
        """Freeze what nodes are to be told, as memory is now, for after the commit."""
        deliveries: list[Callable[[Revision], None]] = []
        complete = {session.node for session in joining if not session.outbox.is_closed}
        for session in joining:
            tasks = self.state.node_tasks.get(session.node, {}).values()
            deliveries.append(self._parcel_for(session, tasks, [], complete=True))
        for node in sorted({*untold, *forgotten} - complete):
            told = self.sessions.get(node)
            if told is not None:
                tasks = untold.get(node, {}).values()
                gone = forgotten.get(node, [])
                deliveries.append(self._parcel_for(told, tasks, gone, complete=False))
        return deliveries

    def _parcel_for(
        self,
        session: AgentSession,
        tasks: Iterable[Task],
        forgotten: Iterable[TaskId],
        *,
        complete: bool,
    ) -> Callable[[Revision], None]:
        assignments = []
        templates: list[types_pb2.TaskTemplate] = []
        for task in tasks:
            assignments.append(assignment_of(task))
            key = template_key(task)
            if key not in session.outbox.seen_templates:
                session.outbox.seen_templates.add(key)
                templates.append(self._template(task))
        gone = [str(task_id) for task_id in forgotten]

        def deliver(revision: Revision) -> None:
            session.outbox.put(revision, assignments, templates, gone, complete=complete)
            self._observer.assignments_sent(len(assignments))

        return deliver

    def _template(self, task: Task) -> types_pb2.TaskTemplate:
        record = self.state.services[task.service_id].record
        is_newest = task.template_version == record.template_version
        sealed = record.sealed_auth if is_newest else record.previous_sealed_auth
        auth = None
        try:
            auth = self._unseal(sealed, record.id.encode())
        except BerthError as error:
            # The pull will say what it lacks; one service's credentials must not end a leadership.
            log.error("credentials_unreadable", service=record.spec.name, why=error.message)
        return template_of(record, task.template_version, auth)

    # -- users ------------------------------------------------------------------------------------

    async def perform(self, change: Callable[[LeaderState, Now], T]) -> T:
        """Apply a user's change and return its result once that is durable.

        Raises:
            BerthError: the change was refused, and nothing was changed.
            NotLeaderError: leadership ended before it was known to be durable.
        """
        self._check_leading()
        result = change(self.state, self.now())
        await self.settled()
        return result

    async def settled(self) -> Revision:
        """Wait until all that memory holds now is durable; what is read before may then leave.

        Raises:
            NotLeaderError: leadership ended meanwhile.
        """
        self._check_leading()
        waiter: asyncio.Future[Revision] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._unanswered.add(waiter)
        waiter.add_done_callback(self._unanswered.discard)
        self._due.set()
        return await waiter

    def _check_leading(self) -> None:
        if self._ended is not None:
            raise _as_not_leading(self._ended)

    # -- agents -----------------------------------------------------------------------------------

    def join(self, message: dispatcher_pb2.AgentMessage) -> AgentSession:
        """Begin the session of the agent that sent this Hello.

        The complete assignment set follows by the outbox once everything in it is durable.

        Raises:
            StaleEpochError: the agent has obeyed a newer leader than us: stop leading.
            NotLeaderError: leadership has ended.
            InternalError: the message is not a Hello.
        """
        self._check_leading()
        if message.WhichOneof("body") != "hello" or not message.node_id:
            raise InternalError("an agent's first message must be a Hello with its node's ID")
        hello = message.hello
        if hello.highest_epoch > self.epoch:
            stale = StaleEpochError(ours=self.epoch, current=Epoch(hello.highest_epoch))
            if not self._superseded.done():
                self._superseded.set_exception(stale)
            raise stale
        if hello.cluster_id and hello.cluster_id != self.state.cluster.id:
            raise InternalError(
                f"node {message.node_id} belongs to cluster {hello.cluster_id}, this is cluster "
                f"{self.state.cluster.id}: give the agent a fresh state directory, or the right "
                "schedulers"
            )
        node = NodeId(message.node_id)
        self._supersede(node)
        session_id = SessionId(self._entropy.new_id())
        session = AgentSession(session_id, node, hello.boot_id, Outbox(node, self.epoch))
        self.sessions[node] = session
        self._observer.session_opened()
        now = self.now()
        statuses = tuple(from_proto(TaskStatus, status) for status in hello.tasks)
        joined = membership.Joined(
            node,
            session_id,
            hello.boot_id,
            from_proto(NodeDescription, hello.description),
            statuses,
        )
        was_known = node in self.state.nodes
        membership.join(self.state, joined, now)
        log.info(
            "node_joined",
            node_id=node,
            node=joined.description.hostname,
            is_new=not was_known,
            tasks=len(statuses),
        )
        session.outbox.put_message(self._welcome(session))
        self._joining.append(session)
        self._due.set()
        return session

    def _supersede(self, node: NodeId) -> None:
        old = self.sessions.pop(node, None)
        if old is not None:
            log.info("session_superseded", node_id=node, session_id=old.id)
            old.outbox.close()
            self._observer.session_closed()

    def _welcome(self, session: AgentSession) -> dispatcher_pb2.SchedulerMessage:
        node = self.state.nodes[session.node]
        welcome = dispatcher_pb2.Welcome(
            session_id=session.id,
            cluster_id=self.state.cluster.id,
            settings=self.told_settings(),
            schedulers=self._schedulers(),
            node_name=node.description.hostname,
            node_labels=dict(node.labels),
        )
        return dispatcher_pb2.SchedulerMessage(welcome=welcome)

    def told_settings(self) -> types_pb2.ClusterSettings:
        """Return the cluster's settings as agents are told them, the heartbeat period filled in."""
        settings = self.state.cluster.settings
        message = types_pb2.ClusterSettings()
        write_proto(settings, message)
        period_s = liveness.heartbeat_period_s(settings, len(self.state.nodes))
        message.heartbeat_period_s = period_s
        return message

    def tell_settings(self) -> None:
        """Tell every connected agent the settings as they now are."""
        for session in self.sessions.values():
            message = dispatcher_pb2.SchedulerMessage(settings=self.told_settings())
            session.outbox.put_message(message)

    def receive(self, session: AgentSession, message: dispatcher_pb2.AgentMessage) -> None:
        """Fold in one message of a session; those of a superseded session change nothing."""
        if self._ended is not None or self.sessions.get(session.node) is not session:
            return
        now = self.now()
        self._note_lateness(session, now.instant)
        match message.WhichOneof("body"):
            case "heartbeat":
                membership.hear(self.state, session.node, session.id, now.instant)
            case "status":
                statuses = [from_proto(TaskStatus, status) for status in message.status.tasks]
                for task in membership.report(self.state, session.node, session.id, statuses, now):
                    self._observer.task_running(max(task.observed_at - task.created_at, 0.0))
                self._due.set()
            case "description":
                membership.hear(self.state, session.node, session.id, now.instant)
                description = from_proto(NodeDescription, message.description)
                membership.describe(self.state, session.node, description, now)
                self._due.set()
            case "goodbye":
                session.is_leaving = True
                log.info("agent_says_goodbye", node_id=session.node, why=message.goodbye.reason)
            case other:
                log.warning("agent_message_ignored", node_id=session.node, kind=other)

    def _note_lateness(self, session: AgentSession, now: Instant) -> None:
        known = self.state.liveness.get(session.node)
        if known is not None:
            settings = self.state.cluster.settings
            period_s = liveness.heartbeat_period_s(settings, len(self.state.nodes))
            self._observer.heard(max(now - known.heard_at - period_s, 0.0))

    def leave(self, session: AgentSession) -> None:
        """Fold in the end of a session's stream; of a superseded one nothing follows."""
        session.outbox.close()
        if self.sessions.get(session.node) is not session:
            return
        del self.sessions[session.node]
        self._observer.session_closed()
        if self._ended is None:
            log.info("agent_disconnected", node_id=session.node, planned=session.is_leaving)
            membership.leave(
                self.state, session.node, session.id, self.now(), is_planned=session.is_leaving
            )
            self._due.set()

    def expel(self, node: NodeId) -> None:
        """End the session of a node that was removed from the cluster."""
        self._supersede(node)


async def _await(future: asyncio.Future[None]) -> None:
    await future


def _resolver(waiter: asyncio.Future[Revision]) -> Callable[[Revision], None]:
    def resolve(revision: Revision) -> None:
        if not waiter.done():
            waiter.set_result(revision)

    return resolve


def _as_not_leading(cause: BaseException) -> NotLeaderError:
    if isinstance(cause, NotLeaderError):
        return cause
    return NotLeaderError(f"this scheduler has stopped leading: {cause}")


def _mark_retrieved(future: asyncio.Future[Revision]) -> None:
    # Its failure is met by the delivery, or by nobody once the leadership has ended.
    if not future.cancelled():
        future.exception()
