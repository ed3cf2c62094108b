"""Which documents of the leader's memory differ from the store.

Duty: one set a kind of document. Not here: what makes a document differ (state), writing it
(scheduler.store.records).
"""

from dataclasses import dataclass, field

from berth.model.files import FileKey
from berth.model.ids import NodeId, ServiceId


@dataclass(slots=True)
class Unsaved:
    """Which documents differ from the store."""

    services: dict[ServiceId, None] = field(default_factory=dict)
    history: dict[tuple[ServiceId, int], None] = field(default_factory=dict)
    nodes: dict[NodeId, None] = field(default_factory=dict)
    placements: dict[NodeId, None] = field(default_factory=dict)
    cluster: bool = False
    files: dict[FileKey, None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        documents = (self.services, self.history, self.nodes, self.placements, self.files)
        return self.cluster or any(documents)
