"""Which changes of objects are events, and what is told of them."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from berth.model.events import ObjectEvent
from berth.model.files import FileId, FileKind
from berth.model.ids import SessionId
from berth.model.network import NetworkSpec, network_id
from berth.model.node import Availability, NodeState
from berth.model.service import UpdatePolicy
from scheduler.core import commands, file_commands, membership, networks
from scheduler.core.files import FileRecord
from tests.builders import a_spec
from tests.unit.scheduler.core.world import World

Told = tuple[str, str, dict[str, str]]


@pytest.fixture
def world() -> World:
    world = World(nodes=2)
    world.create(a_spec(replicas=2, image="app:1"))
    world.settle()
    told(world)
    return world


def told(world: World) -> list[Told]:
    """What was told of objects since the last time."""
    chronicle = world.state.chronicle
    chronicle.seal(world.now.timestamp)
    after_ns = getattr(world, "told_ns", 0)
    world.told_ns = chronicle.last_ns  # type: ignore[attr-defined]
    found = []
    for _, event in chronicle.read(after_ns, chronicle.last_ns, with_tasks=False):
        assert isinstance(event, ObjectEvent)
        found.append((event.kind, event.action, dict(event.attributes)))
    return found


WEB = {"name": "web"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(lambda spec: replace(spec, labels={"a": "b"}), {}, id="a label"),
        pytest.param(
            lambda spec: replace(spec, mode=replace(spec.mode, replicas=5)),
            {"replicas.old": "2", "replicas.new": "5"},
            id="scaled",
        ),
    ],
)
def test_an_update_tells_what_it_changes(
    world: World, change: Callable[..., object], expected: dict[str, str]
) -> None:
    world.update("web", change(world.service().record.spec))  # type: ignore[arg-type]
    world.settle()
    assert told(world) == [("service", "update", WEB | expected)]


def test_a_service_comes_and_goes() -> None:
    world = World(nodes=1)
    world.create(a_spec(replicas=1))
    world.settle()
    commands.remove_service(world.state, world.service())
    first = told(world)
    assert first[-1] == ("service", "remove", WEB), "at once, while its tasks still stop"
    world.settle()
    assert not world.state.services
    assert told(world) == []
    assert ("service", "create", WEB) in first


def test_a_rollout_tells_its_states(world: World) -> None:
    quick = UpdatePolicy(parallelism=1, delay_s=0.0, monitor_s=1.0)
    world.update("web", replace(a_spec(replicas=2, image="app:2"), update=quick))
    world.settle()
    world.pass_time(10.0)
    assert told(world) == [
        ("service", "update", WEB | {"image.old": "app:1", "image.new": "app:2"}),
        ("service", "update", WEB | {"updatestate.new": "updating"}),
        (
            "service",
            "update",
            WEB | {"updatestate.old": "updating", "updatestate.new": "completed"},
        ),
    ]
    service = world.service()
    commands.roll_back_service(world.state, service, 0, world.now)
    assert told(world) == [
        (
            "service",
            "update",
            WEB
            | {"image.old": "app:2", "image.new": "app:1"}
            | {"updatestate.old": "completed", "updatestate.new": "rollback_started"},
        )
    ]


def test_a_node_is_lost_and_returns(world: World) -> None:
    world.cut("n1")
    world.pass_time(60.0)
    world.join("n1")
    told_of_nodes = [each for each in told(world) if each[0] == "node"]
    assert told_of_nodes == [
        ("node", "update", {"name": "n1", "state.old": "ready", "state.new": "down"}),
        ("node", "update", {"name": "n1", "state.old": "down", "state.new": "ready"}),
    ]


def test_a_node_is_drained_labelled_and_removed(world: World) -> None:
    node = commands.find_node(world.state, "n1")
    spec = replace(node.spec, availability=Availability.DRAIN)
    node = commands.update_node(world.state, node, spec, 0, world.now)
    commands.update_node(world.state, node, replace(spec, labels={"a": "b"}), 0, world.now)
    commands.update_node(world.state, node, replace(spec, labels={"a": "b"}), 0, world.now)
    commands.remove_node(world.state, node, world.now, force=True)
    changed = {"availability.old": "active", "availability.new": "drain"}
    assert told(world) == [
        ("node", "update", {"name": "n1"} | changed),
        ("node", "update", {"name": "n1"}),
        ("node", "remove", {"name": "n1"}),
    ]


def test_nodes_that_come_are_told_of() -> None:
    assert told(World(nodes=1)) == [("node", "create", {"name": "n1"})]


def test_what_a_new_leader_does_not_know_yet_is_no_news(world: World) -> None:
    world.reload()
    assert {node.state for node in world.state.nodes.values()} == {NodeState.READY}
    assert told(world) == []


def test_a_node_that_a_new_leader_never_hears_is_told_to_be_down(world: World) -> None:
    world.cut("n1")
    world.reload()
    world.pass_time(120.0)
    told_of_nodes = [each for each in told(world) if each[0] == "node"]
    changed = {"name": "n1", "state.old": "ready", "state.new": "down"}
    assert told_of_nodes == [("node", "update", changed)]


def test_a_node_that_was_told_to_be_away_is_told_to_be_back_by_the_next_leader(
    world: World,
) -> None:
    node = world.nodes["n1"]
    assert node.session is not None
    membership.leave(world.state, node.id, SessionId(node.session), world.now, is_planned=False)
    assert told(world) == [
        ("node", "update", {"name": "n1", "state.old": "ready", "state.new": "disconnected"})
    ]
    world.settle()
    world.reload()
    assert told(world) == [
        ("node", "update", {"name": "n1", "state.old": "disconnected", "state.new": "ready"})
    ]


@pytest.mark.parametrize("kind", FileKind, ids=lambda kind: kind.value)
def test_configs_and_secrets(world: World, kind: FileKind) -> None:
    record = FileRecord(kind, FileId("f1"), "motd")
    record = file_commands.create_file(world.state, record, world.now)
    record = file_commands.update_file_labels(world.state, record, {"a": "b"}, 0, world.now)
    file_commands.remove_file(world.state, record)
    name = {"name": "motd"}
    assert told(world) == [
        (kind.value, "create", name), (kind.value, "update", name), (kind.value, "remove", name),
    ]  # fmt: skip


def test_networks(world: World) -> None:
    networks.create_network(world.state, NetworkSpec("lan"), world.now)
    networks.remove_network(world.state, "lan")
    name = {"name": "lan"}
    assert told(world) == [("network", "create", name), ("network", "remove", name)]
    chronicle = world.state.chronicle
    newest = list(chronicle.read(0, chronicle.last_ns, with_tasks=False))[-1][1]
    assert isinstance(newest, ObjectEvent)
    assert newest.id == network_id("lan")
