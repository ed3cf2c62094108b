"""The leader's side of all agents' sessions: who is connected, and what they say.

Duty: begin, supersede and end sessions, turn agents' messages into changes of the leader's memory.
Not here: streams (session, service), what follows from the changes (scheduler.core), when
assignments may leave (scheduler.leader).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from berth.clock import Clock
from berth.entropy import Entropy
from berth.errors import InternalError, NotLeaderError, PermissionDeniedError, StaleEpochError
from berth.model.ids import Epoch, NodeId, SessionId
from berth.model.instant import Instant
from berth.model.node import NodeDescription
from berth.v1 import dispatcher_pb2, types_pb2
from berth.wire.convert import from_proto, status_from_proto, write_proto
from scheduler.core import liveness, membership
from scheduler.core.now import Now
from scheduler.core.state import LeaderState
from scheduler.dispatch.outbox import Outbox
from scheduler.dispatch.turnstile import Turnstile

log = structlog.get_logger()


class DeskObserver(Protocol):
    """What the desk tells the scheduler's metrics."""

    def session_opened(self) -> None:
        """Note that an agent's session began."""
        ...

    def session_closed(self) -> None:
        """Note that an agent's session ended."""
        ...

    def heard(self, late_s: float) -> None:
        """Note a message of an agent; `late_s` is how much later than the heartbeat period."""
        ...

    def reported(self, tasks: int) -> None:
        """Note a batch in which an agent told the states of so many tasks."""
        ...

    def message_sent(self) -> None:
        """Note a message to an agent."""
        ...

    def task_running(self, since_created_s: float) -> None:
        """Note that a task reached RUNNING."""
        ...


@dataclass(slots=True, eq=False)
class AgentSession:
    """One agent's stream, as the leader sees it."""

    id: SessionId
    node: NodeId
    boot_id: str
    outbox: Outbox
    heard_at: Instant
    is_leaving: bool = False
    is_engine_away: bool = False


class AgentDesk:
    """See the module."""

    def __init__(
        self,
        state: LeaderState,
        epoch: Epoch,
        *,
        clock: Clock,
        entropy: Entropy,
        observer: DeskObserver,
        schedulers: Callable[[], list[str]],
        wake: Callable[[], None],
        supersede: Callable[[StaleEpochError], None],
    ) -> None:
        self.sessions: dict[NodeId, AgentSession] = {}
        self.turnstile = Turnstile()
        self._state = state
        self._epoch = epoch
        self._clock = clock
        self._entropy = entropy
        self._observer = observer
        self._schedulers = schedulers
        self._wake = wake
        self._supersede_leader = supersede
        self._joining: list[AgentSession] = []
        self._told_period_s = 0.0
        self._closed: NotLeaderError | None = None

    def join(self, message: dispatcher_pb2.AgentMessage, *, certified_as: str = "") -> AgentSession:
        """Begin the session of the agent that sent this Hello.

        The complete assignment set follows by the outbox once everything in it is durable.

        Args:
            message: the Hello.
            certified_as: the name in the agent's certificate, "" without TLS.

        Raises:
            PermissionDeniedError: the node belongs to the bearer of another certificate.
            StaleEpochError: the agent has obeyed a newer leader than us: stop leading.
            NotLeaderError: leadership has ended.
            InternalError: the message is not a Hello.
        """
        self._check_open()
        if message.WhichOneof("body") != "hello" or not message.node_id:
            raise InternalError("an agent's first message must be a Hello with its node's ID")
        hello = message.hello
        if hello.highest_epoch > self._epoch:
            stale = StaleEpochError(ours=self._epoch, current=Epoch(hello.highest_epoch))
            self._supersede_leader(stale)
            raise stale
        if hello.cluster_id and hello.cluster_id != self._state.cluster.id:
            raise InternalError(
                f"node {message.node_id} belongs to cluster {hello.cluster_id}, this is cluster "
                f"{self._state.cluster.id}: give the agent a fresh state directory, or the right "
                "schedulers"
            )
        node = NodeId(message.node_id)
        self._check_bearer(node, certified_as)
        self._supersede(node)
        session_id = SessionId(self._entropy.new_id())
        now = self._now()
        outbox = Outbox(node, self._epoch)
        session = AgentSession(session_id, node, hello.boot_id, outbox, now.instant)
        self.sessions[node] = session
        self._observer.session_opened()
        statuses = tuple(status_from_proto(status) for status in hello.tasks)
        joined = membership.Joined(
            node,
            session_id,
            hello.boot_id,
            from_proto(NodeDescription, hello.description),
            statuses,
            certified_as,
            hello.departing,
        )
        was_known = node in self._state.nodes
        membership.join(self._state, joined, now)
        log.info(
            "node_joined",
            node_id=node,
            node=joined.description.hostname,
            is_new=not was_known,
            tasks=len(statuses),
        )
        session.outbox.put_message(self._welcome(session))
        self._joining.append(session)
        self._tell_period_if_changed()
        self._wake()
        return session

    def expect(self, message: dispatcher_pb2.AgentMessage, *, certified_as: str = "") -> None:
        """Note that the agent that sent this Hello is here, though it has yet to join.

        Thousands join one after the other: who waits for its turn is not silent.
        """
        node = NodeId(message.node_id)
        self._check_open()
        self._check_bearer(node, certified_as)
        membership.expect(self._state, node, self._clock.instant())

    def rival_of(self, message: dispatcher_pb2.AgentMessage) -> AgentSession | None:
        """Return the session that another process holds for the node of this Hello."""
        session = self.sessions.get(NodeId(message.node_id))
        if session is None or session.outbox.is_closed or session.is_leaving:
            return None
        boots = session.boot_id, message.hello.boot_id
        return session if all(boots) and boots[0] != boots[1] else None

    def place_of(self, node: NodeId) -> str:
        """Return the name and address of a node's machine, for people."""
        found = self._state.nodes[node].description
        return f"{found.hostname} at {found.address}" if found.address else found.hostname

    @property
    def period_s(self) -> float:
        """The heartbeat period as agents are told it."""
        return liveness.heartbeat_period_s(self._state.cluster.settings, len(self._state.nodes))

    def _check_bearer(self, node: NodeId, certified_as: str) -> None:
        """Let nobody take over a node, and the secrets of its tasks, with another's certificate."""
        known = self._state.nodes.get(node)
        if known is None or not certified_as or known.certified_as in ("", certified_as):
            return
        raise PermissionDeniedError(
            f'node {node} joined with the certificate of "{known.certified_as}", this one is of '
            f'"{certified_as}": use the right certificate, give this agent a fresh state '
            "directory, or remove the node from the cluster first"
        )

    def _supersede(self, node: NodeId) -> None:
        old = self.sessions.pop(node, None)
        if old is not None:
            log.info("session_superseded", node_id=node, session_id=old.id)
            old.outbox.close()
            self._observer.session_closed()

    def _welcome(self, session: AgentSession) -> dispatcher_pb2.SchedulerMessage:
        node = self._state.nodes[session.node]
        welcome = dispatcher_pb2.Welcome(
            session_id=session.id,
            cluster_id=self._state.cluster.id,
            settings=self.told_settings(),
            schedulers=self._schedulers(),
            node_name=node.description.hostname,
            node_labels=dict(node.labels),
        )
        return dispatcher_pb2.SchedulerMessage(welcome=welcome)

    def told_settings(self) -> types_pb2.ClusterSettings:
        """Return the cluster's settings as agents are told them, the heartbeat period filled in."""
        settings = self._state.cluster.settings
        message = types_pb2.ClusterSettings()
        write_proto(settings, message)
        period_s = liveness.heartbeat_period_s(settings, len(self._state.nodes))
        message.heartbeat_period_s = period_s
        return message

    def _tell_period_if_changed(self) -> None:
        """Tell agents when the cluster has grown or shrunk enough for another heartbeat period."""
        period_s = self.period_s
        if not self._told_period_s:
            self._told_period_s = period_s
        if not 0.75 < period_s / self._told_period_s < 1.34:
            self.tell_settings()

    def tell_settings(self) -> None:
        """Tell every connected agent the settings as they now are."""
        self._told_period_s = liveness.heartbeat_period_s(
            self._state.cluster.settings, len(self._state.nodes)
        )
        told = self.told_settings()  # Once: for thousands of sessions it would hold the loop up.
        for session in self.sessions.values():
            session.outbox.put_message(dispatcher_pb2.SchedulerMessage(settings=told))

    def hear(self, session: AgentSession) -> None:
        """Note that a session's agent lives: it has sent a message, which may wait for its turn."""
        if self._closed is None and self.sessions.get(session.node) is session:
            now = self._clock.instant()
            session.heard_at = now
            self._note_lateness(session, now)
            membership.hear(self._state, session.node, session.id, now)

    def receive(self, session: AgentSession, message: dispatcher_pb2.AgentMessage) -> None:
        """Fold in one message of a session, which was heard already.

        Those of a superseded session change nothing.
        """
        if self._closed is not None or self.sessions.get(session.node) is not session:
            return
        now = self._now()
        match message.WhichOneof("body"):
            case "heartbeat":
                pass  # That it was heard is all that it says.
            case "status":
                self._observer.reported(len(message.status.tasks))
                statuses = [status_from_proto(status) for status in message.status.tasks]
                for task in membership.report(self._state, session.node, session.id, statuses, now):
                    self._observer.task_running(max(task.observed_at - task.created_at, 0.0))
                self._wake()
            case "description":
                description = from_proto(NodeDescription, message.description)
                membership.describe(self._state, session.node, description, now)
                self._wake()
            case "departing":
                if not self._state.nodes[session.node].is_departing:
                    log.info("machine_goes_down", node_id=session.node)
                membership.depart(self._state, session.node, session.id, now)
                # It takes none itself any more, so that these are the others.
                noted = dispatcher_pb2.DepartureNoted(
                    takers=self._state.table.accepting.bit_count()
                )
                session.outbox.put_message(dispatcher_pb2.SchedulerMessage(departure_noted=noted))
                self._wake()
            case "goodbye":
                session.is_leaving = True
                session.is_engine_away = message.goodbye.engine_away
                log.info("agent_says_goodbye", node_id=session.node, why=message.goodbye.reason)
            case other:
                log.warning("agent_message_ignored", node_id=session.node, kind=other)

    def _note_lateness(self, session: AgentSession, now: Instant) -> None:
        known = self._state.liveness.get(session.node)
        if known is not None:
            settings = self._state.cluster.settings
            period_s = liveness.heartbeat_period_s(settings, len(self._state.nodes))
            self._observer.heard(max(now - known.heard_at - period_s, 0.0))

    def note_sent(self) -> None:
        """Count a message that was written to an agent."""
        self._observer.message_sent()

    def leave(self, session: AgentSession) -> None:
        """Fold in the end of a session's stream; of a superseded one nothing follows."""
        session.outbox.close()
        if self.sessions.get(session.node) is not session:
            return
        del self.sessions[session.node]
        self._observer.session_closed()
        if self._closed is None:
            log.info("agent_disconnected", node_id=session.node, planned=session.is_leaving)
            membership.leave(
                self._state,
                session.node,
                session.id,
                self._now(),
                is_planned=session.is_leaving,
                is_engine_away=session.is_engine_away,
            )
            self._wake()

    def expel(self, node: NodeId) -> None:
        """End the session of a node that is lost, or was removed from the cluster."""
        self._supersede(node)
        self._tell_period_if_changed()

    @property
    def joining(self) -> Sequence[AgentSession]:
        """The sessions that `take_joining` would hand over."""
        return self._joining

    def take_joining(self, limit: int) -> list[AgentSession]:
        """Hand over the first `limit` sessions that wait for their complete assignment set."""
        joining, self._joining = self._joining[:limit], self._joining[limit:]
        return joining

    def close(self, cause: NotLeaderError) -> None:
        """End every session: the leadership is over."""
        self._closed = cause
        for session in self.sessions.values():
            session.outbox.close()

    def _check_open(self) -> None:
        if self._closed is not None:
            raise self._closed

    def _now(self) -> Now:
        return Now(self._clock.instant(), self._clock.timestamp())
