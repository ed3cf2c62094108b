"""The filters: which nodes may take a task, and why the others may not.

Duty: the mask of candidates (`candidates`, the hot path), the mask and the words of each filter
alone (`filters`), and the reasons that hold for one node (`reasons_at`). The order is Swarm's.
Not here: which candidate is best (ranking), counting what the filters forbid (explain).

The three say the same thing at three prices; tests/property/test_placement.py holds them together.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from berth.model.node import Node
from scheduler.core.placement.bits import without
from scheduler.core.placement.constraints import Constraint, is_within, normal_address
from scheduler.core.placement.demand import Demand, plugin_name
from scheduler.core.placement.table import NodeTable
from scheduler.core.placement.tallies import TASKS_MAX


class FilterKind(StrEnum):
    """What a filter looks at."""

    UNKNOWN = "unknown"
    NOT_ACCEPTING = "not accepting"
    CPU = "cpu"
    MEMORY = "memory"
    GENERIC = "generic"
    VOLUME_DRIVER = "volume driver"
    LOG_DRIVER = "log driver"
    CONSTRAINT = "constraint"
    PLATFORM = "platform"
    HOST_PORT = "host port"
    MAX_PER_NODE = "max per node"
    TASKS = "tasks"


@dataclass(frozen=True, slots=True)
class Reason:
    """One filter that forbids, in words that read on with "on 3 nodes"."""

    kind: FilterKind
    words: str

    def __str__(self) -> str:
        return self.words

    def on(self, nodes: int) -> str:
        """Return the reason with the number of nodes it forbids."""
        plural = "node" if nodes == 1 else "nodes"
        if self.kind is FilterKind.NOT_ACCEPTING:
            return f"{nodes} {plural} {self.words}"
        return f"{self.words} on {nodes} {plural}"


CPU_REASON = Reason(FilterKind.CPU, "insufficient CPU")
MEMORY_REASON = Reason(FilterKind.MEMORY, "insufficient memory")
TASKS_REASON = Reason(FilterKind.TASKS, f"max tasks per node ({TASKS_MAX}) reached")


@dataclass(frozen=True, slots=True)
class Credit:
    """What is about to be freed on the very node that is asked about.

    `counted` says whether the leaving task still counts for max replicas per node.
    """

    demand: Demand
    counted: bool = True


def candidates(table: NodeTable, demand: Demand) -> int:
    """Return the rows that may take one task of `demand` now."""
    full = table.load.at_least(TASKS_MAX)
    mask = without(table.accepting, full) if full else table.accepting
    for constraint in demand.constraints:
        subject = constraint.subject
        if constraint.network is not None or not subject:
            mask &= rows_satisfying(table, constraint)
        elif constraint.is_equal:
            mask &= table.rows_equal(subject, constraint.value)
        else:  # One operation less than building the complement.
            mask ^= mask & table.rows_equal(subject, constraint.value)
    if not mask:
        return 0
    if demand.nano_cpus:
        mask &= table.cpu.fits(demand.nano_cpus)
    if demand.memory_bytes:
        mask &= table.memory.fits(demand.memory_bytes)
    if demand.platforms:
        mask &= _rows_of_platforms(table, demand)
    for kind, count in demand.generic:
        mask &= _rows_with_generic(table, kind, count)
    for port in demand.host_ports:
        if port in table.ports:
            mask = without(mask, table.ports[port].held())
    if demand.max_per_node and demand.service_id in table.services:
        mask = without(mask, table.services[demand.service_id].at_least(demand.max_per_node))
    for driver in demand.volume_drivers:
        mask &= _rows_with_volume_driver(table, driver)
    if demand.log_driver:
        mask &= _rows_with_log_driver(table, demand.log_driver)
    return mask


def matching(table: NodeTable, demand: Demand) -> int:
    """Return the rows whose constraints and platform suit: nothing that comes and goes."""
    mask = table.present
    for constraint in demand.constraints:
        mask &= rows_satisfying(table, constraint)
    return mask & _rows_of_platforms(table, demand)


def filters(table: NodeTable, demand: Demand) -> Iterator[tuple[Reason, int]]:
    """Yield each filter that `demand` meets, with the rows that it alone forbids."""
    present = table.present
    for why, mask in table.refusing.items():
        yield Reason(FilterKind.NOT_ACCEPTING, why), mask
    if demand.nano_cpus:
        yield CPU_REASON, without(present, table.cpu.fits(demand.nano_cpus))
    if demand.memory_bytes:
        yield MEMORY_REASON, without(present, table.memory.fits(demand.memory_bytes))
    for kind, count in demand.generic:
        yield _generic_reason(kind), without(present, _rows_with_generic(table, kind, count))
    for driver in demand.volume_drivers:
        yield _volume_reason(driver), without(present, _rows_with_volume_driver(table, driver))
    if demand.log_driver:
        allowed = _rows_with_log_driver(table, demand.log_driver)
        yield _log_reason(demand.log_driver), without(present, allowed)
    for constraint in demand.constraints:
        yield _constraint_reason(constraint), without(present, rows_satisfying(table, constraint))
    if demand.platforms:
        yield _platform_reason(demand), without(present, _rows_of_platforms(table, demand))
    for port in demand.host_ports:
        tally = table.ports.get(port)
        yield _port_reason(port), 0 if tally is None else tally.held()
    if demand.max_per_node:
        service = table.services.get(demand.service_id)
        full = 0 if service is None else service.at_least(demand.max_per_node)
        yield _max_reason(demand), full
    if crowded := table.load.at_least(TASKS_MAX):
        yield TASKS_REASON, crowded


def reasons_at(
    table: NodeTable, row: int, demand: Demand, credit: Credit | None = None
) -> Iterator[Reason]:
    """Yield why `row` may not take one task of `demand`, once `credit` has left it."""
    why = table.why_refusing(row)
    if why is not None:
        yield Reason(FilterKind.NOT_ACCEPTING, why)
    yield from _resource_reasons_at(table, row, demand, credit)
    for driver in demand.volume_drivers:
        if not _has(_rows_with_volume_driver(table, driver), row):
            yield _volume_reason(driver)
    if demand.log_driver and not _has(_rows_with_log_driver(table, demand.log_driver), row):
        yield _log_reason(demand.log_driver)
    for constraint in demand.constraints:
        if not _has(rows_satisfying(table, constraint), row):
            yield _constraint_reason(constraint)
    if demand.platforms and not _has(_rows_of_platforms(table, demand), row):
        yield _platform_reason(demand)
    for port in demand.host_ports:
        tally = table.ports.get(port)
        holders = 0 if tally is None else tally.counts.get(row, 0)
        if credit is not None and port in credit.demand.host_ports:
            holders -= 1
        if holders > 0:
            yield _port_reason(port)
    if demand.max_per_node:
        service = table.services.get(demand.service_id)
        count = 0 if service is None else service.counts.get(row, 0)
        if credit is not None and credit.counted:
            count -= credit.demand.service_id == demand.service_id
        if count >= demand.max_per_node:
            yield _max_reason(demand)
    leaving = credit is not None and credit.counted
    if table.load.counts.values[row] - leaving >= TASKS_MAX:
        yield TASKS_REASON


def rows_satisfying(table: NodeTable, constraint: Constraint) -> int:
    """Return the rows that satisfy one constraint."""
    if not constraint.subject:
        return 0
    network = constraint.network
    if network is not None:

        def is_inside(node: Node) -> bool:
            return is_within(normal_address(node.description.address), network)

        equal = table.rows_where(("node.ip", constraint.value), is_inside)
    else:
        equal = table.rows_equal(constraint.subject, constraint.value)
    return equal if constraint.is_equal else without(table.present, equal)


def _resource_reasons_at(
    table: NodeTable, row: int, demand: Demand, credit: Credit | None
) -> Iterator[Reason]:
    freed = None if credit is None else credit.demand
    if demand.nano_cpus:
        free = table.cpu.free.values[row] + (freed.nano_cpus if freed else 0)
        if free < demand.nano_cpus:
            yield CPU_REASON
    if demand.memory_bytes:
        free = table.memory.free.values[row] + (freed.memory_bytes if freed else 0)
        if free < demand.memory_bytes:
            yield MEMORY_REASON
    for kind, count in demand.generic:
        free = table.generic_free(kind, row)
        if freed is not None:
            free += dict(freed.generic).get(kind, 0)
        if free < count:
            yield _generic_reason(kind)


def _rows_with_generic(table: NodeTable, kind: str, count: int) -> int:
    column = table.generic.get(kind)
    return 0 if column is None else column.fits(count)


def _rows_of_platforms(table: NodeTable, demand: Demand) -> int:
    """Return the rows of any wanted platform; a node that does not tell its own has none."""
    if not demand.platforms:
        return table.present
    rows = 0
    for platform in demand.platforms:
        fitting = table.present
        if platform.os:
            fitting &= table.rows_equal("node.platform.os", platform.os)
        if platform.architecture:
            fitting &= table.rows_equal("node.platform.arch", platform.architecture)
        rows |= fitting
    return rows


def _rows_with_volume_driver(table: NodeTable, driver: str) -> int:
    def has_driver(node: Node) -> bool:
        return driver in map(plugin_name, node.description.volume_plugins)

    return table.rows_where((FilterKind.VOLUME_DRIVER, driver), has_driver)


def _rows_with_log_driver(table: NodeTable, driver: str) -> int:
    def has_driver(node: Node) -> bool:
        known = node.description.log_plugins
        return not known or driver in map(plugin_name, known)  # None known: it did not tell.

    return table.rows_where((FilterKind.LOG_DRIVER, driver), has_driver)


def _has(mask: int, row: int) -> bool:
    return bool(mask >> row & 1)


def _generic_reason(kind: str) -> Reason:
    return Reason(FilterKind.GENERIC, f"insufficient generic resource {kind}")


def _volume_reason(driver: str) -> Reason:
    return Reason(FilterKind.VOLUME_DRIVER, f"volume driver {driver} missing")


def _log_reason(driver: str) -> Reason:
    return Reason(FilterKind.LOG_DRIVER, f"log driver {driver} missing")


def _constraint_reason(constraint: Constraint) -> Reason:
    label = "label " if constraint.is_label else ""
    why = constraint.hopeless_because
    never = f" ({why})" if why else ""
    return Reason(FilterKind.CONSTRAINT, f"{label}constraint {constraint}{never} not met")


def _platform_reason(demand: Demand) -> Reason:
    wanted = " or ".join(
        "/".join(part or "*" for part in (platform.os, platform.architecture))
        for platform in demand.platforms
    )
    return Reason(FilterKind.PLATFORM, f"unsupported platform (image is for {wanted})")


def _port_reason(port: tuple[str, int]) -> Reason:
    return Reason(FilterKind.HOST_PORT, f"host port {port[1]}/{port[0]} in use")


def _max_reason(demand: Demand) -> Reason:
    return Reason(FilterKind.MAX_PER_NODE, f"max replicas per node ({demand.max_per_node}) reached")
