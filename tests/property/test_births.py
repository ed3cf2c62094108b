"""Tasks that are made and bound in groups are what they would be one by one.

Two memories get the same services on the same nodes, one by `births`, one by `add_task` and `bind`;
afterwards all that either knows, would write and would tell is the same.
"""

from collections.abc import Sequence
from dataclasses import fields

from hypothesis import given
from hypothesis import strategies as st

from berth.model.ids import NodeId, ServiceId
from berth.model.task import Task, TaskState, newborn_tasks
from scheduler.cohort_forms import make_forms
from scheduler.core import invariants
from scheduler.core.births import add_first_tasks, bear, bind_group
from scheduler.core.chronicle import TaskChange
from scheduler.core.costs import TURN_SHARE_US
from scheduler.core.placement.place import place
from scheduler.core.scheduling import schedule
from scheduler.core.service_record import create_record
from scheduler.core.service_state import STORY_LENGTH, ServiceState
from scheduler.core.state import LeaderState
from scheduler.dispatch.told_tasks import told_task
from scheduler.store.records import encode_changes
from tests.builders import a_spec
from tests.unit.scheduler.core.world import World

S = TaskState
NAMES = tuple(field.name for field in fields(Task) if field.name != "cohort")


def one_by_one(world: World, service: ServiceState, slots: Sequence[int]) -> None:
    for slot in slots:
        world.state.add_task(service, slot, service.record.template_version, S.RUNNING, world.now)


def bind_one_by_one(
    world: World, service: ServiceState, tasks: Sequence[Task], nodes: Sequence[NodeId]
) -> None:
    for task, node in zip(tasks, nodes, strict=True):
        world.state.bind(service, task, node, world.now)


def as_values(task: Task) -> tuple[object, ...]:
    return tuple(getattr(task, name) for name in NAMES)


def what_is_known(state: LeaderState) -> dict[str, object]:
    """Everything a later decision could rest on, in the order in which it is held."""
    return {
        "tasks": [as_values(task) for task in state.tasks.values()],
        "on nodes": {node: [task.id for task in tasks] for node, tasks in state.node_tasks.items()},
        "untold": list(state.untold),
        "unsaved": list(state.unsaved.placements),
        "waiting": (list(state.waiting_services), list(state.newly_waiting)),
        "load": state.table.load.counts.values.tolist(),
        "services": [
            (
                [(slot, [task.id for task in tasks]) for slot, tasks in service.slots.items()],
                list(service.waiting),
                list(service.story),
                service.running,
            )
            for service in state.services.values()
        ],
        "changes": [
            (at, service.record.id, task.id, *rest)
            for at, (service, task, *rest) in what_happened(state)
        ],
    }


def what_happened(state: LeaderState) -> list[tuple[int, TaskChange]]:
    state.chronicle.seal(World(nodes=0).now.timestamp)
    happened = state.chronicle.read(0, 10**20, with_tasks=True)
    return [(at, told) for at, told in happened if isinstance(told, tuple)]


def what_leaves(state: LeaderState) -> list[object]:
    unsaved, untold, forgotten = state.take_changes()
    told = [
        (node, [told_task(t, state.services[t.service_id].record) for t in tasks])
        for node, tasks in untold.items()
    ]
    return [encode_changes(state, unsaved), told, forgotten]


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(0, 3)), min_size=1, max_size=4),
    st.integers(1, 5),
    st.booleans(),
)
def test_a_group_is_what_its_tasks_would_be_one_by_one(
    groups: list[tuple[int, int]], nodes: int, bind_some: bool
) -> None:
    worlds = [World(nodes=nodes), World(nodes=nodes)]
    for number, (size, floor) in enumerate(groups):
        for world, together in zip(worlds, (True, False), strict=True):
            record = create_record(
                ServiceId(f"s{number}"), a_spec(f"s{number}"), world.now.timestamp
            )
            service = world.state.put_service(record)
            if floor:
                world.state._raise_floor(service, floor)
            slots = range(1, size + 1)
            if together:
                add_first_tasks(world.state, service, slots, world.now)
            else:
                one_by_one(world, service, slots)
            waiting = list(service.waiting.values())[: size // 2 if bind_some else size]
            placed = place(world.state.table, service.demand(1), len(waiting)).nodes
            if together:
                bind_group(world.state, service, waiting, placed, world.now)
            else:
                bind_one_by_one(world, service, waiting, placed)
    ours, theirs = (world.state for world in worlds)
    invariants.check(ours)
    assert what_is_known(ours) == what_is_known(theirs)
    make_forms(ours)
    assert what_leaves(ours) == what_leaves(theirs)


@given(
    st.lists(
        st.tuples(st.integers(1, 40), st.sampled_from((0.0, 0.5, 1.5))), min_size=1, max_size=4
    ),
    st.integers(1, 5),
)
def test_a_group_that_is_placed_at_birth_is_as_if_it_had_waited(
    groups: list[tuple[int, float]], nodes: int
) -> None:
    worlds = [World(nodes=nodes), World(nodes=nodes)]
    for world in worlds:
        schedule(world.state, world.now, TURN_SHARE_US)
    for number, (size, cpus) in enumerate(groups):
        for world, is_waiting in zip(worlds, (False, True), strict=True):
            spec = a_spec(f"s{number}", cpus=cpus)
            record = create_record(ServiceId(f"s{number}"), spec, world.now.timestamp)
            service = world.state.put_service(record)
            slots = range(1, size + 1)
            (add_first_tasks if is_waiting else bear)(world.state, service, slots, world.now)
            schedule(world.state, world.now, TURN_SHARE_US)
    ours, theirs = (world.state for world in worlds)
    invariants.check(ours)
    born, waited = what_is_known(ours), what_is_known(theirs)
    # What waits goes on waiting, and is told to do so after the others got their nodes.
    told = [sorted(repr(change[1:]) for change in it.pop("changes")) for it in (born, waited)]
    assert told[0] == told[1]
    assert born == waited
    assert ours.placed == theirs.placed == len([t for t in ours.tasks.values() if t.node_id])
    make_forms(ours)
    assert what_leaves(ours) == what_leaves(theirs)


def test_a_group_is_placed_at_birth_unless_others_come_first() -> None:
    world = World(nodes=2)
    schedule(world.state, world.now, TURN_SHARE_US)
    first = world.create(a_spec("first"))
    bear(world.state, first, range(1, 4), world.now)
    assert not first.waiting
    world.state.newly_waiting[first.record.id] = None
    second = world.create(a_spec("second"))
    bear(world.state, second, range(1, 4), world.now)
    assert len(second.waiting) == 3


def test_a_long_story_keeps_its_end() -> None:
    stories = []
    for together in (True, False):
        world = World(nodes=2)
        service = world.create(a_spec())
        slots = range(1, STORY_LENGTH + 20)
        one_by_one(world, service, slots)
        tasks = list(service.waiting.values())
        placed = place(world.state.table, service.demand(1), len(tasks)).nodes
        if together:
            bind_group(world.state, service, tasks, placed, world.now)
        else:
            bind_one_by_one(world, service, tasks, placed)
        stories.append(list(service.story))
    assert stories[0] == stories[1]
    assert len(stories[0]) == STORY_LENGTH


def test_a_newborn_task_has_every_field_as_the_class_would_set_it() -> None:
    now = World(nodes=0).now
    (made,) = newborn_tasks(
        ["t"],
        [7],
        service_id=ServiceId("s"),
        attempt=2,
        template_version=3,
        now=now.instant,
        today=now.timestamp,
    )
    called = Task(
        id="t",
        service_id=ServiceId("s"),
        slot=7,
        home=None,
        attempt=2,
        template_version=3,
        desired=S.RUNNING,
        created_at=now.timestamp,
        observed_since=now.instant,
        observed_at=now.timestamp,
    )
    assert as_values(made) == as_values(called)
