import pytest

from berth.model.ids import NodeId, ServiceId
from scheduler.core.placement.place import could_fit, place
from scheduler.core.placement.table import NodeTable
from tests.unit.scheduler.core.placement.builders import CPU, GIB, a_demand, a_node, a_table

N1, N2 = NodeId("n1"), NodeId("n2")


def test_an_empty_table_places_nothing():
    table = NodeTable()
    assert len(table) == 0
    assert N1 not in table
    assert not could_fit(table, a_demand())
    assert table.row_of(N1) is None


def test_a_table_grows_beyond_its_first_width_and_keeps_everything():
    table = a_table(*(a_node(f"n{number}", labels={"odd": str(number % 2)}) for number in range(5)))
    demand = a_demand("node.labels.odd==1", nano_cpus=CPU, spread=("node.labels.odd",))
    assert place(table, demand, 2).nodes == ["n1", "n3"]
    for number in range(5, 300):
        table.put_node(a_node(f"n{number}", labels={"odd": str(number % 2)}), accepting=True)
    assert len(table) == 300
    assert len(place(table, demand, 598).nodes) == 598
    assert place(table, demand, 1).nodes == []


def test_rows_of_removed_nodes_are_used_again():
    table = a_table(a_node("n1"), a_node("n2"))
    table.remove_node(N1)
    table.remove_node(N1)
    table.put_node(a_node("n3"), accepting=True)
    assert table.row_of(NodeId("n3")) == 0
    assert table.row_of(N2) == 1
    assert table.node_id_at(0) == "n3"


def test_a_removed_node_forgets_its_tasks():
    table = a_table(a_node("n1"))
    demand = a_demand(nano_cpus=4 * CPU, host_ports=(("tcp", 80),), max_per_node=1)
    table.occupy(N1, demand)
    table.set_penalty(ServiceId("web"), N1, 9)
    table.remove_node(N1)
    table.vacate(N1, demand)
    table.uncount(N1, demand)
    table.set_penalty(ServiceId("web"), N1, 9)
    assert not table.services
    assert not table.ports
    assert not table.penalties
    table.put_node(a_node("n1"), accepting=True)
    assert could_fit(table, demand)


def test_a_removed_node_is_in_no_mask():
    table = a_table(a_node("n1", labels={"zone": "a"}), a_node("n2", labels={"zone": "a"}))
    tree = table.spread_tree(("node.labels.zone",))
    assert table.rows_equal("node.labels.zone", "a") == 0b11
    assert table.rows_where("any", lambda _: True) == 0b11
    table.remove_node(N1)
    assert table.rows_equal("node.labels.zone", "a") == 0b10
    assert table.rows_where("any", lambda _: True) == 0b10
    assert tree.branch_mask(0, tree.branches[0].values[1]) == 0b10
    assert table.present == table.accepting == 0b10


def test_relief_rises_when_something_may_fit_again():
    table = a_table(a_node("n1"))
    demand = a_demand(nano_cpus=CPU)
    before = table.relief
    table.occupy(N1, demand)
    table.count(N1, demand)
    assert table.relief == before, "no room was made"
    table.uncount(N1, demand)
    assert table.relief == before + 1
    table.vacate(N1, demand)
    assert table.relief == before + 2
    table.put_node(a_node("n1", cpus=8), accepting=True)
    assert table.relief == before + 3


def test_every_change_raises_the_version():
    table = a_table(a_node("n1"), a_node("n2"))
    demand = a_demand()
    seen = {table.version}
    for change in (
        lambda: table.occupy(N1, demand),
        lambda: table.occupy(N1, demand, counted=False),
        lambda: place(table, demand, 1),
        lambda: place(table, demand, 500),
        lambda: table.uncount(N1, demand),
        lambda: table.count(N1, demand),
        lambda: table.vacate(N1, demand),
        lambda: table.set_penalty(ServiceId("web"), N1, 5),
        lambda: table.clear_penalties(ServiceId("web")),
        lambda: table.put_node(a_node("n1"), accepting=False),
        lambda: table.remove_node(N1),
    ):
        change()
        assert table.version not in seen
        seen.add(table.version)


def test_a_node_that_shrank_is_over_committed_and_recovers():
    table = a_table(a_node("n1", cpus=4))
    demand = a_demand(nano_cpus=CPU)
    for _ in range(4):
        table.occupy(N1, demand)
    table.put_node(a_node("n1", cpus=2), accepting=True)
    assert not could_fit(table, demand)
    assert could_fit(table, a_demand(memory_bytes=GIB)), "who asks for no CPU is not concerned"
    for _ in range(3):
        table.vacate(N1, demand)
    assert could_fit(table, demand)


def test_an_uncounted_task_keeps_its_resources_but_not_its_rank():
    table = a_table(a_node("n1", cpus=1), a_node("n2", cpus=1))
    old = a_demand(nano_cpus=CPU, max_per_node=1)
    table.occupy(N1, old, counted=False)
    assert place(table, old, 2).nodes == ["n2"], "n1 has no CPU left"
    light = a_demand(max_per_node=1)
    assert place(table, light, 2).nodes == ["n1"], "but nothing counts there"


def test_reasons_not_to_accept_are_kept_apart():
    table = a_table(a_node("n1"), a_node("n2"), a_node("n3"))
    table.put_node(a_node("n1"), accepting=False, why_not="draining")
    table.put_node(a_node("n2"), accepting=False)
    assert table.refusing == {"draining": 0b001, "not accepting tasks": 0b010}
    assert table.why_refusing(0) == "draining"
    table.put_node(a_node("n2"), accepting=False, why_not="draining")
    assert table.refusing == {"draining": 0b011}
    table.put_node(a_node("n1"), accepting=True)
    assert table.refusing == {"draining": 0b010}
    assert table.node_ids(table.accepting) == ["n1", "n3"]


def test_a_penalty_below_five_failures_is_none():
    table = a_table(a_node("n1"), a_node("n2"))
    table.set_penalty(ServiceId("web"), N1, 5)
    assert place(table, a_demand(), 1).nodes == ["n2"]
    table.set_penalty(ServiceId("web"), N1, 4)
    assert not table.penalties
    assert place(table, a_demand(), 1).nodes == ["n1"]


def test_memory_of_services_without_tasks_is_given_back():
    table = a_table(*(a_node(f"n{number}") for number in range(30)))
    demands = [a_demand(service=f"s{number}", host_ports=(("tcp", number),)) for number in range(9)]
    placed = [(demand, place(table, demand, 30).nodes) for demand in demands]
    assert len(table.services) == len(table.ports) == 9
    for demand, nodes in placed:
        for node_id in nodes:
            table.vacate(node_id, demand)
    assert not table.services
    assert not table.ports


def test_occupying_an_unknown_node_is_a_mistake():
    with pytest.raises(KeyError):
        NodeTable().occupy(N1, a_demand())
