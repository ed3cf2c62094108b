"""A wall clock that is set back lengthens a restart delay by at most one more delay."""

from berth.model.cluster import ClusterSettings
from berth.model.instant import Timestamp
from berth.model.task import TaskState
from scheduler.core.clock_steps import forget_future
from scheduler.core.now import Now
from scheduler.core.step import take_turn
from tests.builders import a_spec
from tests.unit.scheduler.core.world import World


def test_what_ended_in_the_future_ended_now():
    world = World(nodes=1)
    world.create(a_spec())
    world.settle()
    world.fail(world.running()[0])
    world.settle()
    finished = world.service().history[1][-1]
    forget_future(world.state, Timestamp(finished.finished_at - 3600.0))
    assert world.service().history[1][-1].finished_at == finished.finished_at - 3600.0
    forget_future(world.state, finished.finished_at)
    assert world.service().history[1][-1].finished_at == finished.finished_at - 3600.0


def test_a_leader_whose_clock_is_set_back_restarts_after_one_more_delay():
    world = World(nodes=1, settings=ClusterSettings(lost_after_s=60.0))
    world.create(a_spec())
    world.settle()
    world.fail(world.running()[0])
    world.settle()
    for _ in range(2):
        world.instant += 5.1
        now = Now(world.now.instant, Timestamp(world.now.timestamp - 3600.0))
        take_turn(world.state, world.timers, now)
    (task,) = world.tasks()
    assert task.desired == TaskState.RUNNING
