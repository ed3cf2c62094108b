"""What happened, in order: times, what is kept, what is read, what a new leader takes over."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from berth.model.events import ObjectEvent
from berth.model.instant import Timestamp
from berth.model.service import UpdatePolicy
from berth.model.task import FinishedTask, Task, TaskState
from scheduler.core import chronicle as module
from scheduler.core import commands
from scheduler.core.chronicle import Chronicle, Happening, TaskChange
from scheduler.core.service_record import create_record
from scheduler.core.service_state import ServiceState
from scheduler.core.state import LeaderState
from tests.builders import a_spec, restart
from tests.unit.scheduler.core.builders import NOW, SERVICE, a_task
from tests.unit.scheduler.core.world import World

S = TaskState
NS = 1_000_000_000
WEB = ServiceState(create_record(SERVICE, a_spec(), NOW.timestamp))


def a_change(observed: TaskState = S.RUNNING) -> TaskChange:
    return WEB, a_task(), S.STARTING, S.RUNNING, observed, S.RUNNING, None


def noted(*what: str, at: float = 10.0, on: Chronicle | None = None) -> Chronicle:
    """Note a letter each: a task's change for "t", else an object of that name; then seal."""
    chronicle = on or Chronicle()
    for each in what:
        if each == "t":
            chronicle.changes.append(a_change())
        else:
            chronicle.note("service", "update", each, {"name": each})
    chronicle.seal(Timestamp(at))
    return chronicle


def words(happenings: "list[Happening]") -> list[tuple[int, str]]:
    return [(at, what.id if isinstance(what, ObjectEvent) else "t") for at, what in happenings]


def read(chronicle: Chronicle, after_ns: int = 0, to_ns: int = 1 << 62, *, tasks: bool = True):
    return words(list(chronicle.read(after_ns, to_ns, with_tasks=tasks)))


def test_each_change_has_a_time_of_its_own_in_the_order_in_which_they_were_made() -> None:
    chronicle = noted("t", "a", "t", "t", "b")
    assert read(chronicle) == [
        (10 * NS, "t"), (10 * NS + 1, "a"), (10 * NS + 2, "t"), (10 * NS + 3, "t"),
        (10 * NS + 4, "b"),
    ]  # fmt: skip
    assert chronicle.last_ns == 10 * NS + 4


def test_a_birth_with_its_place_is_told_as_the_two_changes_that_it_is() -> None:
    chronicle = Chronicle()
    tasks = [a_task(slot=slot) for slot in (1, 2, 3)]
    chronicle.note_lone_birth(WEB, tasks[0])
    chronicle.note_lone_birth(WEB, tasks[1])
    chronicle.changes.append(a_change())
    chronicle.note_lone_birth(WEB, tasks[2])
    chronicle.seal(Timestamp(10.0))
    told = [change for _, change in chronicle.read(0, 1 << 62, with_tasks=True)]
    births = [
        change
        for task in tasks
        for change in (
            (WEB, task, None, None, S.PENDING, S.RUNNING, None),
            (WEB, task, S.PENDING, S.RUNNING, S.ASSIGNED, S.RUNNING, None),
        )
    ]
    assert told[:4] + told[5:] == births
    alone = module.LoneBirths()
    for task in tasks:
        alone.add(WEB, task)
    assert (list(alone), alone[-1], list(alone[1:4])) == (births, births[-1], births[1:4])
    assert len(alone) == len(births)
    with pytest.raises(IndexError):
        alone[6]


@pytest.mark.parametrize("at", [10.0, 9.0], ids=["a clock that stands", "a clock that goes back"])
def test_times_rise_whatever_the_clock_shows(at: float) -> None:
    chronicle = noted("a", "t", on=noted("t", "t"), at=at)
    assert [time_ns for time_ns, _ in read(chronicle)] == [10 * NS + count for count in range(4)]


def test_nothing_noted_leaves_the_time_alone() -> None:
    chronicle = noted("a")
    chronicle.seal(Timestamp(99.0))
    assert chronicle.last_ns == 10 * NS


@pytest.mark.parametrize(
    ("after", "to", "found"),
    [
        pytest.param(0, 9, "tatbt", id="all"),
        pytest.param(0, 2, "ta", id="the end is in it"),
        pytest.param(2, 9, "tbt", id="the beginning is not"),
        pytest.param(3, 4, "b", id="from the middle of one batch"),
        pytest.param(5, 9, "", id="nothing new"),
    ],
)
def test_reading_a_part(after: int, to: int, found: str) -> None:
    chronicle = noted("t", "a", "t", at=0.000000001)
    noted("b", "t", at=0.0, on=chronicle)
    assert "".join(word for _, word in read(chronicle, after, to)) == found
    objects = "".join(word for _, word in read(chronicle, after, to, tasks=False))
    assert objects == found.replace("t", "")


def test_only_the_newest_changes_of_tasks_are_kept_and_objects_outlast_them() -> None:
    chronicle = noted("a")
    for _ in range(3):
        chronicle.changes.extend(a_change() for _ in range(module.TASKS_MAX // 2))
        chronicle.seal(Timestamp(20.0))
    kept = read(chronicle)
    assert kept[0] == (10 * NS, "a")
    assert len(kept) == 1 + module.TASKS_MAX
    assert chronicle.tasks_from_ns == kept[1][0]
    assert chronicle.objects_from_ns == 0


def test_only_the_newest_events_of_objects_are_kept() -> None:
    chronicle = noted(*("a" for _ in range(module.OBJECTS_MAX + 2)))
    assert chronicle.objects_from_ns == 10 * NS + 2
    assert read(chronicle)[0][0] == 10 * NS + 2


def test_what_is_read_stays_whole_though_it_is_driven_out_meanwhile() -> None:
    chronicle = noted("t", "a")
    reading = chronicle.read(0, chronicle.last_ns, with_tasks=True)
    for _ in range(2):
        chronicle.changes.extend(a_change() for _ in range(module.TASKS_MAX))
        chronicle.seal(Timestamp(20.0))
    assert words(list(reading)) == [(10 * NS, "t"), (10 * NS + 1, "a")]


# -- the store


def stored(chronicle: Chronicle, store: dict[int, tuple[ObjectEvent, ...]]) -> None:
    for key, events in chronicle.take_unsaved().items():
        if events:
            store[key] = events
        else:
            del store[key]


def reloaded(store: dict[int, tuple[ObjectEvent, ...]], at: float) -> Chronicle:
    chronicle = Chronicle()
    chronicle.load([store[key] for key in sorted(store)], Timestamp(at))
    return chronicle


def test_events_of_objects_are_written_once_and_those_of_tasks_never() -> None:
    chronicle = noted("t", "a", "b")
    written = chronicle.take_unsaved()
    assert [[event.id for event in events] for events in written.values()] == [["a", "b"]]
    assert list(written) == [10 * NS + 1]
    assert chronicle.take_unsaved() == {}


def test_the_store_keeps_the_newest_in_documents_of_bounded_size() -> None:
    chronicle, store = Chronicle(), {}
    for number in range(module.STORED_MAX // 100 + 5):
        noted(*("a" for _ in range(100)), at=float(number + 1), on=chronicle)
        stored(chronicle, store)
    kept = sum(len(events) for events in store.values())
    assert module.STORED_MAX <= kept < module.STORED_MAX + 100
    noted(*("b" for _ in range(3 * module.STORED_MAX)), at=999.0, on=chronicle)
    stored(chronicle, store)
    assert {event.id for events in store.values() for event in events} == {"b"}
    assert max(len(events) for events in store.values()) <= 256
    again = reloaded(store, 1000.0)
    assert again.objects_from_ns == min(store)
    assert len(read(again)) == module.STORED_MAX


def test_a_new_leader_goes_on_where_the_last_one_ended_whatever_its_clock_shows() -> None:
    store: dict[int, tuple[ObjectEvent, ...]] = {}
    first = noted("t", "a", "b", at=50.0)
    stored(first, store)
    second = reloaded(store, 40.0)
    assert read(second) == [(50 * NS + 1, "a"), (50 * NS + 2, "b")]
    assert (second.objects_from_ns, second.tasks_from_ns) == (0, 50 * NS + 3)
    noted("c", "t", at=41.0, on=second)
    assert read(second, 50 * NS + 2) == [(50 * NS + 3, "c"), (50 * NS + 4, "t")]
    stored(second, store)
    assert [word for _, word in read(reloaded(store, 60.0))] == ["a", "b", "c"]


def test_what_loading_noted_did_not_happen() -> None:
    chronicle = Chronicle()
    chronicle.note("node", "create", "n1", {})
    chronicle.changes.append(a_change())
    chronicle.load([], Timestamp(5.0))
    chronicle.seal(Timestamp(6.0))
    assert read(chronicle) == []
    assert chronicle.tasks_from_ns == 5 * NS + 1


def test_it_is_known_which_nodes_were_told_to_be_anything_but_ready() -> None:
    def told(node: str, state: str) -> ObjectEvent:
        return ObjectEvent(1, "node", "update", node, {"name": node, "state.new": state})

    chronicle = Chronicle()
    documents = [
        (told("n1", "disconnected"), told("n2", "disconnected")),
        (told("n3", "down"), told("n2", "ready")),
    ]
    chronicle.load(documents, Timestamp(5.0))
    assert chronicle.node_states == {"n1": "disconnected", "n3": "down"}


# -- replayed over what was there, events give what is there


class Replay:
    """A listener who keeps count by events alone."""

    def __init__(self, state: LeaderState) -> None:
        self.tasks = listed(state)
        self.at_ns = state.chronicle.last_ns

    def follow(self, state: LeaderState) -> None:
        chronicle = state.chronicle
        for at_ns, what in chronicle.read(self.at_ns, chronicle.last_ns, with_tasks=True):
            assert at_ns > self.at_ns
            self.at_ns = at_ns
            if not isinstance(what, ObjectEvent):
                self._take(what)

    def _take(self, change: TaskChange) -> None:
        _, task, was, was_wanted, now, now_wanted, _ = change
        if was is None:
            assert task.id not in self.tasks
        else:
            assert self.tasks[task.id] == (was, was_wanted)
        if now is None:
            del self.tasks[task.id]
        else:
            assert now_wanted is not None
            self.tasks[task.id] = now, now_wanted


def listed(state: LeaderState) -> dict[str, tuple[TaskState | None, TaskState | None]]:
    found: list[Task | FinishedTask] = list(state.tasks.values())
    for service in state.services.values():
        found += [entry for entries in service.history.values() for entry in entries]
    return {
        task.id: (task.observed if isinstance(task, Task) else task.state, task.desired)
        for task in found
    }


def _scale(world: World) -> None:
    world.update("web", a_spec(replicas=5))
    world.settle()
    world.update("web", a_spec(replicas=1))


def _roll_out(world: World) -> None:
    quick = UpdatePolicy(parallelism=2, delay_s=0.0, monitor_s=1.0)
    world.update("web", replace(a_spec(replicas=3, image="app:2"), update=quick))


def _fail(world: World) -> None:
    for _ in range(8):
        for task in world.tasks():
            if task.observed == S.RUNNING:
                world.fail(task)
        world.settle()
        world.pass_time(20.0)


def _lose_a_node(world: World) -> None:
    world.cut("n1")
    world.pass_time(60.0)
    world.join("n1")


def _remove_a_node(world: World) -> None:
    node = commands.find_node(world.state, "n1")
    commands.remove_node(world.state, node, world.now, force=True)
    del world.nodes["n1"]


def _remove(world: World) -> None:
    commands.remove_service(world.state, world.service())


def _await_a_place(world: World) -> None:
    world.update("web", a_spec(replicas=20, cpus=1.0))
    world.settle()
    world.update("web", a_spec(replicas=2, cpus=1.0))


@pytest.mark.parametrize(
    "act", [_scale, _roll_out, _fail, _lose_a_node, _remove_a_node, _remove, _await_a_place]
)
def test_events_of_tasks_add_up(act: Callable[[World], None]) -> None:
    world = World(nodes=3)
    world.create(a_spec(replicas=3, restart=restart(delay_s=1)))
    world.create(a_spec("all", is_global=True))
    world.settle()
    replay = Replay(world.state)
    act(world)
    world.settle()
    world.pass_time(30.0)
    replay.follow(world.state)
    assert replay.tasks == listed(world.state)


def test_events_of_tasks_add_up_from_the_moment_of_a_take_over_on() -> None:
    world = World(nodes=2)
    world.create(a_spec(replicas=3))
    world.settle()
    world.reload()
    world.state.chronicle.seal(world.now.timestamp)
    replay = Replay(world.state)
    _scale(world)
    world.settle()
    replay.follow(world.state)
    assert replay.tasks == listed(world.state)
