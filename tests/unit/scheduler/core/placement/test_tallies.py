import numpy as np
import pytest

from scheduler.core.placement.bits import rows_in
from scheduler.core.placement.columns import SpreadTree
from scheduler.core.placement.constraints import raw_label
from scheduler.core.placement.tallies import LoadLevels, RowTally, ServiceTally
from tests.unit.scheduler.core.placement.builders import a_node

ALL = (1 << 64) - 1


def rows(mask: int) -> list[int]:
    return rows_in(mask, 64).tolist()


def a_tally(counts: list[int]) -> RowTally:
    tally = RowTally()
    for row, count in enumerate(counts):
        for _ in range(count):
            tally.add(row, 1)
    return tally


@pytest.mark.parametrize("size", [4, 40], ids=["few rows", "rows enough to keep masks"])
def test_a_tally_knows_who_has_most_and_fewest(size):
    tally = a_tally([row % 4 for row in range(size)])
    for _ in range(2):  # The second time from masks that were kept, if any are.
        assert rows(tally.held()) == [row for row in range(size) if row % 4]
        assert rows(tally.at_least(1)) == rows(tally.held())
        assert rows(tally.at_least(3)) == [row for row in range(size) if row % 4 == 3]
        assert rows(tally.at_least(9)) == []
        assert rows(tally.fewest((1 << size) - 1)) == list(range(0, size, 4))
        assert rows(tally.fewest(tally.at_least(2))) == list(range(2, size, 4))
        tally.add(3, 1)
        assert rows(tally.at_least(4)) == [3]
        tally.add(3, -1)


def test_a_tally_that_shrinks_stays_exact_while_it_drops_its_masks():
    tally = a_tally([1] * 40)
    assert rows(tally.held()) == list(range(40))
    for row in range(39, 0, -1):
        tally.add(row, -1)
        assert rows(tally.held()) == list(range(row))


def test_a_tally_cannot_count_below_zero():
    with pytest.raises(AssertionError, match="row 3 counts 0, cannot change by -1"):
        RowTally().add(3, -1)


def test_many_rows_at_once():
    tally = a_tally([0, 2])
    assert rows(tally.held()) == [1]
    tally.add_many([1, 5], [1, 4])
    assert tally.counts == {1: 3, 5: 4}
    assert rows(tally.at_least(4)) == [5]
    assert tally.dense(8).tolist() == [0, 3, 0, 0, 0, 4, 0, 0]
    tally.forget(5)
    tally.forget(6)
    assert tally.counts == {1: 3}


def test_counts_of_branches_follow_tasks_and_labels():
    tree = SpreadTree(64, (raw_label("node.labels.zone"),))
    for row, zone in enumerate("aab"):
        tree.put(row, a_node(labels={"zone": zone}))
    zone_a, zone_b = tree.branches[0].values[0], tree.branches[0].values[2]
    tally = ServiceTally()
    tally.add(0, 1)
    tally.add(1, 1)
    assert tally.branch_counts(tree) == [{zone_a: 2}]
    tally.add(2, 1)
    tally.add_many([0, 2], [1, 3])
    assert tally.branch_counts(tree) == [{zone_a: 3, zone_b: 4}]
    tree.put(1, a_node(labels={"zone": "b"}))
    assert tally.branch_counts(tree) == [{zone_a: 2, zone_b: 5}]


def test_load_finds_the_fewest_after_single_and_bulk_changes():
    load = LoadLevels(64)
    for row in range(6):
        load.open(row)
    mask = 0b111111
    load.add(0, 1)
    assert rows(load.fewest(mask)) == [1, 2, 3, 4, 5]
    load.add_many(np.array([1, 2, 3]), np.array([1, 2, 3]))
    assert rows(load.fewest(mask)) == [4, 5]
    load.add(4, 70)
    load.close(5)
    assert rows(load.fewest(0b011111)) == [0, 1]
    load.add(4, -70)
    assert rows(load.fewest(0b011111)) == [4]


def test_load_with_more_levels_than_are_scanned():
    load = LoadLevels(64)
    for row in range(64):
        load.open(row)
        for _ in range(row):
            load.add(row, 1)
    assert rows(load.fewest(1 << 60 | 1 << 50 | 1 << 63)) == [50]
    assert rows(load.fewest(ALL)) == [0]


def test_load_cannot_count_below_zero():
    load = LoadLevels(64)
    load.open(0)
    with pytest.raises(AssertionError):
        load.add(0, -1)
