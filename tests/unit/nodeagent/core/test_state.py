"""The state's own rules: what it tells, and what it asserts of itself."""

import pytest

from berth.model.task import TaskState
from nodeagent.core.messages import Call
from nodeagent.core.state import LANE_OF, Lane, LaneLimits, Phase
from tests.unit.nodeagent.core.builders import NOW, a_state, a_task


def test_an_observed_state_cannot_fall():
    task = a_task(TaskState.RUNNING, Phase.UP)
    with pytest.raises(AssertionError, match="RUNNING to READY"):
        task.rise(TaskState.READY, NOW, "prepared")


def test_a_status_tells_its_age_and_not_its_instant():
    task = a_task(TaskState.RUNNING, Phase.UP, observed_since=NOW)
    assert task.status(NOW + 12.5).state_age_s == 12.5


def test_each_call_has_a_lane_and_each_lane_a_limit():
    assert set(LANE_OF) == set(Call)
    assert [LaneLimits(1, 2, 3, 4).of(lane) for lane in Lane] == [1, 2, 3, 4]


def test_validate_notices_a_miscount():
    state = a_state()
    state.in_flight[Lane.PREPARE] = 1
    with pytest.raises(AssertionError, match="counted"):
        state.validate()
