"""What follows the last finished task of a slot."""

import pytest

from berth.model.service import RestartPolicy
from berth.model.task import FinishedTask, TaskState
from scheduler.core.restart import GiveUp, Restart, plan_restart
from tests.builders import restart
from tests.unit.scheduler.core.builders import NOW, ended, later

S = TaskState
AT_ONCE = Restart(0.0, 0.0, 0)


def a_row(ends: int, every_s: float = 10.0) -> list[FinishedTask]:
    """Return `ends` failures in a row, the newest of which is now."""
    return [
        ended(attempt=number, row=number, ago_s=(ends - number) * every_s)
        for number in range(1, ends + 1)
    ]


@pytest.mark.parametrize(
    ("history", "policy"),
    [
        pytest.param([], restart(), id="the first attempt"),
        pytest.param([ended(S.SHUTDOWN, counts=False)], restart(), id="it was told to stop"),
        pytest.param([ended(version=1)], restart("none"), id="another template's end"),
    ],
)
def test_nothing_holds_up(history: list[FinishedTask], policy: RestartPolicy) -> None:
    version = 2 if history and history[0].counts_as_restart else 1
    assert plan_restart(history, policy, version, NOW.timestamp) == AT_ONCE


@pytest.mark.parametrize(
    ("history", "policy", "why"),
    [
        pytest.param([ended()], restart("none"), "none", id="condition none, after a failure"),
        pytest.param([ended(S.COMPLETE)], restart("none"), "none", id="and after an end in order"),
        pytest.param(
            [ended(S.COMPLETE)], restart("on-failure"), "completed", id="on-failure, it completed"
        ),
        pytest.param(a_row(3), restart(attempts=2), "all 2", id="two restarts are used up"),
        pytest.param(
            a_row(3), restart(attempts=2, window_s=20), "all 2", id="all within the window"
        ),
    ],
)
def test_giving_up(history: list[FinishedTask], policy: RestartPolicy, why: str) -> None:
    verdict = plan_restart(history, policy, 1, NOW.timestamp)
    assert isinstance(verdict, GiveUp)
    assert why in verdict.reason


@pytest.mark.parametrize(
    ("history", "policy", "wait_s"),
    [
        pytest.param([ended()], RestartPolicy(), 5.0, id="Swarm's default delay"),
        pytest.param([ended(S.COMPLETE)], restart(delay_s=3), 3.0, id="any: also after success"),
        pytest.param([ended()], restart("on-failure", 3), 3.0, id="on-failure, it failed"),
        pytest.param([ended(S.REJECTED)], restart("on-failure", 3), 3.0, id="or was rejected"),
        pytest.param([ended(ago_s=2)], restart(delay_s=3), 1.0, id="what went by counts"),
        pytest.param([ended(ago_s=9)], restart(delay_s=3), 0.0, id="nothing is left of it"),
        pytest.param([ended(ago_s=-50)], restart(delay_s=3), 3.0, id="a clock that ran behind"),
        pytest.param([ended(row=3)], restart(delay_s=3), 12.0, id="it doubles with each end"),
        pytest.param([ended(row=9)], restart(delay_s=3), 60.0, id="up to a minute"),
        pytest.param([ended(row=9)], restart(delay_s=90), 90.0, id="or to the user's own delay"),
        pytest.param(a_row(2), restart(attempts=2), 10.0, id="one restart of two is left"),
        pytest.param(
            a_row(3), restart(attempts=2, window_s=19), 20.0, id="the first fell out of the window"
        ),
        pytest.param(
            [*a_row(3)[:2], ended(row=1, attempt=3, version=2)],
            restart(attempts=2),
            5.0,
            id="another template's ends are not counted",
        ),
        pytest.param(
            [ended(S.SHUTDOWN, counts=False), ended(S.SHUTDOWN, counts=False), ended(attempt=3)],
            restart(attempts=1),
            5.0,
            id="ends that were asked for are not counted",
        ),
    ],
)
def test_waiting(history: list[FinishedTask], policy: RestartPolicy, wait_s: float) -> None:
    version = history[-1].template_version
    verdict = plan_restart(history, policy, version, NOW.timestamp)
    assert isinstance(verdict, Restart)
    assert verdict.wait_s == wait_s
    assert verdict.ends_in_row == history[-1].ends_in_row


def test_the_wait_shrinks_as_time_goes_by() -> None:
    waits = [
        plan_restart([ended()], restart(delay_s=3), 1, later(seconds).timestamp)
        for seconds in (0, 1, 2.5, 3, 99)
    ]
    assert [verdict.wait_s for verdict in waits if isinstance(verdict, Restart)] == [
        3.0,
        2.0,
        0.5,
        0.0,
        0.0,
    ]
