"""Which documents of the leader's memory differ from the store.

Duty: one set a kind of document. Not here: what makes a document differ (state), writing it
(scheduler.store.records), when (scheduler.leader).
"""

from dataclasses import dataclass, field, fields
from itertools import islice

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

    def __bool__(self) -> bool:
        return any(getattr(self, kind.name) for kind in fields(self))

    def split_off(self, nodes_max: int | None) -> dict[NodeId, None]:
        """Take out and return the placements of all but `nodes_max` nodes; None leaves all."""
        if nodes_max is None or len(self.placements) <= nodes_max:
            return {}
        left = dict.fromkeys(islice(self.placements, nodes_max, None))
        self.placements = dict.fromkeys(islice(self.placements, nodes_max))
        return left
