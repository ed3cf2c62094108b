"""Waiting tasks get their nodes: groups, homes, replacements, and what stays waiting."""

import pytest

from berth.model.ids import NodeId
from berth.model.instant import Instant
from berth.model.node import Availability, NodeSpec
from berth.model.service import UpdateOrder, UpdatePolicy
from berth.model.task import TaskState
from scheduler.core import commands
from scheduler.core.costs import TRY_US, group_us
from scheduler.core.scheduling import FAILURE_WINDOW_S, schedule
from scheduler.core.service_state import ServiceState
from tests.builders import a_spec
from tests.unit.scheduler.core.world import World

S = TaskState
START_FIRST = UpdatePolicy(order=UpdateOrder.START_FIRST)


def waiting(world: World, *services: ServiceState) -> list[int]:
    return [len(service.waiting) for service in services]


def with_waiting(world: World, name: str, tasks: int, **fields: float) -> ServiceState:
    """A service whose tasks wait, before anything was placed."""
    service = world.create(a_spec(name, replicas=tasks, cpus=fields.get("cpus", 0.0)))
    for slot in range(1, tasks + 1):
        world.state.add_task(service, slot, 1, S.RUNNING, world.now)
    return service


def test_everything_that_fits_is_placed() -> None:
    world = World(nodes=3)
    web = with_waiting(world, "web", 6)
    assert schedule(world.state, world.now, group_us(100)) == 6
    assert waiting(world, web) == [0]
    assert world.state.waiting_services == {}
    assert schedule(world.state, world.now, group_us(100)) == 0


def test_a_turn_places_no_more_than_its_budget_and_the_next_goes_on() -> None:
    world = World(nodes=3)
    web, db = with_waiting(world, "web", 5), with_waiting(world, "db", 2)
    assert schedule(world.state, world.now, group_us(3)) == 3
    assert waiting(world, web, db) == [2, 2]
    assert schedule(world.state, world.now, group_us(3)) == 3
    assert waiting(world, web, db) == [1, 0], "who got its share goes behind the others"
    assert schedule(world.state, world.now, group_us(3)) == 1


def test_a_budget_that_one_service_uses_up_leaves_the_next_for_the_next_turn() -> None:
    world = World(nodes=3)
    web, db = with_waiting(world, "web", 2), with_waiting(world, "db", 2)
    assert schedule(world.state, world.now, group_us(2)) == 2
    assert waiting(world, web, db) == [0, 2]
    assert schedule(world.state, world.now, group_us(2)) == 2


def test_what_fits_nowhere_is_not_tried_again_until_something_is_freed() -> None:
    world = World(nodes=1)
    big = with_waiting(world, "big", 1, cpus=8)
    schedule(world.state, world.now, group_us(100))
    assert waiting(world, big) == [1]
    assert world.state.relief_tried == world.state.table.relief
    assert big.record.id in world.state.waiting_services
    assert not world.state.newly_waiting
    world.join("n2", cpus=16)
    assert schedule(world.state, world.now, group_us(100)) == 1


def test_all_that_waits_is_tried_though_something_is_freed_on_every_turn() -> None:
    world = World(nodes=1)
    for number in range(9):
        with_waiting(world, f"big{number}", 1, cpus=8)
    small = with_waiting(world, "small", 1, cpus=1)
    placed = []
    for turn in range(4):
        world.join(f"tiny{turn}", cpus=0.5)
        placed.append(schedule(world.state, world.now, 3 * TRY_US))
    assert placed == [0, 0, 0, 1], "a few at a time, but not the first ones again and again"
    assert waiting(world, small) == [0]


def test_a_service_that_is_gone_waits_no_more() -> None:
    world = World(nodes=1)
    big = with_waiting(world, "big", 1, cpus=8)
    world.settle()
    commands.remove_service(world.state, big)
    world.settle()
    world.join("n2", cpus=16)
    world.settle()
    assert world.state.waiting_services == {}
    assert world.state.tasks == {}


def test_a_service_whose_waiting_tasks_were_dropped_waits_no_more() -> None:
    world = World(nodes=1)
    big = with_waiting(world, "big", 1, cpus=8)
    (task,) = big.waiting.values()
    world.state.drop_task(task)
    assert schedule(world.state, world.now, group_us(100)) == 0
    assert world.state.waiting_services == {}


def test_a_global_services_task_says_why_its_node_cannot_take_it() -> None:
    world = World(nodes=1)
    world.create(a_spec("all", is_global=True, cpus=8))
    world.settle()
    (task,) = world.tasks("all")
    assert task.node_id is None
    assert task.reason == "insufficient CPU"


def test_a_start_first_replacement_goes_where_there_is_room() -> None:
    world = World(nodes=2)
    world.create(a_spec(cpus=3, update=START_FIRST))
    world.settle()
    (old,) = world.running()
    world.update("web", a_spec(image="slow:2", cpus=3, update=START_FIRST))
    world.settle()
    new = world.tasks()[-1]
    assert (new.desired, new.node_id != old.node_id) == (S.RUNNING, True)


@pytest.mark.parametrize("is_global", [False, True])
@pytest.mark.parametrize("policy", [START_FIRST, UpdatePolicy()])
def test_a_replacement_without_room_takes_its_predecessors_place(
    policy: UpdatePolicy, is_global: bool
) -> None:
    world = World(nodes=1)
    world.create(a_spec(cpus=3, update=policy, is_global=is_global))
    world.settle()
    world.update("web", a_spec(image="slow:2", cpus=3, update=policy, is_global=is_global))
    world.settle()
    old, new = world.tasks()
    assert (new.desired, new.node_id) == (S.READY, old.node_id)
    world.slow_done = True
    world.settle()
    assert len(world.running(image="slow:2")) == 1


def test_a_replacement_that_is_too_big_even_for_its_predecessors_place_waits() -> None:
    world = World(nodes=1)
    world.create(a_spec(cpus=3))
    world.settle()
    world.update("web", a_spec(image="app:2", cpus=5))
    world.settle()
    assert len(world.running(image="app:1")) == 1
    assert len(world.service().waiting) == 1


@pytest.mark.parametrize("availability", [Availability.DRAIN, Availability.PAUSE])
def test_a_node_that_takes_nothing_gives_no_place_to_a_successor(
    availability: Availability,
) -> None:
    world = World(nodes=1)
    world.create(a_spec())
    world.settle()
    node = world.state.nodes[NodeId("n1")]
    commands.update_node(world.state, node, NodeSpec({}, availability), 0, world.now)
    world.update("web", a_spec(image="app:2"))
    world.settle()
    assert len(world.running(image="app:1")) == 1
    assert len(world.service().waiting) == 1


def test_a_stop_first_global_update_needs_no_spare_capacity() -> None:
    world = World(nodes=2)
    world.create(a_spec(is_global=True, cpus=4))
    world.settle()
    world.update("web", a_spec(is_global=True, cpus=4, image="app:2"))
    world.pass_time(12)
    assert len(world.running(image="app:2")) == 2


def test_a_replacement_of_what_crashed_meanwhile_goes_anywhere() -> None:
    world = World(nodes=2)
    world.create(a_spec(cpus=3))
    world.settle()
    (old,) = world.running()
    world.update("web", a_spec(image="slow:2", cpus=3))
    new = world.state.add_task(world.service(), 1, 2, S.READY, world.now)
    world.fail(old)
    assert schedule(world.state, world.now, group_us(100)) == 1
    assert new.node_id is not None


@pytest.mark.parametrize(
    ("ago_s", "goes_to"),
    [
        pytest.param(FAILURE_WINDOW_S - 1, "n2", id="lately: the other node, though it is fuller"),
        pytest.param(FAILURE_WINDOW_S, "n1", id="long ago: it is forgiven"),
    ],
)
def test_where_a_service_failed_often_it_goes_last(ago_s: float, goes_to: str) -> None:
    world = World(nodes=2)
    world.create(a_spec("other", replicas=3, constraints=("node.id==n2",)))
    world.settle()
    service = world.create(a_spec())
    failed_at = Instant(world.instant - ago_s)
    service.failures_by_node[NodeId("n1")] = [failed_at] * 5
    service.failures_by_node[NodeId("gone")] = [failed_at]
    world.settle()
    assert world.by_node() == {goes_to: 1}
    assert (NodeId("n1") in service.failures_by_node) is (goes_to == "n2")
