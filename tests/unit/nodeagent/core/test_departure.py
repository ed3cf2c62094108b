"""How long a machine that is being shut down waits for its tasks to leave."""

import pytest

from berth.model.instant import Instant
from berth.model.task import TaskState
from nodeagent.core.departure import Departure, DepartureBegun, DepartureNoted, why_over
from nodeagent.core.messages import LinkLost, SchedulerSpoke
from nodeagent.core.state import Phase
from nodeagent.core.step import step
from tests.unit.nodeagent.core.builders import NOW, a_state, a_task

AT = 100.0


@pytest.mark.parametrize(
    ("takers", "left", "after_s", "why"),
    [
        pytest.param(2, 3, 59.9, "", id="tasks leave, within the limit"),
        pytest.param(2, 0, 0.1, "no task is left", id="all have left"),
        pytest.param(2, 1, 60.0, "1 task left after 60 s", id="the limit"),
        pytest.param(0, 2, 0.1, "no other node takes tasks; 2 tasks left", id="the only node"),
        pytest.param(None, 0, 9.9, "", id="nobody knows yet that it goes"),
        pytest.param(None, 4, 10.0, "no leader answers; 4 tasks left", id="no leader"),
        pytest.param(None, 4, 60.0, "4 tasks left after 60 s", id="no leader, and the limit"),
    ],
)
def test_why_it_is_over(takers, left, after_s, why):
    departure = Departure(Instant(AT), 60.0, Instant(AT), takers)
    assert why_over(departure, left, Instant(AT + after_s)) == why


def test_a_limit_of_nothing_waits_for_nothing():
    departure = Departure(Instant(AT), 0.0, Instant(AT))
    assert why_over(departure, 2, Instant(AT)) == "2 tasks left after 0 s"


def test_the_next_leader_has_to_answer_too_and_gets_time_for_it():
    state = a_state()
    step(state, DepartureBegun(60.0), NOW)
    step(state, SchedulerSpoke(99, DepartureNoted(2)), NOW)
    assert state.departure.takers == 2
    later = Instant(NOW + 30)
    step(state, LinkLost(0.0), later)
    assert why_over(state.departure, 1, Instant(NOW + 39)) == ""
    assert why_over(state.departure, 1, Instant(NOW + 40)) == "no leader answers; 1 task left"
    step(state, LinkLost(0.0), Instant(NOW + 35))
    assert state.departure.asked_at == later, "a second loss is no new patience"


def test_a_departure_begins_once():
    state = a_state()
    step(state, DepartureBegun(60.0), NOW)
    step(state, DepartureBegun(90.0), Instant(NOW + 5))
    assert (state.departure.begun_at, state.departure.limit_s) == (NOW, 60.0)


def test_an_answer_that_nobody_waits_for_is_no_matter():
    state = a_state()
    step(state, SchedulerSpoke(99, DepartureNoted(2)), NOW)
    assert state.departure is None


def test_what_has_ended_and_what_nobody_wants_is_not_waited_for():
    state = a_state()
    tasks = [
        a_task(TaskState.RUNNING, Phase.UP),
        a_task(TaskState.SHUTDOWN, Phase.ENDED),
        a_task(TaskState.RUNNING, Phase.UP, is_surplus=True),
    ]
    state.tasks = {f"t{number}": task for number, task in enumerate(tasks)}
    assert state.left == 1
