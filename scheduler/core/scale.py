"""Which slots to open and which to close so that a service has its number of replicas.

Source of the order of closing: swarmkit's replicated orchestrator.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, islice

from berth.model.ids import NodeId
from berth.model.task import Task, TaskState


@dataclass(frozen=True, slots=True)
class ScalePlan:
    """Slot numbers to open, lowest first, and to close."""

    open_slots: tuple[int, ...] = ()
    close_slots: tuple[int, ...] = ()


def plan_scale(
    replicas: int,
    held: Mapping[int, Sequence[Task]],
    tasks_per_node: Mapping[NodeId, int],
    closing: Collection[object] = (),
) -> ScalePlan:
    """Decide which slots to open and which to close so that `replicas` are held.

    Args:
        replicas: wanted number of slots, 0 or more.
        held: the slots that are held, with their wanted tasks (none where it waits to restart).
        tasks_per_node: how many wanted tasks of this service each node has.
        closing: slots that were closed and whose tasks have not all gone; they cannot be opened.
    """
    assert replicas >= 0
    surplus = len(held) - replicas
    if surplus <= 0:
        free = (slot for slot in count(1) if slot not in held and slot not in closing)
        return ScalePlan(open_slots=tuple(islice(free, -surplus)))
    # Nodes empty one by one, so each closing changes the order; the fullest node gives first.
    on_node = dict(tasks_per_node)
    left = dict(held)
    chosen_slots: list[int] = []
    by_worth = sorted(left, key=lambda slot: (_rank(left[slot]), -slot))
    while len(chosen_slots) < surplus and by_worth:
        if _rank(left[by_worth[0]]) == 0:
            chosen_slots.append(by_worth.pop(0))
            continue
        fullest = max(on_node.values(), default=0)
        chosen = next(
            (slot for slot in by_worth if _load(left[slot], on_node) >= fullest), by_worth[0]
        )
        by_worth.remove(chosen)
        chosen_slots.append(chosen)
        for task in left[chosen]:
            if task.node_id is not None:
                on_node[task.node_id] -= 1
    return ScalePlan(close_slots=tuple(chosen_slots))


def _rank(tasks: Sequence[Task]) -> int:
    """What is worth least goes first: nothing placed, then not running, then running."""
    if not any(task.node_id is not None for task in tasks):
        return 0
    return 2 if any(task.observed == TaskState.RUNNING for task in tasks) else 1


def _load(tasks: Sequence[Task], on_node: Mapping[NodeId, int]) -> int:
    return max((on_node[task.node_id] for task in tasks if task.node_id is not None), default=0)
