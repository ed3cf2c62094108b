"""Sets of rows as big integers: bit `r` of a mask is 1 when row `r` belongs to the set.

Duty: turn masks into rows and back, and pick the lowest rows of a mask.
Not here: what a row means (scheduler.core.placement.table).

Why integers: AND, OR and XOR of two 10,000-bit integers cost about 0.2 us in CPython, allocate one
small block and touch 1.3 KB; a numpy call costs more than that before it does anything. The bitmap
index is O'Neil's (Model 204, 1987); nothing here is new but its use for placement.
"""

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Flags = NDArray[np.bool_]

_LOOP_MAX = 12
"""Up to so many rows, a loop over bits beats one pass of numpy (measured, 10,000 rows)."""


def rows_in(mask: int, width: int) -> Rows:
    """Return the rows of `mask`, ascending; `width` is a multiple of 8 above every row."""
    raw = np.frombuffer(mask.to_bytes(width // 8, "little"), np.uint8)
    return np.flatnonzero(np.unpackbits(raw, bitorder="little"))


def mask_from_flags(flags: Flags) -> int:
    """Return the mask of the rows whose flag is set."""
    return int.from_bytes(np.packbits(flags, bitorder="little").tobytes(), "little")


def mask_from_rows(rows: Rows, width: int) -> int:
    """Return the mask of `rows`, all below `width`."""
    flags = np.zeros(width, np.bool_)
    flags[rows] = True
    return mask_from_flags(flags)


def lowest_row(mask: int) -> int:
    """Return the lowest row of a mask that is not empty."""
    return (mask & -mask).bit_length() - 1


def lowest_rows(mask: int, count: int, width: int) -> list[int]:
    """Return the `count` lowest rows of `mask`, ascending; fewer when it has fewer."""
    if count > _LOOP_MAX:
        taken: list[int] = rows_in(mask, width)[:count].tolist()
        return taken
    rows: list[int] = []
    while mask and len(rows) < count:
        lowest = mask & -mask
        rows.append(lowest.bit_length() - 1)
        mask ^= lowest
    return rows
