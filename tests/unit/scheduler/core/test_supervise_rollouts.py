"""Rolling updates, rollbacks and drains go batch by batch, whatever leader is at work."""

import pytest

from berth.errors import ConflictError, OutOfSequenceError
from berth.model.node import Availability, NodeSpec
from berth.model.service import FailureAction, UpdateOrder, UpdatePolicy
from berth.model.task import TaskState
from scheduler.core import commands
from tests.builders import a_spec
from tests.unit.scheduler.core.world import World

S = TaskState


@pytest.fixture
def world() -> World:
    return World()


def set_availability(world: World, node: str, availability: Availability) -> None:
    known = world.state.nodes[node]
    spec = NodeSpec(known.spec.labels, availability)
    commands.update_node(world.state, known, spec, 0, world.now)


@pytest.mark.parametrize("order", list(UpdateOrder))
def test_a_rolling_update_replaces_batch_by_batch(world, order):
    policy = UpdatePolicy(parallelism=2, delay_s=3, monitor_s=2, order=order)
    world.create(a_spec(replicas=6, update=policy))
    world.settle()
    world.update("web", a_spec(replicas=6, image="app:2", update=policy))
    world.settle()
    assert world.status() == "updating"
    assert len(world.running(image="app:2")) == 2
    assert len(world.running()) == 6
    world.pass_time(3.1)
    assert len(world.running(image="app:2")) == 4
    world.pass_time(3.1)
    assert len(world.running(image="app:2")) == 6
    world.pass_time(3.1)
    assert world.status() == "completed"
    assert list(world.service().record.templates) == [2]


def test_stop_first_pulls_before_it_stops(world):
    world.create(a_spec(replicas=1))
    world.settle()
    world.update("web", a_spec(replicas=1, image="slow:2"))
    world.settle()
    assert len(world.running(image="app:1")) == 1, "the old one runs while the new one pulls"
    world.slow_done = True
    world.settle()
    assert len(world.running(image="slow:2")) == 1


def test_stop_first_waits_for_the_real_stop_up_to_grace_and_margin(world):
    world.create(a_spec(replicas=1, grace_s=20))
    world.settle()
    world.stops_held.add("app:1")
    world.update("web", a_spec(replicas=1, image="app:2", grace_s=20))
    world.settle()
    world.pass_time(24)
    assert not world.running(image="app:2")
    world.pass_time(2)
    assert len(world.running(image="app:2")) == 1


def test_stop_first_needs_no_spare_capacity(world):
    world.create(a_spec(replicas=3, cpus=4))
    world.settle()
    world.update("web", a_spec(replicas=3, cpus=4, image="app:2"))
    world.settle()
    world.pass_time(8)
    assert len(world.running(image="app:2")) == 3


def test_start_first_for_its_own_host_port_falls_back_to_stop_first(world):
    policy = UpdatePolicy(order=UpdateOrder.START_FIRST)
    world.create(a_spec(is_global=True, port=80, update=policy))
    world.settle()
    world.update("web", a_spec(is_global=True, port=80, image="app:2", update=policy))
    world.settle()
    world.pass_time(20)
    assert len(world.running(image="app:2")) == 3
    assert world.status() == "completed"


def test_a_bad_update_pauses_and_leaves_the_healthy_part_alone(world):
    world.create(a_spec(replicas=3))
    world.settle()
    before = {task.id for task in world.running()}
    world.update("web", a_spec(replicas=3, image="bad:2"))
    world.settle()
    assert world.status() == "paused"
    assert {task.id for task in world.running()} == before
    world.pass_time(60)
    assert {task.id for task in world.running()} == before


def test_a_bad_update_rolls_back_when_asked(world):
    policy = UpdatePolicy(failure_action=FailureAction.ROLLBACK)
    world.create(a_spec(replicas=3, update=policy))
    world.settle()
    world.update("web", a_spec(replicas=3, image="crash:2", update=policy))
    world.settle()
    world.pass_time(40)
    assert world.status() == "rollback_completed"
    assert len(world.running(image="app:1")) == 3
    assert world.service().record.spec.task.container.image == "app:1"


def test_continue_goes_on_whatever_fails(world):
    policy = UpdatePolicy(failure_action=FailureAction.CONTINUE, parallelism=1)
    world.create(a_spec(replicas=2, update=policy))
    world.settle()
    world.update("web", a_spec(replicas=2, image="bad:2", update=policy))
    world.pass_time(30)
    assert world.status() in {"updating", "completed"}


def test_a_manual_rollback_swaps_and_a_second_swaps_forward(world):
    world.create(a_spec(replicas=2))
    world.settle()
    world.update("web", a_spec(replicas=2, image="app:2"))
    world.pass_time(20)
    commands.roll_back_service(world.state, world.service(), 0, world.now)
    world.pass_time(20)
    assert world.status() == "rollback_completed"
    assert len(world.running(image="app:1")) == 2
    commands.roll_back_service(world.state, world.service(), 0, world.now)
    world.pass_time(20)
    assert len(world.running(image="app:2")) == 2


def test_rolling_back_what_was_never_updated_is_refused(world):
    service = world.create(a_spec())
    with pytest.raises(ConflictError, match="no previous spec"):
        commands.roll_back_service(world.state, service, 0, world.now)


def test_an_update_from_an_old_reading_is_refused(world):
    service = world.create(a_spec())
    world.update("web", a_spec(labels={"a": "b"}))
    with pytest.raises(OutOfSequenceError, match="update out of sequence"):
        commands.update_service(world.state, service, a_spec(), 1, b"", world.now)


@pytest.mark.parametrize("turns", range(1, 14))
def test_an_update_cut_by_a_new_leader_anywhere_still_converges(turns):
    world = World()
    policy = UpdatePolicy(parallelism=1, delay_s=1, monitor_s=2)
    world.create(a_spec(replicas=3, update=policy))
    world.settle()
    world.update("web", a_spec(replicas=3, image="app:2", update=policy))
    for _ in range(turns):
        world.turn()
        world.instant += 0.7
    world.reload()
    world.pass_time(30)
    assert len(world.running(image="app:2")) == 3
    assert len(world.tasks()) == 3
    assert world.status() == "completed"


def test_a_drain_moves_even_a_single_replica_without_a_gap(world):
    world.create(a_spec(replicas=1))
    world.settle()
    (old,) = world.running()
    set_availability(world, old.node_id, Availability.DRAIN)
    for _ in range(12):
        world.turn()
        assert len([t for t in world.tasks() if t.observed == S.RUNNING]) >= 1
    world.settle()
    (new,) = world.running()
    assert new.node_id != old.node_id
    assert len(world.tasks()) == 1


def test_a_drain_with_nowhere_to_go_keeps_the_task_and_says_why():
    world = World(nodes=1)
    world.create(a_spec(replicas=1))
    world.settle()
    set_availability(world, "n1", Availability.DRAIN)
    world.settle()
    assert len(world.running()) == 1
    assert len(world.service().waiting) == 1
    world.join("n2")
    world.settle()
    assert world.by_node() == {"n2": 1}


def test_a_drain_that_is_called_off_keeps_the_old_task():
    world = World(nodes=1)
    world.create(a_spec(replicas=1))
    world.settle()
    (old,) = world.running()
    set_availability(world, "n1", Availability.DRAIN)
    world.settle()
    set_availability(world, "n1", Availability.ACTIVE)
    world.settle()
    assert [t.id for t in world.tasks()] == [old.id]


def test_a_global_update_is_not_held_up_by_a_lost_node(world):
    policy = UpdatePolicy(parallelism=1)
    world.create(a_spec(is_global=True, update=policy))
    world.settle()
    world.cut("n1")
    world.pass_time(6)
    world.update("web", a_spec(is_global=True, image="app:2", update=policy))
    world.pass_time(20)
    assert len(world.running(image="app:2")) == 2
    assert world.status() == "completed"
    world.join("n1")
    world.pass_time(20)
    assert len(world.running(image="app:2")) == 3


def test_a_drain_leaves_the_status_of_the_last_rollout_alone(world):
    world.create(a_spec(replicas=3))
    world.settle()
    world.update("web", a_spec(replicas=3, image="app:2"))
    world.pass_time(30)
    commands.roll_back_service(world.state, world.service(), 0, world.now)
    world.pass_time(30)
    assert world.status() == "rollback_completed"
    set_availability(world, "n1", Availability.DRAIN)
    for _ in range(10):
        world.turn()
        world.instant += 0.1
        assert world.status() == "rollback_completed"
