"""What goes with a new spec does so whether a user wrote it or a rollout goes back by itself."""

import pytest

from berth.model.service import FailureAction, UpdatePolicy
from scheduler.core import commands
from scheduler.core.step import take_turn
from tests.builders import a_spec
from tests.unit.scheduler.core.world import World

POLICY = UpdatePolicy(failure_action=FailureAction.ROLLBACK)
FENCE = {"berth.fence": "after:30s"}


@pytest.fixture
def world() -> World:
    world = World()
    world.create(a_spec(replicas=3, labels=FENCE, update=POLICY))
    world.settle()
    return world


def until_it_goes_back(world: World) -> None:
    """Take turns up to the one that begins the rollback, of which nobody is told yet."""
    for _ in range(40):
        take_turn(world.state, world.timers, world.now)
        if world.status() == "rollback_started":
            return
        world.turn()
        world.instant += 1
    raise AssertionError("it does not roll back")


def told_nodes(world: World) -> set[str]:
    _, untold, _ = world.state.take_changes()
    return {node for node, tasks in untold.items() if tasks}


def test_nodes_are_told_of_labels_by_a_rollback_that_begins_by_itself(world: World) -> None:
    untouched = [task.node_id for task in world.running()]
    world.update("web", a_spec(replicas=3, image="bad:2", update=POLICY))
    until_it_goes_back(world)
    assert world.service().record.is_fenced
    assert told_nodes(world) == set(untouched), "none may go on without the fence"


def test_nodes_are_told_of_labels_by_a_rollback_that_a_user_asks_for(world: World) -> None:
    world.update("web", a_spec(replicas=3, update=POLICY))
    world.settle()
    commands.roll_back_service(world.state, world.service(), 0, world.now)
    assert told_nodes(world) == {"n1", "n2", "n3"}


def test_labels_that_stay_are_not_told_again(world: World) -> None:
    world.update("web", a_spec(replicas=2, labels=FENCE, update=POLICY))
    assert told_nodes(world) == set()


def test_what_was_misplaced_for_a_spec_that_failed_is_so_no_more() -> None:
    world = World()
    world.create(a_spec(replicas=3, update=POLICY))
    world.settle()
    (away,) = [task for task in world.running() if task.node_id == "n3"]
    world.cut("n3")
    world.pass_time(10)
    only_there = ("node.hostname!=n3",)
    world.update("web", a_spec(replicas=3, image="bad:2", constraints=only_there, update=POLICY))
    assert world.service().misplaced <= {away.id}
    until_it_goes_back(world)
    assert world.service().misplaced == set()


def test_a_rollback_forgives_nodes_what_the_failed_template_did(world: World) -> None:
    world.update("web", a_spec(replicas=3, image="crash:2", update=POLICY))
    until_it_goes_back(world)
    assert world.service().failures_by_node == {}
