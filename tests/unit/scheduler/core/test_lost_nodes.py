"""What a lost node had is replaced where anything can take it, and else goes on when it is back."""

from collections import Counter
from dataclasses import replace

import pytest

from berth.model.ids import TaskId
from berth.model.node import NodeSpec
from berth.model.service import UpdatePolicy
from berth.model.task import TaskState
from scheduler.core import commands
from tests.builders import a_spec, restart
from tests.unit.scheduler.core.world import World


@pytest.fixture
def world() -> World:
    return World()


def label(world: World, node: str, disk: str) -> None:
    commands.update_node(
        world.state, world.state.nodes[node], NodeSpec({"disk": disk}), 0, world.now
    )


def given_up(world: World) -> set[TaskId]:
    return {task.id for task in world.tasks() if not task.is_wanted}


def test_what_only_a_lost_node_can_take_goes_on_there_when_it_is_back(world: World) -> None:
    world.create(a_spec(replicas=300, constraints=("node.hostname==n1",)))
    world.settle()
    before, starts = {task.id for task in world.running()}, len(world.starts)
    world.cut("n1")
    world.pass_time(6)
    assert len(world.service().waiting) == 300
    assert given_up(world) == set()
    world.join("n1")
    world.settle()
    assert {task.id for task in world.tasks()} == before
    assert len(world.starts) == starts
    assert set(world.service().in_phase("settled")) == set(world.service().slots)


def test_what_waits_for_a_lost_node_is_given_up_once_another_takes_it(world: World) -> None:
    world.create(a_spec(replicas=2, constraints=("node.labels.disk==ssd",)))
    label(world, "n1", "ssd")
    world.settle()
    world.cut("n1")
    world.pass_time(6)
    assert given_up(world) == set()
    label(world, "n2", "ssd")
    world.settle()
    assert world.by_node() == {"n2": 2}
    world.join("n1")
    world.settle()
    assert not [task for task in world.tasks() if task.node_id == "n1"]


def test_the_slots_of_a_lost_node_are_the_first_to_be_closed(world: World) -> None:
    world.create(a_spec(replicas=4, constraints=("node.hostname!=n3",), max_per_node=2))
    world.settle()
    lost = {task.slot for task in world.running() if task.node_id == "n1"}
    world.cut("n1")
    world.pass_time(6)
    world.update("web", a_spec(replicas=2, constraints=("node.hostname!=n3",), max_per_node=2))
    world.settle()
    assert world.by_node() == {"n2": 2}
    assert not lost & {task.slot for task in world.running()}


def test_what_ended_on_its_lost_node_is_not_started_beyond_its_policy(world: World) -> None:
    world.create(a_spec(constraints=("node.hostname==n1",), restart=restart(condition="none")))
    world.settle()
    (before,) = world.running()
    world.cut("n1")
    world.pass_time(6)
    assert len(world.service().waiting) == 1
    world.nodes["n1"].reported[before.id] = TaskState.FAILED
    world.join("n1")
    world.settle()
    assert world.tasks() == []
    assert world.starts == [before.id]


def test_what_failed_on_its_lost_node_is_followed_after_its_delay(world: World) -> None:
    world.create(a_spec(constraints=("node.hostname==n1",), restart=restart(delay_s=5)))
    world.settle()
    (before,) = world.running()
    world.cut("n1")
    world.pass_time(6)
    assert len(world.service().waiting) == 1
    world.nodes["n1"].reported[before.id] = TaskState.FAILED
    world.join("n1")
    world.pass_time(4)
    assert world.starts == [before.id]
    assert [task.observed for task in world.tasks()] == [TaskState.READY]
    world.pass_time(2)
    assert len(world.running()) == 1


def test_what_a_lost_node_may_still_run_makes_no_earlier_end_forgotten(world: World) -> None:
    world.create(a_spec(restart=restart(delay_s=0, attempts=1)))
    world.settle()
    world.fail(world.running()[0])
    world.settle()
    (lost,) = world.running()
    world.cut(str(lost.node_id))
    world.pass_time(6)
    (heir,) = world.running()
    assert lost.observed is TaskState.RUNNING, "nobody knows better"
    world.fail(heir)
    world.pass_time(6)
    assert world.running() == []
    assert len(world.starts) == 3


def test_a_new_leader_waits_for_a_lost_node_as_the_old_one_did(world: World) -> None:
    world.create(a_spec(constraints=("node.hostname==n1",)))
    world.settle()
    (before,) = world.running()
    world.cut("n1")
    world.pass_time(6)
    world.reload()
    world.pass_time(20)
    assert len(world.service().waiting) == 1
    world.join("n1")
    world.settle()
    assert [task.id for task in world.tasks()] == [before.id]
    assert world.starts == [before.id]


def test_a_rollout_of_what_a_lost_node_had_goes_on_when_it_is_back(world: World) -> None:
    world.create(a_spec(replicas=2, image="old:1", constraints=("node.hostname==n1",)))
    world.settle()
    world.cut("n1")
    world.pass_time(6)
    world.update("web", a_spec(replicas=2, image="new:1", constraints=("node.hostname==n1",)))
    world.pass_time(5)
    assert len(given_up(world)) == 2, "they are outdated"
    world.join("n1")
    world.pass_time(10)
    assert len(world.running(image="new:1")) == len(world.tasks()) == 2


def test_a_fenced_task_is_given_up_once_it_must_have_stopped(world: World) -> None:
    labels = {"berth.fence": "after:30s"}
    world.create(a_spec(constraints=("node.hostname==n1",), labels=labels))
    world.settle()
    (lost,) = world.running()
    world.cut("n1")
    world.pass_time(40)
    assert given_up(world) == set(), "it may still run"
    world.pass_time(20)
    assert given_up(world) == {lost.id}
    commands.remove_node(world.state, world.state.nodes["n1"], world.now, force=False)


@pytest.mark.parametrize("is_new_leader", [False, True])
def test_a_rollback_does_not_wait_for_what_a_lost_node_had(
    world: World, is_new_leader: bool
) -> None:
    policy = UpdatePolicy(parallelism=1, delay_s=3, monitor_s=2)
    world.create(a_spec(replicas=3, max_per_node=1, update=policy, rollback=policy))
    world.settle()
    old, new = world.service().record.spec, a_spec(image="app:2", replicas=3, max_per_node=1)
    world.update("web", replace(new, update=policy, rollback=policy))
    world.pass_time(3.5)
    world.cut("n3")
    world.pass_time(5)
    world.update("web", old)
    world.settle()
    if is_new_leader:
        world.reload()
    world.pass_time(60)
    assert len(world.service().waiting) == 1
    assert world.status() == "completed"


@pytest.mark.parametrize("replicas", [12, 14])
@pytest.mark.parametrize("lost", ["n1", "n2", "n3", "n4", "n5", "n6"])
def test_branches_are_even_again_after_a_loss(lost: str, replicas: int) -> None:
    world = World(nodes=6)
    racks = {f"n{number}": "abc"[number % 3] for number in range(1, 7)}
    for node, rack in racks.items():
        labels = NodeSpec({"rack": rack})
        commands.update_node(world.state, world.state.nodes[node], labels, 0, world.now)
    spec = a_spec(replicas=12)
    placement = replace(spec.task.placement, spread_preferences=("node.labels.rack",))
    spec = replace(spec, task=replace(spec.task, placement=placement))
    world.create(spec)
    world.settle()
    world.cut(lost)
    world.pass_time(4.5)
    world.instant += 0.5  # The turn that sees the loss also sees what the user wants now.
    world.update("web", replace(spec, mode=replace(spec.mode, replicas=replicas)))
    world.settle()
    assert not [task for task in world.tasks() if task.is_wanted and task.node_id == lost]
    in_racks = Counter(racks[str(task.node_id)] for task in world.running())
    assert max(in_racks.values()) - min(in_racks.values()) <= 1


def test_what_waits_for_a_lost_node_keeps_its_count_there() -> None:
    world = World(nodes=3)
    for node in world.nodes:
        labels = NodeSpec({"rack": node})
        commands.update_node(world.state, world.state.nodes[node], labels, 0, world.now)
    spec = a_spec(constraints=("node.hostname==n1",), replicas=2)
    placement = replace(spec.task.placement, spread_preferences=("node.labels.rack",))
    service = world.create(replace(spec, task=replace(spec.task, placement=placement)))
    world.settle()
    table = world.state.table
    before = table.services[service.record.id].dense(table.width).tolist()
    world.cut("n1")
    world.pass_time(6)
    assert len(service.waiting) == 2
    assert table.services[service.record.id].dense(table.width).tolist() == before
    assert table.relief == world.state.relief_tried, "nothing is to be tried again"
