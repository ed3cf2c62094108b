"""Rollouts across changes of leader and losses of nodes: nobody forgets what was begun."""

import pytest

from berth.model.service import FailureAction, UpdateOrder, UpdatePolicy
from tests.builders import a_spec, restart
from tests.unit.scheduler.core.world import World


def rolling(world: World, policy: UpdatePolicy, *, replicas: int = 3) -> None:
    world.create(a_spec(replicas=replicas, update=policy))
    world.settle()
    world.update("web", a_spec(replicas=replicas, image="app:2", update=policy))
    world.settle()


def test_the_delay_between_slots_survives_a_change_of_leader() -> None:
    world = World()
    rolling(world, UpdatePolicy(delay_s=10))
    world.pass_time(5)
    world.reload()
    world.settle()
    assert len(world.running(image="app:2")) == 1
    world.pass_time(10)
    assert len(world.running(image="app:2")) == 2


def test_the_watch_over_the_last_slot_survives_a_change_of_leader() -> None:
    world = World()
    policy = UpdatePolicy(monitor_s=10, failure_action=FailureAction.ROLLBACK)
    rolling(world, policy, replicas=1)
    assert world.status() == "updating"
    world.reload()
    world.pass_time(4)
    assert world.status() == "updating"
    world.fail(world.running()[0], ran_s=4)
    world.pass_time(30)
    assert world.status() == "rollback_completed"
    assert len(world.running(image="app:1")) == 1


@pytest.mark.parametrize("changes_leader", [False, True])
@pytest.mark.parametrize("order", list(UpdateOrder))
def test_a_global_rollout_goes_on_without_a_node_lost_in_the_midst_of_it(
    order: UpdateOrder, changes_leader: bool
) -> None:
    world = World()
    policy = UpdatePolicy(parallelism=1, order=order)
    world.create(a_spec(is_global=True, update=policy))
    world.settle()
    world.update("web", a_spec(is_global=True, image="slow:2", update=policy))
    world.settle()
    world.cut("n1")
    world.pass_time(6)
    if changes_leader:
        world.reload()
    world.slow_done = True
    world.pass_time(20, step=2)
    assert (world.status(), len(world.running(image="slow:2"))) == ("completed", 2)
    world.join("n1")
    world.pass_time(20, step=2)
    assert (world.status(), len(world.running(image="slow:2"))) == ("completed", 3)
    assert len(world.tasks()) == 3


def test_a_node_that_only_lost_its_connection_is_waited_for() -> None:
    world = World()
    world.create(a_spec(is_global=True))
    world.settle()
    world.update("web", a_spec(is_global=True, image="slow:2"))
    world.settle()
    world.cut("n1")
    world.pass_time(4)
    assert [slot for slot, tasks in world.service().slots.items() if len(tasks) == 2] == ["n1"]


def test_a_slot_whose_attempts_with_the_new_version_are_used_up_keeps_the_old_one() -> None:
    world = World()
    policy = UpdatePolicy(failure_action=FailureAction.CONTINUE)
    once = restart(condition="none")
    world.create(a_spec(update=policy, restart=once))
    world.settle()
    world.update("web", a_spec(update=policy, restart=once, image="bad:2"))
    world.pass_time(60, step=5)
    assert [entry.attempt for entry in world.service().history[1]] == [2]
    assert len(world.running(image="app:1")) == 1
