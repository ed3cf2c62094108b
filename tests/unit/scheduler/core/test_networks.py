"""Networks: changed whole or refused whole, kept over a take-over, named by services."""

from dataclasses import replace

import pytest

from berth.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
)
from berth.model.ids import ServiceId
from berth.model.network import AddressPool, NetworkSpec, network_id
from berth.model.service import NetworkAttachment, ServiceSpec
from scheduler.core import commands, networks
from tests.builders import a_spec
from tests.unit.scheduler.core.world import World

LAN = NetworkSpec(
    "lan",
    labels={"com.docker.stack.namespace": "app"},
    options={"encrypted": ""},
    is_attachable=True,
    pools=(AddressPool("10.9.0.0/24", gateway="10.9.0.1"),),
)


def on(*names: str, name: str = "web") -> ServiceSpec:
    spec = a_spec(name)
    wanted = tuple(NetworkAttachment(each, ("alias",)) for each in names)
    return replace(spec, task=replace(spec.task, networks=wanted))


@pytest.fixture
def world() -> World:
    world = World(nodes=1)
    networks.create_network(world.state, LAN, world.now)
    return world


@pytest.mark.parametrize("asked", ["lan", network_id("lan"), network_id("lan")[:6]])
def test_a_network_is_found(world: World, asked: str) -> None:
    assert networks.find_network(world.state, asked).spec == LAN


def test_a_network_is_not_found(world: World) -> None:
    for asked in ("nosuch", "", "la"):
        with pytest.raises(NotFoundError, match="not found"):
            networks.find_network(world.state, asked)
    prefix = network_id("lan")[0]
    other = next(
        f"n{number}" for number in range(1000) if network_id(f"n{number}").startswith(prefix)
    )
    networks.create_network(world.state, NetworkSpec(other), world.now)
    with pytest.raises(InvalidRequestError, match="ambiguous: 2 IDs"):
        networks.find_network(world.state, prefix)


@pytest.mark.parametrize("name", ["lan", "host", "bridge", "none", "ingress"])
def test_a_name_is_given_once(world: World, name: str) -> None:
    with pytest.raises(AlreadyExistsError, match=name):
        networks.create_network(world.state, NetworkSpec(name), world.now)


def test_networks_outlive_a_leader_and_a_removal_is_as_durable(world: World) -> None:
    world.settle()
    assert f"networks/{network_id('lan')}" in world.entries
    world.reload()
    assert networks.find_network(world.state, "lan").spec == LAN
    networks.remove_network(world.state, "lan")
    world.settle()
    world.reload()
    assert world.state.networks == {}
    assert not [key for key in world.entries if key.startswith("networks/")]


def test_a_network_in_use_stays_and_its_users_are_named(world: World) -> None:
    for name in ("web", "db"):
        commands.create_service(world.state, ServiceId(name), on("lan", name=name), b"", world.now)
    assert networks.users_of_networks(world.state) == {"lan": ("db", "web")}
    with pytest.raises(ConflictError, match="services db, web"):
        networks.remove_network(world.state, "lan")
    with pytest.raises(PermissionDeniedError, match="pre-defined"):
        networks.remove_network(world.state, "host")
    for name in ("web", "db"):
        commands.remove_service(world.state, commands.find_service(world.state, name))
    networks.remove_network(world.state, network_id("lan"))
    with pytest.raises(NotFoundError):
        networks.remove_network(world.state, "lan")


def test_services_keep_names_whatever_clients_say(world: World) -> None:
    wanted = on("lan")
    assert networks.with_named_networks(world.state, on(network_id("lan")), None) == wanted
    assert networks.with_named_networks(world.state, wanted, None) == wanted
    assert networks.with_named_networks(world.state, on("host"), None) == on("host")
    with pytest.raises(NotFoundError, match="network gone not found"):
        networks.with_named_networks(world.state, on("lan", "gone"), None)
    with pytest.raises(InvalidRequestError, match="publish a port"):
        networks.with_named_networks(world.state, on("ingress"), None)
    # What a service of an older Berth named, which made networks by naming them, it may keep.
    assert networks.with_named_networks(world.state, on("gone"), on("gone")) == on("gone")


def test_a_node_is_told_of_the_networks_that_there_are(world: World) -> None:
    attachments = on("lan", "gone", "host").task.networks
    (found,) = networks.networks_for(world.state.networks, attachments)
    assert found.spec == LAN
