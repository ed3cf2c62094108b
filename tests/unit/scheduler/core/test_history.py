"""What is kept of a task that ended."""

import pytest

from berth.model.service import RestartPolicy
from berth.model.task import FinishedTask, Task, TaskState, TaskStatus
from scheduler.core.history import attempts, entries_to_keep, finished_from, trim
from tests.builders import restart
from tests.unit.scheduler.core.builders import a_task, ended

S = TaskState


@pytest.mark.parametrize(
    ("task", "history", "counts", "row"),
    [
        pytest.param(a_task(S.FAILED, since=-1), [], True, 1, id="the first end by itself"),
        pytest.param(a_task(S.COMPLETE, since=-1), [], True, 1, id="success is one as well"),
        pytest.param(a_task(S.REJECTED), [], True, 1, id="and a refusal to prepare"),
        pytest.param(a_task(S.FAILED, since=-1), [ended(row=4)], True, 5, id="one more in a row"),
        pytest.param(
            a_task(S.FAILED, since=-1), [ended(row=4, version=2)], True, 1, id="a new template"
        ),
        pytest.param(
            a_task(S.FAILED, since=-110), [ended(row=4)], True, 1, id="it ran well for long"
        ),
        pytest.param(
            a_task(S.FAILED, since=-109), [ended(row=4)], True, 5, id="not quite long enough"
        ),
        pytest.param(
            a_task(S.FAILED, desired=S.SHUTDOWN), [ended(row=4)], False, 0, id="told to stop"
        ),
        pytest.param(a_task(S.SHUTDOWN, desired=S.SHUTDOWN), [], False, 0, id="and it stopped"),
        pytest.param(a_task(S.ORPHANED), [ended(row=4)], False, 0, id="its node was given up"),
    ],
)
def test_ends_in_a_row(task: Task, history: list[FinishedTask], counts: bool, row: int) -> None:
    finished = finished_from(task, history, restart(delay_s=5))
    assert (finished.counts_as_restart, finished.ends_in_row) == (counts, row)


def test_the_longer_of_what_was_measured_and_told_counts_as_its_run() -> None:
    task = a_task(S.FAILED, since=-20)
    assert finished_from(task, [], restart()).ran_s == 20.0
    task.status = TaskStatus(task.id, S.FAILED, ran_s=33.0)
    assert finished_from(task, [], restart()).ran_s == 33.0
    task.running_since = None
    assert finished_from(task, [], restart()).ran_s == 33.0


def test_what_the_agent_said_is_kept() -> None:
    task = a_task(S.FAILED)
    task.reason = "why the leader"
    assert finished_from(task, [], restart()).error == "why the leader"
    task.status = TaskStatus(
        task.id, S.FAILED, message="started", error="exit 3", exit_code=3, container_id="c1"
    )
    kept = finished_from(task, [], restart())
    assert (kept.message, kept.error, kept.exit_code, kept.container_id) == (
        "started",
        "exit 3",
        3,
        "c1",
    )


@pytest.mark.parametrize(
    ("limit", "policy", "keep"),
    [
        pytest.param(5, RestartPolicy(), 5, id="as the cluster says"),
        pytest.param(5, restart(attempts=9), 10, id="more where attempts must be counted"),
        pytest.param(0, RestartPolicy(), 1, id="one at least, whose delay must hold"),
    ],
)
def test_how_many_are_kept(limit: int, policy: RestartPolicy, keep: int) -> None:
    assert entries_to_keep(limit, policy) == keep


def test_the_newest_are_kept() -> None:
    entries = [ended(attempt=number) for number in (1, 2, 3)]
    assert [entry.attempt for entry in trim(entries, 2)] == [2, 3]
    assert trim(entries, 9) == entries


def test_a_replacement_that_was_called_off_before_it_ran_does_not_end_a_row() -> None:
    called_off = ended(S.SHUTDOWN, attempt=5, row=0, counts=False)
    history = [ended(row=4, attempt=4), called_off]
    assert attempts(history) == history[:1]
    finished = finished_from(a_task(S.FAILED, attempt=6, since=-1), history, restart())
    assert finished.ends_in_row == 5
