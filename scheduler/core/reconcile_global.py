"""Which nodes a global service should have a task on, and what holds it back there.

Duty: one task per node that satisfies the constraints and is not drained. Not here: what happens to
the task of one node (reconcile), whether it fits right now (placement).
Deliberately different from Swarm: a task on a node that is down is left alone, since nothing would
replace it elsewhere; when the node comes back its container was never stopped.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from berth.model.ids import NodeId
from berth.model.node import Node, NodeState


@dataclass(frozen=True, slots=True)
class GlobalPlan:
    """Nodes to open a slot for, and nodes whose slot must close; both sorted."""

    open_slots: tuple[NodeId, ...] = ()
    close_slots: tuple[NodeId, ...] = ()


def plan_global(
    candidates: Iterable[NodeId], nodes: Mapping[NodeId, Node], held: Set[NodeId]
) -> GlobalPlan:
    """Decide on which nodes a slot opens or closes.

    Args:
        candidates: nodes that satisfy the service's constraints and platforms.
        nodes: all nodes.
        held: nodes whose slot is open.
    """
    wanted = {node for node in candidates if not nodes[node].must_be_left}
    opening = {node for node in wanted - held if may_take(nodes[node])}
    return GlobalPlan(tuple(sorted(opening)), tuple(sorted(held - wanted)))


def may_take(node: Node) -> bool:
    """Return whether a new task of a global service may go to `node` now."""
    return node.state is NodeState.READY and node.is_open
