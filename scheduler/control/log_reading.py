"""One user's reading of logs: which tasks are asked for on which nodes, and what came back.

Duty: group tasks by node, ask connected agents, notice those that cannot or do not answer, ask
again when a node returns (following), and merge all answers into one bounded funnel.
Not here: gRPC (relay), reading containers (the agents).

A reading ends, whatever nodes do: without `follow` each ask ends with the agent's `done`, its
disconnection, or `SILENCE_S` without a word.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from berth.errors import NotFoundError
from berth.model.ids import NodeId, TaskId
from berth.model.instant import START, Instant, after
from berth.model.node import NodeState
from berth.model.task import FinishedTask, Task, TaskState
from berth.v1 import control_pb2, dispatcher_pb2, streams_pb2
from scheduler.control.lookup import TaskRef, find_subject
from scheduler.control.views import had_container, node_name, task_name
from scheduler.core.service_state import ServiceState
from scheduler.dispatch.desk import AgentSession
from scheduler.leader import Leader

SILENCE_S: Final = 5.0
REASK_PAUSE_S: Final = 1.0
_CLOCK_GRAIN_S: Final = 1e-6
"""What a time in seconds loses against one in nanoseconds, and more."""
CHUNKS_MAX: Final = 64
"""What waits for a slow user; agents wait in turn, by gRPC's flow control."""


class Funnel:
    """A bounded queue of chunks that can be closed from either end."""

    def __init__(self, limit: int = CHUNKS_MAX) -> None:
        self._limit = limit
        self._chunks: deque[streams_pb2.LogChunk] = deque()
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self.is_closed = False

    def __len__(self) -> int:
        return len(self._chunks)

    async def put(self, chunk: streams_pb2.LogChunk) -> bool:
        """Add a chunk once there is room; False when nobody reads any more."""
        while len(self._chunks) >= self._limit and not self.is_closed:
            self._room.clear()
            await self._room.wait()
        return self.put_nowait(chunk)

    def put_nowait(self, chunk: streams_pb2.LogChunk) -> bool:
        """Add a chunk, room or not: for the few that are our own."""
        if self.is_closed:
            return False
        self._chunks.append(chunk)
        self._changed.set()
        return True

    async def take(self, wait_s: float) -> streams_pb2.LogChunk | None:
        """Return the next chunk, None when none came in `wait_s`."""
        if not self._chunks:
            self._changed.clear()
            try:
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()
            except TimeoutError:
                return None
        if not self._chunks:
            return None
        chunk = self._chunks.popleft()
        self._room.set()
        return chunk

    def wake(self) -> None:
        """Let the reader look at what else changed."""
        self._changed.set()

    def close(self) -> None:
        """Nobody reads any more: let all who wait for room go."""
        self.is_closed = True
        self._room.set()
        self._changed.set()


@dataclass(slots=True, eq=False)
class Ask:
    """One LogRequest to one agent."""

    id: str
    reading: "Reading"
    session: AgentSession
    tasks: tuple[TaskId, ...]
    heard_at: Instant
    is_history: bool
    is_new: bool
    is_muted: bool
    """Its errors are not shown: these tasks' containers may be long gone."""
    skip_until_ns: dict[TaskId, int] = field(default_factory=dict)
    """Lines up to these times were read before the connection broke."""
    is_done: bool = False
    waits_for_room: bool = False
    has_answered: bool = False


@dataclass(slots=True)
class _Due:
    """A task that has not been asked for yet, or must be asked for again."""

    node: NodeId
    is_history: bool
    is_new: bool = False
    """It came up while we followed: all of its lines are wanted."""
    not_before: Instant = START


class Reading:
    """See the module."""

    def __init__(
        self,
        leader: Leader,
        request: control_pb2.ServiceLogsRequest,
        new_id: Callable[[], str],
        silence_s: float = SILENCE_S,
    ) -> None:
        """Find what is to be read.

        Args:
            leader: whose cluster it is.
            request: of the user.
            new_id: names requests to agents.
            silence_s: how long a connected agent may say nothing.

        Raises:
            NotFoundError: no such service or task, or the task never had a container.
            InvalidRequestError: the name is ambiguous.
        """
        self.funnel = Funnel()
        self.asks: dict[str, Ask] = {}
        self._leader = leader
        self._request = request
        self._new_id = new_id
        self._silence_s = silence_s
        self._due: dict[TaskId, _Due] = {}
        self._known: set[TaskId] = set()
        self._last_ns = {TaskId(task): time_ns for task, time_ns in request.read_to.items()}
        self._reported: set[NodeId] = set()
        subject = find_subject(leader.state, request.name)
        self._service = subject.service if isinstance(subject, TaskRef) else subject
        self._only = subject if isinstance(subject, TaskRef) else None
        self._find_first(subject)

    def _find_first(self, subject: ServiceState | TaskRef) -> None:
        if isinstance(subject, ServiceState):
            for finished in subject.history.values():
                for entry in finished:
                    self._add(entry, is_new=False)
            self._find_new(is_new=False)
            return
        self._add(subject.task, is_new=False)
        if not self._due and not self._request.follow:
            raise NotFoundError(
                f"task {task_name(subject.service, subject.task)} has no container, so it has "
                "written nothing; explain it to see why"
            )

    def _find_new(self, *, is_new: bool) -> None:
        if self._only is not None:
            self._add(self._only.task, is_new=False)
            return
        for tasks in list(self._service.slots.values()):
            for task in tasks:
                if task.id not in self._known:
                    self._add(task, is_new=is_new)

    def _add(self, task: Task | FinishedTask, *, is_new: bool) -> None:
        if task.id in self._known or task.node_id is None:
            return
        if isinstance(task, Task):
            has_container = bool(task.status and task.status.container_id)
            if not has_container and task.observed not in (TaskState.STARTING, TaskState.RUNNING):
                return
        elif not had_container(task):
            return
        self._known.add(task.id)
        is_history = isinstance(task, FinishedTask)
        self._due[task.id] = _Due(task.node_id, is_history, is_new)

    # -- going on

    @property
    def is_over(self) -> bool:
        """True when nothing more will come."""
        if self._request.follow or self._due or len(self.funnel):
            return False
        return all(ask.is_done for ask in self.asks.values())

    def look(self, now: Instant) -> None:
        """Ask for what is due, and give up on agents that do not answer."""
        if self._request.follow:
            self._find_new(is_new=True)
        for ask in list(self.asks.values()):
            if not ask.is_done:
                self._check(ask, now)
            if ask.is_done:
                del self.asks[ask.id]
        self._ask_due(now)

    def _check(self, ask: Ask, now: Instant) -> None:
        node = ask.session.node
        if self._leader.sessions.get(node) is not ask.session:
            self._give_up(ask, f"{self._node_words(node)} is not connected any more")
            return
        # Who follows a quiet task hears nothing; only that the agent took the ask is then known.
        is_quiet = self._request.follow and ask.has_answered
        if is_quiet or ask.waits_for_room or now - ask.heard_at < self._silence_s:
            return
        self._send_cancel(ask)
        why = f"{self._node_words(node)} has not answered for {self._silence_s:g} s"
        self._give_up(ask, why, after(now, self._silence_s))

    def _give_up(self, ask: Ask, why: str, not_before: Instant = START) -> None:
        ask.is_done = True
        self._reported.add(ask.session.node)
        self._tell(ask.session.node, why, is_muted=ask.is_muted)
        if self._request.follow:
            self._put_back(ask, not_before)

    def _put_back(self, ask: Ask, not_before: Instant) -> None:
        """Have an ask's tasks asked for again, from where they were read to."""
        for task in ask.tasks:
            self._due[task] = _Due(
                ask.session.node, ask.is_history, ask.is_new, not_before=not_before
            )

    def _ask_due(self, now: Instant) -> None:
        groups: dict[tuple[NodeId, bool, bool, bool], list[TaskId]] = {}
        for task, due in self._due.items():
            if due.not_before <= now:
                key = (due.node, due.is_history, due.is_new, task in self._last_ns)
                groups.setdefault(key, []).append(task)
        for (node, is_history, is_new, _), tasks in sorted(groups.items()):
            session = self._leader.sessions.get(node)
            if session is not None:
                self._reported.discard(node)
                for task in tasks:
                    del self._due[task]
                self._ask(session, tasks, now, is_history=is_history, is_new=is_new)
                continue
            if self._request.follow and self._is_awaited(node):
                continue  # Under a new leader; it is asked once it has joined, or told as lost.
            if node not in self._reported:
                self._reported.add(node)
                self._tell(node, self._why_unreachable(node), is_muted=is_history)
            if not self._request.follow:
                for task in tasks:
                    del self._due[task]

    def _ask(
        self,
        session: AgentSession,
        tasks: list[TaskId],
        now: Instant,
        *,
        is_history: bool,
        is_new: bool,
    ) -> None:
        read = {task: self._last_ns[task] for task in tasks if task in self._last_ns}
        # Of what was read before only the rest is wanted; of a task that came up later, all.
        since = min(read.values()) / 1e9 - _CLOCK_GRAIN_S if read else self._request.since
        ask = Ask(
            self._new_id(),
            self,
            session,
            tuple(tasks),
            now,
            is_history=is_history,
            is_new=is_new,
            is_muted=is_history and self._only is None,
            skip_until_ns=read,
        )
        self.asks[ask.id] = ask
        message = dispatcher_pb2.LogRequest(
            request_id=ask.id,
            task_ids=tasks,
            follow=self._request.follow and not is_history,
            tail=-1 if is_new or read else self._request.tail,
            since=since,
            stdout=self._request.stdout,
            stderr=self._request.stderr,
            details=self._request.details,
        )
        session.outbox.put_message(dispatcher_pb2.SchedulerMessage(log_request=message))

    # -- what agents say

    async def take(self, ask: Ask, chunk: streams_pb2.LogChunk, now: Instant) -> bool:
        """Pass on one chunk of an agent's answer; False when no more is wanted of it."""
        ask.heard_at, ask.has_answered = now, True
        lines = [line for line in chunk.lines if self._is_news(ask, line)]
        error = "" if ask.is_muted else chunk.error
        if lines or error:
            passed = streams_pb2.LogChunk(node_id=ask.session.node, lines=lines, error=error)
            ask.waits_for_room = True
            try:
                if not await self.funnel.put(passed):
                    return False
            finally:
                ask.waits_for_room = False
        if chunk.done:
            self.finish(ask)
        return not ask.is_done

    def _is_news(self, ask: Ask, line: streams_pb2.LogLine) -> bool:
        task = TaskId(line.task_id)
        if line.time_ns <= ask.skip_until_ns.get(task, -1):
            return False
        self._last_ns[task] = max(line.time_ns, self._last_ns.get(task, 0))
        return True

    def finish(self, ask: Ask) -> None:
        """The agent has said all."""
        ask.is_done = True
        self.funnel.wake()

    def break_off(self, ask: Ask, now: Instant) -> None:
        """The agent's answer ended in the middle."""
        if ask.is_done:
            return
        ask.is_done = True
        if self._request.follow:
            self._put_back(ask, after(now, REASK_PAUSE_S))
        else:
            words = f"{self._node_words(ask.session.node)} broke off its answer"
            self._tell(ask.session.node, words, is_muted=ask.is_muted)
        self.funnel.wake()

    def cancel(self) -> None:
        """The user has gone: tell the agents, and let go of what waits."""
        self.funnel.close()
        for ask in self.asks.values():
            if not ask.is_done:
                ask.is_done = True
                self._send_cancel(ask)
        self.asks.clear()

    def _send_cancel(self, ask: Ask) -> None:
        message = dispatcher_pb2.LogRequest(request_id=ask.id, cancel=True)
        if not ask.session.outbox.is_closed:
            ask.session.outbox.put_message(dispatcher_pb2.SchedulerMessage(log_request=message))

    # -- words

    def _tell(self, node: NodeId, why: str, *, is_muted: bool) -> None:
        if not is_muted:
            self.funnel.put_nowait(streams_pb2.LogChunk(node_id=node, error=why))

    def _why_unreachable(self, node_id: NodeId) -> str:
        node = self._leader.state.nodes.get(node_id)
        if node is None:
            return f"node {node_id} is not part of the cluster any more; its logs stayed there"
        why = f" ({node.message})" if node.message else ""
        tasks = _names(self._service, node_id)
        return f"{self._node_words(node_id)} is {node.state.value}{why}: no logs of {tasks}"

    def _is_awaited(self, node_id: NodeId) -> bool:
        node = self._leader.state.nodes.get(node_id)
        return node is not None and node.state is NodeState.UNKNOWN

    def _node_words(self, node_id: NodeId) -> str:
        node = self._leader.state.nodes.get(node_id)
        return f"node {node_id if node is None else node_name(node)}"


def _names(service: ServiceState, node: NodeId) -> str:
    tasks: Iterable[str] = (
        task_name(service, task)
        for tasks in service.slots.values()
        for task in tasks
        if task.node_id == node
    )
    return ", ".join(sorted(tasks)) or f"former tasks of {service.record.spec.name}"
