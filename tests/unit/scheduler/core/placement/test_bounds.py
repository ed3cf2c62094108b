"""What placement remembers is bounded; what was forgotten is found again, the same."""

from collections import Counter

import pytest

from berth.model.ids import NodeId, ServiceId
from berth.model.service import PlacementStrategy
from scheduler.core.placement import columns, table
from scheduler.core.placement.bits import rows_in
from scheduler.core.placement.filters import TASKS_REASON
from scheduler.core.placement.place import place, place_on_masks, place_on_vectors, why_not
from scheduler.core.placement.table import FAILURES_MAX, NodeTable
from scheduler.core.placement.tallies import TASKS_MAX
from tests.unit.scheduler.core.placement.builders import a_demand, a_node, a_table

WEB = ServiceId("web")


def rows_of(known: NodeTable, mask: int) -> list[int]:
    return [int(row) for row in rows_in(mask, known.width)]


def test_masks_of_many_values_of_a_label() -> None:
    values = columns._VALUE_MASKS_MAX + 3
    known = a_table(*(a_node(f"n{i}", labels={"rack": str(i)}) for i in range(values)))
    subject = "node.labels.rack"
    first = [known.rows_equal(subject, str(i)) for i in range(values)]
    assert first == [1 << i for i in range(values)]
    assert [known.rows_equal(subject, str(i)) for i in range(values)] == first
    assert known.rows_equal(subject, "nowhere") == 0


def test_many_labels() -> None:
    labels = table._COLUMNS_MAX + 3
    known = a_table(a_node("n1", labels={f"l{i}": "yes" for i in range(labels)}), a_node("n2"))
    for _ in range(2):
        for i in range(labels):
            assert rows_of(known, known.rows_equal(f"node.labels.l{i}", "yes")) == [0]


def test_many_spread_trees() -> None:
    trees = table._TREES_MAX + 3
    known = a_table(a_node("n1", labels={"zone": "a"}), a_node("n2", labels={"zone": "b"}))
    for _ in range(2):
        for i in range(trees):
            demand = a_demand(service=f"s{i}", spread=("node.labels.zone", f"node.labels.l{i}"))
            assert sorted(place_on_masks(known, demand, 2)) == ["n1", "n2"]
            known.vacate(NodeId("n1"), demand)
            known.vacate(NodeId("n2"), demand)


def test_masks_of_many_branches() -> None:
    branches = columns._VALUE_MASKS_MAX + 3
    known = a_table(*(a_node(f"n{i}", labels={"rack": str(i)}) for i in range(branches)))
    tree = known.spread_tree(("node.labels.rack",))
    numbers = tree.branches[0].view.tolist()[:branches]
    for _ in range(2):
        masks = [tree.branch_mask(0, number) for number in numbers]
        assert masks == [1 << row for row in range(branches)]


@pytest.mark.parametrize("strategy", list(PlacementStrategy))
@pytest.mark.parametrize("spread", [(), ("node.labels.zone",)])
def test_a_node_gets_no_more_tasks_than_its_document_can_hold(
    strategy: PlacementStrategy, spread: tuple[str, ...]
) -> None:
    known = a_table(a_node("n1"), a_node("n2"))
    demand = a_demand(spread=spread, strategy=strategy)
    outcome = place(known, demand, 2 * TASKS_MAX + 5)
    assert Counter(outcome.nodes) == {"n1": TASKS_MAX, "n2": TASKS_MAX}
    assert outcome.shortfall is not None
    assert str(outcome.shortfall.explain().findings[0]) == (
        f"max tasks per node ({TASKS_MAX}) reached on 2 nodes"
    )
    other = a_demand(service="other")
    assert place(known, other, 1).nodes == []
    assert why_not(known, NodeId("n1"), other) == (TASKS_REASON,)
    assert why_not(known, NodeId("n1"), other, credit=demand) == (), "it takes another's place"
    known.vacate(NodeId("n2"), demand)
    assert place(known, other, 3).nodes == ["n2"]


def failed_on(node: str) -> NodeTable:
    known = a_table(*(a_node(f"n{i}", cpus=2, labels={"zone": f"z{i % 2}"}) for i in range(4)))
    known.set_penalty(WEB, NodeId(node), FAILURES_MAX)
    return known


def test_a_group_goes_last_where_its_service_failed_with_and_without_spread_preferences() -> None:
    for demand in (a_demand(), a_demand(spread=("node.labels.zone",))):
        for engine in (place_on_masks, place_on_vectors):
            placed = engine(failed_on("n0"), demand, 3)
            assert sorted(placed) == ["n1", "n2", "n3"], engine
