"""What a leader's assignments do to the tasks and templates that an agent knows."""

from berth.model.registry_auth import RegistryAuth
from berth.model.task import TaskState
from nodeagent.core.assignments import TEMPLATES_KEPT_UNUSED
from nodeagent.core.step import step
from tests.unit.nodeagent.core.builders import (
    NOW,
    SERVICE,
    a_state,
    a_template,
    an_assignment,
    assigned,
)


def test_desired_states_only_rise():
    state = a_state()
    step(state, assigned(an_assignment(desired=TaskState.SHUTDOWN)), NOW)
    step(state, assigned(an_assignment(desired=TaskState.RUNNING)), NOW)
    assert state.tasks["t1"].desired is TaskState.SHUTDOWN


def test_a_task_missing_from_the_complete_set_is_let_go():
    state = a_state()
    step(state, assigned(an_assignment("t1"), an_assignment("t2")), NOW)
    step(state, assigned(an_assignment("t2")), NOW)
    assert list(state.tasks) == ["t2"]


def test_what_is_wanted_now_does_not_wait_for_an_old_back_off():
    state = a_state()
    step(state, assigned(an_assignment(desired=TaskState.READY)), NOW)
    task = state.tasks["t1"]
    task.retry_at, task.failures = NOW + 60, 7
    step(state, assigned(an_assignment(), sequence=2, is_complete=False), NOW)
    assert (task.retry_at, task.failures) == (0.0, 0)


def test_the_complete_set_drops_unused_templates_but_for_those_that_it_brings():
    state = a_state()
    step(state, assigned(templates=(a_template(1), a_template(2))), NOW)
    assert list(state.templates) == [(SERVICE, 1), (SERVICE, 2)]
    step(state, assigned(templates=(a_template(3),)), NOW)
    assert list(state.templates) == [(SERVICE, 3)]


def test_changes_keep_some_unused_templates_the_newest_of_them():
    state = a_state()
    step(state, assigned(an_assignment(version=3), templates=(a_template(3),)), NOW)
    templates = tuple(a_template(version) for version in range(TEMPLATES_KEPT_UNUSED + 10))
    step(state, assigned(sequence=2, is_complete=False, templates=templates), NOW)
    assert len(state.templates) == TEMPLATES_KEPT_UNUSED + 1
    assert {(SERVICE, 3), templates[-1].key} <= set(state.templates)


def test_credentials_that_arrive_let_a_denied_pull_try_at_once():
    state = a_state()
    step(state, assigned(an_assignment()), NOW)
    task = state.tasks["t1"]
    state.without_credentials[a_template().key] = None
    task.retry_at = NOW + 60
    with_auth = a_template(registry_auth=RegistryAuth(username="u", password="p"))
    step(state, assigned(an_assignment(), templates=(with_auth,)), NOW)
    assert task.retry_at == 0.0
    assert state.without_credentials == {}
