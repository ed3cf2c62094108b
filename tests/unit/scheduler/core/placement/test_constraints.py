import pytest

from berth.errors import InvalidRequestError
from berth.model.service import Platform
from scheduler.core.placement.constraints import label_subject, normal_address, parse_constraint
from tests.unit.scheduler.core.placement.builders import a_node

NODE = a_node(
    "Node1",
    labels={"zone": "A", "Tier": "gold"},
    role="worker",
    hostname="Alpha",
    address="10.1.2.3",
    engine_labels={"disk": "ssd"},
    agent_labels={"zone": "agent's", "rack": "r7"},
)


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        pytest.param("node.id==node1", True, id="values have no case"),
        pytest.param("NODE.ID==Node1", True, id="plain keys have no case"),
        pytest.param("node.hostname == ALPHA", True, id="spaces around the operator are free"),
        pytest.param("node.hostname!=alpha", False, id="unequal is the opposite"),
        pytest.param("node.role==Worker", True, id="role"),
        pytest.param("node.role!=manager", True, id="not a role"),
        pytest.param("node.platform.os==linux", True, id="operating system"),
        pytest.param("node.platform.arch==amd64", True, id="x86_64 is amd64"),
        pytest.param("node.platform.arch==X86_64", True, id="amd64 is x86_64"),
        pytest.param("node.platform.arch!=aarch64", True, id="amd64 is not arm64"),
        pytest.param("node.labels.zone==a", True, id="an operator's label beats the agent's"),
        pytest.param("node.labels.rack==r7", True, id="the agent's own label counts"),
        pytest.param("Node.Labels.zone==a", True, id="the prefix has no case"),
        pytest.param("node.labels.Zone==a", False, id="a label's name has case"),
        pytest.param("node.labels.tier!=gold", True, id="so another label is missing, and differs"),
        pytest.param("node.labels.none!=a", True, id="a missing label differs from any value"),
        pytest.param("node.labels.none==a", False, id="a missing label equals no value"),
        pytest.param("engine.labels.disk==SSD", True, id="engine label"),
        pytest.param("engine.labels.zone==a", False, id="engine labels are not node labels"),
        pytest.param("node.ip==10.1.2.3", True, id="address"),
        pytest.param("node.ip==::ffff:10.1.2.3", True, id="address in its IPv6 form"),
        pytest.param("node.ip==10.1.0.0/16", True, id="subnet"),
        pytest.param("node.ip==10.1.2.3/16", True, id="subnet written with host bits"),
        pytest.param("node.ip!=10.1.0.0/16", False, id="outside a subnet"),
        pytest.param("node.ip!=2001:db8::/32", True, id="outside a subnet of the other family"),
        pytest.param("node.colour==red", False, id="an unknown key never matches"),
        pytest.param("node.colour!=red", False, id="an unknown key does not even differ"),
        pytest.param("node.labels.!=red", False, id="a label without a name is unknown"),
    ],
)
def test_a_constraint_matches(text, matches):
    assert parse_constraint(text).matches(NODE) is matches


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("node.role==Manager", "all nodes are workers"),
        ("node.role!=worker", "all nodes are workers"),
        ("node.role==worker", ""),
        ("node.role!=manager", ""),
        ("node.colour!=red", "unknown key"),
        ("node.hostname==nobody", ""),
        ("node.labels.role==manager", ""),
    ],
)
def test_what_no_node_can_ever_meet_is_told(text, why):
    assert parse_constraint(text).hopeless_because == why


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param("node.labels.zone", "it has no operator; write KEY==VALUE", id="no operator"),
        pytest.param("node.labels.zone=a", "it has no operator", id="single equals sign"),
        pytest.param("node.labels.a>1", "it has no operator", id="greater than"),
        pytest.param("==a", '"" is not a key; use node.id', id="no key"),
        pytest.param("1zone==a", '"1zone" is not a key', id="key begins with a digit"),
        pytest.param("node.labels.zone==", "it has no value", id="no value"),
        pytest.param("node.labels.zone==a==b", '"a==b" is not a value', id="two operators"),
        pytest.param('node.id=="n1"', "is not a value", id="quotes"),
        pytest.param("node.ip==ten", "neither an address nor a subnet", id="no address"),
    ],
)
def test_what_is_not_a_constraint_is_refused_with_the_fix(text, complaint):
    with pytest.raises(InvalidRequestError) as refusal:
        parse_constraint(text)
    assert complaint in refusal.value.message
    assert f'"{text}"' in refusal.value.message


def test_a_constraint_prints_without_needless_spaces():
    assert str(parse_constraint(" node.labels.zone  ==  a ")) == "node.labels.zone==a"


def test_nodes_that_tell_nothing_differ_from_everything():
    silent = a_node(platform=Platform())
    assert parse_constraint("node.platform.arch!=amd64").matches(silent)
    assert not parse_constraint("node.platform.arch==amd64").matches(silent)
    assert parse_constraint("node.ip!=10.0.0.0/8").matches(silent)
    assert not parse_constraint("node.ip==10.0.0.0/8").matches(silent)


@pytest.mark.parametrize(
    ("key", "subject"),
    [
        ("node.labels.zone", "node.labels.zone"),
        ("NODE.LABELS.Zone", "node.labels.Zone"),
        ("engine.labels.a.b", "engine.labels.a.b"),
        ("node.labels.", ""),
        ("node.hostname", ""),
    ],
)
def test_label_subjects(key, subject):
    assert label_subject(key) == subject


@pytest.mark.parametrize(
    ("text", "address"),
    [("10.0.0.1", "10.0.0.1"), ("2001:DB8::1", "2001:db8::1"), ("host:80", ""), ("", "")],
)
def test_addresses_have_one_spelling(text, address):
    assert normal_address(text) == address
