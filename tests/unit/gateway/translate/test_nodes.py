import pytest

from berth.errors import InvalidRequestError
from berth.model.ids import NodeId
from berth.model.node import Availability, Node, NodeDescription, NodeSpec, NodeState
from berth.model.resources import NodeResources
from berth.model.service import Platform
from berth.views import NodeView
from gateway.translate.nodes import read_node_spec, write_node


def a_node(**fields):
    description = NodeDescription(
        hostname="host-1",
        address="10.0.0.1",
        platform=Platform("linux", "amd64"),
        resources=NodeResources(
            2 * 10**9, 2**30, generic_counts={"ssd": 2}, generic_names={"gpu": ("a",)}
        ),
        engine_version="28.1",
        agent_labels={"zone": "a"},
    )
    spec = NodeSpec(labels={"rack": "7"})
    return NodeView(Node(NodeId("n1"), spec, description, NodeState.READY, version=4, **fields))


def test_a_node_as_clients_read_it():
    written = write_node(a_node())
    assert written["Version"] == {"Index": 4}
    assert written["Spec"] == {
        "Labels": {"zone": "a", "rack": "7"}, "Role": "worker", "Availability": "active",
    }  # fmt: skip
    assert written["Status"] == {"State": "ready", "Addr": "10.0.0.1"}
    assert written["Description"]["Platform"] == {"Architecture": "x86_64", "OS": "linux"}
    assert written["Description"]["Resources"] == {
        "NanoCPUs": 2 * 10**9,
        "MemoryBytes": 2**30,
        "GenericResources": [
            {"DiscreteResourceSpec": {"Kind": "ssd", "Value": 2}},
            {"NamedResourceSpec": {"Kind": "gpu", "Value": "a"}},
        ],
    }
    assert written["CreatedAt"] == "0001-01-01T00:00:00Z", "never an empty time"


def test_what_was_read_and_sent_back_changes_nothing():
    node = a_node()
    assert read_node_spec(write_node(node)["Spec"], node) == node.node.spec


def test_labels_and_availability_are_changed():
    node = a_node()
    sent = {"Labels": {"zone": "b", "rack": "7", "new": ""}, "availability": "drain"}
    spec = read_node_spec(sent, node)
    assert spec.labels == {"zone": "b", "rack": "7", "new": ""}
    assert spec.availability is Availability.DRAIN


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"Role": "manager"}, "cannot be promoted"),
        ({"Role": "king"}, '"king"'),
        ({"Availability": "gone"}, '"gone"'),
        ({"Labels": {"rack": "7"}}, "settings of the node's agent"),
    ],
)
def test_what_cannot_be_is_refused(change, words):
    node = a_node()
    with pytest.raises(InvalidRequestError, match=words):
        read_node_spec({**write_node(node)["Spec"], **change}, node)
