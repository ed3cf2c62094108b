"""How many tasks each row has: of one service, on one host port, in all.

Duty: counts per row with the mask of the rows that have exactly so many ("levels"), so that the
rows with the fewest are found by a few ANDs.
Not here: how levels, spread preferences and penalties combine (ranking).

A tally of few rows keeps no masks, it builds them when asked (0.3 us a row): with 100,000 services
of one replica, masks would cost a kilobyte each. After a change of many rows at once the masks are
dropped and built anew by the next who needs them.
"""

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from scheduler.core.placement.bits import Flags, Rows, lowest_of, mask_from_flags, rows_in
from scheduler.core.placement.columns import IntColumn, Ints, SpreadTree

K = TypeVar("K")
T = TypeVar("T", bound="RowTally")

_KEPT_ROWS_MIN = 16
_SCANNED_LEVELS_MAX = 24
"""From so many levels without a hit on, one numpy pass is cheaper than more ANDs."""


class RowTally:
    """A count per row, for the few rows that have any.

    Invariants: `counts` holds no zeros; `_levels`, when kept, has at index n the mask of rows with
    exactly n (index 0 unused), and `_held` is the OR of all.
    """

    __slots__ = ("_held", "_levels", "counts")

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self._levels: list[int] | None = None
        self._held = 0

    def add(self, row: int, delta: int) -> None:
        """Change the count of one row by `delta`."""
        old = self.counts.get(row, 0)
        new = old + delta
        assert new >= 0, f"row {row} counts {old}, cannot change by {delta}"
        if new:
            self.counts[row] = new
        else:
            del self.counts[row]
        if self._levels is not None:
            self._move(row, old, new)

    def add_many(self, rows: list[int], deltas: list[int]) -> None:
        """Raise the counts of many rows by amounts above 0."""
        counts = self.counts
        if counts:
            for row, delta in zip(rows, deltas, strict=True):
                counts[row] = counts.get(row, 0) + delta
        else:
            counts.update(zip(rows, deltas, strict=True))
        self._levels = None

    def forget(self, row: int) -> None:
        """Drop the count of a row that has no node any more."""
        count = self.counts.get(row)
        if count:
            self.add(row, -count)

    def held(self) -> int:
        """Return the mask of rows that have any."""
        if self._levels is None:
            self._levels_now()
        return self._held

    def at_least(self, count: int) -> int:
        """Return the mask of rows that have `count` (above 0) or more."""
        if count == 1:
            return self.held()
        mask = 0
        for level in self._levels_now()[count:]:
            mask |= level
        return mask

    def fewest(self, mask: int) -> int:
        """Return those rows of `mask` (not empty) that have the fewest."""
        if not self.counts:
            return mask
        levels = self._levels_now()
        rest = mask ^ (mask & self._held)
        if rest:
            return rest
        for level in levels[1:]:
            rest = mask & level
            if rest:
                return rest
        raise AssertionError("a held row is in no level")

    def dense(self, width: int) -> Ints:
        """Return the counts of all rows as one vector."""
        vector = np.zeros(width, np.int64)
        if self.counts:
            size = len(self.counts)
            rows = np.fromiter(self.counts.keys(), np.int64, size)
            vector[rows] = np.fromiter(self.counts.values(), np.int64, size)
        return vector

    def _levels_now(self) -> list[int]:
        if self._levels is not None:
            return self._levels
        levels = [0] * (max(self.counts.values(), default=0) + 1)
        if len(self.counts) < _KEPT_ROWS_MIN:
            for row, count in self.counts.items():
                levels[count] |= 1 << row
        else:
            vector = self.dense(max(self.counts) + 1)
            for count in np.flatnonzero(np.bincount(vector)).tolist():
                if count:
                    levels[count] = mask_from_flags(vector == count)
            self._levels = levels
        self._held = 0
        for level in levels:
            self._held |= level
        return levels

    def _move(self, row: int, old: int, new: int) -> None:
        levels = self._levels
        assert levels is not None
        if len(self.counts) < _KEPT_ROWS_MIN // 2:
            self._levels = None
            return
        bit = 1 << row
        if old:
            levels[old] ^= bit
        else:
            self._held ^= bit
        if new:
            levels.extend([0] * (new + 1 - len(levels)))
            levels[new] ^= bit
        else:
            self._held ^= bit


class BranchCounts:
    """How many counted tasks of one service each branch of a spread tree has."""

    __slots__ = ("counts", "tree", "version")

    def __init__(self, tree: SpreadTree) -> None:
        self.tree = tree
        self.version = -1
        self.counts: list[dict[int, int]] = []

    def add(self, row: int, delta: int) -> None:
        """Follow a change of the service's count on `row`."""
        if self.version != self.tree.version:
            return  # Counted anew when next asked for.
        for counts, column in zip(self.counts, self.tree.branches, strict=True):
            branch = column.values[row]
            counts[branch] = counts.get(branch, 0) + delta

    def refresh(self, tally: RowTally) -> None:
        """Count anew if rows have changed their branches since."""
        if self.version == self.tree.version:
            return
        self.counts = [{} for _ in self.tree.branches]
        self.version = self.tree.version
        for row, count in tally.counts.items():
            self.add(row, count)


class ServiceTally(RowTally):
    """The counted tasks of one service per row and, where it spreads, per branch."""

    __slots__ = ("_branch_counts",)

    def __init__(self) -> None:
        self.counts = {}
        self._levels = None
        self._held = 0
        self._branch_counts: BranchCounts | None = None

    def add(self, row: int, delta: int) -> None:
        """Change the count of one row by `delta`."""
        super().add(row, delta)
        if self._branch_counts is not None:
            self._branch_counts.add(row, delta)

    def add_many(self, rows: list[int], deltas: list[int]) -> None:
        """Raise the counts of many rows by amounts above 0."""
        super().add_many(rows, deltas)
        if self._branch_counts is not None:
            for row, delta in zip(rows, deltas, strict=True):
                self._branch_counts.add(row, delta)

    def branch_counts(self, tree: SpreadTree) -> list[dict[int, int]]:
        """Return the counts per branch, one mapping per depth; absent branches have none."""
        kept = self._branch_counts
        if kept is None or kept.tree is not tree:
            kept = self._branch_counts = BranchCounts(tree)
        kept.refresh(self)
        return kept.counts


def change_tally(tallies: dict[K, T], key: K, make: Callable[[], T], row: int, delta: int) -> None:
    """Change one tally, made when it is missing and dropped when it counts nothing any more."""
    tally = tallies.get(key)
    if tally is None:  # Most services have one task: theirs is never changed but here.
        assert delta > 0, f"row {row} counts nothing, cannot change by {delta}"
        tally = tallies[key] = make()
        tally.counts[row] = delta
        return
    tally.add(row, delta)
    if not tally.counts:
        del tallies[key]


def forget_row(tallies: dict[K, T], row: int) -> None:
    """Drop what every tally counts on a row that has no node any more."""
    for key in [key for key, tally in tallies.items() if row in tally.counts]:
        tallies[key].forget(row)
        if not tallies[key].counts:
            del tallies[key]


TASKS_MAX = 10_000
"""How many counted tasks a node may have. No Engine runs nearly as many, but all are in one
document, which etcd takes up to 1.5 MiB of: without a bound, replicas in plenty on few nodes make
one that cannot be written, and every leader ends with it. As many again may be on their way out."""

Parts = list[tuple[int, int]]
"""Rows by how many tasks they have: (count, mask), counts rising, no mask empty."""


class LoadLevels:
    """Counted tasks per row, of all services together; rows without a node have -1.

    Invariant: while `_levels` is kept, index n has the mask of exactly the rows that count n.
    """

    __slots__ = ("_levels", "counts")

    def __init__(self, width: int) -> None:
        self.counts = IntColumn(width, fill=-1)
        self._levels: list[int] | None = [0]

    def open(self, row: int) -> None:
        """Begin a row that has a node now, with no tasks."""
        self.counts.values[row] = 0
        if self._levels is not None:
            self._levels[0] ^= 1 << row

    def close(self, row: int) -> None:
        """Forget a row that has no node any more."""
        old = self.counts.values[row]
        self.counts.values[row] = -1
        if self._levels is not None:
            self._levels[old] ^= 1 << row

    def add(self, row: int, delta: int) -> None:
        """Change the count of one row by `delta`."""
        values = self.counts.values
        old = values[row]
        new = values[row] = old + delta
        assert new >= 0, f"row {row} counts {old}, cannot change by {delta}"
        levels = self._levels
        if levels is not None:
            bit = 1 << row
            levels[old] ^= bit
            if new >= len(levels):
                levels.extend([0] * (new + 1 - len(levels)))
            levels[new] ^= bit

    def at_least(self, count: int) -> int:
        """Return the rows that have `count` (above 0) or more: next to nothing where none has."""
        levels = self._levels
        if levels is None:
            if int(self.counts.view.max()) < count:
                return 0
            levels = self._levels_now()
        mask = 0
        for level in levels[count:]:
            mask |= level
        return mask

    def add_many(self, rows: Rows, deltas: Ints) -> None:
        """Raise the counts of many distinct rows."""
        self.counts.view[rows] += deltas
        self._levels = None

    def raise_parts(self, rows: Rows, parts: Parts) -> None:
        """Raise by one the counts of `rows`, which are those of the `parts` that `lowest` gave."""
        self.counts.view[rows] += 1
        levels = self._levels
        assert levels is not None
        for count, mask in parts:
            levels[count] ^= mask
            if count + 1 == len(levels):
                levels.append(0)
            levels[count + 1] ^= mask

    def lowest(self, mask: int, count: int) -> Parts:
        """Return the `count` rows of `mask` that have the fewest, ties by row; it has so many."""
        parts: Parts = []
        for tasks, level in enumerate(self._levels_now()):
            part = mask & level
            if part:
                size = part.bit_count()
                if size >= count:
                    parts.append((tasks, lowest_of(part, count, len(self.counts.values))))
                    break
                parts.append((tasks, part))
                count -= size
        return parts

    def fewest(self, mask: int) -> int:
        """Return those rows of `mask` (not empty, all with nodes) that have the fewest."""
        levels = self._levels_now()
        scanned = 0
        for level in levels:
            if level:
                rest = mask & level
                if rest:
                    return rest
                scanned += 1
                if scanned == _SCANNED_LEVELS_MAX:
                    break
        counts = self.counts.view
        least = int(counts[rows_in(mask, len(counts))].min())
        return mask & levels[least]

    def _levels_now(self) -> list[int]:
        if self._levels is None:
            self._levels = self._built()
        return self._levels

    def _built(self) -> list[int]:
        counts = self.counts.view
        present = np.flatnonzero(np.bincount(counts + 1)[1:]).tolist()
        levels = [0] * (max(present, default=0) + 1)
        for count in present:
            flags: Flags = counts == count
            levels[count] = mask_from_flags(flags)
        return levels
