"""The agent as a whole: what it obeys, what it refuses, how tasks share its lanes."""

import pytest

from berth.model.cluster import ClusterSettings
from berth.model.instant import NEVER, Instant
from berth.model.task import TaskState
from nodeagent.core.call_results import (
    ImagePulled,
    PullAdvanced,
)
from nodeagent.core.messages import (
    CancelCall,
    ContainersListed,
    ContainerStirred,
    DropSession,
    EventsMissed,
    LinkLost,
    ListContainers,
    LogsRequested,
    PullImage,
    ReportTasks,
    Restored,
    SaveJournal,
    SchedulerSpoke,
    ServeLogs,
    SettingsChanged,
    StopContainer,
    Tick,
)
from nodeagent.core.state import Phase
from nodeagent.core.step import step
from nodeagent.runtime.port import ContainerState
from tests.unit.nodeagent.core.builders import (
    IMAGE,
    NOW,
    a_state,
    a_template,
    an_assignment,
    assigned,
    seen,
    welcome,
)


def of_kind(kind, effects):
    return [effect for effect in effects if isinstance(effect, kind)]


def dropped(effects):
    return [effect.reason for effect in of_kind(DropSession, effects)]


def test_a_welcome_is_journalled_at_once():
    state = a_state(is_joined=False)
    effects = step(state, welcome(epoch=5), NOW)
    assert (state.epoch, state.cluster_id, state.is_connected) == (5, "c1", True)
    assert SaveJournal(is_urgent=True) in effects


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        pytest.param(welcome(epoch=4), "stale_epoch", id="a deposed leader's welcome"),
        pytest.param(assigned(epoch=4), "stale_epoch", id="its assignments"),
        pytest.param(welcome(epoch=99, cluster="c2"), "foreign_cluster", id="another cluster"),
        pytest.param(assigned(is_complete=False), "gap", id="changes before the whole"),
        pytest.param(
            assigned(an_assignment(version=9), templates=()), "template", id="unknown template"
        ),
    ],
)
def test_what_is_refused_changes_nothing(event, reason):
    state = a_state()
    effects = step(state, event, NOW)
    assert dropped(effects) == [reason]
    assert (state.epoch, state.cluster_id, state.tasks) == (5, "c1", {})
    assert not state.is_synced


def test_assignments_without_a_welcome_are_refused():
    state = a_state()
    step(state, LinkLost(0.0), NOW)
    assert dropped(step(state, assigned(), NOW)) == ["unexpected"]


def test_a_gap_in_the_sequence_is_refused():
    state = a_state()
    step(state, assigned(), NOW)
    assert dropped(step(state, assigned(sequence=3, is_complete=False), NOW)) == ["gap"]
    assert dropped(step(state, assigned(sequence=2, is_complete=False), NOW)) == []


def test_an_unknown_settings_value_of_zero_means_the_default():
    state = a_state()
    step(state, SchedulerSpoke(5, SettingsChanged(ClusterSettings(lost_after_s=0.0))), NOW)
    assert state.settings.lost_after_s == ClusterSettings().lost_after_s


def test_a_pull_is_given_up_when_its_task_must_stop():
    state = a_state()
    (pull,) = of_kind(PullImage, step(state, assigned(an_assignment()), NOW))
    stop = an_assignment(desired=TaskState.SHUTDOWN)
    effects = step(state, assigned(stop, sequence=2, is_complete=False), NOW)
    assert CancelCall("t1", pull.call_id) in effects
    assert ReportTasks(("t1",)) in effects
    assert state.tasks["t1"].observed is TaskState.SHUTDOWN
    assert step(state, ImagePulled("t1", pull.call_id, IMAGE), NOW) == []


def test_a_late_answer_to_a_call_that_was_given_up_changes_nothing():
    state = a_state()
    step(state, assigned(an_assignment()), NOW)
    assert step(state, PullAdvanced("t1", 999, "pulling"), NOW) == []
    assert state.tasks["t1"].message == "preparing"


def test_a_stray_waits_for_the_complete_set_and_is_then_stopped():
    state = a_state(is_joined=False)
    effects = step(state, Restored((seen(),)), NOW)
    assert of_kind(StopContainer, effects) == []
    assert [status.task_id for status in state.all_statuses(NOW)] == ["t1"]
    step(state, welcome(), NOW)
    effects = step(state, assigned(), NOW)
    assert [stop.container_id for stop in of_kind(StopContainer, effects)] == ["c-t1"]
    assert of_kind(ReportTasks, effects) == []


def test_a_stray_that_is_wanted_is_adopted():
    state = a_state(is_joined=False)
    step(state, Restored((seen(),)), NOW)
    step(state, welcome(), NOW)
    effects = step(state, assigned(an_assignment()), NOW)
    assert of_kind(StopContainer, effects) == []
    assert state.tasks["t1"].observed is TaskState.RUNNING


def test_a_dead_stray_is_left_to_the_sweep():
    state = a_state(is_joined=False)
    step(state, Restored((seen(ContainerState.EXITED),)), NOW)
    assert state.all_statuses(NOW) == []
    step(state, welcome(), NOW)
    step(state, assigned(), NOW)
    assert (state.tasks, state.strays) == ({}, {})


def test_an_event_of_an_unknown_container_makes_it_list_and_judge():
    state = a_state()
    step(state, assigned(), NOW)
    (listing,) = of_kind(ListContainers, step(state, ContainerStirred("t9"), NOW))
    effects = step(state, ContainersListed(listing.call_id, (seen(name="t9"),)), NOW)
    assert [stop.task_id for stop in of_kind(StopContainer, effects)] == ["t9"]


def test_an_old_listing_is_not_believed():
    state = a_state()
    step(state, assigned(), NOW)
    (listing,) = of_kind(ListContainers, step(state, EventsMissed("gap"), NOW))
    assert step(state, ContainersListed(listing.call_id - 1, (seen(name="t9"),)), NOW) == []
    assert state.tasks == {}


def test_forgotten_tasks_are_dropped_when_over_and_stopped_when_not():
    state = a_state()
    step(state, assigned(an_assignment("t1"), an_assignment("t2")), NOW)
    over, alive = state.tasks["t1"], state.tasks["t2"]
    for task in (over, alive):
        state.in_flight["prepare"] -= 1
        task.call, task.call_id = None, 0
        task.container_id = f"c-{task.id}"
    over.observed, over.phase = TaskState.FAILED, Phase.ENDED
    alive.observed, alive.phase = TaskState.RUNNING, Phase.UP
    forget = assigned(sequence=2, is_complete=False, forgotten=("t1", "t2"))
    effects = step(state, forget, NOW)
    assert list(state.tasks) == ["t2"]
    assert [stop.task_id for stop in of_kind(StopContainer, effects)] == ["t2"]


def test_logs_are_served_on_request():
    state = a_state()
    request = LogsRequested("r1", ("t1",))
    assert ServeLogs(request) in step(state, SchedulerSpoke(5, request), NOW)


def test_a_fence_falls_due_by_itself():
    state = a_state()
    fenced = a_template(service_labels={"berth.fence": "after:30s"})
    step(state, assigned(an_assignment(), templates=(fenced,)), NOW)
    assert state.wake_at == NEVER
    step(state, LinkLost(4.0), NOW)
    assert state.wake_at == NOW + 5.0  # From then on it acts alone.
    step(state, Tick(), state.wake_at)
    assert state.wake_at == NOW + 26.0
    step(state, Tick(), Instant(NOW + 26.0))
    assert state.tasks["t1"].observed is TaskState.SHUTDOWN
    assert "fenced" in state.tasks["t1"].error


def test_what_is_due_is_done_whatever_event_comes_first():
    state = a_state()
    fenced = a_template(service_labels={"berth.fence": "after:30s"})
    step(state, assigned(an_assignment(), templates=(fenced,)), NOW)
    step(state, LinkLost(0.0), NOW)
    step(state, PullAdvanced("unknown", 1, ""), Instant(NOW + 31.0))
    assert state.tasks["t1"].observed is TaskState.SHUTDOWN
