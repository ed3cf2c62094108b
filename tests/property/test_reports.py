"""Reports that are folded in together leave the memory that they leave one by one."""

from hypothesis import given
from hypothesis import strategies as st

from berth.model.ids import NodeId, TaskId
from berth.model.task import TaskState, TaskStatus
from scheduler.core import invariants
from scheduler.core.births import add_first_tasks
from scheduler.core.reports import fold_reports
from tests.builders import a_spec
from tests.property.test_births import what_is_known
from tests.unit.scheduler.core.world import World

S = TaskState
TASKS = 6
NODE = NodeId("n1")
REPORTS = st.lists(
    st.tuples(
        st.integers(0, TASKS),  # One more than there are: of a task that is not on the node.
        st.sampled_from([S.ACCEPTED, S.READY, S.STARTING, S.RUNNING, S.RUNNING, S.FAILED]),
        st.floats(0, 5),
        st.sampled_from(["", "went wrong"]),
    ),
    max_size=12,
)
WISHES = st.lists(st.sampled_from([S.RUNNING, S.COMPLETE, S.SHUTDOWN, S.REMOVE]), max_size=TASKS)


def a_world(wishes: list[TaskState]) -> World:
    world = World(nodes=1)
    service = world.create(a_spec("web", replicas=TASKS))
    add_first_tasks(world.state, service, range(1, TASKS + 1), world.now)
    tasks = list(service.waiting.values())
    for task in tasks:
        world.state.table.occupy(NODE, service.demand(task.template_version))
        world.state.bind(service, task, NODE, world.now)
    for task, wish in zip(tasks, wishes, strict=False):
        world.state.set_desired(task, wish, world.now)
    world.instant += 10
    return world


@given(REPORTS, WISHES)
def test_reports_together_are_what_they_are_one_by_one(
    reports: list[tuple[int, TaskState, float, str]], wishes: list[TaskState]
) -> None:
    ours, theirs = a_world(wishes), a_world(wishes)
    ids = [*ours.state.tasks, TaskId("another's")]
    statuses = [
        TaskStatus(ids[number], state, age_s, message="told", error=error)
        for number, state, age_s, error in reports
    ]
    began = fold_reports(ours.state, NODE, statuses, ours.now)
    expected = []
    for status in statuses:
        task = theirs.state.tasks.get(status.task_id)
        if task is None:
            if status.state.is_terminal:
                theirs.state.forgotten.setdefault(NODE, []).append(status.task_id)
        elif theirs.state.observe(task, status, theirs.now) and task.observed == S.RUNNING:
            expected.append(task.id)
    invariants.check(ours.state)
    assert [task.id for task in began] == expected
    assert what_is_known(ours.state) == what_is_known(theirs.state)
    for name in ("lagging", "forgotten", "dirty"):
        assert getattr(ours.state, name) == getattr(theirs.state, name)
    for one, other in zip(
        ours.state.services.values(), theirs.state.services.values(), strict=True
    ):
        for name in ("dirty_slots", "running_on", "places"):
            assert getattr(one, name) == getattr(other, name)
