"""Write down, in time, what agents said of their tasks.

Duty: have a node's document written again some seconds after one of its tasks rose and nothing else
has caused it to be written. A report itself causes no write: a burst of them would cost a document
each. A new leader that reads what is minutes old would count running tasks as not yet running until
their agents are back, and would show a dead node's tasks as they once were.
Not here: anything that rests on it. An agent's word always goes before the document.
"""

from berth.model.ids import NodeId
from berth.model.instant import Instant, after
from scheduler.core.state import LeaderState

REFRESH_AFTER_S = 5.0
"""How long the store may lag behind agents."""

REFRESH_EVERY_S = 0.5
REFRESHED_AT_ONCE = 25
"""How many documents are written again at a time: a burst's end must not become a burst."""


def refresh_documents(state: LeaderState, now: Instant) -> Instant:
    """Mark documents that have lagged for long enough; return when to come again."""
    due: list[NodeId] = []
    for node, since in state.lagging.items():
        if after(since, REFRESH_AFTER_S) > now or len(due) == REFRESHED_AT_ONCE:
            break  # The longest lagging come first.
        due.append(node)
    for node in due:
        del state.lagging[node]
        if node in state.nodes:
            state.unsaved.placements[node] = None
    return after(now, REFRESH_EVERY_S)
