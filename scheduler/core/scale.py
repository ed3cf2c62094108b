"""Which slots to open and which to close so that a service has its number of replicas.

Source of the order of closing: swarmkit's replicated orchestrator.
"""

import heapq
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
    replicas: int, held: Mapping[int, Sequence[Task]], closing: Collection[object] = ()
) -> ScalePlan:
    """Decide which slots to open and which to close so that `replicas` are held.

    Args:
        replicas: wanted number of slots, 0 or more.
        held: the slots that are held, with their wanted tasks (none where it waits to restart).
        closing: slots that were closed and whose tasks have not all gone; they cannot be opened.
    """
    assert replicas >= 0
    surplus = len(held) - replicas
    if surplus <= 0:
        free = (slot for slot in count(1) if slot not in held and slot not in closing)
        return ScalePlan(open_slots=tuple(islice(free, -surplus)))
    ranks = {slot: _rank(tasks) for slot, tasks in held.items()}
    by_worth = sorted(held, key=lambda slot: (ranks[slot], -slot))
    unplaced = [slot for slot in by_worth if not ranks[slot]][:surplus]
    placed = by_worth[len(unplaced) :]
    return ScalePlan(close_slots=(*unplaced, *_level_down(placed, held, surplus - len(unplaced))))


def _level_down(
    by_worth: Sequence[int], held: Mapping[int, Sequence[Task]], surplus: int
) -> list[int]:
    """Return `surplus` of the slots, all placed: the fullest node always gives the next one.

    Nodes empty one by one, so each choice changes the order. Only the nodes that gave are looked at
    again: a service of 100,000 that is scaled to none must not hold up the leader for long.
    """
    nodes_of = [[task.node_id for task in held[slot] if task.node_id] for slot in by_worth]
    places: dict[NodeId, list[int]] = {}
    load: dict[NodeId, int] = {}
    for place in range(len(by_worth) - 1, -1, -1):  # So that what is worth least is at the end.
        for node in nodes_of[place]:
            places.setdefault(node, []).append(place)
            load[node] = load.get(node, 0) + 1
    fullest = [(-load[node], on_node[-1], node) for node, on_node in places.items()]
    heapq.heapify(fullest)
    chosen: dict[int, None] = {}
    while len(chosen) < surplus:
        known_load, place, node = heapq.heappop(fullest)
        if -known_load != load[node]:
            continue  # It gave meanwhile, and was put in again as it is now.
        chosen[place] = None
        for gave in nodes_of[place]:
            load[gave] -= 1
        for gave in nodes_of[place]:
            on_node = places[gave]
            while on_node and on_node[-1] in chosen:
                on_node.pop()
            if on_node:
                heapq.heappush(fullest, (-load[gave], on_node[-1], gave))
    return [by_worth[place] for place in chosen]


def _rank(tasks: Sequence[Task]) -> int:
    """What is worth least goes first: nothing placed, then not running, then running."""
    rank = 0
    for task in tasks:
        if task.observed == TaskState.RUNNING:
            return 2
        if task.node_id is not None:
            rank = 1
    return rank
