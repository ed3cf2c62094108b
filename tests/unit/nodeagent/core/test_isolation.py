"""What an agent may decide alone, as tables."""

import pytest

from berth.model.defaults import effective_restart
from berth.model.instant import Instant
from berth.model.service import RestartCondition, RestartPolicy
from nodeagent.core.isolation import (
    GiveUp,
    RestartAt,
    acts_alone_from,
    fence_delay_s,
    is_obeyed,
    plan_local_restart,
)
from tests.unit.nodeagent.core.builders import a_template

C = RestartCondition


@pytest.mark.parametrize(
    ("highest", "received", "obeyed"),
    [(5, 4, False), (5, 5, True), (5, 6, True), (0, 0, True)],
)
def test_only_lower_epochs_are_refused(highest, received, obeyed):
    assert is_obeyed(highest, received) is obeyed


def test_it_acts_alone_lost_after_the_cut():
    assert acts_alone_from(Instant(100.0), 5.0) == 105.0


@pytest.mark.parametrize(
    ("condition", "succeeded", "is_job", "restarts"),
    [
        pytest.param(C.ANY, False, False, True, id="any: after a failure"),
        pytest.param(C.ANY, True, False, True, id="any: after success too"),
        pytest.param(C.ANY, True, True, False, id="any means on-failure for a job"),
        pytest.param(C.ANY, False, True, True, id="a failed job is tried again"),
        pytest.param(C.ON_FAILURE, False, False, True, id="on-failure: after a failure"),
        pytest.param(C.ON_FAILURE, True, False, False, id="on-failure: not after success"),
        pytest.param(C.NONE, False, False, False, id="none: never"),
    ],
)
def test_the_condition_decides(condition, succeeded, is_job, restarts):
    decision = plan(RestartPolicy(condition=condition), succeeded=succeeded, is_job=is_job)
    assert isinstance(decision, RestartAt) is restarts


@pytest.mark.parametrize(
    ("policy", "restarted_at", "decision"),
    [
        pytest.param(RestartPolicy(delay_s=3.0), (), RestartAt(203.0), id="delay from the end"),
        pytest.param(RestartPolicy(delay_s=0.0), (), RestartAt(200.0), id="no delay"),
        pytest.param(
            RestartPolicy(delay_s=0.0, max_attempts=2), (10.0,), RestartAt(200.0), id="one is left"
        ),
        pytest.param(
            RestartPolicy(max_attempts=2),
            (10.0, 20.0),
            GiveUp("it was restarted 2 times, as often as its policy allows"),
            id="none is left",
        ),
        pytest.param(
            RestartPolicy(delay_s=0.0, max_attempts=2, window_s=60.0),
            (10.0, 150.0),
            RestartAt(200.0),
            id="outside the window an attempt does not count",
        ),
    ],
)
def test_delay_attempts_and_window(policy, restarted_at, decision):
    assert plan(policy, restarted_at=restarted_at) == decision


def test_nothing_is_restarted_before_the_agent_acts_alone():
    assert plan(RestartPolicy(delay_s=0.0), alone_from=230.0) == RestartAt(230.0)


def test_the_delay_doubles_with_each_end_in_a_row():
    policy = RestartPolicy(delay_s=5.0)
    assert [plan(policy, ends=ends).at - 200.0 for ends in (1, 2, 3, 4, 5, 6)] == [
        5.0,
        10.0,
        20.0,
        40.0,
        60.0,
        60.0,
    ]


@pytest.mark.parametrize(
    ("template", "delay_s"),
    [
        pytest.param(None, None, id="unknown template"),
        pytest.param(a_template(), None, id="no label"),
        pytest.param(a_template(service_labels={"berth.fence": "after:30s"}), 30.0, id="30 s"),
        pytest.param(a_template(service_labels={"berth.fence": "soon"}), None, id="unreadable"),
    ],
)
def test_fence_delay(template, delay_s):
    assert fence_delay_s(template) == delay_s


def plan(policy, *, succeeded=False, is_job=False, ends=1, restarted_at=(), alone_from=0.0):
    return plan_local_restart(
        effective_restart(policy),
        succeeded=succeeded,
        is_job=is_job,
        ended_at=Instant(200.0),
        ends=ends,
        restarted_at=restarted_at,
        alone_from=Instant(alone_from),
    )
