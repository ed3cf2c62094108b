"""When a burst that goes on is committed."""

from typing import Any

import pytest

from berth.model.instant import Instant
from scheduler.commit_pace import (
    COMMIT_EVERY_S,
    GATHER_A_NODE_S,
    GATHER_S,
    MESSAGE_COST_S,
    CommitPace,
    Due,
    is_commit_due,
)

CASES = [
    pytest.param(0.09, 0, True, 50, 1, False, id="not more often than ten times a second"),
    pytest.param(0.1, 0, True, 50, 5000, True, id="at once then, when somebody waits"),
    pytest.param(0.1, 1, True, 50, 5000, False, id="not ahead of the store"),
    pytest.param(0.1, 0, False, 5000, 2000, False, id="with few tasks a message, they gather"),
    pytest.param(0.1, 0, False, 40_000, 2000, True, id="with twenty tasks a message, they leave"),
    pytest.param(1.9, 0, False, 5000, 2000, False, id="they gather for a while"),
    pytest.param(2.0, 0, False, 5000, 2000, True, id="but not for ever"),
    pytest.param(0.1, 0, False, 1, 30, True, id="where few are told there is nothing to gather"),
    pytest.param(0.8, 0, False, 1, 300, False, id="the more are told the longer they gather"),
    pytest.param(0.9, 0, False, 1, 300, True, id="but not longer than that"),
    pytest.param(5.9, 0, False, 5000, 10_000, False, id="for as long as many messages take"),
    pytest.param(6.0, 0, False, 5000, 10_000, True, id="and no longer"),
    pytest.param(0.1, 0, False, 0, 0, True, id="nobody to be told"),
]


@pytest.mark.parametrize(("waited_s", "undelivered", "is_awaited", "tasks", "nodes", "due"), CASES)
def test_is_commit_due(
    waited_s: float, undelivered: int, is_awaited: bool, tasks: int, nodes: int, due: bool
) -> None:
    found = is_commit_due(
        waited_s, undelivered=undelivered, is_awaited=is_awaited, tasks=tasks, nodes=nodes
    )
    assert found is due


def after_turn(pace: CommitPace, at: float, **turn: Any) -> Due:
    usual = {"placed": 0, "is_unfinished": True, "undelivered": 0, "is_awaited": False}
    return pace.due(Instant(at), **(usual | {"has_changes": False, "nodes": 1000} | turn))


def test_without_a_burst_every_turn_is_committed_unless_the_store_is_busy() -> None:
    pace = CommitPace(Instant(0.0))
    assert after_turn(pace, 0.001, is_unfinished=False) is Due.ALL
    assert after_turn(pace, 0.002, is_unfinished=False, undelivered=1) is Due.NOTHING


def test_the_first_turn_of_a_burst_gathers_as_the_others_do() -> None:
    pace = CommitPace(Instant(0.0))
    assert after_turn(pace, 1.0, is_unfinished=False) is Due.ALL
    found = [after_turn(pace, at, placed=500) for at in (60.0, 60.5, 61.9, 62.0)]
    assert found == [Due.NOTHING, Due.NOTHING, Due.NOTHING, Due.ALL]
    assert after_turn(pace, 70.0, placed=500) is Due.NOTHING
    assert after_turn(pace, 70.01, placed=500, is_unfinished=False) is Due.ALL


def test_a_burst_counts_what_gathers_from_the_last_commit_on() -> None:
    pace = CommitPace(Instant(0.0))
    found = [after_turn(pace, 0.125 * turn, placed=10_000) for turn in range(1, 5)]
    assert found == [Due.NOTHING, Due.ALL, Due.NOTHING, Due.ALL]
    assert pace == CommitPace(Instant(0.5))


def test_records_that_users_wait_for_leave_while_tasks_gather() -> None:
    pace = CommitPace(Instant(0.0))
    assert after_turn(pace, 0.2, placed=5, has_changes=True) is Due.RECORDS
    assert after_turn(pace, 0.3, placed=5, has_changes=True, undelivered=1) is Due.NOTHING
    assert pace == CommitPace(Instant(0.2), gathered=10)


@pytest.mark.parametrize("store_s", [0.001, 0.02, 0.3], ids="store answers in {}".format)
@pytest.mark.parametrize("nodes", [30, 1000, 10_000])
def test_users_who_call_without_end_hold_no_tasks_up(store_s: float, nodes: int) -> None:
    pace, turn_s = CommitPace(Instant(0.0)), 0.008
    at, answered_at, last_all, longest = 0.0, 0.0, 0.0, 0.0
    while at < 60:
        at += turn_s
        undelivered = int(at < answered_at)
        due = after_turn(
            pace, at, placed=50, has_changes=True, nodes=nodes, undelivered=undelivered
        )
        if due is not Due.NOTHING:
            answered_at = at + store_s
        if due is Due.ALL:
            longest, last_all = max(longest, at - last_all), at
    promised_s = max(nodes * MESSAGE_COST_S, min(nodes * GATHER_A_NODE_S, GATHER_S), COMMIT_EVERY_S)
    assert max(longest, at - last_all) <= promised_s + store_s + 2 * turn_s
