"""Which documents of the leader's memory differ from the store.

Duty: one set a kind of document, and whether what an answer shows is among them. Not here: what
makes a document differ (state), writing it (scheduler.store.records), when (scheduler.leader).
"""

from collections.abc import Collection
from dataclasses import dataclass, field, fields

from berth.model.events import ObjectEvent
from berth.model.files import FileKey
from berth.model.ids import NodeId, ServiceId


@dataclass(slots=True)
class Unsaved:
    """Which documents differ from the store, in the order in which they were first changed."""

    services: dict[ServiceId, None] = field(default_factory=dict)
    history: dict[tuple[ServiceId, int], None] = field(default_factory=dict)
    nodes: dict[NodeId, None] = field(default_factory=dict)
    placements: dict[NodeId, None] = field(default_factory=dict)
    networks: dict[str, None] = field(default_factory=dict)
    cluster: bool = False
    files: dict[FileKey, None] = field(default_factory=dict)
    events: dict[int, tuple[ObjectEvent, ...]] = field(default_factory=dict)
    """By the time of their first: what to keep of the chronicle; nothing = keep it no more."""
    tasks: dict[ServiceId, None] = field(default_factory=dict)
    """The services whose tasks are among what differs in `placements` and `history`."""

    def __bool__(self) -> bool:
        return any(getattr(self, kind.name) for kind in fields(self))

    def concerns(self, services: Collection[ServiceId] | None) -> bool:
        """Return whether what users see of `services`, or of nodes, differs; None = anything."""
        if services is None:
            return bool(self)
        # What is shown of a service depends on its nodes too: which are lost, where ports answer.
        return bool(self.nodes) or any(
            service in self.services or service in self.tasks for service in services
        )

    def split_off(self, nodes: Collection[NodeId]) -> "Unsaved":
        """Take out and return the placements of all but `nodes`, which are among them."""
        # The many stay where they are, so that a commit in slices costs no more than one in whole.
        # Any of the services may have tasks in what is left.
        left = Unsaved(placements=self.placements, tasks=self.tasks)
        self.placements = dict.fromkeys(nodes)
        for node in nodes:
            del left.placements[node]
        return left
