"""A container that needs configs or secrets is neither made nor started without them."""

from dataclasses import replace

import pytest

from berth.model.files import FileId, FileKind, FilePayload
from berth.model.ids import TaskId
from berth.model.service import ContainerSpec, FileReference, TaskSpec
from berth.model.task import TaskState as S
from nodeagent.core.call_results import (
    ImagePulled,
)
from nodeagent.core.files import needs_files
from nodeagent.core.messages import (
    CreateContainer,
    FilesCame,
    LinkLost,
    Restored,
    SchedulerSpoke,
    StartContainer,
    TaskTemplate,
    Tick,
)
from nodeagent.core.record import to_record
from nodeagent.core.state import AgentState, Phase
from nodeagent.core.step import step
from nodeagent.journal import encode
from nodeagent.runtime.port import ContainerState
from tests.unit.nodeagent.core.builders import (
    IMAGE,
    NOW,
    a_state,
    a_task,
    a_template,
    an_assignment,
    assigned,
    seen,
    welcome,
)

KEY = (FileKind.SECRET, FileId("s1"))
PLAIN = b"hunter2"
T1 = TaskId("t1")


def needy() -> TaskTemplate:
    container = ContainerSpec(image="app:1", secrets=(FileReference("s1", "pw", "pw"),))
    return a_template(task=TaskSpec(container=container))


def came(**fields: object) -> SchedulerSpoke:
    payload = replace(FilePayload(*KEY, "pw", data=PLAIN), **fields)  # type: ignore[arg-type]
    return SchedulerSpoke(5, FilesCame((payload,)))


def pulled() -> AgentState:
    """Return the state of an agent whose task needs a secret, and has its image."""
    state = a_state()
    step(state, assigned(an_assignment(), templates=(needy(),)), NOW)
    step(state, ImagePulled(T1, state.tasks[T1].call_id, IMAGE), NOW)
    return state


def test_a_container_waits_for_its_files_and_says_for_which():
    state = pulled()
    assert state.tasks[T1].call is None
    assert state.tasks[T1].message == 'preparing: waits for the leader to send secret "pw"'
    (effect,) = [e for e in step(state, came(), NOW) if isinstance(e, CreateContainer)]
    assert [payload.data for payload in effect.task.files] == [PLAIN]
    assert "hunter2" not in repr(effect)
    state.validate()


def test_files_that_came_first_are_there_when_they_are_needed():
    state = a_state()
    step(state, came(), NOW)
    step(state, assigned(an_assignment(), templates=(needy(),)), NOW)
    effects = step(state, ImagePulled(T1, state.tasks[T1].call_id, IMAGE), NOW)
    assert any(isinstance(effect, CreateContainer) for effect in effects)


def test_why_a_file_cannot_be_had_is_told():
    state = pulled()
    step(state, came(data=b"", problem="sealed with another key"), NOW)
    assert "cannot be had: sealed with another key" in state.tasks[T1].message
    assert any(isinstance(effect, CreateContainer) for effect in step(state, came(), NOW))


def test_what_is_withdrawn_or_of_an_old_session_is_dropped_from_memory():
    state = a_state()
    step(state, came(), NOW)
    step(state, SchedulerSpoke(5, FilesCame(withdrawn=(KEY,))), NOW)
    assert state.payloads == {}
    step(state, came(), NOW)
    step(state, LinkLost(0.0), NOW)
    assert KEY in state.payloads, "while no leader answers it may still be needed"
    step(state, welcome(), NOW)
    assert state.payloads == {}


def test_a_stale_leaders_files_are_refused():
    state = a_state()
    step(state, SchedulerSpoke(4, came().said), NOW)
    assert state.payloads == {}


def test_no_payload_is_journalled_or_shown():
    state = pulled()
    step(state, came(), NOW)
    assert PLAIN not in encode(to_record(state, NOW, 1.0))
    assert "hunter2" not in repr(state)


@pytest.mark.parametrize(
    ("with_files", "starts"),
    [
        pytest.param(frozenset({T1}), True, id="the agent alone restarted: files are there"),
        pytest.param(frozenset(), False, id="the machine restarted: files are gone"),
    ],
)
def test_a_container_whose_files_are_gone_waits_for_a_leader(with_files, starts):
    state = a_state(is_joined=False)
    state.templates[needy().key] = needy()
    state.tasks[T1] = a_task(S.RUNNING, Phase.UP)
    ended = seen(ContainerState.EXITED, exit_code=1)
    step(state, Restored((ended,), with_files=with_files), NOW)
    effects = []
    for seconds in range(1, 120):
        effects += step(state, Tick(), NOW + seconds)
    assert any(isinstance(effect, StartContainer) for effect in effects) == starts
    assert ("lost when this machine restarted" in state.tasks[T1].message) != starts
    step(state, welcome(), NOW + 120)
    assert state.tasks[T1].observed == (S.STARTING if starts else S.FAILED) or starts


@pytest.mark.parametrize(
    ("task", "is_needed"),
    [
        pytest.param(a_task(S.RUNNING, Phase.UP), True, id="it runs"),
        pytest.param(a_task(S.PREPARING), True, id="it is being prepared"),
        pytest.param(a_task(S.FAILED, Phase.ENDED), False, id="it ended"),
        pytest.param(a_task(S.FAILED, Phase.UP), True, id="it ended and was started by hand"),
    ],
)
def test_whose_files_stay(task, is_needed):
    state = a_state()
    state.tasks[T1] = task
    assert needs_files(state, T1) == is_needed


def test_files_of_unknown_tasks_stay_until_a_leader_has_told_all():
    state = a_state()
    assert needs_files(state, TaskId("x"))
    step(state, assigned(), NOW)
    assert not needs_files(state, TaskId("x"))
