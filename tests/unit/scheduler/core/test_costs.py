"""As many tasks are placed at once as their cost says, and never none."""

import pytest

from berth.collector import GROWTH_MIN
from scheduler.core.costs import (
    SERVICE_US,
    TURN_SHARE_US,
    TURN_SHARE_US_MAX,
    group_us,
    tasks_within,
    turn_share_us,
    turns_in_a_row,
)


@pytest.mark.parametrize("tasks", [1, 2, 5, 20, 100, 800])
def test_a_budget_of_what_a_group_costs_places_that_group(tasks: int) -> None:
    assert tasks_within(group_us(tasks)) == tasks


@pytest.mark.parametrize("budget_us", [1, 20, 500, TURN_SHARE_US])
def test_a_budget_places_what_it_can_pay_and_at_least_one(budget_us: int) -> None:
    placed = tasks_within(budget_us)
    assert placed >= 1
    assert placed == 1 or group_us(placed) <= budget_us


@pytest.mark.parametrize(
    ("nodes", "share_us"),
    [
        pytest.param(0, TURN_SHARE_US, id="no nodes"),
        pytest.param(4_000, TURN_SHARE_US, id="few nodes: a pass over them costs little"),
        pytest.param(8_000, 2_000, id="many: a group is to be worth the pass"),
        pytest.param(10_000, TURN_SHARE_US_MAX, id="as many as turns grow for"),
        pytest.param(100_000, TURN_SHARE_US_MAX, id="but the loop waits for a turn"),
    ],
)
def test_turns_are_longer_where_groups_are_dearer(nodes: int, share_us: int) -> None:
    assert turn_share_us(nodes) == share_us
    row_us = turns_in_a_row(nodes) * share_us
    assert TURN_SHARE_US_MAX / 2 < row_us <= TURN_SHARE_US_MAX, "pauses are as rare as they were"


def test_ten_thousand_nodes_get_a_thousand_tasks_in_one_pass() -> None:
    assert tasks_within(turn_share_us(10_000)) >= 1_000
    assert tasks_within(turn_share_us(2_000)) >= 400


def test_a_turn_of_a_large_group_is_worth_freezing_what_it_made() -> None:
    assert tasks_within(TURN_SHARE_US - SERVICE_US) >= GROWTH_MIN
