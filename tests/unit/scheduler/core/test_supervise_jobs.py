"""Jobs run each of their slots to its end once, whatever leader is at work."""

from dataclasses import replace

import pytest

from berth.model.job import RunCause, RunOutcome
from berth.model.task import TaskState
from scheduler.core import commands
from scheduler.core.reconcile import Phase
from tests.builders import a_global_job, a_job, restart
from tests.unit.scheduler.core.job_worlds import completions, drain, forced, newest_run
from tests.unit.scheduler.core.world import World

S = TaskState


@pytest.fixture
def world() -> World:
    return World()


def test_every_slot_of_a_replicated_job_completes_once(world):
    world.create(a_job(total=5, at_once=2))
    world.settle()
    assert completions(world) == {1: 1, 2: 1, 3: 1, 4: 1, 5: 1}
    assert len(world.starts) == 5
    assert world.tasks() == []
    run = newest_run(world)
    assert (run.outcome, run.completed, run.failed) == (RunOutcome.COMPLETED, 5, 0)
    assert (run.iteration, run.cause) == (0, RunCause.CREATED)


def test_no_more_slots_are_at_work_than_may_be_at_once(world):
    world.jobs_held = True
    world.create(a_job(total=5, at_once=2))
    world.settle()
    assert [task.slot for task in world.running()] == [1, 2]
    assert all(task.desired is S.COMPLETE for task in world.running())
    world.fail(world.running()[0], S.COMPLETE)
    world.settle()
    assert sorted(task.slot for task in world.running()) == [2, 3]


def test_a_run_goes_on_under_another_leader_and_nothing_runs_twice(world):
    world.jobs_held = True
    world.create(a_job(total=4, at_once=2))
    world.settle()
    world.fail(world.running()[0], S.COMPLETE)
    world.settle()
    world.reload()
    world.settle()
    assert sorted(task.slot for task in world.running()) == [2, 3]
    world.jobs_held = False
    world.settle()
    world.reload()
    world.settle()
    assert completions(world) == {1: 1, 2: 1, 3: 1, 4: 1}
    assert len(world.starts) == 4
    assert newest_run(world).outcome is RunOutcome.COMPLETED


def test_a_completion_that_no_leader_stored_is_told_again_and_not_run_again(world):
    world.jobs_held = True
    world.create(a_job(total=1, at_once=1))
    world.settle()
    stored = dict(world.entries)
    world.fail(world.running()[0], S.COMPLETE)
    world.entries = stored  # The leader dies before its commit.
    world.reload()
    world.settle()
    assert completions(world) == {1: 1}
    assert len(world.starts) == 1


def test_a_finished_job_is_left_alone_by_every_later_leader(world):
    world.create(a_job(total=3, at_once=3))
    world.settle()
    before = world.service().record.job
    for _ in range(3):
        world.reload()
        world.settle()
    assert len(world.starts) == 3
    assert world.service().record.job == before
    assert len(world.service().in_phase(Phase.DONE)) == 3


def test_a_failed_task_is_run_again_after_its_delay_and_then_counts(world):
    world.jobs_held = True
    world.create(a_job(total=1, at_once=1, restart=restart(delay_s=5)))
    world.settle()
    world.fail(world.running()[0])
    world.settle()
    assert world.running() == []
    world.pass_time(6)
    assert [task.attempt for task in world.running()] == [2]
    world.jobs_held = False
    world.settle()
    assert completions(world) == {1: 1}


def test_a_slot_that_failed_as_often_as_it_may_makes_way_for_the_next(world):
    policy = restart(delay_s=0, attempts=1)
    world.create(a_job(total=2, at_once=1, image="crash:1", restart=policy))
    world.pass_time(120, step=5)
    run = newest_run(world)
    assert (run.outcome, run.completed, run.failed) == (RunOutcome.FAILED, 0, 2)
    assert len(world.starts) == 4


def test_the_unfinished_tasks_of_a_lost_node_are_run_elsewhere_and_the_finished_are_not(world):
    world.jobs_held = True
    world.create(a_job(total=4, at_once=4))
    world.settle()
    by_node = {str(task.node_id): task for task in world.running()}
    done = by_node["n1"]
    world.fail(done, S.COMPLETE)
    world.settle()
    unfinished = [t.slot for t in world.running() if t.node_id == "n1"]
    world.cut("n1")
    world.pass_time(10)
    assert not [t for t in world.running() if t.node_id == "n1"]
    assert sorted(t.slot for t in world.running()) == sorted({1, 2, 3, 4} - {done.slot})
    world.jobs_held = False
    world.settle()
    assert completions(world) == {1: 1, 2: 1, 3: 1, 4: 1}
    assert len(world.starts) == 4 + len(unfinished)


def test_a_completion_on_a_node_that_was_lost_ends_the_second_attempt(world):
    world.jobs_held = True
    world.create(a_job(total=1, at_once=1))
    world.settle()
    (first,) = world.running()
    world.cut(str(first.node_id))
    world.pass_time(10)
    (second,) = world.running()
    assert second.attempt == 2
    node = world.nodes[str(first.node_id)]
    node.reported[first.id] = S.COMPLETE  # It ended well while nobody heard it.
    world.join(str(first.node_id))
    world.settle()
    assert completions(world) == {1: 1}
    assert world.tasks() == []
    world.reload()
    world.settle()
    assert len(world.starts) == 2


def test_a_drain_stops_a_task_and_begins_it_anew_elsewhere(world):
    world.jobs_held = True
    world.create(a_job(total=1, at_once=1))
    world.settle()
    (task,) = world.running()
    drain(world, str(task.node_id))
    world.settle()
    (again,) = world.running()
    assert again.node_id != task.node_id
    assert task.observed is S.SHUTDOWN


def test_a_forced_update_runs_the_job_again_and_stops_what_is_under_way(world):
    world.jobs_held = True
    world.create(a_job(total=2, at_once=2))
    world.settle()
    first = {task.id for task in world.running()}
    world.update("web", forced(a_job(total=2, at_once=2)))
    world.settle()
    assert len(world.running()) == 2
    assert not first & {task.id for task in world.running()}
    runs = world.service().record.job.runs
    assert [(r.iteration, r.outcome) for r in runs] == [
        (0, RunOutcome.REPLACED), (1, RunOutcome.RUNNING),
    ]  # fmt: skip
    world.jobs_held = False
    world.settle()
    assert completions(world) == {1: 1, 2: 1}
    assert newest_run(world).cause is RunCause.FORCED


def test_another_total_runs_the_job_again_as_in_swarm(world):
    world.create(a_job(total=2, at_once=2))
    world.settle()
    world.update("web", a_job(total=1, at_once=2))
    world.settle()
    assert completions(world) == {1: 1}
    assert set(world.service().history) == {1}
    assert world.service().record.job.iteration == 1
    assert len(world.starts) == 3


def test_a_rollback_runs_the_spec_of_before(world):
    world.create(a_job(total=2))
    world.settle()
    world.update("web", a_job(total=3))
    world.settle()
    commands.roll_back_service(world.state, world.service(), 0, world.now)
    world.settle()
    assert completions(world) == {1: 1, 2: 1}
    assert world.service().record.job.iteration == 2
    assert world.service().record.update_status is None


def test_a_removed_job_leaves_nothing(world):
    world.jobs_held = True
    world.create(a_job())
    world.settle()
    commands.remove_service(world.state, world.service())
    world.settle()
    assert world.state.services == {}
    assert not [key for key in world.entries if key.startswith(("services/", "history/"))]


def test_no_restarts_are_made_where_the_policy_is_none(world):
    world.create(a_job(total=1, at_once=1, image="crash:1", restart=restart("none")))
    world.pass_time(60, step=5)
    assert len(world.starts) == 1
    assert newest_run(world).outcome is RunOutcome.FAILED


def test_a_completion_outlives_a_history_of_one_entry(world):
    settings = replace(world.cluster.settings, task_history_limit=1)
    commands.update_settings(world.state, settings, 0)
    test_a_completion_on_a_node_that_was_lost_ends_the_second_attempt(world)


# -- global jobs


def test_a_global_job_completes_on_every_node_once(world):
    world.create(a_global_job())
    world.settle()
    assert completions(world) == {"n1": 1, "n2": 1, "n3": 1}
    assert newest_run(world).completed == 3
    world.reload()
    world.settle()
    assert len(world.starts) == 3


def test_a_node_that_joins_takes_part_only_while_the_run_is_under_way(world):
    world.jobs_held = True
    world.create(a_global_job())
    world.settle()
    world.join("n4")
    world.settle()
    assert len(world.running()) == 4
    world.jobs_held = False
    world.settle()
    world.join("n5")
    world.settle()
    assert completions(world) == {"n1": 1, "n2": 1, "n3": 1, "n4": 1}
    world.update("web", forced(a_global_job()))
    world.settle()
    assert len(completions(world)) == 5


def test_a_lost_node_holds_no_global_job_up_and_is_counted_when_it_comes_back(world):
    world.jobs_held = True
    world.create(a_global_job())
    world.settle()
    world.cut("n1")
    world.pass_time(10)
    for task in world.running():
        if task.node_id != "n1":
            world.fail(task, S.COMPLETE)
    world.settle()
    run = newest_run(world)
    assert (run.outcome, run.completed, run.failed) == (RunOutcome.FAILED, 2, 1)
    world.jobs_held = False
    world.join("n1")
    world.settle()
    run = newest_run(world)
    assert (run.outcome, run.completed, run.failed) == (RunOutcome.COMPLETED, 3, 0)
    assert len(world.starts) == 3


def test_a_new_leader_waits_for_nodes_that_it_has_not_heard(world):
    world.jobs_held = True
    world.create(a_global_job(image="crash:1"))
    world.turn()
    world.turn()
    for name in ("n1", "n2", "n3"):
        world.cut(name)
    world.reload()
    world.settle()
    assert world.service().record.job.is_under_way
    assert newest_run(world).outcome is RunOutcome.RUNNING


def test_a_drained_node_ends_its_part_and_holds_nothing_up(world):
    world.jobs_held = True
    world.create(a_global_job())
    world.settle()
    drain(world, "n1")
    world.jobs_held = False
    world.settle()
    run = newest_run(world)
    assert (run.completed, run.failed) == (2, 1)
    assert world.tasks() == []
