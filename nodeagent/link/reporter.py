"""Which tasks' statuses wait to be told, and since when: newest only, in batches.

Duty: gather task IDs for a short while, so that a burst of changes is one message.
Not here: the statuses (read from the state when the batch leaves), the timer, the stream.
"""

from collections.abc import Sequence

from berth.model.ids import TaskId
from berth.model.instant import NEVER, Instant, after

QUIET_S = 0.05
"""A batch leaves when nothing was added for this long ..."""

CAP_S = 0.1
"""... or when its first entry is this old."""

PASSING_S = 0.5
"""Of a task that is but on its way nobody must know at once; it waits this long for more.

A message costs the leader about the same whether it tells of one task or of fifty, and a task that
starts passes four states on its way."""


class Reporter:
    """Tasks whose status changed since it was last told.

    Invariant: a task is in it at most once, in the order of its first change.
    """

    def __init__(self) -> None:
        self._waiting: dict[TaskId, None] = {}
        self._first_at = NEVER
        self._first_settled_at = NEVER
        self._last_settled_at = NEVER

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def has_settled(self) -> bool:
        """Whether somebody waits for more than to hear that tasks are on their way."""
        return bool(self._waiting) and self._first_settled_at < NEVER

    def note(self, task_ids: Sequence[TaskId], now: Instant, *, are_passing: bool = False) -> None:
        """Add tasks whose statuses changed; `are_passing`: all will soon change again."""
        if not self._waiting:
            self._first_at, self._first_settled_at, self._last_settled_at = now, NEVER, NEVER
        self._waiting.update(dict.fromkeys(task_ids))
        if not are_passing:
            self._first_settled_at = min(self._first_settled_at, now)
            self._last_settled_at = now

    def due_at(self) -> Instant:
        """Return when the batch should leave; NEVER when there is none."""
        if not self._waiting:
            return NEVER
        settled_at = min(
            after(self._last_settled_at, QUIET_S), after(self._first_settled_at, CAP_S)
        )
        return min(settled_at, after(self._first_at, PASSING_S))

    def take(self) -> list[TaskId]:
        """Return the batch and begin a new one."""
        taken = list(self._waiting)
        self._waiting.clear()
        return taken
