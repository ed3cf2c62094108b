"""One service in the leader's memory: its record, its tasks by slot, the reconciler's notes.

Duty: the container and its derived look-ups. Not here: changing tasks (scheduler.core.state, which
keeps all indexes in step), deciding (reconcile, rollout).
"""

import zlib
from collections.abc import Collection, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final, TypeVar, cast

from berth.model.ids import NodeId, TaskId
from berth.model.instant import Instant, Timestamp
from berth.model.service import ModeKind
from berth.model.task import FinishedTask, Task, TaskState
from scheduler.core.placement.demand import Demand, compile_demand
from scheduler.core.service_record import ServiceRecord, Template

SlotKey = int | NodeId
"""A slot number of a replicated service, or the node that is a global service's slot."""

STORY_LENGTH = 256
_REPLICATED, _RUNNING = ModeKind.REPLICATED, TaskState.RUNNING
_SLOTS_PER_SHARD = 256
_GLOBAL_SHARDS = 16
_SORTED_MIN: Final = 8
"""Services of more slots keep them by phase too."""

K = TypeVar("K")
ASSIGNED_TO: Final = "assigned to "
"""In a story, before the ID of the node."""

StoryLine = tuple[Timestamp, SlotKey, int, str]
"""When, which slot, its attempt, and what happened."""

_NO_SLOTS: Final[frozenset[SlotKey]] = frozenset()
_NO_TASKS: Final[frozenset[TaskId]] = frozenset()
_NO_NODES: Final[frozenset[NodeId]] = frozenset()
"""What most services have in their notes: one object for all, where an empty set is 216 bytes."""


def noted(notes: AbstractSet[K], more: Iterable[K]) -> AbstractSet[K]:
    """Return a service's notes with `more` in them: the same set, or one of its own from now on."""
    if isinstance(notes, set):
        notes.update(more)
        return notes
    return {*notes, *more} or notes


def strike(notes: AbstractSet[K], one: K) -> None:
    """Take `one` out of a service's notes, if it is there."""
    if isinstance(notes, set):
        notes.discard(one)


@dataclass(slots=True, eq=False, init=False)
class ServiceState:
    """A service in memory: its record, its tasks by slot, and the notes of the reconciler.

    `phases` says of each slot how it stands (scheduler.core.reconcile); `begun` are the slots that
    the running rollout has worked on. Both are derived, and found again after a take-over.

    Most services of a large cluster are small and at rest: what they have no use for they do not
    hold. Hence notes that are added to by `noted`, and no containers but for what is there.
    """

    record: ServiceRecord
    slots: dict[SlotKey, tuple[Task, ...]]
    history: dict[SlotKey, list[FinishedTask]]
    dirty_slots: dict[SlotKey, None]
    is_all_dirty: bool
    phases: dict[SlotKey, str]
    _by_phase: dict[str, set[SlotKey]] | None
    """The same the other way round, once there are many."""
    begun: AbstractSet[SlotKey]
    failed: AbstractSet[SlotKey]
    """Slots in which a task of the running rollout failed; it does not wait for them."""
    handing_over: AbstractSet[SlotKey]
    """Slots in which a task of another template gives way to one that does not run yet."""
    closing: AbstractSet[SlotKey]
    """Slots that are not wanted any more and still have tasks."""
    misplaced: AbstractSet[TaskId]
    """Tasks whose node no longer satisfies the placement constraints."""
    failures_by_node: dict[NodeId, list[Instant]]
    run_seen: int
    """Of a job: the run that `phases` and `next_slot` are about."""
    next_slot: int
    """Of a replicated job: every lower slot takes part in the run already."""
    candidates: AbstractSet[NodeId]
    """Of a global job: the nodes that satisfy its constraints, as of the last look at all slots."""
    is_fresh: bool
    """True until the first plan after a take-over, which must find out what was under way."""
    waiting: dict[TaskId, Task]
    running: int
    running_on: dict[NodeId, int]
    """How many of the running ones each node has; a node without any is not there."""
    places: int
    """Rises whenever `running_on` gains or loses a node."""
    story: list[StoryLine]
    """The newest lines, oldest first."""
    _demands: tuple[tuple[Template, Demand], ...]
    """Of the templates in use that were asked about: one, but for rollouts."""

    def __init__(self, record: ServiceRecord) -> None:
        """Know nothing yet but the record.

        By hand: a factory for each of these containers costs more than the container.
        """
        self.record = record
        self.shed()

    def shed(self) -> None:
        """Hold nothing but the record, by which events of a removed service are still told."""
        self.slots = {}
        self.history = {}
        self.dirty_slots = {}
        self.is_all_dirty = True
        self.phases = {}
        self._by_phase = None
        self.begun = self.failed = self.handing_over = self.closing = _NO_SLOTS
        self.misplaced = _NO_TASKS
        self.failures_by_node = {}
        self.run_seen = 0
        self.next_slot = 1
        self.candidates = _NO_NODES
        self.is_fresh = True
        self.waiting = {}
        self.running = 0
        self.running_on = {}
        self.places = 0
        self.story = []
        self._demands = ()

    def demand(self, template_version: int) -> Demand:
        """Return what a task of that template needs, compiled once."""
        templates = self.record.templates
        template = templates[template_version]
        # By object: a scheduled job's coming template may change before it was made use of.
        for known, demand in self._demands:
            if known is template:
                return demand
        demand = compile_demand(self.record.id, template.task, template.endpoint)
        kept = self._demands
        if kept:
            in_use = list(map(id, templates.values()))
            kept = tuple(compiled for compiled in kept if id(compiled[0]) in in_use)
        self._demands = (*kept, (template, demand))
        return demand

    def set_phase(self, slot: SlotKey, phase: str | None) -> None:
        """Note how `slot` stands; None forgets it."""
        old = self.phases.get(slot)
        if old == phase:
            return
        if phase is None:
            del self.phases[slot]
        else:
            self.phases[slot] = phase
        if self._by_phase is not None:
            if old is not None:
                self._by_phase[old].discard(slot)
            if phase is not None:
                self._by_phase.setdefault(phase, set()).add(slot)

    def hold(self, task: Task) -> None:
        """Add a task to its slot, as the newest there."""
        slot = slot_of(task)
        self.slots[slot] = (*self.slots.get(slot, ()), task)

    def let_go(self, task: Task) -> None:
        """Take a task out of its slot; one without tasks is not in `slots`."""
        slot = slot_of(task)
        if others := tuple(other for other in self.slots[slot] if other is not task):
            self.slots[slot] = others
        else:
            del self.slots[slot]

    def open_slots(self, slots: Collection[SlotKey], phase: str) -> None:
        """Note of many slots that they stand at `phase`; none of them had a phase."""
        opened = dict.fromkeys(slots, phase)
        if self.phases:
            self.phases.update(opened)
        else:
            self.phases = opened
        if self._by_phase is not None:
            self._by_phase.setdefault(phase, set()).update(slots)

    def unbegun(self, slots: Iterable[SlotKey]) -> list[int]:
        """Return those of `slots` that were opened and in which nothing ever was that could matter.

        `plan_slot` would say of each that a task is to be made at once
        (tests/unit/scheduler/core/test_supervise_shortcuts.py).
        """
        if self.record.spec.mode.kind is not _REPLICATED:
            return []
        held, phases = self.slots, self.phases
        found = [slot for slot in slots if slot not in held and slot in phases]
        if self.history or self.closing or self.begun or self.handing_over:
            known = {*self.history, *self.closing, *self.begun, *self.handing_over}
            found = [slot for slot in found if slot not in known]
        return cast("list[int]", found)

    @property
    def is_newborn(self) -> bool:
        """True for a replicated service that nothing was made of yet, and that is to stay.

        Its slots are then those of its number, each wants its first task, and nothing is to be
        rolled out or closed.
        """
        record = self.record
        return (
            not self.slots
            and not self.phases
            and not self.history
            and not self.is_fresh
            and record.update_status is None
            and not record.is_removing
            and record.spec.mode.kind is _REPLICATED
        )

    def in_phase(self, phase: str) -> AbstractSet[SlotKey]:
        """Return the slots that stand at `phase`, to be looked at only."""
        if self._by_phase is None:
            if len(self.phases) < _SORTED_MIN:
                found = [slot for slot, stands in self.phases.items() if stands == phase]
                return set(found) if found else _NO_SLOTS
            self._by_phase = {
                each: {slot for slot, stands in self.phases.items() if stands == each}
                for each in dict.fromkeys(self.phases.values())
            }
        return self._by_phase.get(phase, _NO_SLOTS)

    def forget_rollout(self) -> None:
        """Begin another rollout: of the last one only the slots still at work on count."""
        self.begun = self.begun & self.in_phase("replacing")
        self.failed = _NO_SLOTS

    def end_rollout(self) -> None:
        """Forget which slots a rollout has worked on: it is over."""
        self.begun = self.failed = _NO_SLOTS

    def tell(self, *lines: StoryLine) -> None:
        """Go on with the story; its end is kept."""
        self.story += lines
        if len(self.story) > STORY_LENGTH:
            del self.story[:-STORY_LENGTH]

    def template_versions(self) -> set[int]:
        """Return the versions of the template that live tasks have."""
        return {task.template_version for tasks in self.slots.values() for task in tasks}

    def count_running(self, node: NodeId, by: int) -> None:
        """Note that one task more (1) or less (-1) of those on `node` counts as running."""
        self.running += by
        count = self.running_on.get(node, 0) + by
        if count in (0, by):
            self.places += 1
        if count:
            self.running_on[node] = count
        else:
            del self.running_on[node]

    def begin_running(self, node: NodeId, count: int) -> None:
        """Note that so many tasks run on a node of which none was known to; above 0."""
        assert node not in self.running_on
        self.running += count
        self.running_on[node] = count
        self.places += 1

    def next_attempt(self, slot: SlotKey) -> int:
        """Return the attempt that the next task of `slot` shall have."""
        used = self.record.attempt_floor
        if tasks := self.slots.get(slot):
            used = max(used, tasks[-1].attempt)
        if finished := self.history.get(slot):
            used = max(used, finished[-1].attempt)
        return used + 1


def in_order(slots: AbstractSet[SlotKey]) -> list[SlotKey]:
    """Return slots by number, or by node: those of one service are all of one kind."""
    return sorted(slots)


def slot_of(task: Task) -> SlotKey:
    """Return the key of the slot that `task` fills."""
    return task.home if task.home is not None else task.slot


def shown_slot(task: Task | FinishedTask, *, is_job: bool) -> int:
    """Return the number by which people know a slot: those of jobs count from 0, as in Swarm."""
    return task.slot - 1 if is_job and task.home is None else task.slot


def counts_as_running(task: Task) -> bool:
    """Return whether a task is one of the replicas that run: observed so, and still wanted."""
    return task.observed == _RUNNING and task.is_wanted


def history_shard(slot: SlotKey) -> int:
    """Return which history document holds `slot`, so that no document grows without bound."""
    if isinstance(slot, int):
        return (slot - 1) // _SLOTS_PER_SHARD
    return zlib.crc32(slot.encode()) % _GLOBAL_SHARDS
