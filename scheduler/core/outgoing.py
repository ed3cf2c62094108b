"""What of the leader's memory has yet to leave: documents to the store, words to agents.

Duty: keep it together and hand it over, whole or of some nodes only. Not here: what puts it there
(state, which is built on this), sending it (scheduler.leader).
"""

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from typing import TypeVar

from berth.model.ids import NodeId, TaskId
from berth.model.instant import Instant
from berth.model.task import Task
from scheduler.core.chronicle import Chronicle
from scheduler.core.files import FileShelf
from scheduler.core.unsaved import Unsaved

T = TypeVar("T")


class Outgoing:
    """The part of `LeaderState` that is handed over; see the module."""

    def __init__(self) -> None:
        self.files = FileShelf()
        self.chronicle = Chronicle()
        self.unsaved = Unsaved()
        self.node_tasks: dict[NodeId, list[Task]] = {}
        """In the order in which they came. Lists, since a burst adds to thousands of them one by
        one, none of which is in the processor's caches: adding to a mapping costs twice as much."""
        self.untold: dict[NodeId, None] = {}
        """The nodes that must be told of tasks of theirs: of those that are marked so.

        A mark in the task instead of a mapping for each node: a burst gives each of thousands of
        nodes a few tasks, and mappings for that are half of what binding these would cost.
        """
        self.cohorts: list[Sequence[Task]] = []
        """Tasks that got nodes together; whoever writes and tells them may make the bytes of them
        all at once (`scheduler.cohort_forms`), or leave it."""
        self.forgotten: dict[NodeId, list[TaskId]] = {}
        self.purged: dict[NodeId, list[TaskId]] = {}
        """Ended tasks that left the history with their slot: their containers serve nobody."""
        self.lagging: dict[NodeId, Instant] = {}
        """Since when the documents of nodes lag behind what their agents said, oldest first."""
        self._order: deque[NodeId] = deque()
        """In which order the placements that are unsaved leave: as they were first changed. Kept
        beside these: who looks for the first keys of a mapping passes over all that were taken."""

    def take_purged(self) -> dict[NodeId, list[TaskId]]:
        """Hand over which ended tasks' containers may go, and begin anew."""
        purged, self.purged = self.purged, {}
        return purged

    def take_cohorts(self) -> list[Sequence[Task]]:
        """Hand over which tasks got nodes together since, and begin anew."""
        cohorts, self.cohorts = self.cohorts, []
        return cohorts

    def take_changes(
        self, nodes_max: int | None = None
    ) -> tuple[Unsaved, dict[NodeId, list[Task]], dict[NodeId, list[TaskId]]]:
        """Hand over what must be written and told, but of so many nodes only; begin anew.

        What is taken can be committed by itself: all that placements may rest on is in it. Words to
        nodes that have nothing to be written go with the last of them.
        """
        unsaved, self.unsaved = self.unsaved, self._split_off(nodes_max)
        unsaved.events = self.chronicle.take_unsaved()
        for node in unsaved.placements:
            self.lagging.pop(node, None)
        if self.unsaved.placements:
            taken = unsaved.placements
            untold, forgotten = _part(self.untold, taken), _part(self.forgotten, taken)
        else:
            untold, self.untold = self.untold, {}
            forgotten, self.forgotten = self.forgotten, {}
        return unsaved, {node: self._take_untold(node) for node in untold}, forgotten

    def _split_off(self, nodes_max: int | None) -> Unsaved:
        placements = self.unsaved.placements
        if nodes_max is None or len(placements) <= nodes_max:
            self._order.clear()
            return Unsaved()
        return self.unsaved.split_off(self._first_nodes(placements, nodes_max))

    def _first_nodes(self, placements: Collection[NodeId], nodes_max: int) -> list[NodeId]:
        """Return `nodes_max` of the nodes, which are more."""
        order = self._order
        found: list[NodeId] = []
        while len(found) < nodes_max:
            if not order:
                if found:
                    break  # What changed since is another slice.
                order.extend(placements)
            node = order.popleft()
            if node in placements:  # Else it was forgotten meanwhile.
                found.append(node)
        return found

    def _take_untold(self, node: NodeId) -> list[Task]:
        """Return what a node must be told of, which counts as told then."""
        tasks = self.node_tasks.get(node)
        if tasks is None:
            return []
        untold = [task for task in tasks if task.is_untold]
        for task in untold:
            task.is_untold = False
        return untold


def _part(words: dict[NodeId, T], nodes: Iterable[NodeId]) -> dict[NodeId, T]:
    """Take out and return what `words` has of these nodes."""
    return {node: words.pop(node) for node in nodes if node in words}
