"""How tasks share lanes and pulls."""

from dataclasses import replace

from berth.errors import RetryRule
from berth.model.task import TaskState
from nodeagent.core.advance import advance, finish_call, gate_of, restless
from nodeagent.core.call_results import (
    CallFailed,
    ContainerCreated,
    ContainerSeen,
    ImagePulled,
)
from nodeagent.core.messages import (
    CancelCall,
    ContainerStirred,
    CreateContainer,
    InspectContainer,
    PullImage,
    ReportTasks,
    StartContainer,
)
from nodeagent.core.state import Ended
from nodeagent.core.step import step, step_through
from nodeagent.core.task_machine import fold_seen
from tests.unit.nodeagent.core.builders import (
    IMAGE,
    NOW,
    a_state,
    a_template,
    an_assignment,
    assigned,
    seen,
)

PINNED = replace(IMAGE, reference="app:1@sha256:1")


def of_kind(kind, effects):
    return [effect for effect in effects if isinstance(effect, kind)]


def ids_of(kind, effects):
    return [effect.task_id for effect in of_kind(kind, effects)]


def of_one_service(count):
    """A node that was assigned tasks of one template; return it, and what it does."""
    state = a_state()
    tasks = [an_assignment(f"t{number}") for number in range(count)]
    return state, step(state, assigned(*tasks), NOW)


def test_few_pulls_run_at_once_and_the_next_begins_when_one_ends():
    state = a_state()
    tasks = [an_assignment(f"t{number}", version=number) for number in range(6)]
    templates = tuple(a_template(version) for version in range(6))
    effects = step(state, assigned(*tasks, templates=templates), NOW)
    pulls = of_kind(PullImage, effects)
    assert [pull.task_id for pull in pulls] == ["t0", "t1", "t2", "t3"]
    effects = step(state, ImagePulled("t1", pulls[1].call_id, IMAGE), NOW)
    assert ids_of(PullImage, effects) == ["t4"]
    state.validate()


def test_one_pull_serves_all_tasks_of_a_template_that_wait_for_it():
    state, effects = of_one_service(3)
    (pull,) = of_kind(PullImage, effects)
    assert {task.observed for task in state.tasks.values()} == {TaskState.PREPARING}
    effects = step(state, ImagePulled("t0", pull.call_id, IMAGE), NOW)
    assert ids_of(CreateContainer, effects) == ["t0", "t1", "t2"]
    state.validate()
    step(state, assigned(an_assignment("t9"), sequence=2, is_complete=False), NOW)
    assert state.tasks["t9"].image is None, "a tag may mean another image by now"


def test_an_image_pinned_by_digest_is_pulled_once():
    state, effects = of_one_service(1)
    (pull,) = of_kind(PullImage, effects)
    step(state, ImagePulled("t0", pull.call_id, PINNED), NOW)
    later = assigned(an_assignment("t9"), sequence=2, is_complete=False)
    effects = step(state, later, NOW)
    assert ids_of(CreateContainer, effects) == ["t9"]
    assert state.tasks["t9"].image == PINNED


def test_when_a_pull_fails_the_next_task_tries_itself():
    state, effects = of_one_service(3)
    (pull,) = of_kind(PullImage, effects)
    effects = step(state, CallFailed("t0", pull.call_id, "no such image", RetryRule.NEVER), NOW)
    assert ids_of(PullImage, effects) == ["t1"]
    assert state.tasks["t0"].observed is TaskState.REJECTED
    state.validate()


def test_when_a_pull_is_given_up_the_next_task_tries_itself():
    state, effects = of_one_service(3)
    (pull,) = of_kind(PullImage, effects)
    stop = an_assignment("t0", desired=TaskState.SHUTDOWN)
    effects = step(state, assigned(stop, sequence=2, is_complete=False), NOW)
    assert CancelCall("t0", pull.call_id) in effects
    assert ids_of(PullImage, effects) == ["t1"]
    state.validate()


def test_who_is_to_stop_while_it_waits_for_a_pull_is_not_prepared_further():
    state, effects = of_one_service(2)
    (pull,) = of_kind(PullImage, effects)
    stop = an_assignment("t1", desired=TaskState.SHUTDOWN)
    step(state, assigned(stop, sequence=2, is_complete=False), NOW)
    effects = step(state, ImagePulled("t0", pull.call_id, IMAGE), NOW)
    assert ids_of(CreateContainer, effects) == ["t0"]
    assert state.tasks["t1"].observed is TaskState.SHUTDOWN
    state.validate()


def test_events_of_one_moment_are_one_step_for_each_task():
    state, effects = of_one_service(2)
    (pull,) = of_kind(PullImage, effects)
    creates = of_kind(CreateContainer, step(state, ImagePulled("t0", pull.call_id, IMAGE), NOW))
    events = [ContainerCreated(it.task_id, it.call_id, f"c-{it.task_id}", True) for it in creates]
    effects = step_through(state, [*events, ContainerStirred("t1")], NOW)
    assert ids_of(StartContainer, effects) == ["t0"]
    assert ids_of(InspectContainer, effects) == ["t1"], "it stirred: look before it is started"
    assert of_kind(ReportTasks, effects) == [ReportTasks(("t0", "t1"))]
    state.validate()


def test_news_of_its_own_start_make_no_second_look():
    state, effects = of_one_service(1)
    (pull,) = of_kind(PullImage, effects)
    (create,) = of_kind(CreateContainer, step(state, ImagePulled("t0", pull.call_id, IMAGE), NOW))
    effects = step(state, ContainerCreated("t0", create.call_id, "c", True), NOW)
    (start,) = of_kind(StartContainer, effects)
    news = ContainerStirred("t0", is_start=True)
    assert ids_of(InspectContainer, step(state, news, NOW)) == []
    effects = step(state, ContainerSeen("t0", start.call_id, seen(name="t0")), NOW)
    assert ids_of(InspectContainer, effects) == []
    assert ids_of(InspectContainer, step(state, news, NOW)) == [], "events may come late"
    (look,) = of_kind(InspectContainer, step(state, ContainerStirred("t0"), NOW))
    step(state, news, NOW)
    effects = step(state, ContainerSeen("t0", look.call_id, seen(name="t0")), NOW)
    assert ids_of(InspectContainer, effects) == ["t0"], "somebody else may have started it again"


def test_who_waits_for_a_lane_goes_before_who_was_touched_now():
    state = a_state()
    tasks = [an_assignment(f"t{number}", version=number) for number in range(5)]
    templates = tuple(a_template(version) for version in range(6))
    step(state, assigned(*tasks, templates=templates), NOW)
    assert state.tasks["t4"].waits_in is not None
    finish_call(state, state.tasks["t0"])
    effects = advance(state, ["t0"], gate_of(state, NOW), NOW)
    assert ids_of(PullImage, effects) == ["t4"]
    assert state.tasks["t0"].waits_in is not None
    state.validate()


def test_who_runs_as_wanted_is_looked_at_for_no_time_and_no_broken_link():
    state, _ = of_one_service(0)
    plain, fenced = an_assignment("plain"), an_assignment("fenced", version=2)
    ended, stopping = an_assignment("ended"), an_assignment("stopping")
    fencing = a_template(2, service_labels={"berth.fence": "after:30s"})
    said = assigned(plain, fenced, ended, stopping, templates=(a_template(), fencing))
    step(state, said, NOW)
    for task in state.tasks.values():
        finish_call(state, task) if task.call is not None else None
        fold_seen(task, seen(name=task.id), gate_of(state, NOW), NOW)
    advance(state, list(state.tasks), gate_of(state, NOW), NOW)
    assert restless(state) == ["fenced"]
    state.tasks["stopping"].desired = TaskState.SHUTDOWN
    state.tasks["ended"].ended = Ended(NOW, 1, "task: non-zero exit (1)")
    assert restless(state) == ["fenced", "ended", "stopping"]
