"""The forms of tasks that got nodes together are made at once, and are those made one by one."""

from collections.abc import Callable

import pytest

from berth.model.task import COHORT_MIN, Task, TaskState, TaskStatus
from scheduler.cohort_forms import make_forms
from scheduler.core.births import bear
from scheduler.core.costs import TURN_SHARE_US
from scheduler.core.scheduling import schedule
from scheduler.core.service_state import ServiceState
from scheduler.dispatch.told_tasks import told_task
from scheduler.store.placed_tasks import encode_placements
from tests.builders import a_spec
from tests.unit.scheduler.core.world import World

Change = Callable[[World, Task], object]


def a_group(world: World, size: int = COHORT_MIN) -> ServiceState:
    schedule(world.state, world.now, TURN_SHARE_US)
    service = world.create(a_spec("web"))
    bear(world.state, service, range(1, size + 1), world.now)
    return service


def forms(service: ServiceState) -> list[tuple[bytes, bytes]]:
    tasks = [task for tasks in service.slots.values() for task in tasks]
    return [(encode_placements([task]), told_task(task, service.record)) for task in tasks]


def test_a_groups_forms_are_there_before_its_nodes_documents_are_made():
    together, alone = (a_group(World(nodes=3)), a_group(world := World(nodes=3)))
    (tasks,) = world.state.take_cohorts()
    make_forms(world.state)
    assert not any(task.encoded or task.told for task in tasks), "they were taken out"
    world.state.cohorts.append(tasks)
    make_forms(world.state)
    assert all(task.encoded and task.told for task in tasks)
    assert forms(alone) == forms(together)
    assert world.state.cohorts == []


def test_the_few_of_a_small_group_share_nothing():
    world = World(nodes=3)
    a_group(world, COHORT_MIN - 1)
    assert world.state.cohorts == []


@pytest.mark.parametrize("is_early", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(
            lambda world, task: world.state.set_desired(task, TaskState.SHUTDOWN, world.now),
            id="it is to stop",
        ),
        pytest.param(
            lambda world, task: world.state.observe(
                task, TaskStatus(task.id, TaskState.RUNNING), world.now
            ),
            id="it runs",
        ),
    ],
)
def test_one_that_changes_is_written_and_told_as_it_is_now(change: Change, is_early: bool):
    """Whether it changed before the forms of its group were made, or after."""
    ours, theirs = World(nodes=3), World(nodes=3)
    services = []
    for world in (ours, theirs):
        service = a_group(world)
        services.append(service)
        if world is ours and not is_early:
            make_forms(world.state)
        change(world, service.slots[1][0])
    make_forms(ours.state)
    assert forms(services[0]) == forms(services[1])
    assert forms(services[0])[0] != forms(a_group(World(nodes=3)))[0]


def test_a_service_that_is_gone_needs_none():
    world = World(nodes=3)
    service = a_group(world)
    del world.state.services[service.record.id]
    make_forms(world.state)
    assert world.state.cohorts == []
