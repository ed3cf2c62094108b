"""What the journal keeps of the state, and what a restart makes of it."""

from berth.model.ids import NodeId
from berth.model.instant import Instant, Timestamp
from berth.model.registry_auth import RegistryAuth
from berth.model.task import TaskState
from nodeagent.core.messages import LinkLost
from nodeagent.core.record import from_record, silent_for_s, to_record
from nodeagent.core.state import LaneLimits
from nodeagent.core.step import step
from tests.unit.nodeagent.core.builders import NOW, a_state, a_template, an_assignment, assigned

WALL = Timestamp(5_000_000.0)
BOOT = Instant(10.0)


def restarted(record, now=BOOT, wall=WALL):
    return from_record(record, NodeId("n1"), LaneLimits(), now, wall)


def test_what_was_known_is_known_again():
    state = a_state()
    step(state, assigned(an_assignment()), NOW)
    again = restarted(to_record(state, NOW, WALL), wall=Timestamp(WALL + 7))
    task = again.tasks["t1"]
    assert (again.epoch, again.cluster_id, again.schedulers) == (5, "c1", ("s:1",))
    assert (task.observed, task.desired) == (TaskState.PREPARING, TaskState.RUNNING)
    assert task.observed_since == 10.0 - 7
    assert (again.is_connected, again.is_synced) == (False, False)
    assert again.templates == {a_template().key: a_template()}
    again.validate()


def test_credentials_and_surplus_are_left_out():
    state = a_state()
    private = a_template(registry_auth=RegistryAuth(username="u", password="p"))
    step(state, assigned(an_assignment("t1"), an_assignment("t2"), templates=(private,)), NOW)
    state.tasks["t2"].is_surplus = True
    record = to_record(state, NOW, WALL)
    assert [task.assignment.task_id for task in record.tasks] == ["t1"]
    assert [template.registry_auth for template in record.templates] == [None]
    assert list(restarted(record).without_credentials) == [private.key]
    # A second restart without a leader does not forget that they are missing.
    assert list(restarted(to_record(restarted(record), NOW, WALL)).without_credentials)


def test_silence_counts_on_through_restarts():
    state = a_state()
    connected = to_record(state, NOW, WALL)
    assert silent_for_s(connected, Timestamp(WALL + 10), 4.5) == 14.5
    step(state, LinkLost(4.5), NOW)
    cut = to_record(state, Instant(NOW + 20), WALL)
    assert silent_for_s(cut, Timestamp(WALL + 10), 4.5) == 34.5
    assert silent_for_s(cut, Timestamp(WALL - 1000), 4.5) == 0.0
    assert silent_for_s(None, WALL, 4.5) == 0.0


def test_without_a_journal_it_starts_empty():
    state = restarted(None)
    assert (state.tasks, state.epoch, state.cut_at) == ({}, 0, 10.0)
