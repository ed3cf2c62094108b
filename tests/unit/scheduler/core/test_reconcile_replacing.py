"""How a slot's task gives way to another: rollouts, drains, stops, losses."""

from dataclasses import replace

import pytest

from berth.model.instant import NEVER
from berth.model.task import Task, TaskState
from scheduler.core.reconcile import Fate, Phase, SlotPlan
from scheduler.core.service_record import UpdateState
from tests.builders import a_spec, restart
from tests.unit.scheduler.core.builders import a_record, a_task, an_updated_record, ended
from tests.unit.scheduler.core.slot_plans import check, on, plan

S = TaskState
FENCED = a_spec(labels={"berth.fence": "after:30s"})
OLD = an_updated_record()
PAUSED = an_updated_record(status=UpdateState.PAUSED)
RELABELLED = an_updated_record(new=a_spec(replicas=3, constraints=("node.role==worker",)))
WAITING = a_task(S.PENDING, node=None)


@pytest.mark.parametrize(
    ("found", "actions", "phase", "wake_s"),
    [
        pytest.param(
            plan(a_task(), record=OLD), "", Phase.OUTDATED, NEVER, id="a rollout shall replace it"
        ),
        pytest.param(
            plan(a_task(), record=RELABELLED),
            "",
            Phase.SETTLED,
            NEVER,
            id="only the constraints changed: it may stay",
        ),
        pytest.param(
            plan(a_task(), fate=Fate.LEAVE), "", Phase.LEAVING, NEVER, id="a drain shall replace it"
        ),
        pytest.param(
            plan(WAITING, record=OLD),
            "drop 1; create v2 running",
            Phase.YOUNG,
            NEVER,
            id="never placed: made anew from the newest template",
        ),
        pytest.param(
            plan(WAITING, record=PAUSED),
            "",
            Phase.OUTDATED,
            NEVER,
            id="never placed, and the rollout is paused",
        ),
        pytest.param(
            plan(a_task(S.READY, desired=S.READY, attempt=2), record=OLD, history=[ended()]),
            "",
            Phase.OUTDATED,
            5.0,
            id="an old one that waits for its delay goes on waiting",
        ),
        pytest.param(
            plan(
                a_task(S.READY, desired=S.READY, attempt=2),
                record=an_updated_record(a_spec(restart=restart("none"))),
                history=[ended()],
            ),
            "running 2",
            Phase.OUTDATED,
            NEVER,
            id="an old one that may not be followed is itself started",
        ),
    ],
)
def test_a_slot_whose_task_shall_be_replaced(
    found: SlotPlan, actions: str, phase: Phase, wake_s: float
) -> None:
    check(found, actions, phase, wake_s)


def new(observed: TaskState, desired: TaskState, **fields: str | None) -> Task:
    return a_task(observed, attempt=2, version=2, desired=desired, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "actions", "phase"),
    [
        pytest.param(
            plan(a_task(), new(S.PREPARING, S.READY), record=OLD),
            "",
            Phase.REPLACING,
            id="stop-first: the old one runs while the new one pulls",
        ),
        pytest.param(
            plan(a_task(), new(S.READY, S.READY), record=OLD),
            "shutdown 1",
            Phase.REPLACING,
            id="stop-first: the new one is ready",
        ),
        pytest.param(
            plan(a_task(), new(S.STARTING, S.RUNNING), record=OLD),
            "",
            Phase.REPLACING,
            id="start-first: the new one does not run yet",
        ),
        pytest.param(
            plan(a_task(), new(S.RUNNING, S.RUNNING), record=OLD),
            "shutdown 1",
            Phase.REPLACING,
            id="start-first: the new one runs",
        ),
        pytest.param(
            plan(WAITING, new(S.RUNNING, S.RUNNING), record=OLD),
            "drop 1",
            Phase.SETTLED,
            id="start-first: the old one never got a place",
        ),
        pytest.param(
            plan(a_task(), new(S.PREPARING, S.READY), record=PAUSED),
            "shutdown 2",
            Phase.OUTDATED,
            id="paused: what has stopped nothing is called off",
        ),
        pytest.param(
            plan(a_task(), new(S.PENDING, S.READY, node=None), record=PAUSED),
            "drop 2",
            Phase.OUTDATED,
            id="paused: nor placed",
        ),
        pytest.param(
            plan(a_task(), new(S.STARTING, S.RUNNING), record=PAUSED),
            "",
            Phase.REPLACING,
            id="paused: what was to run goes on",
        ),
        pytest.param(
            plan(
                a_task(),
                a_task(S.READY, attempt=2, desired=S.READY, node="n2"),
                fate=on("n1", Fate.LEAVE),
            ),
            "shutdown 1",
            Phase.REPLACING,
            id="a drain hands over likewise",
        ),
        pytest.param(
            plan(
                a_task(),
                a_task(S.READY, attempt=2, desired=S.READY, node="n2"),
                record=replace(a_record(), update_status=PAUSED.update_status),
                fate=on("n1", Fate.LEAVE),
            ),
            "shutdown 1",
            Phase.REPLACING,
            id="and no paused rollout holds it up",
        ),
    ],
)
def test_a_slot_that_is_being_replaced(found: SlotPlan, actions: str, phase: Phase) -> None:
    check(found, actions, phase)


def stopping(ago_s: float | None = 4.0, **fields: str) -> Task:
    stop_since = None if ago_s is None else -ago_s
    return a_task(desired=S.SHUTDOWN, stop_since=stop_since, **fields)  # type: ignore[arg-type]


SUCCESSOR = a_task(S.READY, attempt=2, desired=S.READY, node="n2")


@pytest.mark.parametrize(
    ("found", "actions", "phase", "wake_s"),
    [
        pytest.param(
            plan(stopping(4), SUCCESSOR),
            "",
            Phase.YOUNG,
            11.0,
            id="the old one has its grace of 10 s and a margin of 5 s",
        ),
        pytest.param(
            plan(stopping(None), SUCCESSOR), "", Phase.YOUNG, 15.0, id="told to stop just now"
        ),
        pytest.param(
            plan(stopping(15), SUCCESSOR),
            "running 2",
            Phase.YOUNG,
            NEVER,
            id="nobody waits for it any longer",
        ),
        pytest.param(
            plan(stopping(4), SUCCESSOR, record=a_record(a_spec(grace_s=60))),
            "",
            Phase.YOUNG,
            61.0,
            id="a longer grace",
        ),
        pytest.param(
            plan(a_task(S.SHUTDOWN, desired=S.SHUTDOWN), SUCCESSOR),
            "finish 1; running 2",
            Phase.YOUNG,
            NEVER,
            id="it has stopped",
        ),
        pytest.param(
            plan(stopping(4), SUCCESSOR, fate=on("n1", Fate.LOST)),
            "running 2",
            Phase.YOUNG,
            NEVER,
            id="its node is lost: nothing is gained by waiting",
        ),
        pytest.param(
            plan(stopping(99), SUCCESSOR, record=a_record(FENCED)),
            "",
            Phase.YOUNG,
            NEVER,
            id="fenced: no time is long enough",
        ),
        pytest.param(
            plan(stopping(99), SUCCESSOR, record=a_record(FENCED), fate=on("n1", Fate.LOST)),
            "running 2",
            Phase.YOUNG,
            NEVER,
            id="fenced: but the loss of its node, by the fence's delay, is",
        ),
        pytest.param(
            plan(stopping(4)),
            "create v1 ready",
            Phase.YOUNG,
            11.0,
            id="without a successor one is prepared meanwhile",
        ),
    ],
)
def test_a_slot_whose_old_task_is_stopping(
    found: SlotPlan, actions: str, phase: Phase, wake_s: float
) -> None:
    check(found, actions, phase, wake_s)


@pytest.mark.parametrize(
    ("found", "actions", "phase", "wake_s"),
    [
        pytest.param(
            plan(a_task(), fate=Fate.LOST),
            "create v1 running",
            Phase.YOUNG,
            NEVER,
            id="its node is lost: a successor is made at once",
        ),
        pytest.param(
            plan(a_task(), a_task(S.PENDING, attempt=2, node=None), fate=on("n1", Fate.LOST)),
            "",
            Phase.YOUNG,
            NEVER,
            id="its node is lost, and nothing else can take it yet: it is not given up",
        ),
        pytest.param(
            plan(a_task(), a_task(S.READY, attempt=2, desired=S.READY), fate=on("n1", Fate.LOST)),
            "shutdown 2; create v1 running",
            Phase.YOUNG,
            NEVER,
            id="its node is lost with its replacement: what ran is kept",
        ),
        pytest.param(
            plan(a_task(version=1), record=an_updated_record(), fate=Fate.LOST),
            "shutdown 1; create v2 running",
            Phase.YOUNG,
            NEVER,
            id="its node is lost, and its template outdated: it is given up",
        ),
        pytest.param(
            plan(a_task(), a_task(S.PENDING, attempt=2, node=None)),
            "drop 2",
            Phase.SETTLED,
            NEVER,
            id="its node is back before: it goes on",
        ),
        pytest.param(
            plan(a_task(), a_task(S.ASSIGNED, attempt=2, node="n2"), fate=on("n1", Fate.LOST)),
            "shutdown 1",
            Phase.YOUNG,
            NEVER,
            id="its successor has a node: it is given up",
        ),
        pytest.param(
            plan(
                a_task(),
                a_task(S.ASSIGNED, attempt=2, node="n2"),
                a_task(S.PENDING, attempt=3, node=None),
                fate=on("n2", Fate.LOST),
            ),
            "shutdown 2; drop 3",
            Phase.SETTLED,
            NEVER,
            id="its node is back, that of its successor is lost",
        ),
        pytest.param(
            plan(a_task(), fate=Fate.EVICT),
            "shutdown 1; create v1 ready",
            Phase.YOUNG,
            15.0,
            id="its node no longer fits: stopped, then replaced",
        ),
        pytest.param(
            plan(a_task(), a_task(attempt=2, node="n2"), fate=on("n1", Fate.LOST)),
            "shutdown 1",
            Phase.SETTLED,
            NEVER,
            id="its replacement is there already",
        ),
    ],
)
def test_a_slot_whose_task_must_go(
    found: SlotPlan, actions: str, phase: Phase, wake_s: float
) -> None:
    check(found, actions, phase, wake_s)
