"""The agent's shell: feed events to the core, carry out its effects, report their results.

Duty: tie runtime, link, journal and clock to `nodeagent.core.step`. Every decision is the core's;
here is only when to look, to write and to wait.
Not here: transports and files (they are ports, so that the simulator runs this very file on virtual
time), the log lines' set-up, signals (nodeagent.main).
Invariants (tests/unit/nodeagent/test_agent.py): all state changes go through `feed`; no call to the
runtime outlives `run`; containers are never touched by stopping the agent.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import structlog

from berth.clock import Clock
from berth.entropy import Entropy
from berth.errors import BerthError
from berth.model.ids import NodeId, TaskId
from berth.model.image import platform_text
from berth.model.instant import NEVER, Instant
from berth.model.node import NodeDescription
from berth.model.task import TaskState
from berth.v1 import dispatcher_pb2 as pb
from berth.v1 import types_pb2
from berth.wire.convert import to_proto, write_proto
from nodeagent.calls import CallsMaker, RuntimeCalls
from nodeagent.core.backoff import ENGINE_FIRST_S
from nodeagent.core.messages import (
    CancelCall,
    ContainersListed,
    ContainerStirred,
    CreateContainer,
    Disowned,
    DropSession,
    Effect,
    Event,
    EventsMissed,
    LinkLost,
    ListContainers,
    PurgeContainers,
    ReportTasks,
    Restored,
    SaveJournal,
    SchedulerSpoke,
    ServeLogs,
    StartContainer,
    Tick,
    Welcomed,
)
from nodeagent.core.record import from_record, silent_for_s
from nodeagent.core.state import LaneLimits
from nodeagent.core.step import step_through
from nodeagent.engine_watch import EngineWatch
from nodeagent.journal import Journal
from nodeagent.journal_keeper import JournalKeeper
from nodeagent.link.addresses import AddressBook
from nodeagent.link.encode import status_message
from nodeagent.link.port import LogPublisher, SchedulerLink
from nodeagent.link.session import Session
from nodeagent.log_relay import LogRelay
from nodeagent.observer import AgentObserver, NoAgentObserver
from nodeagent.runtime.port import (
    ContainerRuntime,
    EngineAway,
    EventGap,
    RuntimeCallError,
    SeenContainer,
)
from nodeagent.sweeper import Sweeper

log = structlog.get_logger(__name__)

T = TypeVar("T")

DESCRIBE_PERIOD_S = 30.0
_FAILURES = (TaskState.FAILED, TaskState.REJECTED)
_TICK_S_MIN = 0.01


@dataclass(frozen=True, slots=True)
class AgentOptions:
    """What an agent is told at its start; `link_silence_s` is a promise of the link.

    `link_silence_s`: how long a dead link may go unnoticed. Self-fencing counts it in.
    """

    node_id: NodeId
    schedulers: tuple[str, ...]
    agent_version: str = ""
    agent_labels: Mapping[str, str] = field(default_factory=dict)
    limits: LaneLimits = field(default_factory=LaneLimits)
    link_silence_s: float = 4.5


class Agent:
    """One node's agent. `run` once; `stop` before cancelling it says goodbye."""

    def __init__(
        self,
        options: AgentOptions,
        *,
        clock: Clock,
        entropy: Entropy,
        runtime: ContainerRuntime,
        link: SchedulerLink,
        publisher: LogPublisher,
        journal: Journal,
        observer: AgentObserver | None = None,
        calls: CallsMaker = RuntimeCalls,
    ) -> None:
        self._options = options
        self._clock = clock
        self._runtime = runtime
        self._observer = observer or NoAgentObserver()
        self._boot_id = entropy.new_id()
        now, wall = clock.instant(), clock.timestamp()
        record = journal.load()
        self.state = from_record(record, options.node_id, options.limits, now, wall)
        self._silent_for_s = silent_for_s(record, wall, options.link_silence_s)
        self.state.heard_at = Instant(now - self._silent_for_s)
        self._description = NodeDescription()
        self._loop_lag_s = 0.0
        self._wake = asyncio.Event()
        self._waits_until = NEVER
        self._results: list[Event] = []
        self._changed: list[TaskId] = []
        self._has_results = asyncio.Event()
        self._dropped: DropSession | None = None
        self._refusal = ""
        self._group = asyncio.TaskGroup()
        self._session = Session(
            self,
            node_id=options.node_id,
            link=link,
            book=AddressBook(options.schedulers, self.state.schedulers),
            clock=clock,
            entropy=entropy,
        )
        self._engine = EngineWatch(self._session, self._observer, clock)
        self._calls = calls(runtime, clock, self._feed_soon)
        self._journal = JournalKeeper(
            journal,
            clock,
            self._observer,
            lambda: self.state,
            lambda: self._calls.discard_files(self.state),
        )
        self._logs = LogRelay(node_id=options.node_id, runtime=runtime, publisher=publisher)
        self._sweeper = Sweeper(runtime, clock, entropy, self._observer)

    # --- life -----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Adopt what runs, then serve until cancelled."""
        containers = await self._look_first()
        try:
            async with self._group as group:
                platform = platform_text(self._description.platform)
                held = await self._runtime.tasks_with_files()
                self.feed(Restored(tuple(containers), self._silent_for_s, platform, held))
                group.create_task(self._watch_runtime(), name="runtime events")
                group.create_task(self._tick(), name="timer")
                group.create_task(self._heed_results(), name="results")
                group.create_task(self._journal.run(), name="journal")
                group.create_task(self._session.run(), name="session")
                group.create_task(self._engine.run(), name="engine")
                group.create_task(self._keep_describing(), name="description")
                group.create_task(self._sweeper.run(lambda: self.state), name="sweep")
        finally:
            with contextlib.suppress(BerthError):
                await self._journal.save()

    async def stop(self, reason: str) -> None:
        """Tell the leader that the agent stops on purpose; containers stay as they are."""
        await self._session.leave(reason)
        await self._journal.save()

    async def tell_departing(self) -> None:
        """Tell the leader that this machine is being shut down."""
        await self._session.tell(pb.AgentMessage(departing=pb.Departing()))

    def configure_schedulers(self, addresses: Sequence[str]) -> None:
        """Look for the leader at these addresses from now on; a session that lasts goes on."""
        self._session.book.configure(addresses)

    def feed(self, event: Event) -> None:
        """Let the core take in `event`, and set to work on what it asks for."""
        self._take_in([*self._take_results(), event])

    def _feed_soon(self, event: Event) -> None:
        """Let the core take in `event` with what else this round brings: answers come in crowds."""
        if not self._results:
            self._has_results.set()
        self._results.append(event)

    def _take_results(self) -> list[Event]:
        self._has_results.clear()
        results, self._results = self._results, []
        return results

    def _take_in(self, events: Sequence[Event]) -> None:
        now = self._clock.instant()
        for effect in step_through(self.state, events, now):
            self._carry_out(effect)
        if self._changed:
            self._report(now)
        if self.state.wake_at < self._waits_until:
            self._wake.set()

    def _report(self, now: Instant) -> None:
        """Have the leader told; of tasks that are on their way, with what follows soon."""
        changed, self._changed = self._changed, []
        tasks = [task for task_id in changed if (task := self.state.tasks.get(task_id))]
        for task in tasks:
            if task.observed in _FAILURES:
                self._observer.task_failed()
        self._session.note_statuses(
            changed, now, are_passing=all(task.is_passing for task in tasks)
        )

    def _carry_out(self, effect: Effect) -> None:
        if isinstance(effect, CreateContainer):  # As most are: not after all others.
            self._calls.begin(self._group, effect)
            return
        match effect:
            case ReportTasks(task_ids):
                self._changed += task_ids
            case StartContainer():
                if self.state.tasks[effect.task_id].ended:
                    self._observer.restarted()
                self._calls.begin(self._group, effect)
            case SaveJournal(is_urgent):
                self._journal.ask(is_urgent=is_urgent)
            case DropSession():
                self._dropped = effect
                self._observer.message_refused(effect.reason)
            case ListContainers(call_id):
                self._group.create_task(self._list(call_id), name="list")
            case CancelCall(_, call_id):
                self._calls.cancel(call_id)
            case PurgeContainers(task_ids):
                self._sweeper.purge(task_ids)
            case ServeLogs(request):
                self._logs.serve(self._group, request, self._session.address)
            case _:
                self._calls.begin(self._group, effect)

    # --- for people and metrics -----------------------------------------------------------------

    @property
    def problems(self) -> dict[str, str]:
        """What is wrong now, for /readyz and the log; empty when all is well."""
        if not self._engine.is_up:
            return {"engine": "the Docker Engine does not answer"}
        if not self.state.is_connected:
            return {"leader": self._refusal or "no leader answers; containers are kept running"}
        if self._journal.problem:
            return {"journal": f"the journal cannot be written: {self._journal.problem}"}
        return {}

    def task_counts(self) -> dict[TaskState, int]:
        """Return how many tasks are in each observed state."""
        counts = dict.fromkeys(TaskState, 0)
        for task in self.state.tasks.values():
            counts[task.observed] += 1
        return counts

    def note_loop_lag(self, lag_s: float) -> None:
        """Remember the longest delay of the event loop until the next heartbeat tells it."""
        self._loop_lag_s = max(self._loop_lag_s, lag_s)

    # --- what the session asks (nodeagent.link.session.SessionOwner) ----------------------------

    def hello(self) -> pb.Hello:
        """Return who we are and all that we know."""
        hello = pb.Hello(
            highest_epoch=self.state.epoch,
            cluster_id=self.state.cluster_id,
            boot_id=self._boot_id,
            departing=self.state.departure is not None,
        )
        write_proto(self._description, hello.description)
        for status in self.state.all_statuses(self._clock.instant()):
            write_proto(status, hello.tasks.add())
        return hello

    def statuses(self, task_ids: Sequence[TaskId]) -> list[types_pb2.TaskStatus]:
        """Return the newest statuses of those tasks that are still known."""
        now = self._clock.instant()
        tasks = [self.state.tasks.get(task_id) for task_id in task_ids]
        return [status_message(task, now) for task in tasks if task and not task.is_surplus]

    def heartbeat(self) -> pb.Heartbeat:
        """Return a sign of life."""
        lag_s, self._loop_lag_s = self._loop_lag_s, 0.0
        return pb.Heartbeat(
            loop_lag_s=lag_s,
            containers_running=self.task_counts()[TaskState.RUNNING],
            sequence=self.state.sequence,
        )

    def heartbeat_period_s(self) -> float:
        """Return how long the leader may hear nothing."""
        settings = self.state.settings
        return settings.heartbeat_period_s or settings.lost_after_s / 3

    async def hear(self, event: SchedulerSpoke) -> DropSession | None:
        """Take in a message; a new epoch is on disk before anything else of it is obeyed."""
        epoch = self.state.epoch
        self.feed(event)
        dropped, self._dropped = self._dropped, None
        if dropped is not None:
            self._refusal = dropped.message
        elif isinstance(event.said, Disowned):
            self._refusal = event.said.reason
        elif isinstance(event.said, Welcomed):
            self._refusal = ""
            self._observer.session_opened(event.epoch)
        if self.state.epoch != epoch:
            await self._journal.save()
        return dropped

    def lose_link(self) -> None:
        """Take in that there is no session any more."""
        if self.state.is_connected:
            self._observer.session_closed()
            # Without the results that wait: an agent that ends must begin no more calls.
            self._take_in([LinkLost(self._options.link_silence_s)])

    # --- loops ----------------------------------------------------------------------------------

    async def _look_first(self) -> list[SeenContainer]:
        """Return the machine's facts and containers as soon as the Engine answers."""

        async def look() -> list[SeenContainer]:
            await self._describe()
            return await self._runtime.list_containers()

        return await self._engine.persist("look at the machine", look)

    async def _list(self, call_id: int) -> None:
        containers = await self._engine.persist("list containers", self._runtime.list_containers)
        self.feed(ContainersListed(call_id, tuple(containers)))

    async def _watch_runtime(self) -> None:
        async for event in self._runtime.events():
            if isinstance(event, EventGap):
                log.info("runtime_events_begin", why=event.reason)
                self._engine.note(True)
                self.feed(EventsMissed(event.reason))
            elif isinstance(event, EngineAway):
                self._engine.note(False, event.reason)
            elif event.action != "create":  # That one is always our own doing.
                self._feed_soon(ContainerStirred(event.task_id, event.action == "start"))

    async def _tick(self) -> None:
        while True:
            self._wake.clear()
            due = self._waits_until = self.state.wake_at
            delay_s = max(due - self._clock.instant(), _TICK_S_MIN)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if due == NEVER else delay_s):
                    await self._wake.wait()
                    continue
            if self._clock.instant() >= self.state.wake_at:  # It may have been put off meanwhile.
                self.feed(Tick())

    async def _heed_results(self) -> None:
        while True:
            await self._has_results.wait()
            self._take_in(self._take_results())

    async def _keep_describing(self) -> None:
        while True:
            await self._clock.sleep(DESCRIBE_PERIOD_S if self._engine.is_up else ENGINE_FIRST_S)
            try:
                is_changed = await self._describe()
            except RuntimeCallError as error:
                self._engine.note(False, error.message)
                continue
            self._engine.note(True)
            if is_changed:
                log.info("node_facts_changed")
                description = to_proto(self._description)
                await self._session.tell(pb.AgentMessage(description=description))

    async def _describe(self) -> bool:
        """Read this machine's facts; return whether they changed."""
        found = replace(
            await self._runtime.describe(),
            agent_version=self._options.agent_version,
            agent_labels=dict(self._options.agent_labels),
        )
        before, self._description = self._description, found
        return found != before
