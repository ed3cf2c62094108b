"""The leader's memory: every change keeps its indexes, its table and its notes in step."""

from dataclasses import replace

import pytest

from berth.model.ids import NodeId, ServiceId, TaskId
from berth.model.instant import Instant
from berth.model.node import NodeState
from berth.model.resources import NodeResources, Reservation
from berth.model.task import Task, TaskState, TaskStatus
from scheduler.core import invariants
from scheduler.core.cluster_record import ClusterRecord
from scheduler.core.service_record import create_record
from scheduler.core.service_state import STORY_LENGTH, ServiceState, noted
from scheduler.core.state import LeaderState
from tests.builders import a_node, a_spec
from tests.unit.scheduler.core.builders import NOW, SERVICE, later

S = TaskState
N1 = NodeId("n1")


class Memory:
    """A memory with one node of 4 CPUs and 3 GPUs, and one service."""

    def __init__(self, cpus: float = 1.0, gpus: int = 0, **fields: bool) -> None:
        self.state = LeaderState(ClusterRecord("c1"))  # type: ignore[arg-type]
        node = a_node("n1")
        resources = NodeResources(4 * 10**9, 0, generic_names={"gpu": ("g1", "g2", "g3")})
        node = replace(node, description=replace(node.description, resources=resources))
        self.state.put_node(node, accepting=True, why_not="")
        spec = a_spec(cpus=cpus, **fields)  # type: ignore[arg-type]
        reservation = Reservation(int(cpus * 1e9), 0, {"gpu": gpus} if gpus else {})
        spec = replace(spec, task=replace(spec.task, reservation=reservation))
        self.service = self.state.put_service(create_record(SERVICE, spec, NOW.timestamp))
        self.state.take_changes()

    def placed(self, slot: int = 1) -> Task:
        task = self.state.add_task(self.service, slot, 1, S.RUNNING, NOW)
        self.state.table.occupy(N1, self.service.demand(1))
        self.state.bind(self.service, task, N1, NOW)
        return task

    def see(self, task: Task, state: TaskState, age_s: float = 0.0, **fields: str) -> bool:
        status = TaskStatus(task.id, state, age_s, **fields)  # type: ignore[arg-type]
        return self.state.observe(task, status, NOW)

    @property
    def free_cpus(self) -> float:
        return self.state.table.cpu.free.values[0] / 10**9

    @property
    def counted(self) -> int:
        """How many tasks count as the node's load."""
        return int(self.state.table.load.counts.values[0])


@pytest.fixture
def memory() -> Memory:
    return Memory()


def test_a_new_task_waits_and_is_not_stored(memory: Memory) -> None:
    task = memory.state.add_task(memory.service, 1, 1, S.RUNNING, NOW)
    assert (task.observed, task.node_id, task.attempt) == (S.PENDING, None, 1)
    assert list(memory.service.waiting) == [task.id]
    assert not memory.state.unsaved
    invariants.check(memory.state)


def test_a_task_that_got_its_node_is_stored_and_told(memory: Memory) -> None:
    task = memory.placed()
    assert (task.observed, memory.service.waiting, memory.free_cpus) == (S.ASSIGNED, {}, 3.0)
    unsaved, untold, forgotten = memory.state.take_changes()
    assert (list(unsaved.placements), untold, forgotten) == ([N1], {N1: [task]}, {})
    assert (memory.state.take_changes()[1], task.is_untold) == ({}, False)


@pytest.mark.parametrize(
    ("first", "then", "rose", "shown"),
    [
        pytest.param(S.PREPARING, S.RUNNING, True, S.RUNNING, id="states may be skipped"),
        pytest.param(S.RUNNING, S.PREPARING, False, S.RUNNING, id="a late report is ignored"),
        pytest.param(S.RUNNING, S.RUNNING, False, S.RUNNING, id="a repeated one changes nothing"),
        pytest.param(S.FAILED, S.ORPHANED, False, S.FAILED, id="what has ended stays so"),
    ],
)
def test_observed_states_only_rise(
    memory: Memory, first: TaskState, then: TaskState, rose: bool, shown: TaskState
) -> None:
    task = memory.placed()
    assert memory.see(task, first)
    assert memory.see(task, then) is rose
    assert task.observed == shown


def test_a_repeated_report_refreshes_the_message(memory: Memory) -> None:
    task = memory.placed()
    memory.see(task, S.PREPARING, message="pulling 10 %")
    memory.see(task, S.PREPARING, message="pulling 90 %")
    assert task.status is not None
    assert task.status.message == "pulling 90 %"


def test_an_age_is_turned_into_our_own_time(memory: Memory) -> None:
    task = memory.placed()
    memory.see(task, S.RUNNING, age_s=30)
    assert task.running_since == Instant(NOW.instant - 30)
    assert task.observed_at == NOW.timestamp - 30


@pytest.mark.parametrize(
    ("seen", "is_looked_at"),
    [(S.ACCEPTED, False), (S.PREPARING, False), (S.READY, True), (S.STARTING, False)]
    + [(state, True) for state in (S.RUNNING, S.COMPLETE, S.FAILED, S.REJECTED)],
)
def test_only_states_from_which_something_follows_have_the_slot_looked_at(
    memory: Memory, seen: TaskState, is_looked_at: bool
) -> None:
    task = memory.placed()
    memory.state.dirty.clear()
    memory.see(task, seen)
    assert (SERVICE in memory.state.dirty) is is_looked_at


def test_what_has_ended_gives_its_place_back_at_once(memory: Memory) -> None:
    task = memory.placed()
    memory.see(task, S.RUNNING)
    assert (memory.service.running, memory.free_cpus) == (1, 3.0)
    memory.see(task, S.FAILED)
    assert (memory.service.running, memory.free_cpus) == (0, 4.0)
    memory.state.finish_task(task)
    assert memory.free_cpus == 4.0
    assert memory.state.forgotten == {N1: [task.id]}
    assert memory.state.unsaved.history == {(SERVICE, 0): None}
    invariants.check(memory.state)


@pytest.mark.parametrize("desired", [S.READY, S.RUNNING])
def test_a_wish_that_is_not_higher_changes_nothing(memory: Memory, desired: TaskState) -> None:
    task = memory.placed()
    memory.state.take_changes()
    memory.state.set_desired(task, desired, NOW, "why")
    assert (task.desired, task.reason, memory.state.untold) == (S.RUNNING, "", {})


def test_a_task_that_is_to_stop_holds_its_place_but_is_no_replica(memory: Memory) -> None:
    task = memory.placed()
    memory.see(task, S.RUNNING)
    memory.state.set_desired(task, S.SHUTDOWN, NOW, "why")
    memory.state.set_desired(task, S.REMOVE, later(3), "why else")
    assert (task.stop_since, task.reason) == (NOW.instant, "why else")
    assert (memory.service.running, memory.free_cpus) == (0, 3.0)
    assert memory.counted == 0
    memory.see(task, S.SHUTDOWN)
    assert memory.free_cpus == 4.0
    assert memory.counted == 0


def test_a_task_that_ended_just_now_may_still_be_told_to_go(memory: Memory) -> None:
    task = memory.placed()
    memory.see(task, S.FAILED)
    memory.state.set_desired(task, S.REMOVE, NOW)
    assert (memory.free_cpus, memory.counted) == (4.0, 0)


def test_a_task_that_waits_and_is_told_to_stop_is_forgotten(memory: Memory) -> None:
    task = memory.state.add_task(memory.service, 1, 1, S.RUNNING, NOW)
    memory.state.set_desired(task, S.SHUTDOWN, NOW)
    assert (memory.state.tasks, memory.service.slots, memory.service.waiting) == ({}, {}, {})


def test_a_placed_task_that_is_dropped_gives_all_back_and_its_attempt_is_used_up(
    memory: Memory,
) -> None:
    task = memory.placed()
    memory.see(task, S.RUNNING)
    memory.state.drop_task(task)
    assert (memory.free_cpus, memory.service.running) == (4.0, 0)
    assert memory.service.next_attempt(1) == 2
    invariants.check(memory.state)


def test_generic_resources_are_given_by_name_and_taken_back() -> None:
    memory = Memory(gpus=2)
    task = memory.placed()
    assert task.granted == (("gpu", ("g1", "g2")),)
    memory.see(task, S.FAILED)
    other = memory.placed(2)
    assert other.granted == (("gpu", ("g1", "g2")),)


def test_generic_resources_of_a_loaded_task_are_not_given_twice() -> None:
    memory = Memory(gpus=1)
    task = memory.placed()
    fresh = Memory(gpus=1)
    fresh.state.load_task(fresh.service, task)
    assert (fresh.placed(2).granted, fresh.free_cpus) == ((("gpu", ("g2",)),), 2.0)
    invariants.check(fresh.state)


@pytest.mark.parametrize(
    ("observed", "desired", "running", "free"),
    [
        pytest.param(S.RUNNING, S.RUNNING, 1, 3.0, id="it runs"),
        pytest.param(S.READY, S.READY, 0, 3.0, id="it is prepared"),
        pytest.param(S.RUNNING, S.SHUTDOWN, 0, 3.0, id="it is to stop"),
        pytest.param(S.FAILED, S.RUNNING, 0, 4.0, id="it has ended"),
    ],
)
def test_a_loaded_task_takes_what_it_took(
    memory: Memory, observed: TaskState, desired: TaskState, running: int, free: float
) -> None:
    task = memory.placed()
    task.observed, task.desired = observed, desired
    fresh = Memory()
    fresh.state.load_task(fresh.service, task)
    assert (fresh.service.running, fresh.free_cpus) == (running, free)
    with pytest.raises(AssertionError, match="exists"):
        fresh.state.load_task(fresh.service, task)


def test_history_is_kept_in_the_order_of_attempts_and_bounded(memory: Memory) -> None:
    tasks = [memory.placed() for _ in range(7)]
    for task in (tasks[1], tasks[0], *tasks[2:]):
        memory.see(task, S.FAILED)
        memory.state.finish_task(task)
    assert [entry.attempt for entry in memory.service.history[1]] == [3, 4, 5, 6, 7]


def test_a_closed_slot_is_forgotten_but_its_attempts_are_never_used_again(memory: Memory) -> None:
    task = memory.placed()
    memory.see(task, S.FAILED)
    memory.state.finish_task(task)
    memory.service.begun = noted(memory.service.begun, {1})
    memory.service.failed = noted(memory.service.failed, {1})
    memory.service.closing = noted(memory.service.closing, {1})
    memory.service.set_phase(1, "young")
    memory.state.close_slot(memory.service, 1)
    service = memory.service
    notes = (service.history, service.begun, service.failed, service.closing, service.phases)
    assert not any(notes)
    assert service.in_phase("young") == set()
    assert service.next_attempt(1) == service.next_attempt(99) == 2
    memory.state.take_changes()
    assert memory.state.take_purged() == {N1: [task.id]}, "its container may go"
    memory.state.close_slot(memory.service, 1)
    assert not memory.state.unsaved
    assert memory.state.take_purged() == {}


def test_a_removed_service_takes_its_history_along(memory: Memory) -> None:
    task = memory.placed()
    memory.see(task, S.FAILED)
    memory.state.finish_task(task)
    memory.state.table.set_penalty(SERVICE, N1, 9)
    memory.state.drop_service(memory.service)
    assert (memory.state.services, memory.state.dirty, memory.state.table.penalties) == ({}, {}, {})
    assert list(memory.state.unsaved.history) == [(SERVICE, 0)]
    assert SERVICE in memory.state.unsaved.services


def test_the_end_of_a_removed_service_leaves_its_name_to_the_next_one(memory: Memory) -> None:
    old = memory.service.record
    memory.state.put_service(replace(old, is_removing=True))
    memory.state.put_service(create_record(ServiceId("next"), old.spec, NOW.timestamp))
    memory.state.put_service(replace(old, is_removing=True))
    assert memory.state.names == {"web": "next"}


def test_a_service_that_has_tasks_is_not_dropped(memory: Memory) -> None:
    memory.placed()
    with pytest.raises(AssertionError, match="still has tasks"):
        memory.state.drop_service(memory.service)


def test_a_change_of_a_node_concerns_services_with_a_task_per_node_only() -> None:
    memory = Memory(is_global=True)
    other = create_record(ServiceId("other"), a_spec("other"), NOW.timestamp)
    memory.state.put_service(other)
    memory.state.dirty.clear()
    memory.state.mark_globals()
    assert list(memory.state.dirty) == [SERVICE]
    memory.state.drop_service(memory.service)
    memory.state.mark_globals()
    assert not memory.state.dirty


def test_all_nodes_of_a_service_are_told_again(memory: Memory) -> None:
    task = memory.placed()
    memory.state.add_task(memory.service, 2, 1, S.RUNNING, NOW)
    memory.state.take_changes()
    memory.state.tell_again(memory.service)
    assert not memory.state.unsaved
    assert memory.state.take_changes()[1] == {N1: [task]}


def test_a_node_that_goes_leaves_nothing_behind(memory: Memory) -> None:
    task = memory.placed()
    with pytest.raises(AssertionError, match="still has tasks"):
        memory.state.drop_node(N1)
    memory.see(task, S.ORPHANED)
    memory.state.finish_task(task)
    memory.state.drop_node(N1)
    state = memory.state
    assert not any((state.nodes, state.node_tasks, state.liveness, state.untold, state.forgotten))
    assert (list(memory.state.unsaved.nodes), list(memory.state.unsaved.placements)) == (
        [N1],
        [N1],
    )


@pytest.mark.parametrize("save", [True, False])
def test_a_node_is_written_only_when_asked(memory: Memory, save: bool) -> None:
    node = a_node("n1", state=NodeState.DISCONNECTED)
    memory.state.put_node(node, accepting=False, why_not="disconnected", save=save)
    assert bool(memory.state.unsaved) is save


def test_a_story_is_bounded(memory: Memory) -> None:
    task = memory.placed()
    for number in range(STORY_LENGTH + 5):
        memory.state.tell_story(memory.service, task, NOW, f"line {number}")
    assert len(memory.service.story) == STORY_LENGTH
    assert memory.service.story[-1][3] == f"line {STORY_LENGTH + 4}"


def test_templates_that_no_task_has_go(memory: Memory) -> None:
    record = memory.service.record
    memory.service.record = replace(record, templates={1: record.template, 7: record.template})
    memory.state.prune_templates(memory.service)
    assert list(memory.service.record.templates) == [1]
    memory.state.take_changes()
    memory.state.prune_templates(memory.service)
    assert not memory.state.unsaved


def break_task_index(memory: Memory, task: Task) -> None:
    memory.state.tasks[TaskId("ghost")] = task


def break_node_index(memory: Memory, task: Task) -> None:
    memory.state.node_tasks[N1].clear()


def break_attempts(memory: Memory, task: Task) -> None:
    task.attempt = 9


def break_running(memory: Memory, task: Task) -> None:
    memory.service.running += 1


def break_places(memory: Memory, task: Task) -> None:
    memory.service.running_on[N1] = 1


def break_waiting(memory: Memory, task: Task) -> None:
    memory.service.waiting[task.id] = task


def break_templates(memory: Memory, task: Task) -> None:
    task.template_version = 9


@pytest.mark.parametrize(
    "break_it",
    [
        break_task_index,
        break_node_index,
        break_attempts,
        break_running,
        break_places,
        break_waiting,
        break_templates,
    ],
)
def test_a_broken_index_is_noticed(memory: Memory, break_it) -> None:  # type: ignore[no-untyped-def]
    task = memory.placed()
    memory.placed()
    invariants.check(memory.state)
    break_it(memory, task)
    with pytest.raises(AssertionError):
        invariants.check(memory.state)


def test_phases_are_found_both_ways() -> None:
    service = ServiceState(create_record(SERVICE, a_spec(), NOW.timestamp))
    service.set_phase(1, "young")
    service.set_phase(1, "young")
    service.set_phase(1, "settled")
    assert (service.phases, service.in_phase("young"), service.in_phase("settled")) == (
        {1: "settled"},
        set(),
        {1},
    )
    service.set_phase(2, None)
    service.set_phase(1, None)
    assert (service.phases, service.in_phase("settled")) == ({}, set())
