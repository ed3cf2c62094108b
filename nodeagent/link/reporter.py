"""Which tasks' statuses wait to be told, and since when: newest only, in batches.

Duty: gather task IDs for a short while, so that a burst of changes is one message.
Not here: the statuses (read from the state when the batch leaves), the timer, the stream.
"""

from berth.model.ids import TaskId
from berth.model.instant import NEVER, Instant, after

QUIET_S = 0.05
"""A batch leaves when nothing was added for this long ..."""

CAP_S = 0.1
"""... or when its first entry is this old."""


class Reporter:
    """Tasks whose status changed since it was last told.

    Invariant: a task is in it at most once, in the order of its first change.
    """

    def __init__(self) -> None:
        self._waiting: dict[TaskId, None] = {}
        self._first_at = NEVER
        self._last_at = NEVER

    def __len__(self) -> int:
        return len(self._waiting)

    def note(self, task_id: TaskId, now: Instant) -> None:
        """Add a task whose status changed."""
        if not self._waiting:
            self._first_at = now
        self._last_at = now
        self._waiting[task_id] = None

    def due_at(self) -> Instant:
        """Return when the batch should leave; NEVER when there is none."""
        if not self._waiting:
            return NEVER
        return min(after(self._last_at, QUIET_S), after(self._first_at, CAP_S))

    def take(self) -> list[TaskId]:
        """Return the batch and begin a new one."""
        taken = list(self._waiting)
        self._waiting.clear()
        return taken
