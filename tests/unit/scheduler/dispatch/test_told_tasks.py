"""What is told of a task is what protobuf itself would write, whoever joined it."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from berth.model.ids import NodeId, ServiceId
from berth.model.instant import START, Timestamp
from berth.model.task import Task, TaskState, newborn_tasks
from berth.v1 import dispatcher_pb2 as pb
from scheduler.core.service_record import create_record
from scheduler.core.task_names import task_ids
from scheduler.dispatch.messages import assignment_of
from scheduler.dispatch.told_tasks import told_task
from tests.builders import a_job, a_spec

WEB = create_record(ServiceId("web"), a_spec(), Timestamp(1.0))
SLOTS = st.lists(st.integers(1, 2**40) | st.sampled_from([127, 128, 16_383, 16_384]), min_size=1)


def a_cohort(slots: list[int], attempt: int, template_version: int) -> list[Task]:
    return newborn_tasks(
        task_ids(WEB.id, slots, attempt),
        slots,
        service_id=WEB.id,
        attempt=attempt,
        template_version=template_version,
        now=START,
        today=Timestamp(7.5),
    )


@given(SLOTS, st.integers(1, 2**40), st.integers(0, 2**40))
@example(slots=[ord("%"), 128], attempt=ord("%"), template_version=ord("%"))  # A gap's first byte.
def test_a_cohorts_entries_are_byte_for_byte_protobufs(
    slots: list[int], attempt: int, template_version: int
) -> None:
    tasks = a_cohort(slots, attempt, template_version)
    expected = pb.Assignments(tasks=[assignment_of(task, WEB) for task in tasks])
    assert b"".join(told_task(task, WEB) for task in tasks) == expected.SerializeToString()


@given(
    st.sampled_from([1, 127, 128, 16_384, 2**40]),
    st.integers(1, 2**40),
    st.sampled_from(list(TaskState)),
    st.sampled_from([None, NodeId("n1")]),
    st.booleans(),
)
def test_so_is_the_entry_of_one_that_is_alone(
    slot: int, attempt: int, desired: TaskState, home: NodeId | None, is_job: bool
) -> None:
    record = create_record(ServiceId("s"), a_job() if is_job else a_spec(), Timestamp(1.0))
    task = Task(
        id="t",
        service_id=record.id,
        slot=0 if home else slot,
        home=home,
        attempt=attempt,
        template_version=1,
        desired=desired,
        created_at=Timestamp(1.0),
    )
    expected = pb.Assignments(tasks=[assignment_of(task, record)])
    assert told_task(task, record) == expected.SerializeToString()


@pytest.mark.parametrize("is_job", [False, True])
def test_one_that_is_alone_is_told_in_the_same_form(is_job: bool) -> None:
    record = create_record(ServiceId("s"), a_job() if is_job else a_spec(), Timestamp(1.0))
    task = Task(
        id="t",
        service_id=record.id,
        slot=3,
        home=None,
        attempt=2,
        template_version=1,
        desired=TaskState.RUNNING,
        created_at=Timestamp(1.0),
        node_id=NodeId("n1"),
        granted=(("gpu", ("a", "b")),),
    )
    (read,) = pb.Assignments.FromString(told_task(task, record)).tasks
    assert read == assignment_of(task, record)
    assert (read.slot, [list(g.units) for g in read.granted]) == (2 if is_job else 3, [["a", "b"]])
