"""What users may ask for: refused whole, or done whole."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from berth.errors import (
    AlreadyExistsError,
    BerthError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    OutOfSequenceError,
)
from berth.model.cluster import ClusterSettings
from berth.model.ids import NodeId, ServiceId
from berth.model.node import Availability, NodeSpec, NodeState
from scheduler.core import commands
from tests.builders import a_description, a_spec
from tests.unit.scheduler.core.world import World


@pytest.fixture
def world() -> World:
    world = World(nodes=2)
    for service_id, name in (("abc1", "web"), ("abc2", "db"), ("xyz", "abc")):
        commands.create_service(world.state, ServiceId(service_id), a_spec(name), b"", world.now)
    world.settle()
    return world


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param("abc1", "abc1", id="by ID"),
        pytest.param("web", "abc1", id="by name"),
        pytest.param("abc", "xyz", id="a name wins over a prefix of IDs"),
        pytest.param("xy", "xyz", id="by a prefix of its ID"),
    ],
)
def test_a_service_is_found(world: World, asked: str, found: str) -> None:
    assert commands.find_service(world.state, asked).record.id == found


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        pytest.param("nope", NotFoundError, 'service "nope" not found', id="unknown"),
        pytest.param("", NotFoundError, "not found", id="nothing was asked"),
        pytest.param("ab", InvalidRequestError, "ambiguous: 2 IDs begin so", id="two begin so"),
        pytest.param("we", NotFoundError, "not found", id="a prefix of a name is no name"),
    ],
)
def test_a_service_is_not_found(
    world: World, asked: str, error: type[BerthError], words: str
) -> None:
    with pytest.raises(error, match=words):
        commands.find_service(world.state, asked)


def test_a_service_that_is_being_removed_is_not_found_and_its_name_is_free(world: World) -> None:
    commands.remove_service(world.state, world.service("web"))
    for asked in ("web", "abc1"):
        with pytest.raises(NotFoundError):
            commands.find_service(world.state, asked)
    commands.check_new_name(world.state, "web")
    commands.create_service(world.state, ServiceId("new"), a_spec("web"), b"", world.now)
    world.settle()
    assert world.service("web").record.id == "new"


def test_a_name_is_given_once(world: World) -> None:
    with pytest.raises(AlreadyExistsError, match='service "web" already exists'):
        commands.create_service(world.state, ServiceId("new"), a_spec("web"), b"", world.now)
    assert ServiceId("new") not in world.state.services


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param("n1", "n1", id="by ID"),
        pytest.param("alpha", "n1", id="by host name"),
        pytest.param("n2", "n2", id="an ID wins over a host name"),
        pytest.param("odd", "odd-node", id="by a prefix of its ID"),
    ],
)
def test_a_node_is_found(world: World, asked: str, found: str) -> None:
    world.join("odd-node")
    world.join("n3")
    rename(world, "n1", "alpha")
    rename(world, "n3", "n2")
    assert commands.find_node(world.state, asked).id == found


def rename(world: World, node: str, hostname: str) -> None:
    known = world.state.nodes[NodeId(node)]
    world.state.nodes[NodeId(node)] = replace(known, description=a_description(hostname))


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        pytest.param("nope", NotFoundError, 'node "nope" not found', id="unknown"),
        pytest.param("", NotFoundError, "not found", id="nothing was asked"),
        pytest.param("n", InvalidRequestError, "2 IDs begin so", id="two IDs begin so"),
        pytest.param("twin", InvalidRequestError, "2 nodes have this name", id="two of a name"),
    ],
)
def test_a_node_is_not_found(world: World, asked: str, error: type[BerthError], words: str) -> None:
    if asked == "twin":
        rename(world, "n1", "twin")
        rename(world, "n2", "twin")
    with pytest.raises(error, match=words):
        commands.find_node(world.state, asked)


Write = Callable[[World, int], object]


def write_service(world: World, version: int) -> object:
    service = world.service("web")
    return commands.update_service(
        world.state, service, a_spec(image="app:2"), version, b"", world.now
    )


def write_rollback(world: World, version: int) -> object:
    service = world.service("web")
    return commands.roll_back_service(world.state, service, version, world.now)


def write_node(world: World, version: int) -> object:
    node = world.state.nodes[NodeId("n1")]
    return commands.update_node(world.state, node, NodeSpec({"a": "b"}), version, world.now)


def write_settings(world: World, version: int) -> object:
    commands.update_settings(world.state, ClusterSettings(lost_after_s=9), version)
    return world.state.cluster


@pytest.mark.parametrize("write", [write_service, write_rollback, write_node, write_settings])
def test_a_write_that_rests_on_an_old_reading_is_refused_and_changes_nothing(
    world: World, write: Write
) -> None:
    world.update("web", a_spec(labels={"a": "b"}))
    before = (world.service().record, world.state.nodes[NodeId("n1")], world.state.cluster)
    with pytest.raises(OutOfSequenceError, match="update out of sequence"):
        write(world, 7)
    after = (world.service().record, world.state.nodes[NodeId("n1")], world.state.cluster)
    assert after == before


@pytest.mark.parametrize("write", [write_service, write_rollback, write_node, write_settings])
@pytest.mark.parametrize("asks_for_newest", [True, False])
def test_a_write_on_the_newest_reading_moves_the_version(
    world: World, write: Write, asks_for_newest: bool
) -> None:
    world.update("web", a_spec(labels={"a": "b"}))
    versions: dict[Write, int] = {
        write_service: world.service().record.version,
        write_rollback: world.service().record.version,
        write_node: world.state.nodes[NodeId("n1")].version,
        write_settings: world.state.cluster.version,
    }
    version = versions[write]
    written = write(world, 0 if asks_for_newest else version)
    assert getattr(written, "version") == version + 1  # noqa: B009 - three types have it


def test_a_node_that_is_set_to_what_it_is_already_keeps_its_version(world: World) -> None:
    node = world.state.nodes[NodeId("n1")]
    world.state.take_changes()
    assert commands.update_node(world.state, node, node.spec, 0, world.now) is node
    assert not world.state.unsaved


def test_settings_that_make_no_sense_are_refused_with_every_fault(world: World) -> None:
    faulty = ClusterSettings(
        lost_after_s=0,
        heartbeat_period_s=-1,
        task_history_limit=-1,
        orphan_after_s=-1,
        image_gc_age_s=-1,
        disk_low_percent=99,
    )
    before = world.state.cluster
    with pytest.raises(InvalidRequestError) as caught:
        commands.update_settings(world.state, faulty, 0)
    for name in ("lost_after_s", "heartbeat_period_s", "task_history_limit", "orphan_after_s"):
        assert name in caught.value.message
    for name in ("image_gc_age_s", "disk_low_percent"):
        assert name in caught.value.message
    assert world.state.cluster is before


@pytest.mark.parametrize(
    ("add", "remove", "labels"),
    [
        pytest.param({}, (), {"a": "1", "b": "2"}, id="nothing"),
        pytest.param({"c": "3"}, (), {"a": "1", "b": "2", "c": "3"}, id="one more"),
        pytest.param({"a": "9"}, (), {"a": "9", "b": "2"}, id="another value"),
        pytest.param({}, ("a", "z"), {"b": "2"}, id="one less, and one that is not there"),
        pytest.param({"a": "9"}, ("a",), {"a": "9", "b": "2"}, id="removed and added: it is there"),
    ],
)
def test_labels(add: dict[str, str], remove: tuple[str, ...], labels: dict[str, str]) -> None:
    assert commands.changed_labels({"a": "1", "b": "2"}, add, remove) == labels


def test_a_service_that_now_fits_elsewhere_only_is_moved(world: World) -> None:
    (task,) = world.running("web")
    other = "n2" if task.node_id == "n1" else "n1"
    world.update("web", a_spec(constraints=(f"node.id=={other}",)))
    world.settle()
    assert world.by_node("web") == {other: 1}


def test_an_update_forgives_nodes_what_the_old_template_did(world: World) -> None:
    (task,) = world.running("web")
    world.fail(task, ran_s=30)
    world.turn()
    assert list(world.service().failures_by_node) == [task.node_id]
    world.update("web", a_spec(image="app:2"))
    assert world.service().failures_by_node == {}


@pytest.mark.parametrize(
    ("state", "force", "is_refused"),
    [
        pytest.param(NodeState.READY, False, True, id="ready"),
        pytest.param(NodeState.READY, True, False, id="ready, by force"),
        pytest.param(NodeState.UNKNOWN, False, True, id="not heard yet: it may well be up"),
        pytest.param(NodeState.DOWN, False, False, id="down"),
        pytest.param(NodeState.DISCONNECTED, False, False, id="disconnected"),
    ],
)
def test_which_nodes_may_be_removed(
    world: World, state: NodeState, force: bool, is_refused: bool
) -> None:
    node = replace(world.state.nodes[NodeId("n1")], state=state)
    if is_refused:
        with pytest.raises(ConflictError, match=f'node "n1" is {state.value} and cannot'):
            commands.remove_node(world.state, node, world.now, force=force)
        assert NodeId("n1") in world.state.nodes
    else:
        commands.remove_node(world.state, node, world.now, force=force)
        assert NodeId("n1") not in world.state.nodes


def test_the_tasks_of_a_removed_node_are_replaced_and_its_global_slot_closes(world: World) -> None:
    commands.create_service(
        world.state, ServiceId("g"), a_spec("all", is_global=True), b"", world.now
    )
    world.settle()
    world.nodes["n1"].session = None
    commands.remove_node(world.state, world.state.nodes[NodeId("n1")], world.now, force=True)
    world.settle()
    assert world.by_node("all") == {"n2": 1}
    for name in ("web", "db", "abc"):
        assert world.by_node(name) == {"n2": 1}
    assert not [key for key in world.entries if key.endswith("/n1")]


def test_an_operators_wish_is_kept_with_the_node(world: World) -> None:
    node = world.state.nodes[NodeId("n1")]
    changed = commands.update_node(
        world.state, node, NodeSpec({}, Availability.PAUSE), node.version, world.now
    )
    assert (changed.spec.availability, changed.version) == (Availability.PAUSE, node.version + 1)
