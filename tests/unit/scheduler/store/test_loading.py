"""What a new leader makes of the store, also of one that was written only in part."""

from collections.abc import Iterable

import pytest

from berth.errors import InternalError
from berth.model.ids import ClusterId, NodeId
from berth.model.instant import NEVER
from berth.model.node import NodeState
from berth.model.service import UpdatePolicy
from berth.model.task import TaskState
from scheduler.core import commands, invariants
from scheduler.core.cluster_record import ClusterRecord
from scheduler.core.state import LeaderState
from scheduler.store import keys
from scheduler.store.loading import build_state, load_state
from scheduler.store.recordpb import records_pb2 as pb
from scheduler.store.schema import NEWEST
from tests.builders import a_spec, restart
from tests.unit.scheduler.core.world import World

S = TaskState
FRESH = ClusterRecord(ClusterId("fresh"))


@pytest.fixture
def world() -> World:
    """Two nodes, a service of two replicas and a global one, all running, all stored."""
    world = World(nodes=2)
    world.create(a_spec(replicas=2, restart=restart(delay_s=1)))
    world.create(a_spec("all", is_global=True))
    world.settle()
    world.state.unsaved.cluster = True
    world.turn()
    return world


def load(world: World, entries: dict[str, bytes] | None = None) -> LeaderState:
    state = load_state(world.entries if entries is None else entries, FRESH, world.now)
    invariants.check(state)
    return state


def under(entries: Iterable[str], prefix: str) -> list[str]:
    return sorted(key for key in entries if key.startswith(prefix))


def mixed(before: dict[str, bytes], after: dict[str, bytes], *written: str) -> dict[str, bytes]:
    """Return the store after a crash: of the later state only documents under `written`."""
    is_written = tuple(written)
    kept = {key: value for key, value in before.items() if not key.startswith(is_written)}
    return kept | {key: value for key, value in after.items() if key.startswith(is_written)}


def test_memory_is_built_in_steps_that_grow_with_the_tasks() -> None:
    def steps(replicas: int) -> int:
        world = World(nodes=50)
        world.create(a_spec(replicas=replicas))
        world.settle(rounds=400)
        assert len(load(world).tasks) == replicas
        return sum(1 for _ in build_state(world.entries, FRESH, world.now, tasks_per_step=1000))

    few = steps(500)
    many = steps(3000)
    assert many - few in (2, 3)


def test_an_empty_store_is_a_new_cluster() -> None:
    state = load(World(nodes=0), {})
    assert state.cluster is FRESH
    assert state.unsaved.cluster
    assert (state.services, state.nodes) == ({}, {})


def test_a_store_that_is_whole_needs_no_writing(world: World) -> None:
    state = load(world)
    assert state.cluster.id == "c1"
    assert not state.unsaved
    assert sorted(state.names) == ["all", "web"]
    assert list(state.globals) == [state.names["all"]]
    assert set(state.tasks) == set(world.state.tasks)
    assert set(state.dirty) == set(state.services)


def test_nodes_are_unknown_until_they_are_heard_but_lost_ones_stay_lost(world: World) -> None:
    world.cut("n1")
    world.pass_time(6)
    state = load(world)
    lost, other = state.nodes[NodeId("n1")], state.nodes[NodeId("n2")]
    assert (lost.state, state.liveness[lost.id].deadline) == (NodeState.DOWN, NEVER)
    assert (other.state, other.message) == (NodeState.UNKNOWN, "not heard by this leader yet")
    assert state.expiry_at == state.liveness[other.id].deadline == world.now.instant + 15


def test_a_crash_between_history_and_placements_loses_no_attempt_and_runs_none_twice(
    world: World,
) -> None:
    (task, _) = world.tasks("web")
    world.fail(task)
    before = dict(world.entries)
    world.turn()
    state = load(world, mixed(before, world.entries, keys.HISTORY))
    service = state.services[state.names["web"]]
    assert task.id not in state.tasks
    assert list(state.unsaved.placements) == [task.node_id]
    assert [entry.id for entry in service.history[1]] == [task.id]
    assert service.next_attempt(1) == 2


def test_a_crash_before_history_repeats_what_the_agent_tells_again(world: World) -> None:
    (task, _) = world.tasks("web")
    world.fail(task)
    node = world.nodes[str(task.node_id)]
    before, told = dict(world.entries), dict(node.reported)
    world.turn()
    world.entries, node.reported = before, told  # Nothing was durable, so nothing left.
    world.reload()
    world.settle()
    assert [entry.id for entry in world.service("web").history[1]] == [task.id]


def test_placements_of_a_service_that_is_gone_are_cleaned_up(world: World) -> None:
    before = dict(world.entries)
    commands.remove_service(world.state, world.service("web"))
    world.settle()
    crashed = mixed(before, world.entries, keys.SERVICES)
    state = load(world, crashed)
    assert [service.record.spec.name for service in state.services.values()] == ["all"]
    assert sorted(state.unsaved.placements) == ["n1", "n2"]
    world.entries = crashed
    world.reload()
    world.settle()
    assert len(world.state.tasks) == 2
    assert not load(world).unsaved


def test_history_of_a_service_that_is_gone_is_cleaned_up(world: World) -> None:
    world.fail(world.tasks("web")[0])
    world.settle()
    before = dict(world.entries)
    assert under(before, keys.HISTORY)
    commands.remove_service(world.state, world.service("web"))
    world.settle()
    world.entries = mixed(before, world.entries, keys.SERVICES)
    world.reload()
    world.settle()
    assert under(world.entries, keys.HISTORY) == []


def test_placements_on_a_node_that_is_gone_are_cleaned_up_and_made_up_for(world: World) -> None:
    before = dict(world.entries)
    world.nodes["n1"].session = None
    commands.remove_node(world.state, world.state.nodes[NodeId("n1")], world.now, force=True)
    world.turn()
    world.entries = mixed(before, world.entries, keys.NODES)
    world.nodes["n1"].is_cut = True
    world.reload()
    world.settle()
    assert world.by_node("web") == {"n2": 2}
    assert under(world.entries, keys.PLACEMENTS) == ["placements/n2"]


def test_a_task_of_a_template_that_nobody_knows_any_more_is_replaced(world: World) -> None:
    before = dict(world.entries)
    world.update("web", a_spec(replicas=2, image="app:2"))
    world.pass_time(30)
    state = load(world, mixed(before, world.entries, keys.SERVICES))
    assert [t.service_id for t in state.tasks.values()] == [state.names["all"]] * 2
    assert sorted(state.unsaved.placements) == ["n1", "n2"]


def test_a_slot_that_was_closing_goes_on_closing(world: World) -> None:
    world.stops_held.add("app:1")
    world.update("web", a_spec(replicas=1, restart=restart(delay_s=1)))
    world.settle()
    state = load(world)
    service = state.services[state.names["web"]]
    assert service.closing == {2}
    world.reload()
    world.settle()
    assert [task.desired for task in world.tasks("web")] == [S.RUNNING, S.REMOVE]


def test_tasks_of_a_slot_come_back_in_the_order_of_their_attempts(world: World) -> None:
    policy = UpdatePolicy(parallelism=0)
    for image in ("slow:2", "slow:3"):
        spec = a_spec(replicas=2, image=image, update=policy, restart=restart(delay_s=1))
        world.update("web", spec)
        world.settle()
    for tasks in load(world).services[world.service("web").record.id].slots.values():
        assert [task.attempt for task in tasks] == sorted(task.attempt for task in tasks)


def test_a_service_that_is_being_removed_has_no_name(world: World) -> None:
    world.stops_held.add("app:1")
    commands.remove_service(world.state, world.service("web"))
    world.settle()
    state = load(world)
    assert sorted(state.names) == ["all"]
    assert len(state.services) == 2


@pytest.mark.parametrize(
    ("prefix", "record"),
    [
        (keys.CLUSTER, pb.ClusterRecord),
        (keys.SERVICES, pb.ServiceRecord),
        (keys.NODES, pb.NodeRecord),
        (keys.PLACEMENTS, pb.PlacementsRecord),
        (keys.HISTORY, pb.HistoryRecord),
    ],
)
def test_a_record_of_a_newer_schema_stops_the_take_over(world: World, prefix: str, record) -> None:  # type: ignore[no-untyped-def]
    world.fail(world.tasks("web")[0])
    world.settle()
    key = under(world.entries, prefix)[0]
    message = record.FromString(world.entries[key])
    message.schema = NEWEST + 1
    with pytest.raises(InternalError, match=f"has schema {NEWEST + 1}"):
        load(world, {**world.entries, key: message.SerializeToString()})
