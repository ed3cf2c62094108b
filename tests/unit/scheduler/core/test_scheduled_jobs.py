"""Jobs run when they are due, once, whatever leader is at work and whatever its clock does."""

import pytest

from berth.model.job import RunCause, RunOutcome
from berth.model.schedule import MISSED_LABEL, OVERLAP_LABEL, SCHEDULE_LABEL
from scheduler.core import commands
from tests.builders import a_job
from tests.unit.scheduler.core.job_worlds import completions, forced, newest_run
from tests.unit.scheduler.core.world import World


@pytest.fixture
def world() -> World:
    return World()


def every_minute(**labels: str) -> dict[str, str]:
    return {SCHEDULE_LABEL: "* * * * *", **labels}


def test_a_scheduled_job_runs_when_due_and_not_before(world):
    world.pass_time((90 - world.now.timestamp) % 60)  # Half past a minute.
    world.create(a_job(total=1, at_once=1, labels=every_minute()))
    world.settle()
    assert world.starts == []
    assert not world.service().record.job.is_under_way
    world.pass_time(29)
    assert world.starts == []
    world.pass_time(2)
    assert len(world.starts) == 1
    world.pass_time(120, step=1)
    assert len(world.starts) == 3
    run = newest_run(world)
    assert run.cause is RunCause.SCHEDULE
    assert run.due_at is not None
    assert run.due_at % 60 == 0


def test_a_due_time_is_kept_across_leaders_and_not_kept_twice(world):
    world.create(a_job(total=1, at_once=1, labels=every_minute()))
    world.settle()
    for _ in range(10):
        world.pass_time(30, step=1)
        world.reload()
        world.settle()
    assert len(world.starts) == 5
    iterations = [run.iteration for run in world.service().record.job.runs]
    assert iterations == [0, 1, 2, 3, 4]


def test_a_due_time_in_a_gap_without_leader_is_kept_when_the_gap_is_short(world):
    world.create(a_job(total=1, at_once=1, labels={SCHEDULE_LABEL: "0 * * * *"}))
    world.settle()
    to_the_hour = 3600 - world.now.timestamp % 3600
    world.instant += to_the_hour + 20
    world.reload()
    world.settle()
    assert len(world.starts) == 1


def test_what_is_due_during_a_run_is_left_out_or_replaces_it(world):
    world.jobs_held = True
    world.create(a_job(total=1, at_once=1, labels=every_minute()))
    world.pass_time(181, step=1)
    skipped = world.service().record.job.runs[-1]
    assert len(world.starts) == 1
    assert (skipped.outcome, skipped.times) == (RunOutcome.SKIPPED, 2)
    world.update(
        "web", a_job(total=1, at_once=1, labels=every_minute(**{OVERLAP_LABEL: "replace"}))
    )
    world.pass_time(61, step=1)
    assert len(world.starts) == 2
    assert len(world.running()) == 1


def test_an_update_of_a_scheduled_job_holds_from_its_next_run_on(world):
    world.jobs_held = True
    world.create(a_job(total=1, at_once=1, labels=every_minute()))
    world.pass_time(61, step=1)
    (task,) = world.running()
    world.update("web", a_job(total=1, at_once=1, image="job:2", labels=every_minute()))
    world.update("web", a_job(total=1, at_once=1, image="job:3", labels=every_minute()))
    world.settle()
    assert world.running() == [task]
    world.jobs_held = False
    world.pass_time(61, step=1)
    world.jobs_held = True
    world.reload()
    world.pass_time(60, step=1)
    (newest,) = world.running()
    assert world.image_of(newest) == "job:3"
    assert [run.iteration for run in world.service().record.job.runs] == [0, 1, 2]


def test_a_forced_update_runs_a_scheduled_job_now(world):
    spec = a_job(total=2, at_once=2, labels={SCHEDULE_LABEL: "0 0 1 1 *"})
    world.create(spec)
    world.settle()
    assert world.starts == []
    world.update("web", forced(spec))
    world.settle()
    assert completions(world) == {1: 1, 2: 1}
    assert newest_run(world).cause is RunCause.FORCED


def test_what_was_due_long_ago_is_left_out_and_noted(world):
    world.create(a_job(total=1, at_once=1, labels={SCHEDULE_LABEL: "0 * * * *"}))
    world.settle()
    world.instant += 3 * 3600
    world.reload()
    world.settle()
    assert world.starts == []
    (note,) = world.service().record.job.runs
    assert note.outcome is RunOutcome.MISSED
    world.pass_time(3600, step=20)
    assert len(world.starts) == 1


def test_what_was_due_long_ago_is_made_up_for_once_where_its_user_asks_for_that(world):
    labels = {SCHEDULE_LABEL: "0 * * * *", MISSED_LABEL: "once"}
    world.create(a_job(total=1, at_once=1, labels=labels))
    world.settle()
    world.instant += 3 * 3600
    world.reload()
    world.settle()
    assert len(world.starts) == 1
    assert newest_run(world).cause is RunCause.MISSED
    world.reload()
    world.settle()
    assert len(world.starts) == 1


def test_a_schedule_that_is_taken_away_runs_the_job_now(world):
    world.create(a_job(total=1, at_once=1, labels={SCHEDULE_LABEL: "0 0 1 1 *"}))
    world.settle()
    world.update("web", a_job(total=1, at_once=1))
    world.settle()
    assert len(world.starts) == 1


def test_a_removed_job_is_not_due_any_more(world):
    world.create(a_job(total=1, at_once=1, labels=every_minute()))
    world.settle()
    commands.remove_service(world.state, world.service())
    world.pass_time(70, step=1)
    assert world.state.services == {}
    assert world.starts == []
