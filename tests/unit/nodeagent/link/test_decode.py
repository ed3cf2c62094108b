"""Messages as they come, events as the core knows them."""

import pytest

from berth.errors import InternalError
from berth.model.cluster import ClusterSettings
from berth.model.task import TaskState
from berth.v1 import dispatcher_pb2 as pb
from berth.wire.convert import from_proto, to_proto
from nodeagent.core.departure import DepartureNoted
from nodeagent.core.messages import (
    Assigned,
    GrantedResource,
    LogsRequested,
    SettingsChanged,
    TaskAssignment,
    Welcomed,
)
from nodeagent.link.decode import assignment_of, event_of
from tests.unit.nodeagent.core.builders import a_template, an_assignment


def test_a_welcome():
    settings = to_proto(ClusterSettings(lost_after_s=9.0))
    welcome = pb.Welcome(
        session_id="s", cluster_id="c", settings=settings, schedulers=["a:1"], node_name="n"
    )
    event = event_of(pb.SchedulerMessage(epoch=4, welcome=welcome))
    assert event.epoch == 4
    assert event.said == Welcomed("s", "c", ClusterSettings(lost_after_s=9.0), ("a:1",), "n")


def test_the_answer_to_a_departure():
    noted = pb.SchedulerMessage(epoch=4, departure_noted=pb.DepartureNoted(takers=3))
    assert event_of(noted).said == DepartureNoted(3)


def test_assignments():
    message = pb.Assignments(
        complete=True,
        sequence=3,
        templates=[to_proto(a_template())],
        tasks=[to_proto(an_assignment(desired=TaskState.SHUTDOWN))],
        forgotten=["old"],
    )
    said = event_of(pb.SchedulerMessage(assignments=message)).said
    task = an_assignment(desired=TaskState.SHUTDOWN)
    assert said == Assigned(True, 3, (a_template(),), (task,), ("old",))


def test_assignments_are_read_the_quick_way_as_the_general_one_does():
    granted = (GrantedResource("gpu", ("0", "1")), GrantedResource("ssd", ("2",)))
    task = TaskAssignment("t", "s", 3, 2, TaskState.COMPLETE, 4, granted)
    message = to_proto(task)
    assert assignment_of(message) == from_proto(TaskAssignment, message) == task


def test_settings_and_log_requests():
    settings = pb.SchedulerMessage(settings=to_proto(ClusterSettings(disk_low_percent=3)))
    assert event_of(settings).said == SettingsChanged(ClusterSettings(disk_low_percent=3))
    request = pb.LogRequest(
        request_id="r", task_ids=["t"], tail=7, stderr=True, cancel=True, details=True
    )
    said = event_of(pb.SchedulerMessage(log_request=request)).said
    assert said == LogsRequested(
        "r", ("t",), tail=7, stdout=False, stderr=True, cancel=True, details=True
    )


def test_what_a_newer_scheduler_invented_is_passed_over():
    assert event_of(pb.SchedulerMessage(epoch=4)) is None


def test_a_refusal_in_the_middle_of_a_session_is_a_fault():
    with pytest.raises(InternalError):
        event_of(pb.SchedulerMessage(refused=pb.Refused(reason="no")))
