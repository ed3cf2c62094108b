"""What a wall clock that was set back means for stamps that it gave before.

Duty: bring stamps that lie in the future back to the present. A restart delay counts from such a
stamp; it would otherwise last until the clock has caught up, an hour or more.
Not here: deadlines, which rest on monotonic time and know nothing of this.
"""

from dataclasses import replace

from berth.model.instant import Timestamp
from scheduler.core.state import LeaderState


def forget_future(state: LeaderState, now: Timestamp) -> None:
    """Let nothing have ended later than `now`: a delay then begins anew once, at the worst."""
    for service in state.services.values():
        for slot, finished in service.history.items():
            if any(entry.finished_at > now for entry in finished):
                service.history[slot] = [
                    replace(entry, finished_at=min(entry.finished_at, now)) for entry in finished
                ]
    for task in state.tasks.values():
        task.observed_at = min(task.observed_at, now)
