"""Stored tasks that are taken in a node at a time are what they would be one by one.

Two new leaders read the same documents, one by `Adoption`, one by `LeaderState.load_task`;
afterwards all that either knows is the same.
"""

from dataclasses import fields

from hypothesis import given
from hypothesis import strategies as st

from berth.model.ids import NodeId, ServiceId, task_id
from berth.model.instant import Instant
from berth.model.task import Task, TaskState
from scheduler.core import invariants
from scheduler.core.adoption import Adoption
from scheduler.core.membership import check_places, check_places_of
from scheduler.core.service_state import noted
from scheduler.core.state import LeaderState
from tests.builders import a_spec
from tests.unit.scheduler.core.world import World

S = TaskState
NODES = ("n1", "n2", "n3")
OBSERVED = (S.ASSIGNED, S.STARTING, S.RUNNING, S.COMPLETE, S.FAILED)
DESIRED = (S.READY, S.RUNNING, S.COMPLETE, S.SHUTDOWN, S.REMOVE)
NAMES = tuple(field.name for field in fields(Task))


@st.composite
def stored(draw: st.DrawFn) -> list[tuple[int, int, int, str, TaskState, TaskState, bool]]:
    """Return (service, slot, attempt, node, desired, observed, whether it was granted a unit)."""
    places = st.tuples(
        st.integers(0, 2),
        st.integers(1, 6),
        st.integers(1, 3),
        st.sampled_from(NODES),
        st.sampled_from(DESIRED),
        st.sampled_from(OBSERVED),
        st.booleans(),
    )
    return draw(st.lists(places, max_size=25, unique_by=lambda it: it[:3]))


def a_leader() -> tuple[World, list[ServiceId]]:
    world = World(nodes=len(NODES))
    specs = (
        a_spec("free", 0, cpus=0.25, port=8080),
        a_spec("tied", 0, constraints=("node.hostname==host-n1",)),
        a_spec("everywhere", is_global=True),
    )
    for spec in specs:
        world.create(spec)
    services = [world.state.names[spec.name] for spec in specs]
    for service in services:
        world.state.services[service].dirty_slots.clear()
    return world, services


def read(world: World, services: list[ServiceId], documents: list[tuple]) -> dict[NodeId, list]:  # type: ignore[type-arg]
    """Return new tasks as they are read, by node."""
    found: dict[NodeId, list[Task]] = {NodeId(node): [] for node in NODES}
    homes = set()
    for number, slot, attempt, node, desired, observed, is_granted in documents:
        service, is_global = services[number], number == 2
        if is_global and (node, attempt) in homes:
            continue
        homes.add((node, attempt))
        home = NodeId(node) if is_global else None
        slot = 0 if is_global else slot
        task = Task(
            task_id(service, slot, home, attempt), service, slot, home, attempt, 1, desired,
            world.now.timestamp, NodeId(node), observed,
        )  # fmt: skip
        if is_granted and not is_global:
            task.granted = (("gpu", ("1",)),)
        found[NodeId(node)].append(task)
    return found


def one_by_one(world: World, tasks: dict[NodeId, list[Task]]) -> None:
    state, now = world.state, world.now
    for of_node in tasks.values():
        for task in of_node:
            task.observed_since, task.observed_at = now.instant, now.timestamp
            task.running_since = now.instant if task.observed == S.RUNNING else None
            task.stop_since = now.instant if task.desired > S.COMPLETE else None
            state.load_task(state.services[task.service_id], task)
    for service in state.services.values():
        for slot, held in service.slots.items():
            service.slots[slot] = tuple(sorted(held, key=lambda task: task.attempt))
            if all(task.desired == S.REMOVE for task in held):
                service.closing = noted(service.closing, {slot})
    for node in NODES:
        check_places(state, NodeId(node))


def at_once(world: World, tasks: dict[NodeId, list[Task]]) -> None:
    adoption = Adoption(world.state, world.now)
    for node, of_node in tasks.items():
        adoption.adopt(node, of_node)
    adoption.finish()
    for service in world.state.services.values():
        check_places_of(world.state, service)


def as_values(task: Task) -> list[object]:
    return [getattr(task, name) for name in NAMES]


def what_is_known(state: LeaderState) -> dict[str, object]:
    table = state.table
    return {
        "tasks": [as_values(task) for task in state.tasks.values()],
        "on nodes": {node: [task.id for task in tasks] for node, tasks in state.node_tasks.items()},
        "load": table.load.counts.values.tolist(),
        "cpu": list(table.cpu.free.values),
        "memory": list(table.memory.free.values),
        "ports": {key: dict(tally.counts) for key, tally in table.ports.items()},
        "by service": {key: dict(tally.counts) for key, tally in table.services.items()},
        "services": [
            (
                [(slot, [task.id for task in tasks]) for slot, tasks in service.slots.items()],
                service.closing,
                service.misplaced,
                service.running,
                service.running_on,
            )
            for service in state.services.values()
        ],
    }


@given(stored())
def test_taken_in_at_once_tasks_are_what_they_are_one_by_one(documents: list[tuple]) -> None:  # type: ignore[type-arg]
    memories = []
    for take_in in (one_by_one, at_once):
        world, services = a_leader()
        world.instant = Instant(2000.0)
        take_in(world, read(world, services, documents))
        invariants.check(world.state)
        memories.append(what_is_known(world.state))
    assert memories[0] == memories[1]
