"""The placement engine equals brute force (tests.fakes.naive_placement), whatever happened before.

One state machine changes nodes and tasks at random and compares every answer after every step;
plain properties follow for what a state machine rarely reaches: large clusters, large groups.
"""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from berth.model.ids import NodeId, ServiceId
from berth.model.node import Node, NodeDescription, NodeSpec
from berth.model.resources import NodeResources
from berth.model.service import PlacementStrategy
from scheduler.core.placement import ranking
from scheduler.core.placement.bits import rows_in
from scheduler.core.placement.demand import Demand
from scheduler.core.placement.explain import explain
from scheduler.core.placement.filters import FilterKind, Reason, candidates
from scheduler.core.placement.place import (
    could_fit,
    global_candidates,
    place,
    place_on,
    place_on_levels,
    place_on_masks,
    place_on_vectors,
    place_one,
    why_not,
)
from scheduler.core.placement.table import NodeTable
from tests.fakes.naive_placement import NaiveCluster, Occupant
from tests.property.placement_strategies import (
    CPU,
    GIB,
    demands,
    descriptions,
    modest_demands,
    node_ids,
    specs,
    whys,
)

FILTER_NAMES = {FilterKind.CPU: "cpu", FilterKind.MEMORY: "memory", FilterKind.LOG_DRIVER: "log"}
FILTER_NAMES |= {FilterKind.PLATFORM: "platform", FilterKind.MAX_PER_NODE: "max"}


def filter_name(reason: Reason, demand: Demand) -> str:
    """Return the naive model's name of a reason; names with a part are found by their words."""
    if reason.kind in FILTER_NAMES:
        return FILTER_NAMES[reason.kind]
    if reason.kind is FilterKind.NOT_ACCEPTING:
        return f"why:{reason.words}"
    named = {f"generic:{kind}": f"resource {kind}" for kind, _ in demand.generic}
    named |= {f"volume:{driver}": f"driver {driver} " for driver in demand.volume_drivers}
    named |= {f"constraint:{it.text}": f"constraint {it.text}" for it in demand.constraints}
    named |= {f"port:{port}": f"port {port[1]}/{port[0]} " for port in demand.host_ports}
    return next(name for name, words in named.items() if words in f"{reason.words} ")


def place_by(engine: str, table: NodeTable, demand: Demand, count: int) -> list[NodeId]:
    if engine == "masks" and demand.strategy is PlacementStrategy.SPREAD:
        return place_on_masks(table, demand, count)
    if engine == "levels" and (nodes := place_on_levels(table, demand, count)):
        return nodes
    if engine in ("vectors", "levels"):
        return place_on_vectors(table, demand, count)
    if engine == "single":
        one_by_one = (place_one(table, demand) for _ in range(count))
        return [node for node in one_by_one if node is not None]
    return place(table, demand, count).nodes


class TableAgainstBruteForce(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.table = NodeTable()
        self.naive = NaiveCluster()
        self.asked = Demand(service_id=ServiceId("web"))

    @rule(
        node_id=node_ids,
        spec=specs,
        description=descriptions,
        accepting=st.sampled_from([True, True, True, False]),
        why=whys,
    )
    def put_node(self, node_id, spec, description, accepting, why):
        node = Node(node_id, spec, description)
        self.table.put_node(node, accepting=accepting, why_not="" if accepting else why)
        self.naive.put(node, accepting, why)

    @rule(spec=specs, description=descriptions, count=st.integers(15, 30))
    def put_many_nodes(self, spec, description, count):
        for number in range(count):
            node = Node(NodeId(f"many{number}"), spec, description)
            self.table.put_node(node, accepting=True)
            self.naive.put(node, True, "")

    @rule(node_id=node_ids)
    def remove_node(self, node_id):
        self.table.remove_node(node_id)
        self.naive.remove(node_id)

    @precondition(lambda self: self.naive.seats)
    @rule(data=st.data(), accepting=st.booleans(), why=whys)
    def change_whether_it_accepts(self, data, accepting, why):
        seat = self.naive.seats[data.draw(st.sampled_from(sorted(self.naive.seats)))]
        self.table.put_node(seat.node, accepting=accepting, why_not=why)
        self.naive.put(seat.node, accepting, why)

    @rule(
        demand=st.one_of(modest_demands, demands),
        count=st.one_of(st.integers(1, 4), st.integers(1, 60)),
        engine=st.sampled_from(["masks", "levels", "vectors", "single", "either"]),
    )
    def place_group(self, demand, count, engine):
        self.asked = demand
        suiting = self.naive.matching(demand)
        chosen = place_by(engine, self.table, demand, count)
        assert Counter(chosen) == Counter(self.naive.place(demand, count))
        assert set(chosen) <= suiting

    @precondition(lambda self: self.naive.seats)
    @rule(data=st.data(), demand=st.one_of(modest_demands, demands), counted=st.booleans())
    def occupy_regardless(self, data, demand, counted):
        node_id = data.draw(st.sampled_from(sorted(self.naive.seats)))
        self.table.occupy(node_id, demand, counted=counted)
        self.naive.occupants.append(Occupant(node_id, demand, counted))

    @precondition(lambda self: self.naive.occupants)
    @rule(data=st.data())
    def vacate(self, data):
        position = data.draw(st.integers(0, len(self.naive.occupants) - 1))
        task = self.naive.occupants.pop(position)
        self.table.vacate(task.node_id, task.demand, counted=task.counted)

    @precondition(lambda self: self.naive.occupants)
    @rule(data=st.data())
    def count_or_uncount(self, data):
        task = data.draw(st.sampled_from(self.naive.occupants))
        (self.table.uncount if task.counted else self.table.count)(task.node_id, task.demand)
        task.counted = not task.counted

    @precondition(lambda self: self.naive.seats)
    @rule(data=st.data(), demand=modest_demands, failures=st.integers(0, 7))
    def penalise(self, data, demand, failures):
        node_id = data.draw(st.sampled_from(sorted(self.naive.seats)))
        self.table.set_penalty(demand.service_id, node_id, failures)
        self.naive.failures[demand.service_id, node_id] = failures

    @rule(demand=demands)
    def clear_penalties(self, demand):
        self.table.clear_penalties(demand.service_id)
        for key in [key for key in self.naive.failures if key[0] == demand.service_id]:
            del self.naive.failures[key]

    @precondition(lambda self: self.naive.occupants)
    @rule(data=st.data(), demand=demands)
    def replace_in_place(self, data, demand):
        leaving = data.draw(st.sampled_from(self.naive.occupants))
        seat = self.naive.seats[leaving.node_id]
        expected = self.naive.forbidding(seat, demand, leaving)
        reasons = place_on(
            self.table,
            leaving.node_id,
            demand,
            credit=leaving.demand,
            credit_counted=leaving.counted,
        )
        assert {filter_name(reason, demand) for reason in reasons} == {
            name for name, forbids in expected.items() if forbids
        }
        if not reasons:
            self.naive.occupants.append(Occupant(leaving.node_id, demand, counted=True))

    @rule(demand=demands)
    def ask(self, demand):
        self.asked = demand

    @invariant()
    def candidates_are_the_same(self):
        expected = self.naive.candidates(self.asked)
        mask = candidates(self.table, self.asked)
        assert set(self.table.node_ids(mask)) == expected
        assert could_fit(self.table, self.asked) == bool(expected)
        assert set(global_candidates(self.table, self.asked)) == self.naive.matching(self.asked)

    @invariant()
    def explanations_are_exact(self):
        explanation = explain(self.table, self.asked)
        assert explanation.nodes == len(self.naive.seats)
        assert explanation.candidates == len(self.naive.candidates(self.asked))
        found: dict[str, tuple[int, int]] = {}
        for finding in explanation.findings:
            found[filter_name(finding.reason, self.asked)] = (finding.forbids, finding.admits)
        assert found == self.naive.explain(self.asked)

    @invariant()
    def reasons_of_single_nodes_are_the_same(self):
        for seat in self.naive.seats.values():
            verdict = self.naive.forbidding(seat, self.asked)
            reasons = why_not(self.table, seat.node.id, self.asked)
            assert {filter_name(reason, self.asked) for reason in reasons} == {
                name for name, forbids in verdict.items() if forbids
            }

    @invariant()
    def nothing_is_kept_for_nothing(self):
        counted = {it.demand.service_id for it in self.naive.occupants if it.counted}
        assert set(self.table.services) == counted
        ports = {port for it in self.naive.occupants for port in it.demand.host_ports}
        assert set(self.table.ports) == ports
        assert len(self.table) == len(self.naive.seats) == self.table.present.bit_count()

    def teardown(self):
        """Occupy and vacate are inverse: when all tasks are gone, all that is offered is free."""
        for task in self.naive.occupants:
            self.table.vacate(task.node_id, task.demand, counted=task.counted)
        for amounts in (self.table.cpu, self.table.memory, *self.table.generic.values()):
            assert (amounts.free.view == amounts.capacity.view).all()
        rows = rows_in(self.table.present, self.table.width)
        assert not self.table.load.counts.view[rows].any()
        assert not self.table.services
        assert not self.table.ports


TableAgainstBruteForce.TestCase.settings = settings(max_examples=100, stateful_step_count=25)
test_table_equals_brute_force = TableAgainstBruteForce.TestCase


def cluster_of(nodes: int, zone_count: int, cpus: list[int]) -> tuple[NodeTable, NaiveCluster]:
    table, naive = NodeTable(), NaiveCluster()
    for number in range(nodes):
        node = Node(
            NodeId(f"n{number:03}"),
            NodeSpec(labels={"zone": f"z{number % zone_count}", "host": str(number)}),
            NodeDescription(resources=NodeResources(cpus[number % len(cpus)] * CPU, GIB)),
        )
        table.put_node(node, accepting=True)
        naive.put(node, True, "")
    return table, naive


groups = st.lists(
    st.tuples(
        st.sampled_from("abcd"),  # service
        st.integers(1, 40),  # tasks
        st.sampled_from([0, CPU // 2, CPU]),
        st.sampled_from([(), ("node.labels.zone",), ("node.labels.zone", "node.labels.host")]),
        st.sampled_from(["masks", "levels", "vectors", "single", "either"]),
        st.sampled_from(list(PlacementStrategy)),
    ),
    max_size=5,
)


@settings(max_examples=40)
@given(st.integers(65, 90), st.integers(1, 5), st.lists(st.integers(0, 4), min_size=1), groups)
def test_groups_on_a_cluster_that_has_grown_equal_brute_force(nodes, zone_count, cpus, wanted):
    table, naive = cluster_of(nodes, zone_count, cpus)
    for service, count, nano_cpus, spread, engine, strategy in wanted:
        demand = Demand(
            service_id=ServiceId(service), nano_cpus=nano_cpus, spread=spread, strategy=strategy
        )
        chosen = place_by(engine, table, demand, count)
        assert Counter(chosen) == Counter(naive.place(demand, count))


@given(
    st.integers(1, 300),
    st.integers(1, 200),
    st.lists(st.integers(0, 6), min_size=1, max_size=7),
    st.sampled_from([0, 1]),
)
def test_vectors_and_masks_choose_the_same_nodes(nodes, count, cpus, spread_depth):
    demand = Demand(
        service_id=ServiceId("s"),
        nano_cpus=CPU,
        spread=("node.labels.zone",)[:spread_depth],
    )
    on_masks = place_on_masks(cluster_of(nodes, 3, cpus)[0], demand, count)
    on_vectors = place_on_vectors(cluster_of(nodes, 3, cpus)[0], demand, count)
    assert Counter(on_masks) == Counter(on_vectors)
    on_levels = place_on_levels(cluster_of(nodes, 3, cpus)[0], demand, count)
    assert not on_levels or Counter(on_levels) == Counter(on_masks)
    room = sum(cpus[number % len(cpus)] > 0 for number in range(nodes))
    assert bool(on_levels) == (spread_depth == 0 and count <= room)


@given(st.integers(1, 400), st.integers(1, 9), st.integers(1, 400))
def test_branches_differ_by_at_most_one_where_room_allows(nodes, zone_count, count):
    table, _ = cluster_of(nodes, zone_count, cpus=[1])
    demand = Demand(service_id=ServiceId("s"), spread=("node.labels.zone",))
    chosen = place(table, demand, count).nodes
    assert len(chosen) == count
    zone_of = {NodeId(f"n{number:03}"): number % zone_count for number in range(nodes)}
    per_zone = Counter(zone_of[node_id] for node_id in chosen)
    figures = [per_zone[zone] for zone in set(zone_of.values())]
    assert max(figures) - min(figures) <= 1
    per_node = Counter(chosen)
    for zone in set(zone_of.values()):
        inside = [per_node[node_id] for node_id in zone_of if zone_of[node_id] == zone]
        assert max(inside) - min(inside) <= 1


@given(
    st.integers(1, 200),
    st.integers(1, 2000),
    st.lists(st.integers(0, 6), min_size=1, max_size=7),
    st.sampled_from(list(PlacementStrategy)),
)
def test_never_over_commits_and_never_leaves_room_unused(nodes, count, cpus, strategy):
    table, _ = cluster_of(nodes, 3, cpus)
    demand = Demand(service_id=ServiceId("s"), nano_cpus=CPU // 2, strategy=strategy)
    room = 2 * sum(cpus[number % len(cpus)] for number in range(nodes))
    outcome = place(table, demand, count)
    assert len(outcome.nodes) == min(count, room)
    assert (table.cpu.free.view >= 0).all()
    assert (outcome.shortfall is None) == (count <= room)
    if outcome.shortfall is not None:
        assert outcome.shortfall.missing == count - room
        assert outcome.shortfall.explain().candidates == 0


@given(st.permutations(range(12)), st.integers(1, 30))
def test_balance_does_not_depend_on_the_order_in_which_nodes_joined(order, count):
    table = NodeTable()
    for number in order:
        node = Node(
            NodeId(f"n{number:02}"),
            NodeSpec(labels={"zone": str(number % 3)}),
            NodeDescription(resources=NodeResources(number * CPU, GIB)),
        )
        table.put_node(node, accepting=True)
    demand = Demand(service_id=ServiceId("s"), nano_cpus=CPU)
    chosen = Counter(place(table, demand, count).nodes)
    reference = cluster_of(0, 1, [1])[0]
    for number in range(12):
        description = NodeDescription(resources=NodeResources(number * CPU, GIB))
        reference.put_node(Node(NodeId(f"n{number:02}"), NodeSpec(), description), accepting=True)
    expected = Counter(place(reference, demand, count).nodes)
    # Ties go by joining order, so nodes may swap; how many nodes have how many may not.
    assert sorted(chosen.values()) == sorted(expected.values())


@pytest.mark.parametrize("engine", ["masks", "vectors", "single", "either"])
def test_a_service_in_many_branches_goes_by_vectors_and_stays_exact(engine):
    nodes = ranking.USED_BRANCHES_MAX + 10
    table, naive = cluster_of(nodes, 5, [1, 2])
    demand = Demand(service_id=ServiceId("s"), spread=("node.labels.host",))
    assert ranking.uses_few_branches(table, demand)
    for number in range(nodes - 3):
        node_id = NodeId(f"n{number:03}")
        table.occupy(node_id, demand)
        naive.occupants.append(Occupant(node_id, demand, counted=True))
    assert not ranking.uses_few_branches(table, demand)
    chosen = place_by(engine, table, demand, 5)
    assert Counter(chosen) == Counter(naive.place(demand, 5))
