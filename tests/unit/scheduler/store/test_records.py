"""Stored records come back as they were, and a record from the future is refused."""

from dataclasses import replace

import pytest

from berth.errors import InternalError
from berth.model.ids import ServiceId, new_service_id
from berth.model.instant import Timestamp
from berth.model.job import RunCause
from berth.model.schedule import SCHEDULE_LABEL
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
    newer = pb.NodeRecord(schema=records.NEWEST + 1).SerializeToString()
    with pytest.raises(InternalError, match="run the version of Berth that wrote it"):
        records.decode_node(newer)


@pytest.mark.parametrize(("service", "schema"), [("9ef9", 1), (new_service_id("9ef9"), 2)])
def test_only_those_who_know_how_its_tasks_are_named_read_a_new_service(service, schema):
    stored = records.encode_service(create_record(ServiceId(service), a_spec(), T(1.0)))
    assert pb.ServiceRecord.FromString(stored).schema == schema
    assert records.decode_service(stored).id == service


def test_a_job_comes_back_with_its_runs_and_the_template_of_the_run_under_way():
    record = create_record(ServiceId("s"), a_job(labels={SCHEDULE_LABEL: "0 3 * * *"}), T(1.0))
    record = begin_run(record, T(2.0), RunCause.SCHEDULE, T(2.0))
    coming = a_job(image="job:2", labels={SCHEDULE_LABEL: "0 3 * * *"})
    record = update_spec(record, coming, T(3.0), b"")
    assert record.job is not None
    record = replace(record, job=record.job.counted(4, 1, T(4.0)))
    assert set(record.templates) == {1, 2}
    assert records.decode_service(records.encode_service(record)) == record
