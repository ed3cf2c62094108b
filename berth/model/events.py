"""Events: what happened to an object of the cluster, as it is told and kept. Pure.

Duty: the value. Not here: which changes are events (scheduler.core.events), those of tasks, which
are made only when somebody listens (scheduler.control.event_views), Docker's form (gateway).
"""

from collections.abc import Mapping
from dataclasses import field
from typing import Final

from berth.model.hot_value import hot_value

CREATE: Final = "create"
UPDATE: Final = "update"
REMOVE: Final = "remove"


@hot_value
class ObjectEvent:
    """A service, node, config, secret or network came, changed or went."""

    time_ns: int
    """Nanoseconds since 1970, by the leader's clock; of no two events of a cluster the same."""
    kind: str
    action: str
    id: str
    attributes: Mapping[str, str] = field(default_factory=dict)
