"""Agents' sessions at the leader's desk: who is connected, and what they say."""

from dataclasses import dataclass, field

import pytest

from berth.entropy import SeededEntropy
from berth.errors import InternalError, NotLeaderError, PermissionDeniedError, StaleEpochError
from berth.model.ids import ClusterId, Epoch, NodeId, ServiceId
from berth.model.instant import Instant, Timestamp
from berth.model.node import NodeState
from berth.model.task import TaskState, TaskStatus
from berth.v1 import dispatcher_pb2 as pb
from berth.wire.convert import to_proto
from scheduler.core import commands, liveness, membership
from scheduler.core.cluster_record import ClusterRecord
from scheduler.core.now import Now
from scheduler.core.state import LeaderState
from scheduler.core.step import Timers, take_turn
from scheduler.dispatch.desk import AgentDesk, AgentSession
from tests.builders import a_description, a_spec

S = TaskState
N1 = NodeId("n1")


class HandClock:
    """Shows what the test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def instant(self) -> Instant:
        return Instant(self.now)

    def timestamp(self) -> Timestamp:
        return Timestamp(1e9 + self.now)

    async def sleep(self, delay_s: float) -> None:
        self.now += delay_s


@dataclass
class Noted:
    """What the desk tells the metrics."""

    sessions: int = 0
    late_s: list[float] = field(default_factory=list)
    running_s: list[float] = field(default_factory=list)
    reports: list[int] = field(default_factory=list)
    sent: int = 0

    def session_opened(self) -> None:
        self.sessions += 1

    def session_closed(self) -> None:
        self.sessions -= 1

    def heard(self, late_s: float) -> None:
        self.late_s.append(late_s)

    def reported(self, tasks: int) -> None:
        self.reports.append(tasks)

    def message_sent(self) -> None:
        self.sent += 1

    def task_running(self, since_created_s: float) -> None:
        self.running_s.append(since_created_s)


class Office:
    """A desk, its memory, and agents that a test plays by hand."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.noted = Noted()
        self.woken = 0
        self.superseded: list[StaleEpochError] = []
        self.state = LeaderState(ClusterRecord(ClusterId("c1")))
        self.desk = AgentDesk(
            self.state,
            Epoch(7),
            clock=self.clock,
            entropy=SeededEntropy(1),
            observer=self.noted,
            schedulers=lambda: ["s1:7701", "s2:7701"],
            wake=self._wake,
            supersede=self.superseded.append,
        )

    def _wake(self) -> None:
        self.woken += 1

    def join(
        self,
        node: str = "n1",
        *statuses: TaskStatus,
        highest_epoch: int = 0,
        certified_as: str = "",
    ) -> AgentSession:
        hello = pb.Hello(
            description=to_proto(a_description(node)),
            tasks=[to_proto(status) for status in statuses],
            highest_epoch=highest_epoch,
        )
        message = pb.AgentMessage(node_id=node, hello=hello)
        return self.desk.join(message, certified_as=certified_as)

    def say(self, session: AgentSession, message: pb.AgentMessage) -> None:
        message.node_id = session.node
        self.desk.hear(session)
        self.desk.receive(session, message)

    def report(self, session: AgentSession, *statuses: TaskStatus) -> None:
        batch = pb.StatusBatch(tasks=[to_proto(status) for status in statuses])
        self.say(session, pb.AgentMessage(status=batch))

    def turn(self) -> None:
        take_turn(self.state, Timers(), Now(self.clock.instant(), self.clock.timestamp()))

    def a_task(self) -> TaskStatus:
        """A service with one task, placed; the report that it runs."""
        now = Now(self.clock.instant(), self.clock.timestamp())
        commands.create_service(self.state, ServiceId("web"), a_spec(), b"", now)
        self.turn()
        (task,) = self.state.tasks.values()
        return TaskStatus(task.id, S.RUNNING)


@pytest.fixture
def office() -> Office:
    return Office()


def kinds(session: AgentSession) -> list[str]:
    return [str(message.WhichOneof("body")) for message in session.outbox.take()]


def test_a_session_begins_with_a_welcome_that_says_all(office: Office) -> None:
    session = office.join()
    (message,) = session.outbox.take()
    welcome = message.welcome
    assert (message.epoch, message.node_id) == (7, "n1")
    assert (welcome.session_id, welcome.cluster_id, welcome.node_name) == (session.id, "c1", "n1")
    assert list(welcome.schedulers) == ["s1:7701", "s2:7701"]
    assert welcome.settings.heartbeat_period_s == 1.0
    assert office.desk.take_joining(5) == [session]
    assert office.desk.take_joining(5) == []
    assert (office.noted.sessions, office.woken) == (1, 1)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        pytest.param(pb.AgentMessage(node_id="n1"), "must be a Hello", id="it says nothing"),
        pytest.param(
            pb.AgentMessage(node_id="n1", heartbeat=pb.Heartbeat()),
            "must be a Hello",
            id="no hello",
        ),
        pytest.param(pb.AgentMessage(hello=pb.Hello()), "its node's ID", id="it names no node"),
        pytest.param(
            pb.AgentMessage(node_id="n1", hello=pb.Hello(cluster_id="c9")),
            "belongs to cluster c9, this is cluster c1",
            id="another cluster's",
        ),
    ],
)
def test_who_is_refused(office: Office, message: pb.AgentMessage, words: str) -> None:
    with pytest.raises(InternalError, match=words):
        office.desk.join(message)
    assert (office.desk.sessions, office.state.nodes, office.superseded) == ({}, {}, [])


def test_a_node_belongs_to_the_bearer_of_the_certificate_that_it_joined_with(
    office: Office,
) -> None:
    office.join("n1", certified_as="alpha")
    session = office.join("n1", certified_as="alpha")
    with pytest.raises(PermissionDeniedError, match='certificate of "alpha", this one is of "b"'):
        office.join("n1", certified_as="b")
    assert office.desk.sessions == {"n1": session}
    office.join("n2", certified_as="b")
    assert office.state.nodes[NodeId("n1")].certified_as == "alpha"


def test_a_node_that_joined_without_tls_belongs_to_its_first_certificate(office: Office) -> None:
    office.join("n1")
    office.join("n1", certified_as="alpha")
    assert office.state.nodes[NodeId("n1")].certified_as == "alpha"
    assert NodeId("n1") in office.state.unsaved.nodes


@pytest.mark.parametrize(
    ("highest", "is_stale"),
    [
        pytest.param(0, False, id="it obeyed nobody yet"),
        pytest.param(6, False, id="it obeyed one before us"),
        pytest.param(7, False, id="it obeyed us"),
        pytest.param(8, True, id="it obeyed one after us"),
    ],
)
def test_whom_an_agent_obeyed_last(office: Office, highest: int, is_stale: bool) -> None:
    if not is_stale:
        office.join(highest_epoch=highest)
        assert office.superseded == []
        return
    with pytest.raises(StaleEpochError):
        office.join(highest_epoch=highest)
    assert [error.current for error in office.superseded] == [8]


def test_a_second_session_of_a_node_supersedes_the_first(office: Office) -> None:
    first, second = office.join(), office.join()
    assert first.outbox.is_closed
    assert not second.outbox.is_closed
    assert office.noted.sessions == 1
    status = office.a_task()
    office.report(first, status)
    assert not office.noted.running_s
    office.desk.leave(first)
    assert office.state.nodes[N1].state is NodeState.READY
    assert office.desk.sessions == {N1: second}
    office.report(second, status)
    assert len(office.noted.running_s) == 1


def test_what_an_agent_already_runs_is_told_with_its_hello(office: Office) -> None:
    office.join()
    status = office.a_task()
    office.join("n1", status)
    assert [task.observed for task in office.state.tasks.values()] == [S.RUNNING]


def test_the_time_from_create_to_running_is_noted(office: Office) -> None:
    session = office.join()
    status = office.a_task()
    office.clock.now += 2.5
    office.report(session, status)
    assert office.noted.running_s == [2.5]


@pytest.mark.parametrize(
    ("after_s", "late_s"),
    [
        pytest.param(0.9, 0.0, id="in time"),
        pytest.param(1.0, 0.0, id="on the dot"),
        pytest.param(3.5, 2.5, id="late"),
    ],
)
def test_how_late_heartbeats_are_is_noted(office: Office, after_s: float, late_s: float) -> None:
    session = office.join()
    office.clock.now += after_s
    office.say(session, pb.AgentMessage(heartbeat=pb.Heartbeat()))
    assert office.noted.late_s == [pytest.approx(late_s)]
    assert office.state.liveness[N1].heard_at == office.clock.now


def test_an_agent_that_waits_for_its_turn_to_join_is_not_silent(office: Office) -> None:
    """Thousands come at once after a take-over; the last were lost before they were let in."""
    settings = office.state.cluster.settings
    office.join()
    unheard = liveness.unheard(office.clock.instant(), settings)
    membership.watch(office.state, N1, unheard)
    office.clock.now += 14.0
    office.desk.expect(pb.AgentMessage(node_id="n1", hello=pb.Hello()))
    assert office.state.liveness[N1].deadline == unheard.deadline + 14.0
    office.join()
    joined = office.state.liveness[N1]
    office.clock.now += 1.0
    office.desk.expect(pb.AgentMessage(node_id="n1", hello=pb.Hello()))
    assert office.state.liveness[N1] == joined, "it is waited for no longer than a session allows"


def test_nobody_waits_for_the_bearer_of_another_certificate(office: Office) -> None:
    office.join(certified_as="alice")
    with pytest.raises(PermissionDeniedError):
        office.desk.expect(pb.AgentMessage(node_id="n1", hello=pb.Hello()), certified_as="bob")


def test_facts_that_changed_are_taken_over(office: Office) -> None:
    session = office.join()
    office.clock.now += 1
    facts = to_proto(a_description("n1", cpus=16))
    office.say(session, pb.AgentMessage(description=facts))
    assert office.state.nodes[N1].description.resources.nano_cpus == 16 * 10**9
    assert office.state.liveness[N1].heard_at == office.clock.now


def test_a_message_of_an_unknown_kind_is_ignored(office: Office) -> None:
    session = office.join()
    office.say(session, pb.AgentMessage())
    assert office.desk.sessions == {N1: session}


@pytest.mark.parametrize(
    ("says_goodbye", "lost_after_s", "message"),
    [
        pytest.param(True, 30.0, "the agent is restarting", id="it said goodbye"),
        pytest.param(False, 5.0, "the agent's connection broke", id="it broke"),
    ],
)
def test_the_end_of_a_session(
    office: Office, says_goodbye: bool, lost_after_s: float, message: str
) -> None:
    session = office.join()
    if says_goodbye:
        office.say(session, pb.AgentMessage(goodbye=pb.Goodbye(reason="upgrade")))
    office.desk.leave(session)
    node = office.state.nodes[N1]
    assert (node.state, node.message) == (NodeState.DISCONNECTED, message)
    assert office.state.liveness[N1].deadline == office.clock.now + lost_after_s
    assert (office.noted.sessions, office.desk.sessions) == (0, {})
    assert session.outbox.is_closed
    office.desk.leave(session)
    assert office.noted.sessions == 0


def test_a_node_that_was_removed_is_shown_the_door(office: Office) -> None:
    session = office.join()
    office.desk.expel(N1)
    office.desk.expel(NodeId("nobody"))
    assert session.outbox.is_closed
    assert office.noted.sessions == 0


def test_the_heartbeat_period_is_told_again_when_the_cluster_has_grown_enough(
    office: Office,
) -> None:
    first = office.join()
    for number in range(2, 134):
        office.join(f"n{number}")
    assert kinds(first) == ["welcome"], "133 nodes: 1.33 s, hardly more than 1 s"
    office.join("n134")
    (message,) = first.outbox.take()
    assert message.settings.heartbeat_period_s == pytest.approx(1.34)
    for number in range(135, 150):
        office.join(f"n{number}")
    assert kinds(first) == []


def test_settings_are_told_to_all_who_are_connected(office: Office) -> None:
    sessions = [office.join(name) for name in ("n1", "n2")]
    office.desk.leave(sessions[1])
    assert [kinds(session) for session in sessions] == [["welcome"], ["welcome"]]
    office.desk.tell_settings()
    assert [kinds(session) for session in sessions] == [["settings"], []]


def test_when_the_leadership_is_over_nothing_is_taken_in(office: Office) -> None:
    session = office.join()
    status = office.a_task()
    office.desk.close(NotLeaderError("over"))
    assert session.outbox.is_closed
    office.report(session, status)
    office.desk.leave(session)
    assert office.noted.sessions == 0
    assert office.state.nodes[N1].state is NodeState.READY
    assert [task.observed for task in office.state.tasks.values()] == [S.ASSIGNED]
    with pytest.raises(NotLeaderError, match="over"):
        office.join()


def test_a_machine_that_goes_down_is_noted_and_told_how_many_others_take_tasks(
    office: Office,
) -> None:
    session = office.join("n1")
    for other in ("n2", "n3"):
        office.join(other)
    session.outbox.take()
    office.woken = 0
    office.say(session, pb.AgentMessage(departing=pb.Departing()))
    (message,) = session.outbox.take()
    assert (message.departure_noted.takers, office.woken) == (2, 1)
    assert office.state.nodes[N1].is_departing


def test_an_agent_can_say_that_of_no_node_but_its_own(office: Office) -> None:
    session = office.join("n1")
    office.join("n2")
    office.desk.receive(session, pb.AgentMessage(node_id="n2", departing=pb.Departing()))
    assert not office.state.nodes[NodeId("n2")].is_departing
    assert office.state.nodes[N1].is_departing


def test_a_hello_may_say_it_too(office: Office) -> None:
    hello = pb.Hello(description=to_proto(a_description("n1")), departing=True)
    office.desk.join(pb.AgentMessage(node_id="n1", hello=hello))
    assert office.state.nodes[N1].is_departing
    office.join("n1")
    assert not office.state.nodes[N1].is_departing
