"""Labels of a node: the agent's own, and the operators', who win."""

from dataclasses import replace

from tests.builders import a_node


def test_operators_labels_win_over_the_agents() -> None:
    node = a_node(labels={"zone": "a", "disk": "ssd"})
    own = replace(node.description, agent_labels={"zone": "b", "rack": "7"})
    assert replace(node, description=own).labels == {"zone": "a", "disk": "ssd", "rack": "7"}
