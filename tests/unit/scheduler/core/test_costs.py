"""As many tasks are placed at once as their cost says, and never none."""

import pytest

from scheduler.core.costs import TURN_SHARE_US, group_us, tasks_within


@pytest.mark.parametrize("tasks", [1, 2, 5, 20, 100, 800])
def test_a_budget_of_what_a_group_costs_places_that_group(tasks: int) -> None:
    assert tasks_within(group_us(tasks)) == tasks


@pytest.mark.parametrize("budget_us", [1, 20, 500, TURN_SHARE_US])
def test_a_budget_places_what_it_can_pay_and_at_least_one(budget_us: int) -> None:
    placed = tasks_within(budget_us)
    assert placed >= 1
    assert placed == 1 or group_us(placed) <= budget_us
