"""Which named units of generic resources belong to which task.

Duty: of each node and kind, which units are granted; pick the lowest free ones.
Not here: how many are free (`NodeTable.generic`): counts alone decide where a task goes, names
matter only to the container that gets them.

A kind that a node offers as a plain number has no names; what is granted then is the number as
text. Where more is occupied than offered (a node lost a GPU, a replacement starts while the old
task still holds its unit) the units with the fewest holders are shared, so that a task gets as
many as it asked for, or all that the node has, and nothing ever fails here.
"""

from berth.model.resources import NodeResources

Granted = tuple[tuple[str, tuple[str, ...]], ...]
"""(kind, names), or (kind, (number as text,)) where the node has no names: `Task.granted`."""


class GenericUnits:
    """Holders per row, kind and unit. Invariant: no holder counts are 0."""

    def __init__(self) -> None:
        self._offered: dict[int, dict[str, tuple[str, ...]]] = {}
        self._holders: dict[int, dict[tuple[str, str], int]] = {}

    def offer(self, row: int, resources: NodeResources) -> None:
        """Take over the names that a node offers now."""
        names = {kind: tuple(sorted(units)) for kind, units in resources.generic_names.items()}
        if names:
            self._offered[row] = names
        else:
            self._offered.pop(row, None)

    def forget(self, row: int) -> None:
        """Forget a row that has no node any more."""
        self._offered.pop(row, None)
        self._holders.pop(row, None)

    def grant(self, row: int, wanted: tuple[tuple[str, int], ...], reuse: Granted) -> Granted:
        """Pick `wanted` units; those in `reuse` count as held once less."""
        granted: list[tuple[str, tuple[str, ...]]] = []
        offered = self._offered.get(row, {})
        leaving = {(kind, name) for kind, names in reuse for name in names}
        for kind, count in wanted:
            names = offered.get(kind)
            if names is None:
                granted.append((kind, (str(count),)))
                continue
            ranked = sorted(names, key=lambda name: self._rank(row, kind, name, leaving))
            granted.append((kind, tuple(sorted(ranked[:count]))))
        self.adopt(row, tuple(granted))
        return tuple(granted)

    def adopt(self, row: int, granted: Granted) -> None:
        """Count one more holder of each unit."""
        holders = self._holders.setdefault(row, {})
        for kind, names in granted:
            for name in names:
                holders[kind, name] = holders.get((kind, name), 0) + 1

    def give_back(self, row: int, granted: Granted) -> None:
        """Count one holder less of each unit."""
        holders = self._holders.get(row, {})
        for kind, names in granted:
            for name in names:
                left = holders.get((kind, name), 0) - 1
                if left > 0:
                    holders[kind, name] = left
                else:
                    holders.pop((kind, name), None)
        if not holders:
            self._holders.pop(row, None)

    def holders_of(self, row: int, kind: str, name: str) -> int:
        """Return how many tasks hold a unit."""
        return self._holders.get(row, {}).get((kind, name), 0)

    def _rank(
        self, row: int, kind: str, name: str, leaving: set[tuple[str, str]]
    ) -> tuple[int, bool, str]:
        holders = self.holders_of(row, kind, name)
        is_leaving = holders > 0 and (kind, name) in leaving
        return holders - is_leaving, is_leaving, name
