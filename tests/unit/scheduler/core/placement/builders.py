"""Nodes, tables and demands for the tests of placement: only what a test cares about is written."""

from typing import Any

from berth.model.ids import NodeId, ServiceId
from berth.model.node import Node, NodeDescription, NodeSpec
from berth.model.resources import NodeResources
from berth.model.service import Platform
from scheduler.core.placement.constraints import parse_constraint
from scheduler.core.placement.demand import Demand
from scheduler.core.placement.table import NodeTable

CPU = 1_000_000_000
GIB = 2**30


def a_node(
    name: str = "n1",
    *,
    cpus: int = 4,
    gib: int = 8,
    labels: dict[str, str] | None = None,
    role: str = "worker",
    generic_counts: dict[str, int] | None = None,
    generic_names: dict[str, tuple[str, ...]] | None = None,
    platform: Platform = Platform("linux", "x86_64"),  # noqa: B008 - a frozen value
    **description: Any,
) -> Node:
    return Node(
        NodeId(name),
        NodeSpec(labels=labels or {}, role=role),
        NodeDescription(
            platform=platform,
            resources=NodeResources(
                cpus * CPU, gib * GIB, generic_counts or {}, generic_names or {}
            ),
            **description,
        ),
    )


def a_table(*nodes: Node) -> NodeTable:
    """Return a table in which all `nodes` accept tasks."""
    table = NodeTable()
    for node in nodes:
        table.put_node(node, accepting=True)
    return table


def a_demand(*constraints: str, service: str = "web", **fields: Any) -> Demand:
    parsed = tuple(parse_constraint(text) for text in constraints)
    return Demand(service_id=ServiceId(service), constraints=parsed, **fields)
