"""The node table: all that placement knows of the cluster, as rows, columns and masks.

Duty: keep, for every node, what it offers, what is occupied, how many tasks it has, and answer
with masks of rows in O(width / 64) machine words; change in place as nodes and tasks come and go.
Not here: combining masks into candidates (filters), choosing among them (ranking, place), deciding
whether a node accepts work (the leader does, and says why not), who owns which named unit
(generic).

Invariants (tests/property/test_placement.py): every mask equals what a scan of all nodes would
give; `occupy` and `vacate` are inverse; free amounts may be negative (a node can shrink under its
tasks) but counts of tasks never are. Nothing here depends on the order of calls, except that rows
are numbered in the order in which nodes were added, which breaks ties.
"""

import heapq
from collections.abc import Callable, Hashable

import numpy as np

from berth.model.ids import NodeId, ServiceId
from berth.model.node import Node
from scheduler.core.placement.bits import Rows, rows_in, without
from scheduler.core.placement.columns import (
    AmountColumn,
    Ints,
    PredicateMasks,
    SpreadTree,
    ValueColumn,
)
from scheduler.core.placement.constraints import attribute, raw_label
from scheduler.core.placement.demand import Demand, HostPort
from scheduler.core.placement.generic import GenericUnits, Granted
from scheduler.core.placement.tallies import (
    LoadLevels,
    Parts,
    RowTally,
    ServiceTally,
    change_tally,
    forget_row,
)

FAILURES_MAX = 5
"""From so many recent failures of a service on, a node ranks last for it (Swarm's number)."""

_WIDTH_MIN = 64
_COLUMNS_MAX = 256
_TREES_MAX = 32


class NodeTable:
    """Rows of nodes. Fields without underscore are for the other modules of this package to read.

    `version` rises with every change, `relief` with every change after which a task that fitted
    nowhere may fit: while `relief` stands still, retrying is pointless.
    """

    def __init__(self) -> None:
        self.width = _WIDTH_MIN
        self.version = 0
        self.relief = 0
        self.present = 0
        self.accepting = 0
        self.refusing: dict[str, int] = {}
        """Why a node does not accept work -> the mask of such rows."""
        self.cpu = AmountColumn(self.width)
        self.memory = AmountColumn(self.width)
        self.generic: dict[str, AmountColumn] = {}
        self.load = LoadLevels(self.width)
        self.services: dict[ServiceId, ServiceTally] = {}
        self.ports: dict[HostPort, RowTally] = {}
        self.penalties: dict[ServiceId, dict[int, int]] = {}
        """Recent failures per row, only where there are FAILURES_MAX or more."""
        self.units = GenericUnits()
        self._rows: dict[NodeId, int] = {}
        self._nodes: list[Node | None] = [None] * self.width
        self._ids = np.full(self.width, None, dtype=object)
        self._why: dict[int, str] = {}
        self._vacant = list(range(self.width))
        self._columns: dict[str, ValueColumn] = {}
        self._predicates = PredicateMasks()
        self._trees: dict[tuple[str, ...], SpreadTree] = {}

    # ---- nodes

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, node_id: object) -> bool:
        return node_id in self._rows

    def row_of(self, node_id: NodeId) -> int | None:
        """Return the row of a node, None when it is unknown."""
        return self._rows.get(node_id)

    def node_ids(self, mask: int) -> list[NodeId]:
        """Return the nodes of the rows of `mask`, in the order of rows."""
        return self.node_ids_of(rows_in(mask, self.width))

    def node_id_at(self, row: int) -> NodeId:
        """Return the node of a row that has one."""
        node = self._nodes[row]
        assert node is not None
        return node.id

    def node_ids_of(self, rows: Rows) -> list[NodeId]:
        """Return the node of each row."""
        ids: list[NodeId] = self._ids[rows].tolist()
        return ids

    def node_ids_repeated(self, rows: Rows, times: Ints) -> list[NodeId]:
        """Return the node of each row, as often as `times` says."""
        return self.node_ids_of(np.repeat(rows, times))

    def put_node(self, node: Node, *, accepting: bool, why_not: str = "") -> None:
        """Add a node, or take over what changed of it; its tasks stay counted.

        Args:
            node: the node as it is now.
            accepting: whether it may get new tasks: ready, active and not flapping.
            why_not: the reason that is shown when it is not, such as ``draining``.
        """
        row = self._rows.get(node.id)
        if row is None:
            row = self._open_row(node)
            self._read(row, node)
        else:
            old = self._nodes[row]
            assert old is not None
            self._nodes[row] = node
            if old.spec is not node.spec or old.description is not node.description:
                self._read(row, node)
        self._set_accepting(row, accepting, why_not or "not accepting tasks")
        self._relieved()

    def remove_node(self, node_id: NodeId) -> None:
        """Forget a node and everything that occupied it; an unknown node is no matter."""
        row = self._rows.pop(node_id, None)
        if row is None:
            return
        self._set_accepting(row, True, "")
        self.accepting ^= 1 << row
        self.present ^= 1 << row
        for amounts in (self.cpu, self.memory, *self.generic.values()):
            amounts.clear(row)
        self.load.close(row)
        forget_row(self.services, row)
        forget_row(self.ports, row)
        for service_id in [service for service, rows in self.penalties.items() if row in rows]:
            self._set_penalty(service_id, row, 0)
        for column in self._columns.values():
            column.clear(row)
        for tree in self._trees.values():
            tree.clear(row)
        self._predicates.put(row, None)
        self.units.forget(row)
        self._nodes[row] = None
        self._ids[row] = None
        heapq.heappush(self._vacant, row)
        self.version += 1

    def _open_row(self, node: Node) -> int:
        if not self._vacant:
            self._grow()
        row = heapq.heappop(self._vacant)
        self._rows[node.id] = row
        self._nodes[row] = node
        self._ids[row] = node.id
        self.present |= 1 << row
        self.load.open(row)
        return row

    def _grow(self) -> None:
        old = self.width
        self.width *= 2
        for amounts in (self.cpu, self.memory, *self.generic.values()):
            amounts.grow(self.width)
        for tree in self._trees.values():
            tree.grow(self.width)
        self.load.counts.grow(self.width)
        for values in self._columns.values():
            values.codes.grow(self.width)
        self._nodes.extend([None] * old)
        self._ids = np.concatenate([self._ids, np.full(old, None, dtype=object)])
        self._vacant = list(range(old, self.width))

    def _read(self, row: int, node: Node) -> None:
        """Take over what the node offers and what it is called."""
        resources = node.description.resources
        self.cpu.set_capacity(row, resources.nano_cpus)
        self.memory.set_capacity(row, resources.memory_bytes)
        units = {kind: len(names) for kind, names in resources.generic_names.items()}
        units.update(resources.generic_counts)
        for kind in units.keys() | self.generic.keys():
            self._generic_column(kind).set_capacity(row, units.get(kind, 0))
        self.units.offer(row, resources)
        for column in self._columns.values():
            column.put(row, node)
        for tree in self._trees.values():
            tree.put(row, node)
        self._predicates.put(row, node)

    def _set_accepting(self, row: int, accepting: bool, why_not: str) -> None:
        bit = 1 << row
        old = self._why.pop(row, None)
        if old is not None:
            self.refusing[old] ^= bit
            if not self.refusing[old]:
                del self.refusing[old]
        if accepting:
            self.accepting |= bit
            return
        self._why[row] = why_not
        self.refusing[why_not] = self.refusing.get(why_not, 0) | bit
        self.accepting = without(self.accepting, bit)

    def why_refusing(self, row: int) -> str | None:
        """Return why a row accepts no tasks, None when it does."""
        return self._why.get(row)

    # ---- masks by attribute, made when first asked for

    def rows_equal(self, subject: str, value: str) -> int:
        """Return the rows whose attribute (in comparable form) is `value`."""
        column = self._columns.get(subject)
        if column is not None:
            mask = column.masks.get(value)
            if mask is not None:  # The hot path: one call less.
                return mask
        else:
            if len(self._columns) >= _COLUMNS_MAX:
                del self._columns[next(iter(self._columns))]
            column = ValueColumn(self.width, attribute(subject))
            for row, node in self._nodes_by_row():
                column.put(row, node)
            self._columns[subject] = column
        return column.equals(value)

    def rows_where(self, key: Hashable, question: Callable[[Node], bool]) -> int:
        """Return the rows whose node says yes; `key` names the question."""
        mask = self._predicates.known(key)
        return self._predicates.ask(key, question, self._nodes_by_row()) if mask is None else mask

    def spread_tree(self, descriptors: tuple[str, ...]) -> SpreadTree:
        """Return the tree of these spread preferences."""
        tree = self._trees.get(descriptors)
        if tree is None:
            if len(self._trees) >= _TREES_MAX:
                del self._trees[next(iter(self._trees))]
            tree = SpreadTree(self.width, tuple(raw_label(text) for text in descriptors))
            for row, node in self._nodes_by_row():
                tree.put(row, node)
            self._trees[descriptors] = tree
        return tree

    def _nodes_by_row(self) -> list[tuple[int, Node]]:
        return [(row, node) for row, node in enumerate(self._nodes) if node is not None]

    # ---- what tasks occupy

    def occupy(self, node_id: NodeId, demand: Demand, *, counted: bool = True) -> None:
        """Take what `demand` asks from a known node, whether or not that much is free.

        Only a `counted` task counts in the ranking and for max replicas per node.
        """
        row = self._rows[node_id]
        self._reserve(row, demand, 1)
        if counted:
            self._count_row(row, demand, 1)
        self.version += 1

    def vacate(self, node_id: NodeId, demand: Demand, *, counted: bool = True) -> None:
        """Give back what `occupy` took; a node that was removed has forgotten it already."""
        row = self._rows.get(node_id)
        if row is None:
            return
        self._reserve(row, demand, -1)
        if counted:
            self._count_row(row, demand, -1)
        self._relieved()

    def count(self, node_id: NodeId, demand: Demand) -> None:
        """Count a task that occupies already: undo `uncount`."""
        self._count_row(self._rows[node_id], demand, 1)
        self.version += 1

    def uncount(self, node_id: NodeId, demand: Demand) -> None:
        """Stop counting a task that is being replaced; what it occupies stays taken."""
        row = self._rows.get(node_id)
        if row is not None:
            self._count_row(row, demand, -1)
            self._relieved()

    def occupy_row(self, row: int, demand: Demand) -> None:
        """Let one counted task of `demand` occupy `row`."""
        self._reserve(row, demand, 1)
        self._count_row(row, demand, 1)
        self.version += 1

    def occupy_parts(self, parts: Parts, demand: Demand) -> Rows:
        """Let one counted task occupy each row of what `load.lowest` gave; return the rows."""
        rows = rows_in(sum(mask for _, mask in parts), self.width)  # They are disjoint.
        self._occupy(rows, np.ones(len(rows), np.int64), demand)
        self.load.raise_parts(rows, parts)
        return rows

    def occupy_rows(self, rows: Rows, times: Ints, demand: Demand) -> None:
        """Let `times[i]` (above 0) counted tasks occupy the distinct row `rows[i]`."""
        self._occupy(rows, times, demand)
        self.load.add_many(rows, times)

    def _occupy(self, rows: Rows, times: Ints, demand: Demand) -> None:
        if demand.nano_cpus:
            self.cpu.add_many(rows, times * -demand.nano_cpus)
        if demand.memory_bytes:
            self.memory.add_many(rows, times * -demand.memory_bytes)
        for kind, count in demand.generic:
            self._generic_column(kind).add_many(rows, times * -count)
        row_list: list[int] = rows.tolist()
        time_list: list[int] = times.tolist()
        for port in demand.host_ports:
            self.ports.setdefault(port, RowTally()).add_many(row_list, time_list)
        tally = self.services.setdefault(demand.service_id, ServiceTally())
        tally.add_many(row_list, time_list)
        self.version += 1

    def generic_free(self, kind: str, row: int) -> int:
        """Return how many units of a kind are free on a row."""
        column = self.generic.get(kind)
        return 0 if column is None else column.free.values[row]

    def _generic_column(self, kind: str) -> AmountColumn:
        column = self.generic.get(kind)
        if column is None:
            column = self.generic[kind] = AmountColumn(self.width)
        return column

    def _reserve(self, row: int, demand: Demand, times: int) -> None:
        """Take what `times` tasks ask for; below 0 gives it back."""
        if demand.nano_cpus:
            self.cpu.add(row, -times * demand.nano_cpus)
        if demand.memory_bytes:
            self.memory.add(row, -times * demand.memory_bytes)
        for kind, count in demand.generic:
            self._generic_column(kind).add(row, -times * count)
        for port in demand.host_ports:
            change_tally(self.ports, port, RowTally, row, times)

    def _count_row(self, row: int, demand: Demand, delta: int) -> None:
        self.load.add(row, delta)
        change_tally(self.services, demand.service_id, ServiceTally, row, delta)

    # ---- named units, which never decide where a task goes

    def grant_generic(self, node_id: NodeId, demand: Demand, *, reuse: Granted = ()) -> Granted:
        """Pick the units that a task placed on `node_id` gets, and keep them from others.

        `reuse` is what a task that is about to leave this node holds; taken when no other is free.
        """
        if not demand.generic:
            return ()
        return self.units.grant(self._rows[node_id], demand.generic, reuse)

    def adopt_generic(self, node_id: NodeId, granted: Granted) -> None:
        """Keep from others what was granted in a former leader's time."""
        if granted:
            self.units.adopt(self._rows[node_id], granted)

    def return_generic(self, node_id: NodeId, granted: Granted) -> None:
        """Give granted units back; a node that was removed has forgotten them already."""
        row = self._rows.get(node_id)
        if row is not None and granted:
            self.units.give_back(row, granted)

    # ---- penalties

    def set_penalty(self, service_id: ServiceId, node_id: NodeId, failures: int) -> None:
        """Tell how often the service failed lately on the node; below FAILURES_MAX is no matter."""
        row = self._rows.get(node_id)
        if row is not None:
            self._set_penalty(service_id, row, failures)
            self.version += 1

    def clear_penalties(self, service_id: ServiceId) -> None:
        """Forget all failures of a service: it was changed or removed."""
        self.penalties.pop(service_id, None)
        self.version += 1

    def _set_penalty(self, service_id: ServiceId, row: int, failures: int) -> None:
        rows = self.penalties.setdefault(service_id, {})
        if failures >= FAILURES_MAX:
            rows[row] = failures
        else:
            rows.pop(row, None)
        if not rows:
            del self.penalties[service_id]

    def _relieved(self) -> None:
        self.version += 1
        self.relief += 1
