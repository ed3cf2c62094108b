"""Machines that are shut down: their tasks leave first, and operators' wishes stay as they are."""

import pytest

from berth.model.ids import NodeId, SessionId
from berth.model.node import Availability, NodeSpec, NodeState
from berth.model.task import TaskState
from scheduler.core import commands, liveness, membership
from scheduler.core.placement.place import why_not
from tests.builders import a_description, a_spec
from tests.unit.scheduler.core.world import World

N1 = NodeId("n1")


@pytest.fixture
def world() -> World:
    world = World(nodes=3)
    world.create(a_spec(replicas=3))
    world.settle()
    return world


def depart(world: World) -> None:
    session = world.nodes["n1"].session
    assert session is not None
    membership.depart(world.state, N1, session, world.now)


def go_down(world: World) -> None:
    """The agent says goodbye, and its machine is off."""
    session = world.nodes["n1"].session
    assert session is not None
    membership.leave(world.state, N1, session, world.now, is_planned=True)
    world.nodes["n1"].session, world.nodes["n1"].is_cut = None, True


def drain(world: World, availability: Availability = Availability.DRAIN) -> None:
    spec = NodeSpec({}, availability)
    commands.update_node(world.state, world.state.nodes[N1], spec, 0, world.now)


def test_tasks_leave_it_without_a_gap(world: World) -> None:
    depart(world)
    for _ in range(12):
        world.turn()
        running = [task for task in world.tasks() if task.observed == TaskState.RUNNING]
        assert len(running) >= 3
    world.settle()
    assert "n1" not in world.by_node()
    assert sum(world.by_node().values()) == 3


def test_its_tasks_of_global_services_stop_and_come_back_with_it() -> None:
    world = World(nodes=2)
    world.create(a_spec("all", is_global=True))
    world.settle()
    depart(world)
    world.settle()
    assert world.by_node("all") == {"n2": 1}
    go_down(world)
    world.pass_time(10)
    assert world.by_node("all") == {"n2": 1}
    world.join("n1")
    world.settle()
    assert world.by_node("all") == {"n1": 1, "n2": 1}


def test_it_says_why_it_takes_nothing(world: World) -> None:
    depart(world)
    reasons = why_not(world.state.table, N1, world.service().demand(1))
    assert "shutting down" in "; ".join(str(reason) for reason in reasons)
    assert world.state.nodes[N1].message == membership.DEPARTING


def test_the_next_start_ends_it_and_leaves_what_the_operator_wants(world: World) -> None:
    depart(world)
    world.settle()
    go_down(world)
    world.pass_time(6)
    world.join("n1")
    node = world.state.nodes[N1]
    assert (node.state, node.is_open, node.message) == (NodeState.READY, True, "")
    assert node.spec.availability is Availability.ACTIVE


@pytest.mark.parametrize("is_before", [True, False])
def test_a_node_that_an_operator_drained_stays_drained(world: World, is_before: bool) -> None:
    if is_before:
        drain(world)
    depart(world)
    if not is_before:
        drain(world)
    world.settle()
    go_down(world)
    world.pass_time(6)
    world.join("n1")
    world.settle()
    node = world.state.nodes[N1]
    assert (node.must_be_left, node.spec.availability) == (True, Availability.DRAIN)
    assert "n1" not in world.by_node()


def test_activating_a_node_does_not_call_its_shutdown_off(world: World) -> None:
    drain(world)
    depart(world)
    drain(world, Availability.ACTIVE)
    world.settle()
    assert world.state.nodes[N1].must_be_left
    assert "n1" not in world.by_node()


def test_a_machine_that_went_down_is_not_waited_for_as_one_whose_agent_restarts(
    world: World,
) -> None:
    depart(world)
    go_down(world)
    node = world.state.nodes[N1]
    assert (node.state, node.message) == (NodeState.DISCONNECTED, membership.DEPARTING)
    world.pass_time(world.state.cluster.settings.lost_after_s + 0.5)
    node = world.state.nodes[N1]
    assert (node.state, node.message) == (NodeState.DOWN, membership.DEPARTED)


def test_restarts_on_purpose_are_no_flapping(world: World) -> None:
    for _ in range(liveness.FLAP_LOSSES):
        depart(world)
        go_down(world)
        world.pass_time(6)
        assert world.state.nodes[N1].state is NodeState.DOWN
        world.join("n1")
        world.settle()
    assert world.state.nodes[N1].lost_at == ()
    assert world.state.flapping == {}


def test_a_new_leader_is_told_by_the_hello() -> None:
    world = World(nodes=2)
    world.create(a_spec(replicas=2))
    world.settle()
    hello = membership.Joined(
        N1, SessionId("next"), "boot", a_description("n1"), (), is_departing=True
    )
    membership.join(world.state, hello, world.now)
    assert world.state.nodes[N1].must_be_left
    assert world.state.nodes[N1].message == membership.DEPARTING


def test_of_a_session_that_is_over_it_is_not_believed(world: World) -> None:
    membership.depart(world.state, N1, SessionId("an earlier one"), world.now)
    assert not world.state.nodes[N1].is_departing
