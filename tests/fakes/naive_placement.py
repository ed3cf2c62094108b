"""Placement by brute force: the meaning of `scheduler.core.placement`, in the plainest form.

Every answer scans all nodes and all tasks; tasks of a group are placed one by one. The property
tests hold the real engine to it. It shares the values (`Node`, `Demand`) with the real engine, and
none of its code: constraints are read from their text again.
"""

import ipaddress
from dataclasses import dataclass, field

from berth.model.ids import NodeId, ServiceId
from berth.model.node import Node
from berth.model.service import PlacementStrategy
from scheduler.core.placement.demand import Demand

_SAME_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass
class Seat:
    """A node in the naive cluster."""

    node: Node
    row: int
    accepting: bool
    why_not: str


@dataclass
class Occupant:
    """A task that occupies a node."""

    node_id: NodeId
    demand: Demand
    counted: bool


@dataclass
class NaiveCluster:
    seats: dict[NodeId, Seat] = field(default_factory=dict)
    occupants: list[Occupant] = field(default_factory=list)
    failures: dict[tuple[ServiceId, NodeId], int] = field(default_factory=dict)

    def put(self, node: Node, accepting: bool, why_not: str) -> None:
        taken = {seat.row for seat in self.seats.values()}
        row = next(row for row in range(len(taken) + 1) if row not in taken)
        if node.id in self.seats:
            row = self.seats[node.id].row
        self.seats[node.id] = Seat(node, row, accepting, why_not)

    def remove(self, node_id: NodeId) -> None:
        self.seats.pop(node_id, None)
        self.occupants = [it for it in self.occupants if it.node_id != node_id]
        self.failures = {key: n for key, n in self.failures.items() if key[1] != node_id}

    def on(self, node_id: NodeId) -> list[Occupant]:
        return [it for it in self.occupants if it.node_id == node_id]

    # ---- filters

    def forbidding(
        self, seat: Seat, demand: Demand, leaving: Occupant | None = None
    ) -> dict[str, bool]:
        """Return each filter by name, and whether it forbids the seat."""
        tasks = [it for it in self.on(seat.node.id) if it is not leaving]
        offered = seat.node.description.resources
        verdict = {f"why:{seat.why_not}": True} if not seat.accepting else {}
        if demand.nano_cpus:
            used = sum(it.demand.nano_cpus for it in tasks)
            verdict["cpu"] = used + demand.nano_cpus > offered.nano_cpus
        if demand.memory_bytes:
            used = sum(it.demand.memory_bytes for it in tasks)
            verdict["memory"] = used + demand.memory_bytes > offered.memory_bytes
        for kind, count in demand.generic:
            used = sum(dict(it.demand.generic).get(kind, 0) for it in tasks)
            has = offered.generic_counts.get(kind, len(offered.generic_names.get(kind, ())))
            verdict[f"generic:{kind}"] = used + count > has
        for driver in demand.volume_drivers:
            verdict[f"volume:{driver}"] = driver not in seat.node.description.volume_plugins
        if demand.log_driver:
            known = seat.node.description.log_plugins
            verdict["log"] = bool(known) and demand.log_driver not in known
        for constraint in demand.constraints:
            verdict[f"constraint:{constraint.text}"] = not satisfies(seat.node, constraint.text)
        if demand.platforms:
            verdict["platform"] = not runs_any(seat.node, demand)
        for port in demand.host_ports:
            verdict[f"port:{port}"] = any(port in it.demand.host_ports for it in tasks)
        if demand.max_per_node:
            verdict["max"] = self._count(tasks, demand) >= demand.max_per_node
        return verdict

    def fits(self, seat: Seat, demand: Demand) -> bool:
        return not any(self.forbidding(seat, demand).values())

    def candidates(self, demand: Demand) -> set[NodeId]:
        return {seat.node.id for seat in self.seats.values() if self.fits(seat, demand)}

    def matching(self, demand: Demand) -> set[NodeId]:
        """Return the nodes of which neither constraints nor platform forbid anything."""
        statics = ("constraint:", "platform")
        return {
            seat.node.id
            for seat in self.seats.values()
            if not any(
                forbids
                for name, forbids in self.forbidding(seat, demand).items()
                if name.startswith(statics)
            )
        }

    def explain(self, demand: Demand) -> dict[str, tuple[int, int]]:
        """Return per filter that forbids any: how many nodes it forbids, and would admit alone."""
        verdicts = [self.forbidding(seat, demand) for seat in self.seats.values()]
        found: dict[str, tuple[int, int]] = {}
        for name in {name for verdict in verdicts for name in verdict}:
            forbids = [v for v in verdicts if v.get(name, False)]
            alone = [v for v in forbids if sum(v.values()) == 1]
            if forbids:
                found[name] = (len(forbids), len(alone))
        return found

    # ---- ranking

    def rank(self, seat: Seat, demand: Demand) -> tuple[object, ...]:
        failures = self.failures.get((demand.service_id, seat.node.id), 0)
        tasks = self.on(seat.node.id)
        in_all = sum(it.counted for it in tasks)
        of_service = self._count(tasks, demand)
        if demand.strategy is PlacementStrategy.BINPACK:
            last: tuple[object, ...] = (-self._reserved(seat, tasks), -in_all)
        else:
            last = (of_service, in_all)
        return (
            *self._branch_tasks(seat, demand),
            failures if failures >= 5 else 0,
            *last,
            seat.row,
        )

    def place(self, demand: Demand, count: int) -> list[NodeId]:
        """Place one task after the other on the best candidate."""
        chosen = []
        for _ in range(count):
            seats = [seat for seat in self.seats.values() if self.fits(seat, demand)]
            if not seats:
                break
            best = min(seats, key=lambda seat: self.rank(seat, demand))
            self.occupants.append(Occupant(best.node.id, demand, counted=True))
            chosen.append(best.node.id)
        return chosen

    def branch_of(self, node: Node, demand: Demand, depth: int) -> tuple[str, ...]:
        return tuple(label(node, key) for key in demand.spread[: depth + 1])

    def _branch_tasks(self, seat: Seat, demand: Demand) -> list[int]:
        counted = [it for it in self.occupants if it.counted]
        of_service = [it for it in counted if it.demand.service_id == demand.service_id]
        figures = []
        for depth in range(len(demand.spread)):
            branch = self.branch_of(seat.node, demand, depth)
            there = [self.seats[it.node_id].node for it in of_service]
            figures.append(sum(self.branch_of(n, demand, depth) == branch for n in there))
        return figures

    @staticmethod
    def _count(tasks: list[Occupant], demand: Demand) -> int:
        return sum(it.counted and it.demand.service_id == demand.service_id for it in tasks)

    @staticmethod
    def _reserved(seat: Seat, tasks: list[Occupant]) -> float:
        offered = seat.node.description.resources
        used_cpus = sum(it.demand.nano_cpus for it in tasks)
        used_bytes = sum(it.demand.memory_bytes for it in tasks)
        return max(
            0.0,
            used_cpus / offered.nano_cpus if offered.nano_cpus else 0.0,
            used_bytes / offered.memory_bytes if offered.memory_bytes else 0.0,
        )


def label(node: Node, key: str) -> str:
    kind, _, name = key.split(".", 2)
    return (node.labels if kind == "node" else node.description.engine_labels).get(name, "")


def satisfies(node: Node, text: str) -> bool:
    operator = "==" if "==" in text else "!="
    key, value = (part.strip() for part in text.split(operator, 1))
    lowered = key.lower()
    if lowered == "node.ip":
        inside = ipaddress.ip_address(node.description.address) in ipaddress.ip_network(value)
        return inside == (operator == "==")
    if lowered.startswith(("node.labels.", "engine.labels.")):
        actual = label(node, key)
    else:
        platform = node.description.platform
        plain = {
            "node.id": node.id,
            "node.hostname": node.description.hostname,
            "node.role": node.spec.role,
            "node.platform.os": platform.os,
            "node.platform.arch": platform.architecture,
        }
        if lowered not in plain:
            return False
        actual = plain[lowered]
    if lowered == "node.platform.arch":
        actual = _SAME_ARCHITECTURES.get(actual, actual)
        value = _SAME_ARCHITECTURES.get(value, value)
    return (actual.lower() == value.lower()) == (operator == "==")


def runs_any(node: Node, demand: Demand) -> bool:
    actual = node.description.platform
    architecture = _SAME_ARCHITECTURES.get(actual.architecture, actual.architecture)
    return any(
        wanted.os in ("", actual.os) and wanted.architecture in ("", architecture)
        for wanted in demand.platforms
    )
