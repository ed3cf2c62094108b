"""Choose nodes for tasks and take them: the only door to placement for the rest of the leader.

Duty: `place` a group anywhere, `place_one` task, or `place_on` one node; say `why_not` there and
`could_fit` cheaply; list the `global_candidates` of a one-task-per-node service.
Not here: filters, ranking, the table itself; records of tasks (the leader makes them).

All nodes are considered, there is no sampling; the outcome is exact and depends only on the table.
Small groups walk over masks, larger ones take the emptiest nodes by levels, or fill vectors; all
give each task the very node that it would get if the tasks came one by one.
"""

from dataclasses import dataclass

from berth.model.ids import NodeId
from berth.model.service import PlacementStrategy
from scheduler.core.placement import ranking
from scheduler.core.placement.bits import lowest_row, lowest_rows, without
from scheduler.core.placement.demand import Demand
from scheduler.core.placement.explain import Unschedulable
from scheduler.core.placement.filters import (
    Credit,
    FilterKind,
    Reason,
    candidates,
    matching,
    reasons_at,
)
from scheduler.core.placement.table import NodeTable

_SPREAD = PlacementStrategy.SPREAD

MASK_COUNT_MAX = 128
"""Groups up to this size walk over masks (measured crossover: bench/placement.py)."""

MASK_COUNT_SPREAD_MAX = 16
"""The same with spread preferences, where every single task looks at the branches anew."""


@dataclass(frozen=True, slots=True)
class PlacementOutcome:
    """Where tasks of one group go: one node per task placed, already occupied and counted.

    A node appears as often as it got a task. `shortfall` is None when all were placed.
    """

    nodes: list[NodeId]
    shortfall: Unschedulable | None


def place(table: NodeTable, demand: Demand, count: int) -> PlacementOutcome:
    """Place up to `count` tasks of equal demand on the best nodes, and take these in the table."""
    if demand.strategy is PlacementStrategy.BINPACK:
        on_masks = False
    elif demand.spread:
        on_masks = count <= MASK_COUNT_SPREAD_MAX and ranking.uses_few_branches(table, demand)
    else:
        on_masks = count <= MASK_COUNT_MAX
    if on_masks:
        nodes = place_on_masks(table, demand, count)
    else:
        nodes = place_on_levels(table, demand, count) or place_on_vectors(table, demand, count)
    missing = count - len(nodes)
    return PlacementOutcome(nodes, Unschedulable(demand, missing, table) if missing > 0 else None)


def place_one(table: NodeTable, demand: Demand) -> NodeId | None:
    """Place one task on the best node and take it: `place` of one, without a group around it."""
    if demand.strategy is not _SPREAD or demand.spread:
        nodes = place(table, demand, 1).nodes
        return nodes[0] if nodes else None
    mask = candidates(table, demand)
    if not mask:
        return None
    row = lowest_row(ranking.best_rows(table, demand, mask))
    table.occupy_row(row, demand)
    return table.node_id_at(row)


def place_on_masks(table: NodeTable, demand: Demand, count: int) -> list[NodeId]:
    """Place up to `count` tasks one rank at a time: quickest for few. Not for bin-packing."""
    nodes: list[NodeId] = []
    while len(nodes) < count:
        mask = candidates(table, demand)
        if not mask:
            break
        best = ranking.best_rows(table, demand, mask)
        left = count - len(nodes)
        if left == 1 or demand.spread:  # Taking one of a branch changes the rank of the others.
            rows = [lowest_row(best)]
        else:
            rows = lowest_rows(best, left, table.width)
        for row in rows:
            table.occupy_row(row, demand)
            nodes.append(table.node_id_at(row))
    return nodes


def place_on_levels(table: NodeTable, demand: Demand, count: int) -> list[NodeId]:
    """Place `count` tasks one a node, where the group's tasks would all get nodes of their own.

    So it is with most groups: there are as many candidates without a task of the service. The nodes
    are then those with the fewest tasks in all, and what has so many is kept as masks. Empty when
    it is not so, or when more decides than that; then nothing was changed.
    """
    is_plain = demand.strategy is PlacementStrategy.SPREAD and not demand.spread
    if not is_plain or demand.service_id in table.penalties:
        return []
    mask = candidates(table, demand)
    tally = table.services.get(demand.service_id)
    if tally is not None:
        mask = without(mask, tally.held())
    if not 0 < count <= mask.bit_count():
        return []
    rows = table.occupy_parts(table.load.lowest(mask, count), demand)
    return table.node_ids_of(rows)


def place_on_vectors(table: NodeTable, demand: Demand, count: int) -> list[NodeId]:
    """Place up to `count` tasks at once: quickest for many, and for any demand."""
    mask = candidates(table, demand) if count > 0 else 0
    if not mask:
        return []
    rows, times = ranking.fill(table, demand, mask, count)
    table.occupy_rows(rows, times, demand)
    return table.node_ids_repeated(rows, times)


def could_fit(table: NodeTable, demand: Demand) -> bool:
    """Return whether at least one task of `demand` fits somewhere now; exact, a few microseconds.

    Meant for waking those who wait: ask when `NodeTable.relief` has risen.
    """
    return bool(candidates(table, demand))


def why_not(
    table: NodeTable,
    node_id: NodeId,
    demand: Demand,
    *,
    credit: Demand | None = None,
    credit_counted: bool = True,
) -> tuple[Reason, ...]:
    """Return which filters forbid this very node; empty when the task fits.

    Args:
        table: the cluster.
        node_id: the node asked about.
        demand: what the task needs.
        credit: what a task that is about to leave this node occupies; taken as free.
        credit_counted: False when that task was already uncounted.
    """
    row = table.row_of(node_id)
    if row is None:
        return (Reason(FilterKind.UNKNOWN, f"node {node_id} is not known"),)
    leaving = None if credit is None else Credit(credit, credit_counted)
    return tuple(reasons_at(table, row, demand, leaving))


def place_on(
    table: NodeTable,
    node_id: NodeId,
    demand: Demand,
    *,
    credit: Demand | None = None,
    credit_counted: bool = True,
) -> tuple[Reason, ...]:
    """Place one task on this very node if it fits; else return why not and change nothing.

    With `credit` the node is over-committed until the task that leaves has been vacated. Arguments
    as for `why_not`.
    """
    reasons = why_not(table, node_id, demand, credit=credit, credit_counted=credit_counted)
    if not reasons:
        table.occupy(node_id, demand)
    return reasons


def suits(table: NodeTable, node_id: NodeId, demand: Demand) -> bool:
    """Return whether one node suits by constraints and platform; an unknown one does not."""
    row = table.row_of(node_id)
    return row is not None and bool(matching(table, demand) >> row & 1)


def global_candidates(table: NodeTable, demand: Demand) -> list[NodeId]:
    """Return the nodes that suit by constraints and platform, in the order of rows.

    Whether each accepts work and has room changes by the minute: `place_on` says so per node.
    """
    return table.node_ids(matching(table, demand))
