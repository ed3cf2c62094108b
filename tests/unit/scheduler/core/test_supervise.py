"""Services come up, heal, scale, update, drain and go, whatever leader is at work."""

import itertools

import pytest

from berth.errors import ConflictError
from berth.model.cluster import ClusterSettings
from berth.model.node import Availability, NodeSpec, NodeState
from berth.model.task import TaskState
from scheduler.core import commands, membership
from tests.builders import a_spec, restart
from tests.unit.scheduler.core.world import World

S = TaskState


@pytest.fixture
def world() -> World:
    return World()


def set_availability(world: World, node: str, availability: Availability) -> None:
    known = world.state.nodes[node]
    spec = NodeSpec(known.spec.labels, availability)
    commands.update_node(world.state, known, spec, 0, world.now)


def test_replicas_come_up_spread_over_the_nodes(world):
    world.create(a_spec(replicas=6))
    world.settle()
    assert world.by_node() == {"n1": 2, "n2": 2, "n3": 2}


def test_scaling_opens_the_lowest_slots_and_restarts_nothing(world):
    world.create(a_spec(replicas=3))
    world.settle()
    before = {task.id for task in world.running()}
    world.update("web", a_spec(replicas=5))
    world.settle()
    assert sorted(task.slot for task in world.running()) == [1, 2, 3, 4, 5]
    assert before <= {task.id for task in world.running()}
    world.update("web", a_spec(replicas=2))
    world.settle()
    assert len(world.tasks()) == 2
    assert world.status() == ""


def test_a_label_change_restarts_nothing_and_moves_the_version(world):
    world.create(a_spec(replicas=2))
    world.settle()
    before = {task.id for task in world.running()}
    world.update("web", a_spec(replicas=2, labels={"a": "b"}))
    world.settle()
    assert {task.id for task in world.running()} == before
    assert world.service().record.version == 2
    assert world.service().record.template_version == 1


def test_a_lost_nodes_tasks_run_elsewhere_and_nothing_else_moves(world):
    world.create(a_spec(replicas=6))
    world.settle()
    others = {task.id for task in world.running() if task.node_id != "n1"}
    world.cut("n1")
    world.pass_time(4.5)
    assert world.state.nodes["n1"].state is NodeState.READY
    world.pass_time(1.0)
    assert world.state.nodes["n1"].state is NodeState.DOWN
    assert world.by_node() == {"n2": 3, "n3": 3}
    assert others <= {task.id for task in world.running()}


def test_a_node_that_returns_has_its_surplus_stopped(world):
    world.create(a_spec(replicas=6))
    world.settle()
    world.cut("n1")
    world.pass_time(6)
    world.join("n1")
    world.settle()
    assert world.by_node() == {"n2": 3, "n3": 3}
    assert not [t for t in world.tasks() if t.node_id == "n1"]
    assert world.nodes["n1"].wanted == {}


def test_a_stopped_task_is_followed_after_its_delay(world):
    world.create(a_spec(restart=restart(delay_s=5)))
    world.settle()
    world.fail(world.running()[0])
    world.settle()
    (task,) = world.tasks()
    assert (task.attempt, task.desired, task.observed) == (2, S.READY, S.READY)
    world.pass_time(4.5)
    assert not world.running()
    world.pass_time(0.6)
    assert len(world.running()) == 1


def test_a_restart_delay_survives_a_change_of_leader(world):
    world.create(a_spec(restart=restart(delay_s=10)))
    world.settle()
    world.fail(world.running()[0])
    world.settle()
    world.pass_time(6)
    world.reload()
    world.settle()
    assert not world.running()
    world.pass_time(4.1)
    assert len(world.running()) == 1


def test_attempts_end_and_a_new_template_begins_anew(world):
    world.create(a_spec(image="crash:1", restart=restart(delay_s=1, attempts=2)))
    world.settle()
    world.pass_time(200)
    assert world.tasks() == []
    assert [f.attempt for f in world.service().history[1]] == [1, 2, 3]
    world.update("web", a_spec(image="app:2", restart=restart(delay_s=1, attempts=2)))
    world.settle()
    assert len(world.running()) == 1


def test_a_crash_loop_backs_off(world):
    world.create(a_spec(image="crash:1", restart=restart(delay_s=1)))
    world.settle()
    world.pass_time(300)
    ends = [f.finished_at for f in world.service().history[1]]
    gaps = [later - earlier for earlier, later in itertools.pairwise(ends)]
    assert gaps == sorted(gaps)
    assert gaps[-1] == pytest.approx(60, abs=1)


def test_a_paused_node_keeps_its_tasks_and_gets_none(world):
    world.create(a_spec(replicas=3))
    world.settle()
    set_availability(world, "n1", Availability.PAUSE)
    world.update("web", a_spec(replicas=7))
    world.settle()
    assert world.by_node() == {"n1": 1, "n2": 3, "n3": 3}


def test_a_global_service_follows_the_nodes(world):
    world.create(a_spec(is_global=True))
    world.settle()
    assert world.by_node() == {"n1": 1, "n2": 1, "n3": 1}
    world.join("n4")
    world.settle()
    set_availability(world, "n2", Availability.DRAIN)
    world.settle()
    assert world.by_node() == {"n1": 1, "n3": 1, "n4": 1}
    set_availability(world, "n2", Availability.ACTIVE)
    world.settle()
    assert world.by_node() == {"n1": 1, "n2": 1, "n3": 1, "n4": 1}


def test_freed_capacity_places_what_waits(world):
    world.create(a_spec("big", replicas=3, cpus=3))
    world.settle()
    world.create(a_spec("late", replicas=1, cpus=3))
    world.settle()
    assert world.running("late") == []
    world.update("big", a_spec("big", replicas=2, cpus=3))
    world.settle()
    assert len(world.running("late")) == 1


def test_a_changed_label_places_what_waits_and_evicts_what_no_longer_fits(world):
    world.create(a_spec(replicas=1, constraints=("node.labels.zone==a",)))
    world.settle()
    assert world.running() == []
    node = world.state.nodes["n2"]
    commands.update_node(world.state, node, NodeSpec({"zone": "a"}), 0, world.now)
    world.settle()
    assert world.by_node() == {"n2": 1}
    for name, zone in (("n2", "b"), ("n3", "a")):
        node = world.state.nodes[name]
        commands.update_node(world.state, node, NodeSpec({"zone": zone}), 0, world.now)
    world.settle()
    assert world.by_node() == {"n3": 1}


def test_a_removed_service_stops_everything_and_frees_its_name(world):
    world.create(a_spec(replicas=3))
    world.settle()
    commands.remove_service(world.state, world.service())
    world.create(a_spec(replicas=1))
    world.settle()
    assert len(world.state.services) == 1
    assert len(world.state.tasks) == 1
    assert [key for key in world.entries if key.startswith("services/")] == [
        f"services/{world.service().record.id}"
    ]


def test_a_ready_node_is_removed_only_by_force(world):
    world.create(a_spec(replicas=3))
    world.settle()
    node = world.state.nodes["n1"]
    with pytest.raises(ConflictError, match="drain it"):
        commands.remove_node(world.state, node, world.now, force=False)
    world.nodes["n1"].session = None
    commands.remove_node(world.state, node, world.now, force=True)
    world.settle()
    assert "n1" not in world.state.nodes
    assert len(world.running()) == 3


def test_orphans_of_a_node_that_stays_down_are_given_up(world):
    world = World(settings=ClusterSettings(orphan_after_s=3600))
    world.create(a_spec(replicas=3))
    world.settle()
    world.cut("n1")
    world.pass_time(6)
    assert len(world.tasks()) == 4
    world.pass_time(3700, step=60)
    assert len(world.tasks()) == 3


def test_a_flapping_node_gets_no_new_work_for_a_while(world):
    for _ in range(3):
        world.cut("n1")
        world.pass_time(6)
        world.join("n1")
        world.settle()
    world.create(a_spec(replicas=4))
    world.settle()
    assert "n1" not in world.by_node()
    world.pass_time(35)
    world.update("web", a_spec(replicas=6))
    world.settle()
    assert "n1" in world.by_node()


def test_a_fenced_service_is_replaced_only_after_its_fence(world):
    world.create(a_spec(replicas=1, labels={"berth.fence": "after:30s"}))
    world.settle()
    (task,) = world.running()
    world.cut(task.node_id)
    world.pass_time(40)
    assert [t.id for t in world.tasks()] == [task.id]
    world.pass_time(15)
    assert len([t for t in world.running() if t.id != task.id]) == 1


def test_a_new_leader_finds_everything_as_it_was(world):
    world.create(a_spec(replicas=5, image="app:1"))
    world.create(a_spec("all", is_global=True))
    world.settle()
    starts = len(world.starts)
    before = {task.id for task in world.state.tasks.values()}
    world.reload()
    world.pass_time(20)
    assert {task.id for task in world.state.tasks.values()} == before
    assert len(world.starts) == starts


def test_the_leaders_own_pause_loses_no_node(world):
    world.instant += 60
    membership.postpone(world.state, 60)
    world.settle()
    assert all(node.state is NodeState.READY for node in world.state.nodes.values())


def test_closed_slots_never_reuse_an_attempt(world):
    world.create(a_spec(replicas=2))
    world.settle()
    gone = {task.id for task in world.tasks()}
    world.update("web", a_spec(replicas=0))
    world.settle()
    world.update("web", a_spec(replicas=2))
    world.settle()
    assert not gone & {task.id for task in world.tasks()}


def test_what_fails_while_prepared_waits_for_its_delay_before_it_is_prepared_again(world):
    world.create(a_spec(image="bad:1", restart=restart(delay_s=10)))
    world.settle()
    world.pass_time(9)
    assert [f.attempt for f in world.service().history[1]] == [1]
    world.pass_time(2)
    assert [f.attempt for f in world.service().history[1]] == [1, 2]


def test_changed_labels_are_told_to_the_nodes_since_the_fence_is_one(world):
    world.create(a_spec(replicas=3))
    world.settle()
    world.update("web", a_spec(replicas=3, labels={"berth.fence": "after:30s"}))
    assert set(world.state.untold) == {"n1", "n2", "n3"}


def test_a_node_that_may_still_run_a_fenced_task_is_removed_only_by_force(world):
    world.create(a_spec(labels={"berth.fence": "after:30s"}))
    world.settle()
    (task,) = world.running()
    name = str(task.node_id)
    world.cut(name)
    world.pass_time(10)
    with pytest.raises(ConflictError, match='fenced service "web"'):
        commands.remove_node(world.state, world.state.nodes[name], world.now, force=False)
    world.pass_time(60)
    commands.remove_node(world.state, world.state.nodes[name], world.now, force=False)
    world.settle()
    assert len(world.running()) == 1
