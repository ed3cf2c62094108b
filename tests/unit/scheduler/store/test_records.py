"""Stored records come back as they were, and a record from the future is refused."""

from dataclasses import replace

import pytest

from berth.errors import InternalError
from berth.model.ids import NodeId, ServiceId
from berth.model.instant import Instant, Timestamp
from berth.model.job import RunCause
from berth.model.schedule import SCHEDULE_LABEL
from berth.model.task import Task, TaskState
from scheduler.core.now import Now
from scheduler.core.service_record import (
    UpdateState,
    UpdateStatus,
    begin_run,
    create_record,
    prune_templates,
    update_spec,
)
from scheduler.store import records
from scheduler.store.recordpb import records_pb2 as pb
from tests.builders import a_job, a_node, a_spec

T = Timestamp
NOW = Now(Instant(5.0), Timestamp(1e9))


def a_task(service: str, slot: int, attempt: int = 1) -> Task:
    return Task(
        id="t",
        service_id=ServiceId(service),
        slot=slot,
        home=None if slot else NodeId("n1"),
        attempt=attempt,
        template_version=3,
        desired=TaskState.RUNNING,
        created_at=Timestamp(7.5),
        node_id=NodeId("n1"),
        observed=TaskState.STARTING,
        granted=(("gpu", ("a", "b")),),
    )


def test_joined_parts_are_what_protobuf_itself_would_write():
    tasks = [a_task("s1", 1), a_task("s1", 200, 300), *(a_task("s2", n) for n in range(1, 40))]
    joined = records.encode_placements(tasks)
    assert pb.PlacementsRecord.FromString(joined).SerializeToString() == joined
    read = records.decode_placements(NodeId("n1"), joined, NOW)
    assert [(t.service_id, t.slot, t.attempt) for t in read] == [
        (t.service_id, t.slot, t.attempt) for t in tasks
    ]
    assert read[0].granted == tasks[0].granted
    assert (read[0].desired, read[0].observed) == (TaskState.RUNNING, TaskState.STARTING)


def test_a_global_task_has_its_node_for_a_slot():
    (read,) = records.decode_placements(
        NodeId("n1"), records.encode_placements([a_task("s1", 0)]), NOW
    )
    assert (read.slot, read.home) == (0, "n1")


def test_a_service_comes_back_with_every_template_in_use():
    record = create_record(ServiceId("s"), a_spec(image="app:1"), Timestamp(1.0), b"sealed")
    record = update_spec(record, a_spec(image="app:2"), Timestamp(2.0), b"")
    assert set(record.templates) == {1, 2}
    assert records.decode_service(records.encode_service(record)) == record
    record = prune_templates(record, set())
    assert (record.image(1), record.image(2)) == ("app:1", "app:2")
    assert records.decode_service(records.encode_service(record)) == record


@pytest.mark.parametrize("ended", [None, Timestamp(9.0)])
def test_a_rollouts_progress_comes_back(ended):
    status = UpdateStatus(UpdateState.PAUSED, "why", Timestamp(3.0), ended, 5, 2)
    record = create_record(ServiceId("s"), a_spec(), Timestamp(1.0))
    record = replace(record, update_status=status)
    assert records.decode_service(records.encode_service(record)) == record


def test_a_node_comes_back():
    node = a_node(labels={"zone": "a"})
    assert records.decode_node(records.encode_node(node)) == node


def test_a_record_of_a_newer_schema_is_refused():
    newer = pb.NodeRecord(schema=records.SCHEMA + 1).SerializeToString()
    with pytest.raises(InternalError, match="run the version of Berth that wrote it"):
        records.decode_node(newer)


def test_a_job_comes_back_with_its_runs_and_the_template_of_the_run_under_way():
    record = create_record(ServiceId("s"), a_job(labels={SCHEDULE_LABEL: "0 3 * * *"}), T(1.0))
    record = begin_run(record, T(2.0), RunCause.SCHEDULE, T(2.0))
    coming = a_job(image="job:2", labels={SCHEDULE_LABEL: "0 3 * * *"})
    record = update_spec(record, coming, T(3.0), b"")
    assert record.job is not None
    record = replace(record, job=record.job.counted(4, 1, T(4.0)))
    assert set(record.templates) == {1, 2}
    assert records.decode_service(records.encode_service(record)) == record
