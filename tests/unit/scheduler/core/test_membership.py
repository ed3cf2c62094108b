"""Nodes come, tell, go silent, return, flap and leave."""

from dataclasses import replace

import pytest

from berth.model.cluster import ClusterSettings
from berth.model.ids import NodeId, SessionId, TaskId
from berth.model.instant import NEVER, Instant, Timestamp
from berth.model.node import Availability, NodeDescription, NodeSpec, NodeState
from berth.model.task import TaskState, TaskStatus
from scheduler.core import commands, liveness, membership
from scheduler.core.placement.place import why_not
from scheduler.core.state import LeaderState
from tests.builders import a_description, a_spec
from tests.unit.scheduler.core.world import World

S = TaskState
N1 = NodeId("n1")
STALE = SessionId("an earlier one")


@pytest.fixture
def world() -> World:
    world = World(nodes=2)
    world.create(a_spec(replicas=2))
    world.settle()
    world.state.take_changes()
    return world


def session_of(world: World, node: str = "n1") -> SessionId:
    session = world.nodes[node].session
    assert session is not None
    return session


def unsaved_nodes(state: LeaderState) -> list[NodeId]:
    return list(state.unsaved.nodes)


def leave(world: World, *, is_planned: bool = False) -> None:
    membership.leave(world.state, N1, session_of(world), world.now, is_planned=is_planned)


def rejoin(world: World, description: NodeDescription) -> None:
    hello = membership.Joined(N1, SessionId("next"), "boot", description, ())
    membership.join(world.state, hello, world.now)


def test_a_new_node_is_ready_and_saved() -> None:
    world = World(nodes=1)
    node = world.state.nodes[N1]
    assert (node.state, node.created_at) == (NodeState.READY, world.now.timestamp)
    assert unsaved_nodes(world.state) == [N1]


def test_a_session_that_comes_again_writes_nothing(world: World) -> None:
    leave(world)
    rejoin(world, a_description("n1"))
    assert world.state.nodes[N1].state is NodeState.READY
    assert unsaved_nodes(world.state) == []


def test_a_session_with_other_facts_is_saved(world: World) -> None:
    rejoin(world, a_description("n1", cpus=16))
    assert world.state.nodes[N1].description.resources.nano_cpus == 16 * 10**9
    assert unsaved_nodes(world.state) == [N1]


def test_a_lost_node_that_returns_is_saved_and_keeps_its_losses(world: World) -> None:
    world.cut("n1")
    world.pass_time(6)
    assert world.state.nodes[N1].down_since is not None
    world.join("n1")
    node = world.state.nodes[N1]
    assert (node.state, node.down_since, len(node.lost_at)) == (NodeState.READY, None, 1)
    assert unsaved_nodes(world.state) == [N1]


@pytest.mark.parametrize(
    ("description", "saved"),
    [
        pytest.param(a_description("n1"), [], id="what is known already writes nothing"),
        pytest.param(a_description("n1", cpus=8), [N1], id="another size is saved"),
    ],
)
def test_facts_told_while_connected(
    world: World, description: NodeDescription, saved: list[NodeId]
) -> None:
    membership.describe(world.state, N1, description, world.now)
    assert world.state.nodes[N1].description == description
    assert unsaved_nodes(world.state) == saved


def test_more_room_places_what_waits(world: World) -> None:
    world.create(a_spec("big", cpus=8))
    world.settle()
    assert not world.running("big")
    membership.describe(world.state, N1, a_description("n1", cpus=16), world.now)
    world.settle()
    assert world.by_node("big") == {"n1": 1}


def test_any_message_of_the_session_puts_the_loss_off(world: World) -> None:
    world.instant += 4
    assert membership.hear(world.state, N1, session_of(world), world.now.instant)
    assert world.state.liveness[N1].deadline == Instant(world.instant + 5)


@pytest.mark.parametrize("node", ["n1", "nobody"])
def test_a_stale_session_or_an_unknown_node_is_not_heard(world: World, node: str) -> None:
    before = dict(world.state.liveness)
    assert not membership.hear(world.state, NodeId(node), STALE, Instant(world.instant + 4))
    status = TaskStatus(world.tasks()[0].id, S.FAILED)
    assert membership.report(world.state, NodeId(node), STALE, [status], world.now) == []
    membership.leave(world.state, NodeId(node), STALE, world.now, is_planned=True)
    assert world.state.liveness == before
    assert len(world.running()) == 2


def test_a_report_names_what_began_to_run() -> None:
    world = World(nodes=1)
    world.create(a_spec(replicas=2, image="slow:1"))
    world.settle()
    first, second = world.tasks()
    statuses = [TaskStatus(first.id, S.RUNNING), TaskStatus(second.id, S.STARTING)]
    session = session_of(world)
    began = membership.report(world.state, N1, session, statuses, world.now)
    assert began == [first]
    assert first.observed == S.RUNNING
    assert membership.report(world.state, N1, session, statuses, world.now) == []


def test_of_a_task_that_is_another_nodes_an_agent_has_nothing_to_say(world: World) -> None:
    (other,) = [task for task in world.tasks() if task.node_id != N1]
    status = TaskStatus(other.id, S.FAILED)
    membership.report(world.state, N1, session_of(world), [status], world.now)
    assert other.observed == S.RUNNING


@pytest.mark.parametrize(
    ("state", "forgotten"),
    [
        pytest.param(S.SHUTDOWN, True, id="ended: it may forget it"),
        pytest.param(S.RUNNING, False, id="running: the complete set tells it to stop"),
    ],
)
def test_a_report_of_a_task_that_nobody_knows(
    world: World, state: TaskState, forgotten: bool
) -> None:
    status = TaskStatus(TaskId("unknown"), state)
    membership.report(world.state, N1, session_of(world), [status], world.now)
    assert (world.state.forgotten.get(N1) == ["unknown"]) is forgotten


@pytest.mark.parametrize(
    ("is_planned", "grace_s", "lost_at", "message"),
    [
        pytest.param(False, 30.0, 5.0, "the agent's connection broke", id="it broke"),
        pytest.param(True, 30.0, 30.0, "the agent is restarting", id="it said goodbye"),
        pytest.param(True, 2.0, 5.0, "the agent is restarting", id="a grace below lost_after"),
    ],
)
def test_the_end_of_a_stream(
    is_planned: bool, grace_s: float, lost_at: float, message: str
) -> None:
    world = World(nodes=1, settings=ClusterSettings(agent_restart_grace_s=grace_s))
    world.state.take_changes()
    leave(world, is_planned=is_planned)
    node = world.state.nodes[N1]
    assert (node.state, node.message) == (NodeState.DISCONNECTED, message)
    assert world.state.liveness[N1].deadline == Instant(world.instant + lost_at)
    assert world.state.expiry_at <= Instant(world.instant + lost_at)
    assert unsaved_nodes(world.state) == [], "only DOWN must outlive a leader"


def test_a_node_that_withdrew_says_why_also_when_it_is_lost() -> None:
    world = World(nodes=1)
    membership.leave(
        world.state, N1, session_of(world), world.now, is_planned=True, is_engine_away=True
    )
    assert world.state.nodes[N1].message == "its Docker Engine does not answer"
    world.instant += ClusterSettings().agent_restart_grace_s
    assert membership.expire(world.state, world.now) == [N1]
    assert world.state.nodes[N1].message.startswith("its Docker Engine does not answer; not heard")


def test_a_disconnected_node_keeps_its_tasks_and_gets_none(world: World) -> None:
    leave(world)
    world.nodes["n1"].session = None
    world.update("web", a_spec(replicas=4))
    world.settle()
    assert world.by_node() == {"n1": 1, "n2": 3}


def test_silence_is_the_loss_of_a_node_and_says_for_how_long(world: World) -> None:
    world.instant += 4.9
    assert membership.expire(world.state, world.now) == []
    world.instant += 0.4
    assert membership.expire(world.state, world.now) == ["n1", "n2"]
    node = world.state.nodes[N1]
    assert (node.state, node.message) == (NodeState.DOWN, "not heard for 5.3 s")
    assert unsaved_nodes(world.state) == ["n1", "n2"]
    assert world.state.expiry_at == NEVER


def test_losses_long_ago_are_forgotten(world: World) -> None:
    old = Timestamp(world.now.timestamp - liveness.FLAP_WINDOW_S)
    ahead = Timestamp(world.now.timestamp + 99)
    state = world.state
    state.nodes[N1] = replace(state.nodes[N1], lost_at=(old, ahead))
    world.instant += 6
    membership.expire(state, world.now)
    assert state.nodes[N1].lost_at == (world.now.timestamp,)


def test_a_new_leader_waits_for_the_nodes_that_it_has_not_heard(world: World) -> None:
    world.cut("n1")
    world.reload()
    assert world.state.nodes[N1].state is NodeState.UNKNOWN
    world.pass_time(14.5)
    assert world.state.nodes[N1].state is NodeState.UNKNOWN
    assert len(world.tasks()) == 2
    world.pass_time(1)
    assert world.state.nodes[N1].state is NodeState.DOWN
    assert world.by_node() == {"n2": 2}


def flapping(losses: int) -> World:
    world = World(nodes=1)
    for _ in range(losses):
        world.cut("n1")
        world.pass_time(6)
        world.join("n1")
        world.settle()
    return world


def test_two_losses_are_no_flapping() -> None:
    assert flapping(2).state.flapping == {}


def test_a_flapping_node_is_held_and_released() -> None:
    world = flapping(3)
    assert world.state.nodes[N1].message == "flapping"
    assert world.state.flapping[N1] <= world.instant + 30
    world.pass_time(31)
    assert (world.state.nodes[N1].message, world.state.flapping) == ("", {})


@pytest.mark.parametrize(
    "meanwhile",
    [
        pytest.param(lambda world: world.cut("n1"), id="it is lost again"),
        pytest.param(lambda world: world.state.nodes.pop(N1), id="it is gone"),
    ],
)
def test_a_hold_ends_whatever_became_of_its_node(meanwhile) -> None:  # type: ignore[no-untyped-def]
    world = flapping(3)
    meanwhile(world)
    world.instant += 60
    if N1 in world.state.nodes:
        membership.expire(world.state, world.now)
    membership.release_flapping(world.state, world.now)
    assert world.state.flapping == {}


def test_orphans_are_given_up_once_and_only_where_there_are_tasks(world: World) -> None:
    world.cut("n1")
    world.pass_time(6)
    assert membership.orphan(world.state, world.now) == []
    world.instant += 24 * 3600
    given_up = [t for t in world.tasks() if t.node_id == N1]
    assert membership.orphan(world.state, world.now) == ["n1"]
    assert [(t.observed, t.status.error if t.status else "") for t in given_up] == [
        (S.ORPHANED, "its node has been down for 24 h")
    ]
    world.turn()
    assert membership.orphan(world.state, world.now) == []


def test_the_age_of_a_loss_survives_the_leader(world: World) -> None:
    world.cut("n1")
    world.pass_time(6)
    world.instant += 23 * 3600
    world.reload()
    world.instant += 3600
    assert membership.orphan(world.state, world.now) == ["n1"]


def test_a_pause_of_the_leader_moves_every_deadline(world: World) -> None:
    before = {node: known.deadline for node, known in world.state.liveness.items()}
    membership.postpone(world.state, 60)
    moved = {node: known.deadline - 60 for node, known in world.state.liveness.items()}
    assert moved == before


def test_a_node_that_no_longer_fits_is_emptied_and_one_that_fits_again_is_not() -> None:
    world = World(nodes=2)
    world.create(a_spec(replicas=2, constraints=("node.labels.zone!=b",)))
    world.create(a_spec("all", is_global=True, constraints=("node.labels.zone!=b",)))
    world.settle()
    for zone in ("b", "a"):
        node = world.state.nodes[N1]
        commands.update_node(world.state, node, NodeSpec({"zone": zone}), 0, world.now)
    world.settle()
    assert world.by_node() == {"n1": 1, "n2": 1}
    node = world.state.nodes[N1]
    commands.update_node(world.state, node, NodeSpec({"zone": "b"}), 0, world.now)
    world.settle()
    assert (world.by_node(), world.by_node("all")) == ({"n2": 2}, {"n2": 1})


@pytest.mark.parametrize(
    ("availability", "words"),
    [
        pytest.param(Availability.DRAIN, "draining", id="drain"),
        pytest.param(Availability.PAUSE, "paused", id="pause"),
    ],
)
def test_why_a_node_takes_nothing_is_said(availability: Availability, words: str) -> None:
    world = World(nodes=1)
    node = world.state.nodes[N1]
    commands.update_node(world.state, node, NodeSpec({}, availability), 0, world.now)
    service = world.create(a_spec())
    world.settle()
    reasons = why_not(world.state.table, N1, service.demand(1))
    assert words in "; ".join(str(reason) for reason in reasons)
