"""Faults that the simulator found, each in its smallest form (its seeds: tests/sim)."""

from dataclasses import replace

import pytest

from berth.model.fence import FENCE_LABEL
from berth.model.node import Availability, NodeSpec
from berth.model.service import UpdateOrder, UpdatePolicy
from berth.model.task import TaskState
from scheduler.core import commands
from tests.builders import a_spec, restart
from tests.unit.scheduler.core.world import World

S = TaskState


@pytest.fixture
def world() -> World:
    return World()


def drain(world: World, node: str) -> None:
    known = world.state.nodes[node]
    spec = NodeSpec(known.spec.labels, Availability.DRAIN)
    commands.update_node(world.state, known, spec, 0, world.now)


def test_scaling_up_while_slots_still_close_ends_with_the_right_number(world):
    world.create(a_spec(replicas=4))
    world.settle()
    world.stops_held.add("app:1")
    world.update("web", a_spec(replicas=2))
    world.settle()
    world.update("web", a_spec(replicas=4))
    world.settle()
    world.stops_held.clear()
    world.settle()
    assert len(world.running()) == 4


def test_a_global_slot_that_was_closing_opens_again(world):
    world.create(a_spec(is_global=True))
    world.settle()
    world.stops_held.add("app:1")
    drain(world, "n1")
    world.settle()
    known = world.state.nodes["n1"]
    commands.update_node(world.state, known, NodeSpec(known.spec.labels), 0, world.now)
    world.settle()
    world.stops_held.clear()
    world.settle()
    assert world.by_node() == {"n1": 1, "n2": 1, "n3": 1}


def test_scaling_during_a_rollout_does_not_widen_it(world):
    world.create(a_spec(replicas=4))
    world.settle()
    update = UpdatePolicy(parallelism=1, order=UpdateOrder.START_FIRST)
    world.update("web", a_spec(replicas=4, image="slow:1", update=update))
    world.settle()
    for replicas in (5, 4, 5):
        world.update("web", a_spec(replicas=replicas, image="slow:1", update=update))
        world.settle()
    slots = world.service().slots.values()
    assert len([tasks for tasks in slots if len(tasks) == 2]) == 1


def test_a_fenced_service_is_drained_one_task_after_the_other(world):
    world.create(a_spec(labels={FENCE_LABEL: "after:10s"}))
    world.settle()
    (old,) = world.running()
    world.stops_held.add("app:1")
    drain(world, str(old.node_id))
    world.pass_time(120.0)
    heir = next(task for task in world.tasks() if task is not old)
    assert heir.observed == S.READY, "it must wait for a real end, however long that takes"
    world.stops_held.clear()
    world.settle()
    assert heir.observed == S.RUNNING


def test_what_waits_is_made_anew_when_its_constraints_are_lifted(world):
    world.create(a_spec(replicas=2, constraints=("node.labels.disk==ssd",)))
    world.settle()
    assert world.running() == []
    world.update("web", a_spec(replicas=2))
    world.settle()
    assert len(world.running()) == 2


def test_a_replacement_does_not_revive_what_ended_for_good(world):
    spec = a_spec(image="slow:1", restart=restart(delay_s=0, attempts=1))
    world.slow_done = True
    world.create(spec)
    world.settle()
    world.fail(world.running()[0])
    world.pass_time(1.0)
    (old,) = world.running()
    world.slow_done = False
    drain(world, str(old.node_id))
    stop_first = UpdatePolicy(order=UpdateOrder.STOP_FIRST)
    world.update("web", replace(spec, update=stop_first))
    world.settle()
    world.fail(old)
    world.slow_done = True
    world.pass_time(5.0)
    assert [task for task in world.tasks() if task.is_wanted and task.desired == S.RUNNING] == []
