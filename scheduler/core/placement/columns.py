"""Columns of the node table: amounts, attributes and predicates, each with its masks.

Duty: one value per row, and quick masks over it: which rows have at least so much free
(`AmountColumn`), which have this value (`ValueColumn`), which satisfy that question
(`PredicateMasks`).
Not here: which columns there are and who fills them (table).

A mask is built by one numpy pass when it is first asked for (10 us for 10,000 rows) and then kept
right by flipping single bits, so that it is always exact. Columns of attributes exist only for the
attributes that somebody asks about: a cluster may carry thousands of labels that nobody uses. All
caches are bounded, and drop the oldest.
"""

from array import array
from bisect import bisect_right, insort
from collections.abc import Callable, Hashable

import numpy as np
from numpy.typing import NDArray

from berth.model.node import Node
from scheduler.core.placement.bits import Rows, mask_from_flags

Ints = NDArray[np.int64]

_FIT_MASKS_MAX = 64
_VALUE_MASKS_MAX = 1024
_PREDICATE_MASKS_MAX = 256
_ABSENT = -1


class IntColumn:
    """One integer per row: `values` for single rows, `view` for numpy, over the same memory.

    An `array` hands out plain ints three times as fast as numpy hands out scalars.
    """

    __slots__ = ("fill", "values", "view")

    def __init__(self, width: int, fill: int = 0) -> None:
        self.fill = fill
        self.values: array[int] = array("q", [fill]) * width
        self.view: Ints = np.frombuffer(self.values, np.int64)

    def grow(self, width: int) -> None:
        """Widen to `width` rows. Whoever keeps `values` or `view` must read them again."""
        old = self.values
        self.values = array("q", [self.fill]) * width
        self.values[: len(old)] = old
        self.view = np.frombuffer(self.values, np.int64)


class AmountColumn:
    """What is free of one resource on each row, and masks of the rows that have enough.

    Invariants: free = capacity - occupied, negative where a row is over-committed; `_masks[a]` is
    exactly the rows with free >= a; `_amounts` is the sorted keys of `_masks`.
    """

    __slots__ = ("_amounts", "_masks", "capacity", "free")

    def __init__(self, width: int) -> None:
        self.capacity = IntColumn(width)
        self.free = IntColumn(width)
        self._masks: dict[int, int] = {}
        self._amounts: list[int] = []

    def grow(self, width: int) -> None:
        """Widen to `width` rows."""
        self.capacity.grow(width)
        self.free.grow(width)

    def fits(self, amount: int) -> int:
        """Return the mask of rows with at least `amount` (above 0) free."""
        mask = self._masks.get(amount)
        if mask is None:
            if len(self._amounts) >= _FIT_MASKS_MAX:
                self._forget(next(iter(self._masks)))
            mask = self._masks[amount] = mask_from_flags(self.free.view >= amount)
            insort(self._amounts, amount)
        return mask

    def add(self, row: int, delta: int) -> None:
        """Change what is free on one row."""
        values = self.free.values
        old = values[row]
        new = values[row] = old + delta
        amounts = self._amounts
        if amounts:  # The masks of amounts in (low, high] flip.
            low, high = (new, old) if new < old else (old, new)
            first = bisect_right(amounts, low)
            if first < len(amounts) and amounts[first] <= high:
                bit = 1 << row
                for amount in amounts[first : bisect_right(amounts, high)]:
                    self._masks[amount] ^= bit

    def add_many(self, rows: Rows, deltas: Ints) -> None:
        """Change what is free on many distinct rows at once."""
        view = self.free.view
        old = view[rows]
        new = old + deltas
        view[rows] = new
        first = bisect_right(self._amounts, int(min(old.min(), new.min())))
        last = bisect_right(self._amounts, int(max(old.max(), new.max())))
        for amount in self._amounts[first:last]:  # Cheaper built anew when next asked for.
            self._forget(amount)

    def set_capacity(self, row: int, capacity: int) -> None:
        """Change what the row offers; what is occupied stays."""
        delta = capacity - self.capacity.values[row]
        if delta:
            self.capacity.values[row] = capacity
            self.add(row, delta)

    def clear(self, row: int) -> None:
        """Forget the row: no capacity, nothing occupied."""
        self.capacity.values[row] = 0
        self.add(row, -self.free.values[row])

    def _forget(self, amount: int) -> None:
        del self._masks[amount]
        self._amounts.pop(bisect_right(self._amounts, amount) - 1)


class ValueColumn:
    """One text per row as a small code, and masks of the rows that have a certain text.

    Invariants: a row without a node has code -1 and is in no mask; `masks[t]`, where it is kept, is
    exactly the rows of text t.
    """

    __slots__ = ("_codes_by_text", "_texts", "codes", "masks", "read")

    def __init__(self, width: int, read: Callable[[Node], str]) -> None:
        self.read = read
        self.codes = IntColumn(width, fill=_ABSENT)
        self.masks: dict[str, int] = {}
        self._codes_by_text: dict[str, int] = {}
        self._texts: list[str] = []

    def put(self, row: int, node: Node) -> None:
        """Read the text of `node` into `row`."""
        text = self.read(node)
        code = self._codes_by_text.get(text)
        if code is None:
            code = self._codes_by_text[text] = len(self._texts)
            self._texts.append(text)
        self._set(row, code)

    def clear(self, row: int) -> None:
        """Forget the row."""
        self._set(row, _ABSENT)

    def equals(self, text: str) -> int:
        """Return the mask of rows whose text is `text`."""
        mask = self.masks.get(text)
        if mask is None:
            code = self._codes_by_text.get(text)
            if code is None:
                return 0
            if len(self.masks) >= _VALUE_MASKS_MAX:
                del self.masks[next(iter(self.masks))]
            mask = self.masks[text] = mask_from_flags(self.codes.view == code)
        return mask

    def _set(self, row: int, code: int) -> None:
        old = self.codes.values[row]
        if old == code:
            return
        self.codes.values[row] = code
        bit = 1 << row
        for changed in (old, code):
            if changed != _ABSENT and self._texts[changed] in self.masks:
                self.masks[self._texts[changed]] ^= bit


class PredicateMasks:
    """Masks of the rows whose node says yes to a question, for questions too odd for a column."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[Hashable, tuple[Callable[[Node], bool], int]] = {}

    def known(self, key: Hashable) -> int | None:
        """Return the mask of the question called `key`, None when it must be put first."""
        entry = self._entries.get(key)
        return None if entry is None else entry[1]

    def ask(
        self, key: Hashable, question: Callable[[Node], bool], nodes: list[tuple[int, Node]]
    ) -> int:
        """Put a new question to all `nodes` (with their rows) and keep its mask right from now."""
        if len(self._entries) >= _PREDICATE_MASKS_MAX:
            del self._entries[next(iter(self._entries))]
        mask = 0
        for row, node in nodes:
            if question(node):
                mask |= 1 << row
        self._entries[key] = (question, mask)
        return mask

    def put(self, row: int, node: Node | None) -> None:
        """Ask the new `node` of `row` every question; None = the row has no node any more."""
        bit = 1 << row
        for key, (question, mask) in self._entries.items():
            yes = node is not None and question(node)
            if bool(mask & bit) != yes:
                self._entries[key] = (question, mask ^ bit)


class SpreadTree:
    """The tree of a service's spread preferences: at each depth, the branch of every row.

    Branches are numbered per depth; a branch of depth d lies in exactly one of depth d - 1. A node
    without the label is in the branch of the empty value, as in Swarm.

    Invariants: `version` rises whenever a row changes its branch; `branch_masks(d)[b]` is exactly
    the rows of branch b.
    """

    __slots__ = ("_branch_ids", "_masks", "branches", "reads", "version")

    def __init__(self, width: int, reads: tuple[Callable[[Node], str], ...]) -> None:
        self.reads = reads
        self.branches = [IntColumn(width, fill=_ABSENT) for _ in reads]
        self.version = 0
        self._branch_ids: list[dict[tuple[int, str], int]] = [{} for _ in reads]
        self._masks: list[dict[int, int]] = [{} for _ in reads]

    def grow(self, width: int) -> None:
        """Widen to `width` rows."""
        for column in self.branches:
            column.grow(width)

    def put(self, row: int, node: Node) -> None:
        """Read the branches of `node` into `row`."""
        branch = 0
        for depth, read in enumerate(self.reads):
            ids = self._branch_ids[depth]
            branch = ids.setdefault((branch, read(node)), len(ids))
            self._set(row, depth, branch)

    def clear(self, row: int) -> None:
        """Forget the row."""
        for depth in range(len(self.reads)):
            self._set(row, depth, _ABSENT)

    def branch_mask(self, depth: int, branch: int) -> int:
        """Return the rows of one branch."""
        masks = self._masks[depth]
        mask = masks.get(branch)
        if mask is None:
            if len(masks) >= _VALUE_MASKS_MAX:
                del masks[next(iter(masks))]
            mask = masks[branch] = mask_from_flags(self.branches[depth].view == branch)
        return mask

    def _set(self, row: int, depth: int, branch: int) -> None:
        values = self.branches[depth].values
        old = values[row]
        if old == branch:
            return
        values[row] = branch
        self.version += 1
        bit = 1 << row
        for changed in (old, branch):
            if changed in self._masks[depth]:
                self._masks[depth][changed] ^= bit
