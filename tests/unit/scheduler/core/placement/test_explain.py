import pytest

from berth.model.ids import NodeId
from scheduler.core.placement.explain import Explanation, Finding, explain
from scheduler.core.placement.filters import FilterKind, Reason
from scheduler.core.placement.place import place
from scheduler.core.placement.table import NodeTable
from tests.unit.scheduler.core.placement.builders import CPU, GIB, a_demand, a_node, a_table


def a_mixed_table() -> NodeTable:
    """Of six nodes one suits; zone b is short of memory, n5 drains, n6 drains in zone b."""
    table = a_table(
        a_node("n1", labels={"zone": "a"}),
        a_node("n2", labels={"zone": "a"}, gib=1),
        a_node("n3", labels={"zone": "b"}, gib=1),
        a_node("n4", labels={"zone": "b"}, gib=8),
    )
    for name, zone in (("n5", "a"), ("n6", "b")):
        node = a_node(name, labels={"zone": zone}, gib=8)
        table.put_node(node, accepting=False, why_not="draining")
    return table


def test_counts_are_of_each_filter_alone():
    explanation = explain(a_mixed_table(), a_demand("node.labels.zone==a", memory_bytes=2 * GIB))
    assert (explanation.nodes, explanation.candidates) == (6, 1)
    figures = [(str(it.reason), it.forbids, it.admits) for it in explanation.findings]
    assert figures == [
        ("draining", 2, 1),
        ("insufficient memory", 2, 1),
        ("label constraint node.labels.zone==a not met", 3, 1),
    ]
    assert explanation.short() == "1 suitable node"


def test_the_line_for_ps_names_what_forbids_most_first():
    table = a_mixed_table()
    demand = a_demand("node.labels.zone==a", memory_bytes=2 * GIB, nano_cpus=4 * CPU)
    assert place(table, demand, 1).nodes == ["n1"]
    assert explain(table, demand).short() == (
        "no suitable node (label constraint node.labels.zone==a not met on 3 nodes; "
        "2 nodes draining; insufficient memory on 2 nodes; insufficient CPU on 1 node)"
    )


def test_counterfactuals_name_the_filters_whose_fall_alone_would_help():
    table = a_mixed_table()
    table.remove_node(NodeId("n1"))
    table.put_node(a_node("n7", labels={"zone": "a"}), accepting=False, why_not="draining")
    explanation = explain(table, a_demand("node.labels.zone==a", memory_bytes=2 * GIB))
    assert explanation.candidates == 0
    assert [it.counterfactual() for it in explanation.counterfactuals()] == [
        "2 nodes more would fit if not draining",
        "1 node more would fit but for: insufficient memory",
        "1 node more would fit but for: label constraint node.labels.zone==a not met",
    ]


def test_a_cluster_without_nodes_is_told():
    explanation = explain(NodeTable(), a_demand("node.labels.zone==a"))
    assert explanation == Explanation(0, 0, ())
    assert explanation.short() == "no suitable node (the cluster has no nodes)"
    assert explanation.counterfactuals() == ()


@pytest.mark.parametrize(
    ("hidden", "words"), [(0, ""), (1, "1 more reason"), (3, "3 more reasons")]
)
def test_the_line_stays_short(hidden, words):
    findings = tuple(
        Finding(Reason(FilterKind.CONSTRAINT, f"constraint {number}"), 1, 0)
        for number in range(4 + hidden)
    )
    line = Explanation(1, 0, findings).short()
    assert line.startswith("no suitable node (constraint 0 on 1 node; ")
    assert line.endswith(f"; {words})" if words else "constraint 3 on 1 node)")


def test_a_shortfall_explains_the_moment_when_it_is_asked():
    table = a_table(a_node("n1", cpus=1))
    demand = a_demand(nano_cpus=CPU)
    shortfall = place(table, demand, 2).shortfall
    assert shortfall is not None
    assert shortfall.explain().candidates == 0
    table.vacate(NodeId("n1"), demand)
    assert shortfall.explain().candidates == 1
