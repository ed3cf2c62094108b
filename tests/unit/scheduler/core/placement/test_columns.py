import numpy as np

from berth.model.service import Platform
from scheduler.core.placement.bits import rows_in
from scheduler.core.placement.columns import (
    AmountColumn,
    IntColumn,
    PredicateMasks,
    SpreadTree,
    ValueColumn,
)
from scheduler.core.placement.constraints import raw_label
from tests.unit.scheduler.core.placement.builders import a_node


def rows(mask: int) -> list[int]:
    return rows_in(mask, 64).tolist()


def a_column(*free: int) -> AmountColumn:
    column = AmountColumn(64)
    for row, amount in enumerate(free):
        column.set_capacity(row, amount)
    return column


def test_ints_are_shared_with_numpy_and_survive_growth():
    column = IntColumn(64, fill=-1)
    column.values[3] = 7
    assert column.view[3] == 7
    column.grow(128)
    column.view[100] = 5
    assert (column.values[3], column.values[100], column.values[127]) == (7, 5, -1)


def test_fit_masks_follow_single_changes():
    column = a_column(1, 2, 3)
    assert rows(column.fits(2)) == [1, 2]
    column.add(1, -1)
    column.add(0, +1)
    assert rows(column.fits(2)) == [0, 2]
    assert rows(column.fits(3)) == [2]


def test_fit_masks_follow_changes_of_many_rows():
    column = a_column(5, 5, 5)
    assert rows(column.fits(4)) == [0, 1, 2]
    assert rows(column.fits(1)) == [0, 1, 2]
    column.add_many(np.array([0, 2]), np.array([-3, -1]))
    assert rows(column.fits(4)) == [1, 2]
    assert rows(column.fits(1)) == [0, 1, 2]


def test_a_row_that_shrinks_below_what_is_occupied_is_over_committed():
    column = a_column(4)
    column.add(0, -3)
    column.set_capacity(0, 2)
    assert column.free.values[0] == -1
    column.add(0, 3)
    assert column.free.values[0] == 2
    column.clear(0)
    assert (column.free.values[0], column.capacity.values[0]) == (0, 0)


def test_more_sizes_than_masks_are_kept_stay_exact():
    column = a_column(*range(64))
    for amount in [*range(1, 200), *range(1, 200)]:
        assert rows(column.fits(amount)) == list(range(amount, 64))
        column.add(0, 1)
        column.add(0, -1)


def test_values_follow_their_nodes():
    column = ValueColumn(64, raw_label("node.labels.zone"))
    column.put(0, a_node(labels={"zone": "a"}))
    column.put(1, a_node(labels={"zone": "b"}))
    column.put(2, a_node())
    assert rows(column.equals("a")) == [0]
    assert rows(column.equals("")) == [2]
    assert rows(column.equals("c")) == []
    column.put(1, a_node(labels={"zone": "a"}))
    column.clear(0)
    assert rows(column.equals("a")) == [1]


def test_questions_are_asked_again_when_a_node_changes():
    masks = PredicateMasks()
    nodes = [(0, a_node(cpus=1)), (1, a_node(cpus=8))]
    assert masks.known("big") is None
    mask = masks.ask("big", lambda node: node.description.resources.nano_cpus > 2e9, nodes)
    assert rows(mask) == [1]
    masks.put(0, a_node(cpus=8))
    masks.put(1, None)
    masks.put(2, a_node(cpus=1))
    assert rows(masks.known("big") or 0) == [0]


def test_questions_that_were_forgotten_can_be_asked_anew():
    masks = PredicateMasks()
    for number in range(300):
        masks.ask(number, lambda _: True, [(0, a_node())])
    assert masks.known(0) is None
    assert masks.known(299) == 1


def test_a_spread_tree_numbers_branches_within_their_parent():
    reads = (raw_label("node.labels.zone"), raw_label("node.labels.rack"))
    tree = SpreadTree(64, reads)
    for row, (zone, rack) in enumerate([("a", "1"), ("b", "1"), ("a", "2"), ("", "1")]):
        tree.put(row, a_node(labels={"zone": zone, "rack": rack}, platform=Platform()))
    zones, racks = (column.values[:4].tolist() for column in tree.branches)
    assert zones[0] == zones[2] != zones[1] != zones[3]
    assert len(set(racks)) == 4, "rack 1 of zone a is not rack 1 of zone b"
    assert rows(tree.branch_mask(0, zones[0])) == [0, 2]
    before = tree.version
    tree.put(0, a_node(labels={"zone": "a", "rack": "1"}))
    assert tree.version == before, "nothing changed"
    tree.put(0, a_node(labels={"zone": "b", "rack": "1"}))
    tree.clear(1)
    assert tree.version > before
    assert rows(tree.branch_mask(0, zones[0])) == [2]
    assert rows(tree.branch_mask(1, racks[1])) == [0]
