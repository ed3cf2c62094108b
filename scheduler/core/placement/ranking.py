"""Which candidates are best: spread over branches and nodes, or bin-packing.

Duty: the order of nodes, and two engines that follow it: `best_rows` on masks, one rank at a time,
for single tasks and small groups; `fill` on vectors, a whole group at once.
Not here: who is a candidate (filters), taking what was chosen (place).

The order is lexicographic, least first, and both engines obey it to the letter. A group gets
exactly what its tasks would get one after the other:

    1. counted tasks of the service in the node's branch, one figure per spread preference;
    2. recent failures of the service on the node, where there are 5 or more, else 0;
    3. spread: counted tasks of the service on the node, then counted tasks in all;
       binpack: the most reserved first (the greater of the CPU and the memory fraction), then most
       counted tasks in all;
    4. the node's row, that is, the order in which nodes were added.

Swarm's order is the same for a single task; for groups it first splits the count over branches and
then goes round robin. A tie between branches falls to the next figures, not to chance, so that a
thousand services of one replica do not all land in the first zone.

Water-filling: raising the lowest nodes first until the group is used up fills all of them to one
level. The level is found by bisection, the remainder goes to the nodes at the level that have the
fewest tasks in all. With spread preferences the same is done per branch to bound how many tasks a
node can get; these *units* (node, nth task) are then sorted by the order above, deepest part first,
as a radix sort would.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from berth.model.service import PlacementStrategy
from scheduler.core.placement.bits import Rows, rows_in, without
from scheduler.core.placement.columns import Ints
from scheduler.core.placement.demand import Demand
from scheduler.core.placement.table import NodeTable
from scheduler.core.placement.tallies import TASKS_MAX

Floats = NDArray[np.float64]

USED_BRANCHES_MAX = 256
"""While a service has tasks in at most so many branches, their masks are quicker than vectors."""


def uses_few_branches(table: NodeTable, demand: Demand) -> bool:
    """Return whether `best_rows` has few enough masks of branches to look at."""
    tally = table.services.get(demand.service_id)
    if tally is None:
        return True
    counts_by_depth = tally.branch_counts(table.spread_tree(demand.spread))
    return all(len(counts) <= USED_BRANCHES_MAX for counts in counts_by_depth)


def best_rows(table: NodeTable, demand: Demand, mask: int) -> int:
    """Return the rows of `mask` (not empty) that come first but for ties by row; spread only."""
    tally = table.services.get(demand.service_id)
    if demand.spread and tally is not None:
        mask = _emptiest_branches(table, demand, mask)
    penalties = table.penalties.get(demand.service_id)
    if penalties is not None:
        mask = _least_penalised(penalties, mask)
    if tally is not None:
        mask = tally.fewest(mask)
    return table.load.fewest(mask)


def _emptiest_branches(table: NodeTable, demand: Demand, mask: int) -> int:
    """Narrow `mask`, depth by depth, to the branches with the fewest tasks of the service."""
    tree = table.spread_tree(demand.spread)
    counts_by_depth = table.services[demand.service_id].branch_counts(tree)
    for depth, counts in enumerate(counts_by_depth):
        by_count: dict[int, int] = {}
        for branch, count in counts.items():
            if count:
                by_count[count] = by_count.get(count, 0) | tree.branch_mask(depth, branch)
        empty = mask
        for branches in by_count.values():
            empty = without(empty, branches)
        if empty:
            mask = empty
            continue
        mask = next(mask & by_count[count] for count in sorted(by_count) if mask & by_count[count])
    return mask


def _least_penalised(penalties: dict[int, int], mask: int) -> int:
    by_failures: dict[int, int] = {0: mask}
    for row, failures in penalties.items():
        bit = 1 << row
        if mask & bit:
            by_failures[0] ^= bit
            by_failures[failures] = by_failures.get(failures, 0) | bit
    return next(by_failures[failures] for failures in sorted(by_failures) if by_failures[failures])


@dataclass(slots=True)
class Group:
    """Vectors over the candidates of a group, in the order of rows.

    `room` is how many of the group a node can take, at least 1. `failures` is None when no node is
    penalised for the service, which is nearly always.
    """

    table: NodeTable
    demand: Demand
    rows: Rows
    room: Ints
    failures: Ints | None
    of_service: Ints
    in_all: Ints

    @property
    def is_packed(self) -> bool:
        """True for bin-packing, False for spread."""
        return self.demand.strategy is PlacementStrategy.BINPACK

    def reserved(self, nodes: Ints, nth: Ints | int = 0) -> Floats:
        """Return what fraction of candidates `nodes` is reserved with `nth` tasks more on each.

        It is the greater one of CPU and memory; a resource that a node does not offer counts as 0.
        """
        rows = self.rows[nodes]
        fractions = np.zeros(len(rows), np.float64)
        for amounts, asked in (
            (self.table.cpu, self.demand.nano_cpus),
            (self.table.memory, self.demand.memory_bytes),
        ):
            capacity = amounts.capacity.view[rows]
            occupied = capacity - amounts.free.view[rows] + nth * asked
            part = np.divide(occupied, capacity, out=np.zeros(len(rows)), where=capacity > 0)
            np.maximum(fractions, part, out=fractions)
        return fractions


@dataclass(slots=True)
class Depth:
    """One spread preference: each candidate's branch (dense numbers) and each branch's tasks."""

    branches: Ints
    tasks: Ints


def fill(table: NodeTable, demand: Demand, mask: int, count: int) -> tuple[Rows, Ints]:
    """Return which rows of `mask` (not empty) take how many (above 0) of `count` tasks."""
    group = _group(table, demand, mask, count)
    if demand.spread:
        taken = _fill_tree(group, _depths(table, demand, group.rows), count)
    else:
        taken = np.zeros(len(group.rows), np.int64)
        left = count
        for alike in _alike(group):
            taken[alike] = _fill_nodes(group, alike, left)
            left = count - int(taken.sum())
    used = np.flatnonzero(taken)
    return group.rows[used], taken[used]


def _group(table: NodeTable, demand: Demand, mask: int, count: int) -> Group:
    rows = rows_in(mask, table.width)
    tally = table.services.get(demand.service_id)
    of_service = np.zeros(len(rows), np.int64) if tally is None else tally.dense(table.width)[rows]
    failures = None
    penalties = table.penalties.get(demand.service_id)
    if penalties:
        dense = np.zeros(table.width, np.int64)
        dense[list(penalties)] = list(penalties.values())
        failures = dense[rows]
    return Group(
        table=table,
        demand=demand,
        rows=rows,
        room=_room(table, demand, rows, of_service, count),
        failures=failures,
        of_service=of_service,
        in_all=table.load.counts.view[rows],
    )


def _alike(group: Group) -> list[Rows]:
    """Return the candidates in classes of equal failures, fewest first."""
    failures = group.failures
    if failures is None:
        return [np.arange(len(group.rows))]
    return [np.flatnonzero(failures == value) for value in np.unique(failures).tolist()]


def _room(table: NodeTable, demand: Demand, rows: Rows, of_service: Ints, count: int) -> Ints:
    limit = 1 if demand.host_ports else count
    room = np.full(len(rows), limit, np.int64)
    asked = [(table.generic[kind], units) for kind, units in demand.generic]
    asked += [(table.cpu, demand.nano_cpus), (table.memory, demand.memory_bytes)]
    for amounts, amount in asked:
        free = amounts.free.view[rows]
        if amount and int(free.min()) < amount * limit:  # Else it limits nothing; divisions cost.
            np.minimum(room, free // amount, out=room)
    if demand.max_per_node:
        np.minimum(room, demand.max_per_node - of_service, out=room)
    if limit > 1:
        np.minimum(room, TASKS_MAX - table.load.counts.view[rows], out=room)
    return room


def _fill_nodes(group: Group, chosen: Rows, amount: int) -> Ints:
    """Spread or pack `amount` tasks over the `chosen` candidates, all of equal penalty."""
    room = group.room[chosen]
    if int(room.sum()) <= amount:
        return room
    if group.is_packed:  # Who is first gets fuller, and so stays first until its room is used.
        order = np.lexsort((-group.in_all[chosen], -group.reserved(chosen)))
        ordered = room[order]
        before = np.cumsum(ordered) - ordered
        taken = np.empty_like(room)
        taken[order] = np.clip(amount - before, 0, ordered)
        return taken
    counts = group.of_service[chosen]
    level = _level(counts, room, amount)
    taken = np.clip(level - 1 - counts, 0, room)
    rest = amount - int(taken.sum())
    if rest:
        at_level = np.flatnonzero((counts + taken == level - 1) & (taken < room))
        # Distinct keys: by tasks in all, then by row.
        keys = (group.in_all[chosen] + taken)[at_level] * len(counts) + at_level
        taken[at_level[np.argpartition(keys, rest - 1)[:rest]]] += 1
    return taken


def _level(counts: Ints, room: Ints, amount: int) -> int:
    """Return the least level up to which the nodes can take `amount` (at most all their room)."""

    def taken_up_to(level: int) -> int:
        return int(np.minimum(np.maximum(level - counts, 0), room).sum())

    # All nodes start at the least count or above it, so it cannot be lower than this. Mostly it is
    # this one or the next few; hence steps that double, before bisection.
    low = high = int(counts.min()) + -(-amount // len(counts))
    step = 1
    while taken_up_to(high) < amount:
        low, high, step = high + 1, high + step, step * 2
    while low < high:
        middle = (low + high) // 2
        if taken_up_to(middle) >= amount:
            high = middle
        else:
            low = middle + 1
    return low


def _depths(table: NodeTable, demand: Demand, rows: Rows) -> list[Depth]:
    tree = table.spread_tree(demand.spread)
    tally = table.services.get(demand.service_id)
    counts_by_depth = [{} for _ in demand.spread] if tally is None else tally.branch_counts(tree)
    depths = []
    for column, counts in zip(tree.branches, counts_by_depth, strict=True):
        known, branches = np.unique(column.view[rows], return_inverse=True)
        tasks = np.array([counts.get(branch, 0) for branch in known.tolist()], np.int64)
        depths.append(Depth(branches.astype(np.int64), tasks))
    return depths


def _fill_tree(group: Group, depths: list[Depth], amount: int) -> Ints:
    """Fill with spread preferences: bound each node's tasks, then sort these units by rank.

    Within a deepest branch the order of units is settled first; their places there make the figure
    of that depth, whose ties are broken by the rank that the node has at that moment; then the same
    one depth up, where the order found so far breaks the ties.
    """
    nodes, nth = (_packed_units if group.is_packed else _spread_units)(group, depths, amount)
    in_all = group.in_all[nodes] + nth
    rank: tuple[NDArray[np.generic], ...]
    if group.is_packed:
        rank = (nodes, -in_all, -group.reserved(nodes, nth))
    else:
        rank = (nodes, in_all, group.of_service[nodes] + nth)
    if group.failures is not None:
        rank = (*rank, group.failures[nodes])
    if not group.is_packed:
        order = np.lexsort(rank)
        nodes, rank = nodes[order], tuple(key[order] for key in rank)
    nodes = nodes[np.lexsort((*rank, _figures(depths[-1], nodes)))]
    for depth in reversed(depths[:-1]):
        nodes = nodes[np.argsort(_figures(depth, nodes), kind="stable")]
    return np.bincount(nodes[:amount], minlength=len(group.rows)).astype(np.int64)


def _figures(depth: Depth, nodes: Ints) -> Ints:
    """Return, per unit, the tasks of its branch when its turn comes, units being in their order."""
    branches = depth.branches[nodes]
    order = np.argsort(branches, kind="stable")
    ordered = branches[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 1))
    lengths = np.diff(starts, append=len(ordered))
    places = np.empty_like(order)
    places[order] = np.arange(len(ordered)) - np.repeat(starts, lengths)
    return depth.tasks[branches] + places


def _spread_units(group: Group, depths: list[Depth], amount: int) -> tuple[Ints, Ints]:
    """Return the units that may be filled, as candidates and which task of theirs; any order."""
    quota, branches = _quotas(group, depths, amount)
    bound = np.zeros(len(group.rows), np.int64)
    for alike in _alike(group):
        counts, room, branch = group.of_service[alike], group.room[alike], branches[alike]
        level = _levels(branch, counts, room, quota)
        bound[alike] = np.clip(level[branch] - counts, 0, room)
        quota = np.maximum(quota - _sums(branch, room, len(quota)), 0)
    return _units(np.arange(len(bound)), bound)


def _packed_units(group: Group, depths: list[Depth], amount: int) -> tuple[Ints, Ints]:
    """Return the units that may be filled, in the order in which a branch is filled."""
    quota, branches = _quotas(group, depths, amount)
    everyone = np.arange(len(group.rows))
    order = np.lexsort((-group.in_all, -group.reserved(everyone)))
    if group.failures is not None:
        order = order[np.argsort(group.failures[order], kind="stable")]
    by_branch = order[np.argsort(branches[order], kind="stable")]
    branch, room = branches[by_branch], group.room[by_branch]
    before = np.cumsum(room) - room
    first = np.searchsorted(branch, np.arange(len(quota)))  # Every branch has a candidate.
    bound = np.empty_like(room)
    bound[by_branch] = np.clip(quota[branch] - (before - before[first][branch]), 0, room)
    return _units(order, bound[order])


def _units(nodes: Ints, bound: Ints) -> tuple[Ints, Ints]:
    """Repeat each node as often as its bound says, and number its repetitions from 0."""
    nth = np.arange(int(bound.sum())) - np.repeat(np.cumsum(bound) - bound, bound)
    return np.repeat(nodes, bound), nth


def _quotas(group: Group, depths: list[Depth], amount: int) -> tuple[Ints, Ints]:
    """Return an upper bound of what each deepest branch can get, and each candidate's branch.

    A branch never rises above the level to which its parent fills when all branches fill evenly.
    """
    parents = np.zeros(len(group.rows), np.int64)
    quota = np.array([amount], np.int64)
    for depth in depths:
        room = _sums(depth.branches, group.room, len(depth.tasks))
        parent = np.zeros(len(depth.tasks), np.int64)
        parent[depth.branches] = parents
        level = _levels(parent, depth.tasks, room, quota)
        quota = np.clip(level[parent] - depth.tasks, 0, room)
        parents = depth.branches
    return quota, parents


def _levels(segment: Ints, counts: Ints, room: Ints, quota: Ints) -> Ints:
    """Return, per segment, the least level up to which its members can take its quota."""
    low = np.full(len(quota), int(counts.min()), np.int64)
    high = np.full(len(quota), int(counts.max()) + int(quota.max()), np.int64)
    while bool((low < high).any()):
        middle = (low + high) // 2
        filled = _sums(segment, np.clip(middle[segment] - counts, 0, room), len(quota))
        enough = filled >= quota
        high = np.where(enough, middle, high)
        low = np.where(enough, low, np.minimum(middle + 1, high))
    return low


def _sums(segment: Ints, amounts: Ints, segments: int) -> Ints:
    return np.bincount(segment, weights=amounts, minlength=segments).astype(np.int64)
