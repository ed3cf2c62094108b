"""What one slot of a job needs now: tasks as they are, and the plan in words."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from berth.model.ids import ServiceId
from berth.model.instant import NEVER
from berth.model.node import Availability, NodeState
from berth.model.service import RestartPolicy
from berth.model.task import FinishedTask, Task, TaskState
from scheduler.core.reconcile import Fate, Phase, SlotPlan, SlotView
from scheduler.core.reconcile_jobs import Home, home_of, plan_job_slot
from scheduler.core.service_record import create_record
from tests.builders import a_job, a_node, restart
from tests.unit.scheduler.core.builders import NOW, a_task, ended
from tests.unit.scheduler.core.slot_plans import check

S = TaskState


def plan(
    *tasks: Task,
    history: Sequence[FinishedTask] = (),
    fate: Fate = Fate.KEEP,
    home: Home = Home.OPEN,
    is_open: bool = True,
    is_wanted: bool = True,
    policy: RestartPolicy | None = None,
) -> SlotPlan:
    record = create_record(ServiceId("svc1"), a_job(restart=policy), NOW.timestamp)
    view = SlotView(record, tasks, history, lambda _: fate, 0.0, is_wanted)
    return plan_job_slot(view, NOW, home, is_open=is_open)


def job_task(state: TaskState = S.RUNNING, **fields: object) -> Task:
    return a_task(state, **{"desired": S.COMPLETE, **fields})


DONE = ended(S.COMPLETE)
FAILED = ended(S.FAILED, ago_s=1)


@pytest.mark.parametrize(
    ("found", "actions", "phase", "wake_s"),
    [
        pytest.param(plan(), "create v1 complete", Phase.YOUNG, NEVER, id="an open slot is filled"),
        pytest.param(plan(is_open=False), "", None, NEVER, id="one that is not open waits"),
        pytest.param(plan(job_task()), "", Phase.YOUNG, NEVER, id="a task at work is left alone"),
        pytest.param(
            plan(job_task(S.COMPLETE)), "finish 1", Phase.DONE, NEVER, id="a completion is kept"
        ),
        pytest.param(plan(history=[DONE]), "", Phase.DONE, NEVER, id="what is done stays done"),
        pytest.param(
            plan(job_task(attempt=2), history=[DONE]),
            "shutdown 2",
            Phase.DONE,
            NEVER,
            id="a later attempt is stopped when an earlier completed",
        ),
        pytest.param(
            plan(history=[FAILED]),
            "create v1 ready",
            Phase.YOUNG,
            4.0,
            id="a failure is tried again",
        ),
        pytest.param(
            plan(history=[FAILED], policy=restart("none")), "", Phase.ENDED, NEVER, id="unless not"
        ),
        pytest.param(
            plan(job_task(), fate=Fate.LOST),
            "shutdown 1; create v1 complete",
            Phase.YOUNG,
            NEVER,
            id="what is lost is run elsewhere at once",
        ),
        pytest.param(
            plan(job_task(), fate=Fate.LEAVE),
            "shutdown 1; create v1 ready",
            Phase.YOUNG,
            15.0,
            id="a drain stops it, and it begins anew when it has stopped",
        ),
        pytest.param(
            plan(job_task(), is_wanted=False),
            "remove 1",
            None,
            NEVER,
            id="a closed slot is emptied",
        ),
        pytest.param(
            plan(home=Home.SHUT), "", Phase.AWAY, NEVER, id="a node that takes nothing is passed by"
        ),
        pytest.param(
            plan(home=Home.UNHEARD), "", Phase.YOUNG, NEVER, id="one not heard yet is waited for"
        ),
        pytest.param(
            plan(job_task(), home=Home.LOST), "", Phase.AWAY, NEVER, id="a lost one is left alone"
        ),
        pytest.param(
            plan(job_task(S.PENDING, node=None), home=Home.SHUT),
            "drop 1",
            Phase.AWAY,
            NEVER,
            id="what waits for a node that takes nothing is dropped",
        ),
        pytest.param(
            plan(job_task(S.READY, desired=S.READY), history=[ended(S.FAILED, ago_s=6)]),
            "complete 1",
            Phase.YOUNG,
            NEVER,
            id="a prepared attempt starts when its delay is past",
        ),
        pytest.param(
            plan(history=[ended(S.REJECTED, ago_s=1)]),
            "",
            Phase.YOUNG,
            4.0,
            id="what failed while it was prepared is not prepared at once",
        ),
    ],
)
def test_what_a_slot_needs(found, actions, phase, wake_s):
    check(found, actions, phase, wake_s)


def test_tasks_of_another_run_are_stopped_first():
    record = create_record(ServiceId("svc1"), a_job(), NOW.timestamp)
    assert record.job is not None
    job = record.job.begun(NOW.timestamp, record.job.runs[0].cause)
    record = replace(
        record, job=job, template_version=2, templates={1: record.template, 2: record.template}
    )
    view = SlotView(record, (job_task(),), [DONE], lambda _: Fate.KEEP, 0.0)
    check(
        plan_job_slot(view, NOW, Home.OPEN, is_open=True),
        "shutdown 1; create v2 ready",
        Phase.YOUNG,
        15.0,
    )


@pytest.mark.parametrize(
    ("state", "availability", "is_candidate", "home"),
    [
        (NodeState.READY, Availability.ACTIVE, True, Home.OPEN),
        (NodeState.READY, Availability.ACTIVE, False, Home.SHUT),
        (NodeState.READY, Availability.PAUSE, True, Home.SHUT),
        (NodeState.READY, Availability.DRAIN, True, Home.SHUT),
        (NodeState.UNKNOWN, Availability.ACTIVE, True, Home.UNHEARD),
        (NodeState.DISCONNECTED, Availability.ACTIVE, True, Home.UNHEARD),
        (NodeState.DOWN, Availability.ACTIVE, True, Home.LOST),
    ],
)
def test_what_can_be_expected_of_a_node(state, availability, is_candidate, home):
    node = a_node("n1", state=state, availability=availability)
    assert home_of(node, is_candidate=is_candidate) is home


def test_nothing_can_be_expected_of_a_node_that_is_gone():
    assert home_of(None, is_candidate=True) is Home.LOST
