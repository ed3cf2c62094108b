"""What this scheduler's listeners are told: one stream of the cluster's events, over all leaders.

Duty: go on where the last stream ended, tell of nothing twice, and say what is missing where a new
leader does not know it. Pure: fed with batches. Not here: opening streams (events), Docker's form
(translate.events).

Of objects the next leader knows all, since the store does, and their times rise over all
leaderships. Of tasks a leader knows what happened since it leads. What the last one noted and
did not tell is lost, which a gap says; what is only found out again is recognised by the task's
state, which never falls.

Invariants (tests/unit/gateway/test_event_stream.py): no event of an object is told twice, and none
is left out without a gap; no task's state is told to be reached twice.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from berth.model.events import ObjectEvent
from berth.model.task import TaskState
from berth.views import EventBatch, TaskEvent
from gateway.translate.events import OBJECTS, TASK, Told, gap, told

_TASKS_REMEMBERED: Final = 262_144


class EventStream:
    """See the module."""

    def __init__(self, scheduler: str) -> None:
        """Begin before the first batch; `scheduler` is who says what is missing."""
        self.epoch = 0
        self.told_object_ns = 0
        self._position_ns = 0
        self._objects_ns = 0
        self._tasks_ns = 0
        """Up to where it is known of objects, and of tasks, that nothing more is missing."""
        self._scheduler = scheduler
        self._has_tasks = False
        self._tasks: dict[str, tuple[TaskState, TaskState]] = {}

    @property
    def since_ns(self) -> int:
        """What to ask the next stream for; 0 = whatever happens from now on."""
        return self._position_ns + 1 if self.epoch else 0

    def begin(self, first: EventBatch, *, with_tasks: bool) -> list[Told]:
        """Take the first batch of a stream; return what must be said of what is missing."""
        gaps: list[Told] = []
        if not self.epoch:
            self._position_ns = self._objects_ns = self._tasks_ns = first.position_ns
            self.told_object_ns = first.newest_object_ns
        else:
            gaps = self._gaps(first)
            if first.epoch != self.epoch:
                self._tasks_ns = first.tasks_from_ns - 1
                self._objects_ns = min(self._objects_ns, self._tasks_ns)
        if with_tasks and not self._has_tasks:
            self._tasks.clear()  # Who did not listen does not know.
        self.epoch, self._has_tasks = first.epoch, with_tasks
        return gaps

    def take(self, batch: EventBatch) -> list[Told]:
        """Return what is news of a batch, after what must be said of what is missing."""
        found = self._gaps(batch)
        found += self._news(batch)
        self._position_ns = batch.position_ns
        self._objects_ns = max(self._objects_ns, batch.position_ns)
        self._tasks_ns = max(self._tasks_ns, batch.position_ns)
        return found

    def _gaps(self, batch: EventBatch) -> list[Told]:
        is_other = batch.epoch != self.epoch
        gaps = []
        if batch.objects_from_ns > self._objects_ns + 1:
            self._objects_ns = batch.objects_from_ns - 1
            reason = "so much happened that it is not remembered; list what there is"
            gaps.append(gap(batch.objects_from_ns, self._scheduler, OBJECTS, reason))
        if self._has_tasks and (is_other or batch.tasks_from_ns > self._tasks_ns + 1):
            self._tasks_ns = batch.tasks_from_ns - 1
            reason = "the leader has changed" if is_other else "they came faster than they left"
            reason += "; list tasks to see what there is"
            gaps.append(gap(batch.tasks_from_ns, self._scheduler, (TASK,), reason))
        return gaps

    def _news(self, batch: EventBatch) -> Iterator[Told]:
        for event in batch.events:
            if isinstance(event, ObjectEvent):
                if event.time_ns > self.told_object_ns:
                    self.told_object_ns = event.time_ns
                    yield told(event)
            elif (news := self._task_news(event)) is not None:
                yield told(news)

    def _task_news(self, event: TaskEvent) -> TaskEvent | None:
        known = self._tasks.get(event.id)
        if event.observed is None or event.desired is None:
            self._tasks.pop(event.id, None)
            return event
        newest = event.observed, event.desired
        if known is not None and known != (event.observed_before, event.desired_before):
            newest = max(known[0], event.observed), max(known[1], event.desired)
            if newest == known:
                return None
            event = replace(
                event,
                observed_before=known[0],
                desired_before=known[1],
                observed=newest[0],
                desired=newest[1],
            )
        if known is not None or len(self._tasks) < _TASKS_REMEMBERED:
            self._tasks[event.id] = newest
        return event
