"""Calls of the Control API by what may be done with them when a leader goes.

Duty: name the calls that only read, and those that are followed. Not here: who may make them
(berth.access), who answers (forward).
"""

from typing import Final

READS: Final = frozenset(
    {
        "GetService", "ListServices", "ListTasks", "StreamTasks", "ListNodes", "GetNode", "Explain",
        "GetCluster", "ResolveImage", "ServiceLogs", "GetFile", "ListFiles", "ListNetworks",
        "WatchEvents",
    }
)  # fmt: skip
"""Calls that may be sent twice; whatever is not named here is taken for a change."""

FOLLOWED: Final = frozenset({"ServiceLogs", "WatchEvents"})
"""Reads that go on with what comes: the memory of a leader that has ended would be silent for ever,
so while the store is away they wait for who leads next. All other reads are shown that memory."""
