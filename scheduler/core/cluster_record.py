"""The cluster's own record: identity and settings."""

from dataclasses import dataclass, field

from berth.model.cluster import ClusterSettings
from berth.model.ids import ClusterId
from berth.model.instant import NO_TIME, Timestamp


@dataclass(frozen=True, slots=True)
class ClusterRecord:
    """The cluster itself: identity and settings."""

    id: ClusterId
    settings: ClusterSettings = field(default_factory=ClusterSettings)
    version: int = 1
    created_at: Timestamp = NO_TIME
