"""What happened in the cluster, in order: for users who listen, and for those who come back.

Duty: take note of changes as they are applied, give each a time that no other has, and keep the
newest: those of objects also in the store, those of tasks in memory alone.
Not here: which changes are events (events, state), when they may be told, and as what
(scheduler.control.event_reading), their stored form (scheduler.store.event_records).

A change of a task is a tuple of references, which whoever tells it renders; to note one must cost
next to nothing, since every state of a million tasks passes here, and mostly nobody listens. What
happens to many tasks at once is one note, of which the tuples are made when somebody reads it.

Invariants (tests/unit/scheduler/core/test_chronicle.py): times only rise, under one leader after
the other too, whatever their clocks show; what is not kept any more lies before `objects_from_ns`
or `tasks_from_ns`.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import merge
from typing import Final, overload

from berth.model.events import ObjectEvent
from berth.model.instant import Timestamp
from berth.model.task import FinishedTask, Task, TaskState, TaskStatus
from scheduler.core.service_state import ServiceState

OBJECTS_MAX: Final = 32_768
TASKS_MAX: Final = 131_072
"""Changes of tasks that are kept: some dozen megabytes; up to 130 where services come and go that
have a task or two each, since a removed service's record is kept for them."""
STORED_MAX: Final = 2_048
_PER_DOCUMENT: Final = 256
_ALIKE_MIN: Final = 8
_NS_PER_S: Final = 1_000_000_000
_PENDING, _ASSIGNED, _RUNNING = TaskState.PENDING, TaskState.ASSIGNED, TaskState.RUNNING

TaskChange = tuple[
    ServiceState,
    Task | FinishedTask,
    TaskState | None,
    TaskState | None,
    TaskState | None,
    TaskState | None,
    TaskStatus | None,
]
"""Service, task; observed and desired state before (None: it is new); both after (None: it is not
listed any more); what an agent said, if it was one."""

States = tuple[TaskState | None, TaskState | None]
"""Observed and desired."""

_Noted = tuple[str, str, str, Mapping[str, str]]
"""An object's kind, the action, its ID, and attributes."""

Happening = tuple[int, ObjectEvent | TaskChange]
"""A change and its time in nanoseconds since 1970."""


class AlikeChanges(Sequence[TaskChange]):
    """The same change of many tasks of a service, held as one."""

    __slots__ = ("_after", "_before", "_service", "_tasks")

    def __init__(
        self, service: ServiceState, tasks: Sequence[Task], before: States, after: States
    ) -> None:
        self._service = service
        self._tasks = tasks
        self._before = before
        self._after = after

    def __len__(self) -> int:
        return len(self._tasks)

    @overload
    def __getitem__(self, place: int) -> TaskChange: ...

    @overload
    def __getitem__(self, place: slice) -> "AlikeChanges": ...

    def __getitem__(self, place: int | slice) -> "TaskChange | AlikeChanges":
        if isinstance(place, slice):
            return AlikeChanges(self._service, self._tasks[place], self._before, self._after)
        return (self._service, self._tasks[place], *self._before, *self._after, None)


class LoneBirths(Sequence[TaskChange]):
    """Tasks that were made and placed one by one: two changes each, held as what they are of."""

    __slots__ = ("_of",)

    def __init__(self) -> None:
        self._of: list[ServiceState | Task] = []

    def add(self, service: ServiceState, task: Task) -> None:
        """Note one more, before anybody reads."""
        self._of += (service, task)

    def __len__(self) -> int:
        return len(self._of)

    @overload
    def __getitem__(self, place: int) -> TaskChange: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[TaskChange]: ...

    def __getitem__(self, place: int | slice) -> TaskChange | Sequence[TaskChange]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        first = range(len(self))[place] & ~1
        service, task = self._of[first : first + 2]
        assert isinstance(service, ServiceState)
        assert isinstance(task, Task)
        if place % 2:
            return (service, task, _PENDING, _RUNNING, _ASSIGNED, _RUNNING, None)
        return (service, task, None, None, _PENDING, _RUNNING, None)


@dataclass(slots=True)
class Chronicle:
    """See the module. `changes` is where the state appends; all else goes through the methods."""

    changes: list[TaskChange] = field(default_factory=list)
    """The newest changes of tasks, which have no time yet, oldest first."""
    last_ns: int = 0
    """The time of the newest event."""
    objects_from_ns: int = 0
    """All that happened to objects from here on is kept."""
    tasks_from_ns: int = 0
    """All that happened to tasks from here on is kept."""
    node_states: dict[str, str] = field(default_factory=dict)
    """What earlier leaders told last of nodes, where that was not "ready"."""
    _noted: list[_Noted | Sequence[TaskChange]] = field(default_factory=list)
    """What has no time yet and came before `changes`."""
    _objects: deque[ObjectEvent] = field(default_factory=deque)
    _tasks: deque[tuple[int, Sequence[TaskChange]]] = field(default_factory=deque)
    _tasks_kept: int = 0
    _unsaved: list[ObjectEvent] = field(default_factory=list)
    _documents: deque[tuple[int, int]] = field(default_factory=deque)
    _stored: int = 0

    # -- taking note

    def note(self, kind: str, action: str, subject: str, attributes: Mapping[str, str]) -> None:
        """Note what happened to an object."""
        if self.changes:
            self._close_changes()
        self._noted.append((kind, action, subject, attributes))

    def note_alike(
        self, service: ServiceState, tasks: Sequence[Task], before: States, after: States
    ) -> None:
        """Note the same change of many tasks; nobody may change `tasks` from now on."""
        if len(tasks) < _ALIKE_MIN:
            self.changes.extend((service, task, *before, *after, None) for task in tasks)
            return
        self._close_changes()
        self._noted.append(AlikeChanges(service, tasks, before, after))

    def note_lone_birth(self, service: ServiceState, task: Task) -> None:
        """Note that a task was made, which is wanted RUNNING, and placed at once."""
        if self.changes:
            self._close_changes()
        births = self._noted[-1] if self._noted else None
        if type(births) is not LoneBirths:
            births = LoneBirths()
            self._noted.append(births)
        births.add(service, task)

    def _close_changes(self) -> None:
        if self.changes:
            self._noted.append(self.changes)
            self.changes = []

    def note_gone(self, service: ServiceState, task: Task | FinishedTask, state: TaskState) -> None:
        """Note that a task is not listed any more."""
        self.changes.append((service, task, state, task.desired, None, None, None))

    def note_trimmed(
        self, service: ServiceState, before: Sequence[FinishedTask], after: Sequence[FinishedTask]
    ) -> None:
        """Note which tasks left a slot's history."""
        if len(after) < len(before):
            left = {entry.attempt for entry in after}
            for entry in before:
                if entry.attempt not in left:
                    self.note_gone(service, entry, entry.state)

    def seal(self, now: Timestamp) -> None:
        """Give all that was noted its time: now, or just after what came before."""
        self._close_changes()
        if not self._noted:
            return
        next_ns = max(int(now * _NS_PER_S), self.last_ns + 1)
        noted, self._noted = self._noted, []
        for each in noted:
            if isinstance(each, tuple):
                event = ObjectEvent(next_ns, *each)
                self._objects.append(event)
                self._unsaved.append(event)
                next_ns += 1
            else:
                self._tasks.append((next_ns, each))
                self._tasks_kept += len(each)
                next_ns += len(each)
        self.last_ns = next_ns - 1
        self._trim()

    def _trim(self) -> None:
        while len(self._objects) > OBJECTS_MAX:
            self.objects_from_ns = self._objects.popleft().time_ns + 1
        while len(self._tasks) > 1 and self._tasks_kept - len(self._tasks[0][1]) >= TASKS_MAX:
            first_ns, changes = self._tasks.popleft()
            self._tasks_kept -= len(changes)
            self.tasks_from_ns = first_ns + len(changes)

    # -- telling

    def read(self, after_ns: int, to_ns: int, *, with_tasks: bool) -> Iterator[Happening]:
        """Return what is kept of the time between, without the first and with the last.

        What is returned stays whole however long its reader takes.
        """
        objects = [
            (event.time_ns, event)
            for event in _newest(self._objects, after_ns)
            if after_ns < event.time_ns <= to_ns
        ]
        if not with_tasks:
            return iter(objects)
        return merge(objects, self._read_tasks(after_ns, to_ns), key=_time_of)

    def newest_object_ns(self, to_ns: int) -> int:
        """Return the time of the newest event of an object up to `to_ns`, 0 without any."""
        return next((e.time_ns for e in reversed(self._objects) if e.time_ns <= to_ns), 0)

    def _read_tasks(self, after_ns: int, to_ns: int) -> Iterator[Happening]:
        batches = []
        for first_ns, changes in reversed(self._tasks):
            if first_ns + len(changes) <= after_ns + 1:
                break
            batches.append((first_ns, changes))
        return (
            (at_ns, change)
            for first_ns, changes in reversed(batches)
            for at_ns, change in enumerate(changes, first_ns)
            if after_ns < at_ns <= to_ns
        )

    # -- the store

    def take_unsaved(self) -> dict[int, tuple[ObjectEvent, ...]]:
        """Hand over what is to be written of the events of objects: by the time of their first.

        Nothing is what is kept no longer.
        """
        if not self._unsaved:
            return {}
        events, self._unsaved = self._unsaved[-STORED_MAX:], []
        written: dict[int, tuple[ObjectEvent, ...]] = {}
        for begin in range(0, len(events), _PER_DOCUMENT):
            document = tuple(events[begin : begin + _PER_DOCUMENT])
            written[document[0].time_ns] = document
            self._documents.append((document[0].time_ns, len(document)))
            self._stored += len(document)
        while self._stored - self._documents[0][1] >= STORED_MAX:
            first_ns, count = self._documents.popleft()
            self._stored -= count
            written[first_ns] = ()
        return written

    def load(self, documents: Sequence[Sequence[ObjectEvent]], now: Timestamp) -> None:
        """Begin a leadership: take over what earlier leaders wrote, and forget what loading noted.

        Args:
            documents: of the store, oldest first, none of them empty.
            now: of what happened to tasks before, nothing is known.
        """
        self.changes.clear()
        self._noted.clear()
        for events in documents:
            self._objects.extend(events)
            self._documents.append((events[0].time_ns, len(events)))
            self._stored += len(events)
            for event in events:
                if event.kind == "node" and "state.new" in event.attributes:
                    self.node_states[event.id] = event.attributes["state.new"]
        self.node_states = {key: told for key, told in self.node_states.items() if told != "ready"}
        if self._objects:
            self.last_ns = self._objects[-1].time_ns
        if self._stored >= STORED_MAX:
            self.objects_from_ns = self._objects[0].time_ns
        self.last_ns = max(int(now * _NS_PER_S), self.last_ns)
        self.tasks_from_ns = self.last_ns + 1


def _newest(events: deque[ObjectEvent], after_ns: int) -> list[ObjectEvent]:
    found = []
    for event in reversed(events):
        if event.time_ns <= after_ns:
            break
        found.append(event)
    found.reverse()
    return found


def _time_of(happening: Happening) -> int:
    return happening[0]
