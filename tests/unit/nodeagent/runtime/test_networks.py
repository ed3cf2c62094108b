from dataclasses import replace

import pytest

from berth.model.network import AddressPool, Network, NetworkSpec
from berth.model.service import NetworkAttachment, TaskSpec
from nodeagent.runtime.networks import (
    JoinedNetwork,
    bridge_body,
    joined,
    joined_names,
    networks_label,
    seen_addresses,
    spec_of,
    wanted_networks,
)
from nodeagent.runtime.translate import to_create_call
from nodeagent.runtime.translate_host import EngineTraits
from tests.fakes.runtime_tasks import a_runtime_task

LAN, WAN = NetworkAttachment("lan", ("db",), {"a": "b"}), NetworkAttachment("wan")
SPEC = NetworkSpec(
    "lan",
    labels={"stack": "app", "com.docker.stack.namespace": "app", "berth.network": "forged"},
    options={
        "encrypted": "",
        "com.docker.network.driver.mtu": "1400",
        "com.docker.network.driver.overlay.vxlanid_list": "257",
    },
    is_internal=True,
    pools=(AddressPool("10.9.0.0/24", gateway="10.9.0.1"),),
)


def a_task(*networks):
    return replace(a_runtime_task(task=TaskSpec(networks=networks)), networks=(Network(SPEC),))


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ((), []),
        ((LAN, WAN), [LAN, WAN]),
        ((NetworkAttachment("bridge"), LAN), [LAN]),
        pytest.param((NetworkAttachment("host"), LAN), [], id="host stands apart"),
        pytest.param((NetworkAttachment("none"), LAN), [], id="none stands apart"),
    ],
)
def test_which_bridges_a_task_needs(asked, wanted):
    assert wanted_networks(a_task(*asked)) == wanted


def test_a_bridge_is_made_as_the_network_says():
    assert bridge_body("lan", SPEC, "c1") == {
        "Name": "lan",
        "Driver": "bridge",
        "CheckDuplicate": True,
        "Internal": True,
        "EnableIPv6": False,
        "Options": {"com.docker.network.driver.mtu": "1400"},
        "Labels": {
            "stack": "app",
            "berth.label.com.docker.stack.namespace": "app",
            "berth.cluster": "c1",
            "berth.network": "lan",
        },
        "IPAM": {
            "Driver": "default",
            "Config": [{"Subnet": "10.9.0.0/24", "Gateway": "10.9.0.1"}],
        },
    }
    assert "IPAM" not in bridge_body("wan", NetworkSpec("wan"), "c1")
    assert spec_of(a_task(), "lan") is SPEC
    assert spec_of(a_task(), "nosuch") == NetworkSpec("nosuch")


def test_a_container_is_created_in_the_first_and_known_by_service_and_aliases():
    networks = [joined(a_task(), LAN, "e1"), joined(a_task(), WAN, "e2")]
    body = to_create_call(a_task(LAN, WAN), "busybox:1", EngineTraits(), (), networks).body
    assert body["HostConfig"]["NetworkMode"] == "e1"
    assert body["NetworkingConfig"] == {
        "EndpointsConfig": {"e1": {"Aliases": ["db", "web", "tasks.web"], "DriverOpts": {"a": "b"}}}
    }
    assert body["Labels"]["berth.networks"] == "e1=lan,e2=wan"


def test_labels_tell_which_bridges_were_joined():
    networks = [JoinedNetwork("lan", "e1"), JoinedNetwork("a.b-c", "e2")]
    assert joined_names(networks_label(networks)) == {"e1": "lan", "e2": "a.b-c"}
    assert networks_label([]) == {}
    assert joined_names({}) == {}


def test_addresses_are_told_by_the_clusters_names():
    labels = {"berth.networks": "e1=lan,e2=wan"}
    seen = {
        "lan.c1": {
            "NetworkID": "e1",
            "IPAddress": "172.18.0.2",
            "IPPrefixLen": 16,
            "GlobalIPv6Address": "fd00::2",
            "GlobalIPv6PrefixLen": 64,
        },
        "wan": {"NetworkID": "e2", "IPAddress": "", "IPPrefixLen": 0},
        "bridge": {"NetworkID": "e3", "IPAddress": "172.17.0.2", "IPPrefixLen": 16},
        "somebody's": {"NetworkID": "e4", "IPAddress": "172.19.0.2", "IPPrefixLen": 16},
        "host": None,
    }
    assert seen_addresses(seen, labels) == (
        ("bridge", "172.17.0.2/16"),
        ("lan", "172.18.0.2/16"),
        ("lan", "fd00::2/64"),
    )
