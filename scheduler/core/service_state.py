"""One service in the leader's memory: its record, its tasks by slot, the reconciler's notes.

Duty: the container and its derived look-ups. Not here: changing tasks (scheduler.core.state, which
keeps all indexes in step), deciding (reconcile, rollout).
"""

import zlib
from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import cast

from berth.model.ids import NodeId, TaskId
from berth.model.instant import Instant, Timestamp
from berth.model.service import ModeKind
from berth.model.task import FinishedTask, Task, TaskState
from scheduler.core.placement.demand import Demand, compile_demand
from scheduler.core.service_record import ServiceRecord, Template

SlotKey = int | NodeId
"""A slot number of a replicated service, or the node that is a global service's slot."""

STORY_LENGTH = 256
_SLOTS_PER_SHARD = 256
_GLOBAL_SHARDS = 16
_NO_NODES: frozenset[NodeId] = frozenset()


@dataclass(slots=True, eq=False, init=False)
class ServiceState:
    """A service in memory: its record, its tasks by slot, and the notes of the reconciler.

    `phases` says of each slot how it stands (scheduler.core.reconcile); `begun` are the slots that
    the running rollout has worked on. Both are derived, and found again after a take-over.
    """

    record: ServiceRecord
    slots: dict[SlotKey, tuple[Task, ...]]
    history: dict[SlotKey, list[FinishedTask]]
    dirty_slots: dict[SlotKey, None]
    is_all_dirty: bool
    phases: dict[SlotKey, str]
    slots_by_phase: dict[str, set[SlotKey]]
    begun: set[SlotKey]
    failed: set[SlotKey]
    """Slots in which a task of the running rollout failed; it does not wait for them."""
    handing_over: set[SlotKey]
    """Slots in which a task of another template gives way to one that does not run yet."""
    closing: set[SlotKey]
    """Slots that are not wanted any more and still have tasks."""
    misplaced: set[TaskId]
    """Tasks whose node no longer satisfies the placement constraints."""
    failures_by_node: dict[NodeId, list[Instant]]
    run_seen: int
    """Of a job: the run that `phases` and `next_slot` are about."""
    next_slot: int
    """Of a replicated job: every lower slot takes part in the run already."""
    candidates: frozenset[NodeId]
    """Of a global job: the nodes that satisfy its constraints, as of the last look at all slots."""
    is_fresh: bool
    """True until the first plan after a take-over, which must find out what was under way."""
    waiting: dict[TaskId, Task]
    running: int
    running_on: dict[NodeId, int]
    """How many of the running ones each node has; a node without any is not there."""
    places: int
    """Rises whenever `running_on` gains or loses a node."""
    story: deque[tuple[Timestamp, SlotKey, int, str]]
    _demands: dict[int, tuple[Template, Demand]]

    def __init__(self, record: ServiceRecord) -> None:
        """Know nothing yet but the record.

        By hand, since most services of a large cluster are small: a factory for each of these
        containers costs more than the container.
        """
        self.record = record
        self.slots = {}
        self.history = {}
        self.dirty_slots = {}
        self.is_all_dirty = True
        self.phases = {}
        self.slots_by_phase = {}
        self.begun = set()
        self.failed = set()
        self.handing_over = set()
        self.closing = set()
        self.misplaced = set()
        self.failures_by_node = {}
        self.run_seen = 0
        self.next_slot = 1
        self.candidates = _NO_NODES
        self.is_fresh = True
        self.waiting = {}
        self.running = 0
        self.running_on = {}
        self.places = 0
        self.story = deque(maxlen=STORY_LENGTH)
        self._demands = {}

    def demand(self, template_version: int) -> Demand:
        """Return what a task of that template needs, compiled once."""
        template = self.record.templates[template_version]
        compiled = self._demands.get(template_version)
        # A scheduled job's coming template may change before anything was made from it.
        if compiled is None or compiled[0] is not template:
            demand = compile_demand(self.record.id, template.task, template.endpoint)
            compiled = self._demands[template_version] = template, demand
        return compiled[1]

    def set_phase(self, slot: SlotKey, phase: str | None) -> None:
        """Note how `slot` stands; None forgets it."""
        old = self.phases.get(slot)
        if old == phase:
            return
        if old is not None:
            self.slots_by_phase[old].discard(slot)
        if phase is None:
            del self.phases[slot]
        else:
            self.phases[slot] = phase
            self.slots_by_phase.setdefault(phase, set()).add(slot)

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
        self.phases.update(dict.fromkeys(slots, phase))
        self.slots_by_phase.setdefault(phase, set()).update(slots)

    def unbegun(self, slots: Iterable[SlotKey]) -> list[int]:
        """Return those of `slots` that were opened and in which nothing ever was that could matter.

        `plan_slot` would say of each that a task is to be made at once
        (tests/unit/scheduler/core/test_supervise_shortcuts.py).
        """
        if self.record.spec.mode.kind is not ModeKind.REPLICATED:
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
            and record.spec.mode.kind is ModeKind.REPLICATED
        )

    def in_phase(self, phase: str) -> set[SlotKey]:
        """Return the slots that stand at `phase`."""
        return self.slots_by_phase.get(phase, set())

    def forget_rollout(self) -> None:
        """Begin another rollout: of the last one only the slots still at work on count."""
        self.begun &= self.in_phase("replacing")
        self.failed.clear()

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


def slot_of(task: Task) -> SlotKey:
    """Return the key of the slot that `task` fills."""
    return task.home if task.home is not None else task.slot


def shown_slot(task: Task | FinishedTask, *, is_job: bool) -> int:
    """Return the number by which people know a slot: those of jobs count from 0, as in Swarm."""
    return task.slot - 1 if is_job and task.home is None else task.slot


def counts_as_running(task: Task) -> bool:
    """Return whether a task is one of the replicas that run: observed so, and still wanted."""
    return task.observed == TaskState.RUNNING and task.is_wanted


def history_shard(slot: SlotKey) -> int:
    """Return which history document holds `slot`, so that no document grows without bound."""
    if isinstance(slot, int):
        return (slot - 1) // _SLOTS_PER_SHARD
    return zlib.crc32(slot.encode()) % _GLOBAL_SHARDS
