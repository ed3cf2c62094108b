from collections import Counter

import pytest

from berth.model.ids import NodeId, ServiceId
from berth.model.service import PlacementStrategy
from scheduler.core.placement import ranking
from scheduler.core.placement.filters import candidates
from scheduler.core.placement.place import place_on_masks, place_on_vectors
from tests.unit.scheduler.core.placement.builders import CPU, GIB, a_demand, a_node, a_table

WEB = ServiceId("web")
ENGINES = pytest.mark.parametrize("engine", [place_on_masks, place_on_vectors])


def zoned(*zones: str, cpus: int = 4):
    nodes = [a_node(f"n{i}", labels={"zone": zone}, cpus=cpus) for i, zone in enumerate(zones)]
    return a_table(*nodes)


@ENGINES
def test_fewest_tasks_of_the_service_come_before_fewest_tasks(engine):
    table = a_table(a_node("n1"), a_node("n2"))
    table.occupy(NodeId("n1"), a_demand())
    for _ in range(3):
        table.occupy(NodeId("n2"), a_demand(service="other"))
    assert engine(table, a_demand(), 1) == ["n2"]


@ENGINES
def test_fewest_tasks_break_the_tie(engine):
    table = a_table(a_node("n1"), a_node("n2"))
    table.occupy(NodeId("n1"), a_demand(service="other"))
    assert engine(table, a_demand(), 1) == ["n2"]


@ENGINES
def test_uncounted_tasks_do_not_rank(engine):
    table = a_table(a_node("n1"), a_node("n2"))
    table.occupy(NodeId("n1"), a_demand(), counted=False)
    assert engine(table, a_demand(), 1) == ["n1"]


@ENGINES
def test_penalised_nodes_are_last_and_the_least_penalised_first_among_them(engine):
    table = a_table(*(a_node(f"n{number}", cpus=2) for number in range(4)))
    for name, failures in (("n0", 9), ("n1", 6), ("n2", 4)):
        table.set_penalty(WEB, NodeId(name), failures)
    demand = a_demand(nano_cpus=CPU)
    assert Counter(engine(table, demand, 5)) == {"n2": 2, "n3": 2, "n1": 1}
    assert Counter(engine(table, demand, 2)) == {"n1": 1, "n0": 1}


@ENGINES
def test_a_penalty_concerns_one_service(engine):
    table = a_table(a_node("n1"), a_node("n2"))
    table.set_penalty(WEB, NodeId("n1"), 9)
    assert engine(table, a_demand(service="db"), 1) == ["n1"]


@ENGINES
def test_spread_fills_branches_evenly_although_one_has_more_nodes(engine):
    table = zoned("a", "a", "a", "b")
    demand = a_demand(spread=("node.labels.zone",))
    assert Counter(engine(table, demand, 6)) == {"n0": 1, "n1": 1, "n2": 1, "n3": 3}


@ENGINES
def test_a_full_branch_gives_its_share_to_the_others(engine):
    table = zoned("a", "b", "c", cpus=3)
    table.occupy(NodeId("n0"), a_demand(service="other", nano_cpus=2 * CPU))
    demand = a_demand(spread=("node.labels.zone",), nano_cpus=CPU)
    assert Counter(engine(table, demand, 7)) == {"n0": 1, "n1": 3, "n2": 3}


@ENGINES
def test_nodes_without_the_label_are_one_branch(engine):
    table = a_table(a_node("n0", labels={"zone": "a"}), a_node("n1"), a_node("n2"))
    demand = a_demand(spread=("node.labels.zone",))
    assert Counter(engine(table, demand, 4)) == {"n0": 2, "n1": 1, "n2": 1}


@ENGINES
def test_tasks_on_nodes_that_are_no_candidates_count_for_their_branch(engine):
    table = zoned("a", "a", "b")
    for _ in range(2):
        table.occupy(NodeId("n0"), a_demand())
    table.put_node(a_node("n0", labels={"zone": "a"}), accepting=False, why_not="draining")
    demand = a_demand(spread=("node.labels.zone",))
    assert Counter(engine(table, demand, 2)) == {"n2": 2}
    assert Counter(engine(table, demand, 2)) == {"n1": 1, "n2": 1}


@ENGINES
def test_preferences_nest(engine):
    places = [("a", "1"), ("a", "1"), ("a", "2"), ("b", "1")]
    nodes = [
        a_node(f"n{i}", labels={"zone": zone, "rack": rack})
        for i, (zone, rack) in enumerate(places)
    ]
    demand = a_demand(spread=("node.labels.zone", "node.labels.rack"))
    assert Counter(engine(a_table(*nodes), demand, 8)) == {"n0": 1, "n1": 1, "n2": 2, "n3": 4}


@ENGINES
def test_services_of_one_replica_do_not_all_land_in_the_first_zone(engine):
    table = zoned("a", "b", "c")
    for number in range(6):
        engine(table, a_demand(service=f"s{number}", spread=("node.labels.zone",)), 1)
    assert table.load.counts.values[:3].tolist() == [2, 2, 2]


def test_binpack_fills_the_most_reserved_node_that_still_fits():
    table = a_table(a_node("n0", cpus=8), a_node("n1", cpus=4), a_node("n2", cpus=2))
    table.occupy(NodeId("n1"), a_demand(service="other", nano_cpus=2 * CPU))
    demand = a_demand(nano_cpus=CPU, strategy=PlacementStrategy.BINPACK)
    assert Counter(place_on_vectors(table, demand, 5)) == {"n1": 2, "n0": 3}
    assert place_on_vectors(table, demand, 1) == ["n0"]


def test_binpack_looks_at_the_dominant_resource():
    table = a_table(a_node("n0", cpus=4, gib=8), a_node("n1", cpus=4, gib=8))
    table.occupy(NodeId("n0"), a_demand(service="x", nano_cpus=2 * CPU))
    table.occupy(NodeId("n1"), a_demand(service="x", memory_bytes=5 * GIB))
    demand = a_demand(nano_cpus=CPU, strategy=PlacementStrategy.BINPACK)
    assert place_on_vectors(table, demand, 1) == ["n1"]


def test_binpack_within_branches_keeps_these_even():
    table = zoned("a", "a", "b", "b", cpus=2)
    demand = a_demand(
        nano_cpus=CPU, spread=("node.labels.zone",), strategy=PlacementStrategy.BINPACK
    )
    assert Counter(place_on_vectors(table, demand, 4)) == {"n0": 2, "n2": 2}


def test_a_tie_of_branches_goes_to_the_node_that_is_most_reserved_by_then():
    nodes = [a_node("n0", labels={"zone": "a"}, cpus=9), a_node("n1", labels={"zone": "b"}, cpus=5)]
    table = a_table(*nodes)
    demand = a_demand(
        nano_cpus=CPU, spread=("node.labels.zone",), strategy=PlacementStrategy.BINPACK
    )
    assert Counter(place_on_vectors(table, demand, 3)) == {"n0": 1, "n1": 2}


@ENGINES
def test_the_tasks_of_the_group_itself_count_for_the_remainder(engine):
    table = a_table(a_node("n0"), a_node("n1"))
    table.occupy(NodeId("n1"), a_demand())
    table.occupy(NodeId("n0"), a_demand(service="other"))
    # Two raise n0 to two tasks of the service, three in all; n1 has one and one.
    assert Counter(engine(table, a_demand(), 2)) == {"n0": 1, "n1": 1}


def test_water_filling_levels_unequal_nodes():
    table = a_table(*(a_node(f"n{number}", cpus=9) for number in range(4)))
    for number, held in enumerate((5, 0, 2, 2)):
        for _ in range(held):
            table.occupy(NodeId(f"n{number}"), a_demand())
    rows, times = ranking.fill(table, a_demand(), candidates(table, a_demand()), 6)
    assert dict(zip(rows.tolist(), times.tolist(), strict=True)) == {1: 4, 2: 1, 3: 1}


def test_the_remainder_goes_to_the_nodes_with_the_fewest_tasks_in_all():
    table = a_table(*(a_node(f"n{number}") for number in range(3)))
    for number, others in enumerate((2, 0, 1)):
        for _ in range(others):
            table.occupy(NodeId(f"n{number}"), a_demand(service="other"))
    assert Counter(place_on_vectors(table, a_demand(), 5)) == {"n0": 1, "n1": 2, "n2": 2}
