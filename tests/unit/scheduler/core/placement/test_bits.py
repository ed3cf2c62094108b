import numpy as np
import pytest

from scheduler.core.placement.bits import (
    lowest_row,
    lowest_rows,
    mask_from_flags,
    mask_from_rows,
    rows_in,
    without,
)

WIDTH = 65_536
SETS = [
    [0],
    [63],
    [64],
    [4095],
    [4096],
    [8191],
    [65_535],
    [7, 4097, 65_000],
    list(range(0, 9000, 3)),
]


@pytest.mark.parametrize("rows", SETS, ids=str)
def test_rows_come_back_from_their_mask(rows):
    mask = sum(1 << row for row in rows)
    assert mask_from_rows(np.array(rows), WIDTH) == mask
    assert rows_in(mask, WIDTH).tolist() == rows


@pytest.mark.parametrize("rows", SETS, ids=str)
@pytest.mark.parametrize("count", [1, 2, 12, 13, 100])
def test_the_lowest_rows_come_first(rows, count):
    mask = sum(1 << row for row in rows)
    assert lowest_row(mask) == rows[0]
    assert lowest_rows(mask, count, WIDTH) == rows[:count]


def test_no_rows_at_all():
    assert lowest_rows(0, 3, 64) == []
    assert rows_in(0, 64).tolist() == []
    assert mask_from_flags(np.zeros(64, np.bool_)) == 0


def test_without_takes_away_what_is_there():
    assert without(0b1101, 0b0110) == 0b1001
