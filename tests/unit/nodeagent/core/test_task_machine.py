"""One task: which call comes next, and what each result does to it."""

import pytest

from berth.errors import RetryRule
from berth.model.instant import Instant
from berth.model.service import RestartCondition, RestartPolicy
from berth.model.task import TaskState
from nodeagent.core.messages import Call
from nodeagent.core.state import Ended, Phase, StopReason
from nodeagent.core.task_machine import (
    begin,
    end_call,
    fold_created,
    fold_failed,
    fold_seen,
    fold_started,
    fold_stopped,
    next_call,
    settle,
)
from nodeagent.runtime.port import ContainerState, Health
from tests.unit.nodeagent.core.builders import (
    ALONE,
    CONNECTED,
    IMAGE,
    NOW,
    UNCONFIRMED,
    a_task,
    a_template,
    seen,
)

S = TaskState
ENDED = Ended(NOW, 1, "task: non-zero exit (1)")
DUE = Ended(NOW, 1, "error", restart_at=NOW)
NOT_DUE = Ended(NOW, 1, "error", restart_at=Instant(NOW + 1))


@pytest.mark.parametrize(
    ("task", "gate", "call"),
    [
        pytest.param(a_task(), CONNECTED, Call.PULL, id="an accepted task pulls"),
        pytest.param(a_task(image=IMAGE), CONNECTED, Call.CREATE, id="with its image it is made"),
        pytest.param(
            a_task(S.READY, Phase.CREATED), CONNECTED, Call.START, id="a ready task starts"
        ),
        pytest.param(
            a_task(S.READY, Phase.CREATED, S.COMPLETE), CONNECTED, Call.START, id="a job starts"
        ),
        pytest.param(
            a_task(S.READY, Phase.CREATED, S.READY), CONNECTED, None, id="unless only READY is due"
        ),
        pytest.param(a_task(S.RUNNING, Phase.UP), CONNECTED, None, id="what runs is left alone"),
        pytest.param(
            a_task(S.RUNNING, Phase.UP, S.SHUTDOWN), CONNECTED, Call.STOP, id="shutdown stops"
        ),
        pytest.param(
            a_task(S.RUNNING, Phase.UP, S.SHUTDOWN),
            UNCONFIRMED,
            Call.STOP,
            id="a stop that was ordered needs no confirmation",
        ),
        pytest.param(
            a_task(S.SHUTDOWN, Phase.ENDED, S.SHUTDOWN), CONNECTED, None, id="its logs are kept"
        ),
        pytest.param(
            a_task(S.SHUTDOWN, Phase.ENDED, S.REMOVE), CONNECTED, Call.REMOVE, id="remove removes"
        ),
        pytest.param(
            a_task(S.SHUTDOWN, Phase.ENDED, S.REMOVE),
            UNCONFIRMED,
            None,
            id="but not on the journal's word alone",
        ),
        pytest.param(
            a_task(S.READY, Phase.CREATED, S.SHUTDOWN),
            CONNECTED,
            Call.REMOVE,
            id="what never ran has no logs to keep",
        ),
        pytest.param(
            a_task(S.FAILED, Phase.CREATED), CONNECTED, None, id="a failed start is kept to look at"
        ),
        pytest.param(
            a_task(S.FAILED, Phase.UP), CONNECTED, Call.STOP, id="an ended task must not run"
        ),
        pytest.param(a_task(), UNCONFIRMED, None, id="a stale journal begins nothing"),
        pytest.param(
            a_task(needs_look=True), UNCONFIRMED, Call.INSPECT, id="but looking is harmless"
        ),
        pytest.param(
            a_task(retry_at=Instant(NOW + 1)), CONNECTED, None, id="back-off holds the next call"
        ),
        pytest.param(
            a_task(S.RUNNING, Phase.ENDED, ended=DUE), ALONE, Call.START, id="a restart that is due"
        ),
        pytest.param(
            a_task(S.RUNNING, Phase.ENDED, ended=NOT_DUE), ALONE, None, id="and one that is not"
        ),
        pytest.param(
            a_task(S.RUNNING, Phase.UP, is_surplus=True), CONNECTED, Call.STOP, id="surplus stops"
        ),
        pytest.param(
            a_task(S.RUNNING, Phase.UP, stop_reason=StopReason.FENCED),
            ALONE,
            Call.STOP,
            id="a fenced task stops",
        ),
    ],
)
def test_next_call(task, gate, call):
    assert next_call(task, gate, NOW) is call


@pytest.mark.parametrize(
    ("task", "look", "observed", "error"),
    [
        pytest.param(a_task(S.STARTING, Phase.UP), seen(), S.RUNNING, "", id="up is RUNNING"),
        pytest.param(
            a_task(S.STARTING, Phase.UP),
            seen(health=Health.STARTING),
            S.STARTING,
            "",
            id="with a health check only once healthy",
        ),
        pytest.param(
            a_task(S.STARTING, Phase.UP), seen(health=Health.HEALTHY), S.RUNNING, "", id="healthy"
        ),
        pytest.param(
            a_task(S.RUNNING, Phase.UP),
            seen(health=Health.STARTING),
            S.RUNNING,
            "",
            id="a state never falls",
        ),
        pytest.param(
            a_task(S.RUNNING, Phase.UP),
            seen(ContainerState.EXITED, exit_code=0),
            S.COMPLETE,
            "",
            id="exit code 0 completes",
        ),
        pytest.param(
            a_task(S.RUNNING, Phase.UP),
            seen(ContainerState.EXITED, exit_code=2),
            S.FAILED,
            "task: non-zero exit (2)",
            id="another fails",
        ),
        pytest.param(
            a_task(S.RUNNING, Phase.UP),
            seen(ContainerState.EXITED, exit_code=137, oom_killed=True),
            S.FAILED,
            "task: non-zero exit (137): killed for lack of memory (OOM); raise the memory limit "
            "or use less",
            id="lack of memory is named",
        ),
        pytest.param(
            a_task(S.RUNNING, Phase.UP, S.SHUTDOWN, is_stop_sent=True),
            seen(ContainerState.EXITED, exit_code=143),
            S.SHUTDOWN,
            "",
            id="our stop is a shutdown, whatever the exit code",
        ),
        pytest.param(
            a_task(S.RUNNING, Phase.UP, S.SHUTDOWN),
            seen(ContainerState.EXITED, exit_code=1),
            S.FAILED,
            "task: non-zero exit (1)",
            id="what fails before our stop reaches it has failed",
        ),
        pytest.param(
            a_task(S.RUNNING, Phase.UP, stop_reason=StopReason.UNHEALTHY, is_stop_sent=True),
            seen(ContainerState.EXITED, exit_code=0),
            S.FAILED,
            "task: unhealthy container",
            id="an unhealthy one fails, however it ends",
        ),
        pytest.param(
            a_task(S.RUNNING, Phase.UP),
            None,
            S.FAILED,
            "task: the container is gone; somebody removed it, or the Engine lost it",
            id="a container that is gone has failed",
        ),
        pytest.param(
            a_task(S.READY, Phase.CREATED), None, S.READY, "", id="unless it never ran: made anew"
        ),
        pytest.param(
            a_task(S.ACCEPTED),
            seen(ContainerState.CREATED),
            S.READY,
            "",
            id="a container from before is adopted",
        ),
        pytest.param(
            a_task(S.ACCEPTED),
            seen(ContainerState.EXITED, exit_code=1),
            S.FAILED,
            "task: non-zero exit (1)",
            id="one that has run is never started again",
        ),
        pytest.param(
            a_task(S.COMPLETE, Phase.ENDED),
            seen(),
            S.COMPLETE,
            "",
            id="an end is final, even if somebody starts it by hand",
        ),
    ],
)
def test_fold_seen_under_a_leader(task, look, observed, error):
    fold_seen(task, look, CONNECTED, NOW)
    assert (task.observed, task.error) == (observed, error)


def test_an_unhealthy_container_is_stopped():
    task = a_task(S.RUNNING, Phase.UP)
    fold_seen(task, seen(health=Health.UNHEALTHY), CONNECTED, NOW)
    assert task.stop_reason is StopReason.UNHEALTHY
    assert next_call(task, CONNECTED, NOW) is Call.STOP


def test_an_end_while_cut_off_stays_open_until_somebody_decides():
    task = a_task(S.RUNNING, Phase.UP)
    fold_seen(task, seen(ContainerState.EXITED, exit_code=1), ALONE, NOW)
    assert (task.observed, task.ended is not None) == (S.RUNNING, True)
    settle(task, a_template(), CONNECTED, NOW)
    assert (task.observed, task.ended) == (S.FAILED, None)


def test_alone_a_restart_is_planned_by_policy_and_counted_when_done():
    task = a_task(S.RUNNING, Phase.ENDED, ended=ENDED)
    settle(task, a_template(restart=RestartPolicy(delay_s=2.0)), ALONE, NOW)
    assert task.ended.restart_at == NOW + 2.0
    begin(task, Call.START, 1, NOW)
    end_call(task)
    fold_started(task, None, ALONE, NOW)
    assert (task.observed, task.local_restarts, task.ended) == (S.RUNNING, 1, None)
    assert task.needs_look


def test_a_look_right_after_the_start_is_enough_unless_the_container_stirred_meanwhile():
    task = a_task(S.STARTING, Phase.CREATED)
    fold_started(task, seen(pid=7), CONNECTED, NOW)
    assert (task.observed, task.phase, task.pid) == (S.RUNNING, Phase.UP, 7)
    assert not task.needs_look
    stirred = a_task(S.STARTING, Phase.CREATED, needs_look=True)
    fold_started(stirred, seen(), CONNECTED, NOW)
    assert stirred.needs_look


def test_a_container_that_ended_at_once_has_run():
    task = a_task(S.STARTING, Phase.CREATED)
    fold_started(task, seen(ContainerState.EXITED, exit_code=3), CONNECTED, NOW)
    assert (task.observed, task.phase, task.exit_code) == (S.FAILED, Phase.ENDED, 3)


def test_a_container_from_before_is_looked_at_before_it_is_started():
    new, adopted = a_task(S.PREPARING), a_task(S.PREPARING)
    fold_created(new, "c1", NOW, is_new=True)
    fold_created(adopted, "c1", NOW, is_new=False)
    assert next_call(new, CONNECTED, NOW) is Call.START
    assert next_call(adopted, CONNECTED, NOW) is Call.INSPECT


def test_alone_without_a_restart_the_end_is_final():
    task = a_task(S.RUNNING, Phase.ENDED, ended=ENDED)
    policy = RestartPolicy(condition=RestartCondition.NONE)
    settle(task, a_template(restart=policy), ALONE, NOW)
    assert task.observed is S.FAILED


@pytest.mark.parametrize(
    ("task", "observed"),
    [
        pytest.param(a_task(S.ACCEPTED, desired=S.SHUTDOWN), S.SHUTDOWN, id="never prepared"),
        pytest.param(a_task(S.READY, Phase.CREATED, S.SHUTDOWN), S.SHUTDOWN, id="never started"),
        pytest.param(a_task(S.RUNNING, Phase.UP, S.SHUTDOWN), S.RUNNING, id="still up: not yet"),
        pytest.param(
            a_task(S.READY, Phase.CREATED, S.SHUTDOWN, needs_look=True),
            S.READY,
            id="uncertain: look first",
        ),
        pytest.param(
            a_task(S.RUNNING, Phase.ENDED, S.SHUTDOWN, ended=ENDED),
            S.FAILED,
            id="it had ended by itself",
        ),
    ],
)
def test_settle_when_it_must_stop(task, observed):
    settle(task, a_template(), CONNECTED, NOW)
    assert task.observed is observed


@pytest.mark.parametrize(
    ("observed", "phase", "call", "retry", "after"),
    [
        pytest.param(
            S.PREPARING, Phase.ABSENT, Call.PULL, RetryRule.NEVER, S.REJECTED, id="no such image"
        ),
        pytest.param(
            S.PREPARING, Phase.ABSENT, Call.PULL, RetryRule.LATER, S.PREPARING, id="registry busy"
        ),
        pytest.param(
            S.PREPARING, Phase.ABSENT, Call.CREATE, RetryRule.NEVER, S.REJECTED, id="bad mount"
        ),
        pytest.param(
            S.PREPARING, Phase.ABSENT, Call.CREATE, RetryRule.LATER, S.PREPARING, id="Engine away"
        ),
        pytest.param(
            S.STARTING, Phase.CREATED, Call.START, RetryRule.NEVER, S.FAILED, id="port taken"
        ),
        pytest.param(
            S.STARTING, Phase.CREATED, Call.START, RetryRule.LATER, S.STARTING, id="Engine restarts"
        ),
        pytest.param(
            S.RUNNING, Phase.UP, Call.STOP, RetryRule.NEVER, S.RUNNING, id="a stop is tried again"
        ),
    ],
)
def test_fold_failed(observed, phase, call, retry, after):
    task = a_task(observed, phase)
    fold_failed(task, call, "why", retry, gate=CONNECTED, lacks_credentials=False, now=NOW)
    assert task.observed is after
    assert "why" in task.error
    assert task.observed.is_terminal or task.retry_at > NOW


def test_a_pull_without_the_credentials_it_needs_waits():
    task = a_task(S.PREPARING)
    fold_failed(
        task, Call.PULL, "denied", RetryRule.NEVER, gate=ALONE, lacks_credentials=True, now=NOW
    )
    assert task.observed is S.PREPARING
    assert "credentials" in task.message


def test_after_a_start_that_may_have_happened_it_looks_before_it_tries_again():
    task = a_task(S.STARTING, Phase.CREATED)
    fold_failed(
        task, Call.START, "lost", RetryRule.LATER, gate=CONNECTED, lacks_credentials=False, now=NOW
    )
    assert next_call(task, CONNECTED, task.retry_at) is Call.INSPECT


def test_a_stop_without_effect_is_not_repeated_at_once():
    task = a_task(S.RUNNING, Phase.UP, S.SHUTDOWN, is_stop_sent=True)
    fold_seen(task, seen(), CONNECTED, NOW)
    assert next_call(task, CONNECTED, NOW) is None
    assert next_call(task, CONNECTED, task.retry_at) is Call.STOP


@pytest.mark.parametrize(
    ("is_sent_before", "was_sent", "ends_as"),
    [
        pytest.param(False, False, S.COMPLETE, id="it completed while the Engine was away"),
        pytest.param(False, True, S.SHUTDOWN, id="it may have heard of the stop"),
        pytest.param(True, False, S.SHUTDOWN, id="it may have heard of an earlier stop"),
    ],
)
def test_an_end_is_our_doing_only_if_a_stop_may_have_reached_it(is_sent_before, was_sent, ends_as):
    task = a_task(S.RUNNING, Phase.UP, S.SHUTDOWN, is_stop_sent=is_sent_before)
    begin(task, Call.STOP, 1, NOW)
    end_call(task)
    fold_failed(
        task,
        Call.STOP,
        "refused",
        RetryRule.LATER,
        gate=CONNECTED,
        lacks_credentials=False,
        now=NOW,
        was_sent=was_sent,
    )
    fold_seen(task, seen(ContainerState.EXITED, exit_code=0), CONNECTED, NOW)
    assert task.observed is ends_as


@pytest.mark.parametrize(("was_told", "ends_as"), [(False, S.COMPLETE), (True, S.SHUTDOWN)])
def test_what_completed_before_its_stop_has_completed(was_told, ends_as):
    task = a_task(S.RUNNING, Phase.UP, S.SHUTDOWN)
    begin(task, Call.STOP, 1, NOW)
    end_call(task)
    fold_stopped(task, was_told=was_told)
    fold_seen(task, seen(ContainerState.EXITED, exit_code=0), CONNECTED, NOW)
    assert task.observed is ends_as
