"""What one slot needs now: tasks as they are, and the plan in words."""

import pytest

from berth.model.instant import NEVER
from berth.model.task import TaskState
from scheduler.core.reconcile import Fate, Phase, SetDesired, SlotPlan
from scheduler.core.service_record import UpdateState
from tests.builders import a_spec, restart
from tests.unit.scheduler.core.builders import a_record, a_task, an_updated_record, ended
from tests.unit.scheduler.core.slot_plans import check, on, plan

S = TaskState
CRASHED = a_task(S.FAILED, since=-1)
WAITING = a_task(S.PENDING, node=None)


@pytest.mark.parametrize(
    ("found", "actions", "phase", "wake_s"),
    [
        pytest.param(plan(), "create v1 running", Phase.YOUNG, NEVER, id="an empty slot is filled"),
        pytest.param(
            plan(CRASHED),
            "finish 1; create v1 ready",
            Phase.YOUNG,
            5.0,
            id="an end: its successor is prepared while the delay goes on",
        ),
        pytest.param(
            plan(CRASHED, a_task(S.PENDING, node=None, attempt=2)),
            "finish 1; drop 2; create v1 ready",
            Phase.YOUNG,
            5.0,
            id="an end while its successor waited for a place: the delay holds for that one too",
        ),
        pytest.param(
            plan(history=[ended(ago_s=6)]),
            "create v1 running",
            Phase.YOUNG,
            NEVER,
            id="the delay went by",
        ),
        pytest.param(
            plan(history=[ended(S.REJECTED)]),
            "",
            Phase.YOUNG,
            5.0,
            id="what failed while it was prepared is not prepared at once",
        ),
        pytest.param(
            plan(CRASHED, record=a_record(a_spec(restart=restart("none")))),
            "finish 1",
            Phase.ENDED,
            NEVER,
            id="the policy allows no other",
        ),
        pytest.param(
            plan(may_create=False), "", Phase.AWAY, NEVER, id="a global service's node is away"
        ),
        pytest.param(
            plan(record=an_updated_record(status=UpdateState.PAUSED), history=[ended(ago_s=9)]),
            "create v1 running",
            Phase.YOUNG,
            NEVER,
            id="a paused rollout: the slot keeps the template that it had",
        ),
        pytest.param(
            plan(
                record=an_updated_record(status=UpdateState.PAUSED),
                history=[ended(ago_s=9, version=7)],
            ),
            "create v2 running",
            Phase.YOUNG,
            NEVER,
            id="a paused rollout: that template is gone",
        ),
        pytest.param(
            plan(record=an_updated_record(status=UpdateState.PAUSED)),
            "create v2 running",
            Phase.YOUNG,
            NEVER,
            id="a paused rollout: a slot without a past takes the new one",
        ),
    ],
)
def test_a_slot_without_a_task(found: SlotPlan, actions: str, phase: Phase, wake_s: float) -> None:
    check(found, actions, phase, wake_s)


@pytest.mark.parametrize(
    ("found", "actions", "phase", "wake_s"),
    [
        pytest.param(plan(a_task()), "", Phase.SETTLED, NEVER, id="it runs"),
        pytest.param(plan(a_task(S.PREPARING)), "", Phase.YOUNG, NEVER, id="it comes up"),
        pytest.param(
            plan(a_task(since=-3), settle_s=10), "", Phase.YOUNG, 7.0, id="it has run too briefly"
        ),
        pytest.param(
            plan(a_task(since=-10), settle_s=10), "", Phase.SETTLED, NEVER, id="it ran long enough"
        ),
        pytest.param(
            plan(a_task(since=None), settle_s=10), "", Phase.YOUNG, 10.0, id="nobody knows how long"
        ),
        pytest.param(
            plan(a_task(S.READY, desired=S.READY, attempt=2), history=[ended(ago_s=2)]),
            "",
            Phase.YOUNG,
            3.0,
            id="prepared, its delay goes on",
        ),
        pytest.param(
            plan(a_task(S.READY, desired=S.READY, attempt=2), history=[ended(ago_s=5)]),
            "running 2",
            Phase.YOUNG,
            NEVER,
            id="prepared, its delay is over",
        ),
        pytest.param(
            plan(
                a_task(S.READY, desired=S.READY, attempt=2),
                record=a_record(a_spec(restart=restart("none"))),
                history=[ended()],
            ),
            "shutdown 2",
            Phase.ENDED,
            NEVER,
            id="it was to take over from one that ended for good",
        ),
        pytest.param(
            plan(
                a_task(S.PENDING, desired=S.READY, attempt=2, node=None),
                record=a_record(a_spec(restart=restart("none"))),
                history=[ended()],
            ),
            "drop 2",
            Phase.ENDED,
            NEVER,
            id="the same, and it has no place yet",
        ),
        pytest.param(
            plan(
                a_task(S.READY, desired=S.READY, attempt=2),
                record=a_record(a_spec(restart=restart("none"))),
                history=[ended(attempt=1), ended(attempt=3)],
                fate=Fate.LEAVE,
            ),
            "shutdown 2",
            Phase.ENDED,
            NEVER,
            id="the same, and it must leave its node, where a newer one was tried meanwhile",
        ),
        pytest.param(
            plan(a_task(attempt=2), a_task(attempt=1)),
            "shutdown 2",
            Phase.SETTLED,
            NEVER,
            id="of two that run the older stays",
        ),
        pytest.param(
            plan(a_task(S.PREPARING, attempt=1), a_task(attempt=2), a_task(S.PENDING, attempt=3)),
            "shutdown 1; drop 3",
            Phase.SETTLED,
            NEVER,
            id="of several the one that runs stays",
        ),
    ],
)
def test_a_slot_with_a_current_task(
    found: SlotPlan, actions: str, phase: Phase, wake_s: float
) -> None:
    check(found, actions, phase, wake_s)


@pytest.mark.parametrize(
    ("found", "actions"),
    [
        pytest.param(plan(is_wanted=False), "close", id="it is empty"),
        pytest.param(plan(a_task(), is_wanted=False), "remove 1", id="its task must stop first"),
        pytest.param(
            plan(a_task(desired=S.REMOVE), is_wanted=False), "", id="its task is stopping"
        ),
        pytest.param(
            plan(a_task(S.SHUTDOWN, desired=S.REMOVE), is_wanted=False),
            "drop 1; close",
            id="its task has stopped, and leaves no trace",
        ),
        pytest.param(plan(WAITING, is_wanted=False), "drop 1; close", id="it was never placed"),
        pytest.param(
            plan(a_task(), a_task(S.PENDING, attempt=2), is_wanted=False),
            "remove 1; drop 2",
            id="one of two was never placed",
        ),
    ],
)
def test_a_slot_that_is_closed(found: SlotPlan, actions: str) -> None:
    check(found, actions, None)


def test_what_crashed_before_its_slot_was_closed_goes_with_it() -> None:
    check(plan(CRASHED, is_wanted=False), "finish 1; close", None)


def test_history_is_judged_in_the_order_of_attempts_not_of_ends() -> None:
    told = a_task(S.SHUTDOWN, desired=S.SHUTDOWN, attempt=1)
    found = plan(told, history=[ended(attempt=2)])
    check(found, "finish 1; create v1 ready", Phase.YOUNG, 5.0)


def test_the_reasons_are_told() -> None:
    reasons = [
        action.reason
        for fate in (Fate.LOST, Fate.EVICT)
        for action in plan(a_task(), a_task(attempt=2, node="n2"), fate=on("n1", fate)).actions
        if isinstance(action, SetDesired)
    ]
    assert reasons == [
        "its node is lost",
        "its node no longer satisfies the placement constraints",
    ]
