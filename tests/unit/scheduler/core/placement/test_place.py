from collections import Counter

import pytest

from berth.model.ids import NodeId
from berth.model.service import PlacementStrategy
from scheduler.core.placement.place import (
    MASK_COUNT_MAX,
    could_fit,
    global_candidates,
    place,
    place_on,
    why_not,
)
from tests.unit.scheduler.core.placement.builders import CPU, a_demand, a_node, a_table

N1 = NodeId("n1")


def ten_nodes(cpus: int = 100):
    return a_table(*(a_node(f"n{number}", cpus=cpus) for number in range(10)))


@pytest.mark.parametrize("count", [1, 5, MASK_COUNT_MAX, MASK_COUNT_MAX + 1, 900])
@pytest.mark.parametrize("spread", [(), ("node.labels.zone",)])
def test_a_group_is_placed_evenly_whatever_its_size(count, spread):
    table = ten_nodes()
    outcome = place(table, a_demand(nano_cpus=CPU, spread=spread), count)
    assert outcome.shortfall is None
    assert len(outcome.nodes) == count
    figures = [Counter(outcome.nodes)[NodeId(f"n{number}")] for number in range(10)]
    assert max(figures) - min(figures) <= 1
    assert sum(table.load.counts.values[:10]) == count


@pytest.mark.parametrize("count", [0, -1])
@pytest.mark.parametrize("strategy", list(PlacementStrategy))
def test_nothing_to_place_is_no_shortfall(count, strategy):
    outcome = place(ten_nodes(), a_demand(strategy=strategy), count)
    assert outcome.nodes == []
    assert outcome.shortfall is None


@pytest.mark.parametrize("count", [25, 300])
def test_what_does_not_fit_is_told(count):
    outcome = place(ten_nodes(cpus=2), a_demand(nano_cpus=CPU), count)
    assert len(outcome.nodes) == 20
    assert outcome.shortfall is not None
    assert outcome.shortfall.missing == count - 20
    assert outcome.shortfall.explain().short() == "no suitable node (insufficient CPU on 10 nodes)"


def test_a_host_port_takes_one_task_a_node():
    demand = a_demand(host_ports=(("tcp", 80),))
    for count in (15, 200):
        outcome = place(ten_nodes(), demand, count)
        assert sorted(outcome.nodes) == sorted(f"n{number}" for number in range(10))


def test_max_replicas_per_node_bounds_a_group_and_counts_what_is_there():
    table = ten_nodes()
    table.occupy(N1, a_demand())
    for count in (4, 200):
        place(table, a_demand(max_per_node=2), count)
    assert table.load.counts.values[:10].tolist() == [2] * 10


def test_could_fit_answers_as_place_would():
    table = a_table(a_node("n1", cpus=1))
    demand = a_demand(nano_cpus=CPU)
    assert could_fit(table, demand)
    assert place(table, demand, 1).shortfall is None
    assert not could_fit(table, demand)
    table.vacate(N1, demand)
    assert could_fit(table, demand)


def test_place_on_takes_the_node_only_when_the_task_fits():
    table = a_table(a_node("n1", cpus=1))
    demand = a_demand(nano_cpus=CPU)
    assert place_on(table, N1, demand) == ()
    reasons = place_on(table, N1, demand)
    assert [str(reason) for reason in reasons] == ["insufficient CPU"]
    assert table.cpu.free.values[0] == 0
    assert why_not(table, N1, demand) == reasons


def test_replacement_in_place_uses_what_the_old_task_leaves():
    table = a_table(a_node("n1", cpus=1))
    old = a_demand(nano_cpus=CPU, host_ports=(("tcp", 80),), max_per_node=1)
    assert place_on(table, N1, old) == ()
    assert place_on(table, N1, old, credit=old) == ()
    assert table.cpu.free.values[0] == -CPU, "over-committed until the old one is vacated"
    table.vacate(N1, old)
    assert table.cpu.free.values[0] == 0
    assert not could_fit(table, old)


def test_an_unknown_node_is_told_as_such():
    reasons = why_not(a_table(a_node("n1")), NodeId("n9"), a_demand())
    assert [str(reason) for reason in reasons] == ["node n9 is not known"]


def test_global_candidates_ignore_what_comes_and_goes():
    table = a_table(a_node("n1", labels={"zone": "a"}), a_node("n2"), a_node("n3"))
    table.put_node(a_node("n3"), accepting=False, why_not="paused")
    demand = a_demand("node.labels.zone!=a", nano_cpus=99 * CPU)
    assert global_candidates(table, demand) == ["n2", "n3"]
    assert [bool(place_on(table, node_id, a_demand())) for node_id in ("n2", "n3")] == [False, True]
