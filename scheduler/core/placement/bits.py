"""Sets of rows as big integers: bit `r` of a mask is 1 when row `r` belongs to the set.

Duty: turn masks into rows and back, and pick the lowest rows of a mask.
Not here: what a row means (scheduler.core.placement.table).

Why integers: AND, OR and XOR of two 10,000-bit integers cost about 0.1 us in CPython; a numpy call
costs ten times that before it does anything. The bitmap index is O'Neil's (Model 204, 1987);
nothing here is new but its use for placement.

A trap: as soon as an operand is negative (`~x`, `-x`) CPython converts to two's complement digit by
digit and is eight times slower. Hence `without`, and `lowest_row` that halves before it negates.
"""

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Flags = NDArray[np.bool_]

_LOOP_MAX = 12
"""Up to so many rows, a loop over bits beats one pass of numpy (measured, 10,000 rows)."""

_NEGATED_BITS_MAX = 4096
_ONES: dict[int, int] = {}
"""Exponent e -> the mask of rows below 2 ** e; a table of constants, filled on demand."""


def rows_in(mask: int, width: int) -> Rows:
    """Return the rows of `mask`, ascending; `width` is a multiple of 8 above every row."""
    raw = np.frombuffer(mask.to_bytes(width // 8, "little"), np.uint8)
    return np.flatnonzero(np.unpackbits(raw, bitorder="little").view(np.bool_))


def mask_from_flags(flags: Flags) -> int:
    """Return the mask of the rows whose flag is set."""
    return int.from_bytes(np.packbits(flags, bitorder="little").tobytes(), "little")


def mask_from_rows(rows: Rows, width: int) -> int:
    """Return the mask of `rows`, all below `width`."""
    flags = np.zeros(width, np.bool_)
    flags[rows] = True
    return mask_from_flags(flags)


def without(mask: int, other: int) -> int:
    """Return the rows of `mask` that are not in `other`."""
    return mask ^ (mask & other)


def lowest_row(mask: int) -> int:
    """Return the lowest row of a mask that is not empty."""
    first = 0
    width = mask.bit_length()
    while width > _NEGATED_BITS_MAX:
        half = (width - 1).bit_length() - 1
        ones = _ONES.get(half)
        if ones is None:
            ones = _ONES[half] = (1 << (1 << half)) - 1
        low = mask & ones
        if low:
            mask = low
        else:
            mask >>= 1 << half
            first += 1 << half
        width = mask.bit_length()
    return first + (mask & -mask).bit_length() - 1


def lowest_rows(mask: int, count: int, width: int) -> list[int]:
    """Return the `count` lowest rows of `mask`, ascending; fewer when it has fewer."""
    if count > _LOOP_MAX:
        taken: list[int] = rows_in(mask, width)[:count].tolist()
        return taken
    rows: list[int] = []
    while mask and len(rows) < count:
        row = lowest_row(mask)
        rows.append(row)
        mask ^= 1 << row
    return rows


def lowest_of(mask: int, count: int, width: int) -> int:
    """Return the `count` (above 0) lowest rows of a mask that has at least so many, as a mask."""
    last = int(rows_in(mask, width)[count - 1])
    return mask & ((2 << last) - 1)
