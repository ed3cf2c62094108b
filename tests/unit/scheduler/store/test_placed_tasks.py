"""A node's document is the join of its tasks' parts, and what protobuf itself would write."""

from hypothesis import given
from hypothesis import strategies as st

from berth.model.ids import NodeId, ServiceId, task_id
from berth.model.instant import Instant, Timestamp
from berth.model.task import Task, TaskState, newborn_tasks
from scheduler.core.now import Now
from scheduler.store.placed_tasks import encode_placements
from scheduler.store.recordpb import records_pb2 as pb
from scheduler.store.records import decode_placements
from scheduler.store.schema import SCHEMA

NOW = Now(Instant(5.0), Timestamp(1e9))
N1 = NodeId("n1")
NUMBERS = st.integers(min_value=0, max_value=2**40)


def a_task(service: str, slot: int, attempt: int = 1) -> Task:
    return Task(
        id="t",
        service_id=ServiceId(service),
        slot=slot,
        home=None if slot else N1,
        attempt=attempt,
        template_version=3,
        desired=TaskState.RUNNING,
        created_at=Timestamp(7.5),
        node_id=N1,
        observed=TaskState.STARTING,
        granted=(("gpu", ("a", "b")),),
    )


def test_joined_parts_are_what_protobuf_itself_would_write():
    tasks = [a_task("s1", 1), a_task("s1", 200, 300), *(a_task("s2", n) for n in range(1, 40))]
    joined = encode_placements(tasks)
    assert pb.PlacementsRecord.FromString(joined).SerializeToString() == joined
    read = decode_placements(N1, joined)
    assert [(t.service_id, t.slot, t.attempt) for t in read] == [
        (t.service_id, t.slot, t.attempt) for t in tasks
    ]
    assert [t.id for t in read] == [task_id(t.service_id, t.slot, None, t.attempt) for t in tasks]
    assert read[0].granted == tasks[0].granted
    assert (read[0].desired, read[0].observed) == (TaskState.RUNNING, TaskState.STARTING)


def test_a_global_task_has_its_node_for_a_slot():
    (read,) = decode_placements(N1, encode_placements([a_task("s1", 0)]))
    assert (read.slot, read.home) == (0, "n1")


def as_protobuf_writes(tasks: list[Task]) -> bytes:
    record = pb.PlacementsRecord(schema=SCHEMA)
    for task in tasks:
        placed = record.services.add(service_id=task.service_id).tasks.add(
            slot=task.slot,
            attempt=task.attempt,
            template_version=task.template_version,
            desired=task.desired,
            observed=task.observed,
            created_at=task.created_at,
        )
        for kind, units in task.granted:
            placed.granted.add(kind=kind, units=units)
    return record.SerializeToString()


@given(
    st.lists(
        st.builds(
            Task,
            id=st.just("t"),
            service_id=st.text("abc", max_size=130),
            slot=NUMBERS,
            home=st.none(),
            attempt=NUMBERS,
            template_version=NUMBERS,
            desired=st.sampled_from(TaskState),
            created_at=st.floats(allow_nan=False),
            observed=st.sampled_from(TaskState),
            granted=st.just(()) | st.just((("gpu", ("a", "b")), ("disk", ("7",)))),
        ),
        max_size=5,
    )
)
def test_any_document_is_byte_for_byte_protobufs(tasks: list[Task]) -> None:
    expected = as_protobuf_writes(tasks)
    assert encode_placements(tasks) == expected
    assert encode_placements(tasks) == expected  # From the parts that are kept.


@given(
    st.lists(st.integers(1, 2**40) | st.sampled_from([127, 128, 16_383, 16_384]), max_size=9),
    st.text("abc", max_size=130),
    st.integers(1, 2**40),
)
def test_so_it_is_for_a_cohort(slots: list[int], service: str, attempt: int) -> None:
    tasks = newborn_tasks(
        ["t" for _ in slots],
        slots,
        service_id=ServiceId(service),
        attempt=attempt,
        template_version=3,
        now=NOW.instant,
        today=NOW.timestamp,
    )
    for task in tasks:
        task.observed = TaskState.ASSIGNED
    assert encode_placements(tasks) == as_protobuf_writes(tasks)


def test_a_document_as_it_was_grouped_before_is_read():
    grouped = pb.PlacementsRecord(schema=SCHEMA)
    group = grouped.services.add(service_id="s1")
    for slot in (1, 2):
        group.tasks.add(slot=slot, attempt=1, template_version=1, desired=512, observed=512)
    read = decode_placements(N1, grouped.SerializeToString())
    assert [(task.service_id, task.slot) for task in read] == [("s1", 1), ("s1", 2)]
