import ipaddress

import pytest

from berth.errors import InvalidRequestError
from berth.model.ids import NodeId, ServiceId, TaskId
from berth.model.instant import Timestamp
from berth.model.network import AddressPool, Network, NetworkSpec, network_id
from berth.model.service import (
    EndpointSpec,
    NetworkAttachment,
    PortSpec,
    PublishMode,
    ServiceSpec,
    TaskSpec,
)
from berth.model.task import TaskState, TaskStatus
from berth.views import NetworkView, ServiceView, TaskView
from gateway.translate.networks import BUILTIN, read_network, write_network
from gateway.translate.services import write_service
from gateway.translate.tasks import write_task, written_templates

WRITTEN = {
    "Name": "app_default",
    "Driver": "overlay",
    "Labels": {"com.docker.stack.namespace": "app"},
    "Options": {"encrypted": ""},
    "Internal": True,
    "Attachable": True,
    "EnableIPv6": False,
    "IPAM": {
        "Driver": "default",
        "Options": None,
        "Config": [{"Subnet": "10.9.0.0/24", "Gateway": "10.9.0.1"}],
    },
}
SPEC = NetworkSpec(
    "app_default",
    labels={"com.docker.stack.namespace": "app"},
    options={"encrypted": ""},
    is_internal=True,
    is_attachable=True,
    pools=(AddressPool("10.9.0.0/24", gateway="10.9.0.1"),),
)


def test_a_network_is_read_and_written_back():
    assert read_network({**WRITTEN, "CheckDuplicate": True}) == SPEC
    written = write_network(NetworkView(Network(SPEC, Timestamp(1.0))))
    assert written | WRITTEN == written
    assert written["Id"] == network_id("app_default") != "app_default"
    assert (written["Scope"], written["Ingress"]) == ("swarm", False)
    assert written["Created"] == "1970-01-01T00:00:01.000000Z"


def test_pools_that_say_nothing_are_none():
    sent = {"Name": "lan", "IPAM": {"Driver": "default", "Config": [{}]}}
    assert read_network(sent) == NetworkSpec("lan")
    assert read_network({"name": "lan", "ipam": None}) == NetworkSpec("lan")


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"Name": 3}, "Name: is a number"),
        ({"Name": "lan", "Ingress": True}, "no routing mesh"),
        ({"Name": "lan", "ConfigOnly": True}, "ConfigOnly: is not supported"),
        ({"Name": "lan", "ConfigFrom": {"Network": "x"}}, "ConfigOnly: is not supported"),
    ],
)
def test_what_no_network_can_be_is_refused(sent, words):
    with pytest.raises(InvalidRequestError, match=words):
        read_network(sent)


def test_what_every_engine_has_is_there_under_its_name():
    found = {each["Name"]: each for each in map(write_network, BUILTIN)}
    assert {name: each["Driver"] for name, each in found.items()} == {
        "bridge": "bridge",
        "host": "host",
        "none": "null",
        "ingress": "overlay",
    }
    for name, each in found.items():
        assert each["Id"] == name
        assert each["Scope"] == "swarm"
        assert each["Ingress"] == (name == "ingress")


def a_service(mode="", *published_at):
    task = TaskSpec(networks=(NetworkAttachment("lan"), NetworkAttachment("host")))
    ports = (PortSpec(target_port=80, published_port=8080, publish_mode=PublishMode.HOST),)
    endpoint = EndpointSpec(mode, ports) if mode else EndpointSpec(ports=ports)
    spec = ServiceSpec(name="web", task=task, endpoint=endpoint)
    return ServiceView(ServiceId("s1"), spec=spec, previous_spec=spec, published_at=published_at)


def test_specs_name_networks_by_their_ids():
    service = a_service()
    targets = [{"Target": network_id("lan")}, {"Target": "host"}]
    for insert_defaults in (False, True):
        written = write_service(service, insert_defaults=insert_defaults)
        for spec in (written["Spec"], written["PreviousSpec"]):
            assert spec["TaskTemplate"]["Networks"] == targets
    assert written_templates({"s1": service})["s1"]["Networks"] == targets


def test_virtual_addresses_are_those_of_the_nodes_where_it_is_published():
    written = write_service(a_service("vip", "10.0.0.7", "fd00::7", "some-host"))
    assert written["Endpoint"]["VirtualIPs"] == [
        {"NetworkID": "ingress", "Addr": "10.0.0.7/32"},
        {"NetworkID": "ingress", "Addr": "fd00::7/128"},
    ]
    assert written["Endpoint"]["Ports"][0]["PublishedPort"] == 8080
    assert "VirtualIPs" not in write_service(a_service("dnsrr"))["Endpoint"]


def test_what_traefik_reads_is_enough_for_a_backend():
    """Its swarm provider takes a task that runs, a known network, and an address that parses."""
    networks = [*BUILTIN, NetworkView(Network(NetworkSpec("lan")))]
    by_id = {each["Id"]: each for each in map(write_network, networks)}
    addresses = (("bridge", "172.17.0.2/16"), ("lan", "172.18.0.2/16"), ("lan", "fd00::2/64"))
    status = TaskStatus(TaskId("t1"), TaskState.RUNNING, addresses=addresses)
    view = TaskView(TaskId("t1"), ServiceId("s1"), NodeId("n1"), slot=1, status=status)
    task = write_task(view, None, {})
    assert (task["Status"]["State"], task["DesiredState"]) == ("running", "running")
    backends = {
        by_id[attachment["Network"]["ID"]]["Name"]: [
            str(ipaddress.ip_interface(address).ip) for address in attachment["Addresses"]
        ]
        for attachment in task["NetworksAttachments"]
    }
    assert backends == {"bridge": ["172.17.0.2"], "lan": ["172.18.0.2", "fd00::2"]}
    assert write_service(a_service())["Spec"]["EndpointSpec"]["Mode"] == "vip"
