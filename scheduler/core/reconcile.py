"""One slot of a service: what its tasks are, what is missing, what must end.

Duty: `plan_slot`, the heart of supervision. It looks at one slot as it is (level-triggered) and
says what to do now; it remembers nothing, so a new leader decides the same. What may only be begun
within limits (replacing outdated tasks, draining) is not begun here: the slot's *phase* says that
it is due, and `rollout` begins it.

Not here: which slots there should be (scale, reconcile_global), where tasks go (placement), the
slots of jobs (reconcile_jobs).

How a replacement goes on, read off the tasks alone:
    stop-first   the new task is wanted READY; once it is, the old one is told to stop; once that
                 stopped, or grace + margin went by, or its node is lost, the new one is wanted
                 RUNNING. The pull thus never costs downtime.
    start-first  the new task is wanted RUNNING at once; when it runs, the old one is stopped.

The task of a lost node gets a successor at once, but is given up only when that one has a node, or
when its template is outdated or it is fenced: if its own node is back before, nothing moves. So
what only one node can take is not started anew because its agent was away for a while.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from berth.model.defaults import STOP_MARGIN_S, effective_stop_grace_s
from berth.model.instant import NEVER, Instant, after
from berth.model.task import FinishedTask, Task, TaskState
from scheduler.core.history import finished_from
from scheduler.core.now import Now
from scheduler.core.restart import GiveUp, Restart, plan_restart, since_last_run
from scheduler.core.service_record import ServiceRecord


class Fate(StrEnum):
    """What a node means for the tasks on it."""

    KEEP = "keep"
    LEAVE = "leave"  # Draining: replace, then stop.
    EVICT = "evict"  # It no longer satisfies the constraints: stop at once.
    LOST = "lost"  # Down: replace, unless it is back before anything else could take its tasks.


class Phase(StrEnum):
    """How a slot stands."""

    SETTLED = "settled"  # One current task, running.
    YOUNG = "young"  # One current task, not running yet, or running for less than it must.
    OUTDATED = "outdated"  # Its task has an old template; a rollout will replace it.
    LEAVING = "leaving"  # Its task must leave its node; a drain will replace it.
    REPLACING = "replacing"  # An old task and its successor.
    ENDED = "ended"  # No task, and none will follow by itself.
    AWAY = "away"  # Of a global service: its node cannot take a task now.
    DONE = "done"  # Of a job: a task of the newest run completed.


@dataclass(frozen=True, slots=True)
class Finish:
    """Move an ended task into the history."""

    task: Task


@dataclass(frozen=True, slots=True)
class Drop:
    """Forget a task that was never placed, or whose slot is closed."""

    task: Task


@dataclass(frozen=True, slots=True)
class SetDesired:
    """Raise what is wanted of a task."""

    task: Task
    desired: TaskState
    reason: str


@dataclass(frozen=True, slots=True)
class Create:
    """Add a task to the slot."""

    template_version: int
    desired: TaskState


@dataclass(frozen=True, slots=True)
class CloseSlot:
    """Forget the slot: it is not wanted and nothing is left of it."""


Action = Finish | Drop | SetDesired | Create | CloseSlot


@dataclass(frozen=True, slots=True)
class SlotPlan:
    """What to do with a slot now, how it stands, and when to look again (NEVER = on events)."""

    actions: tuple[Action, ...] = ()
    phase: Phase | None = None
    wake_at: Instant = NEVER


@dataclass(frozen=True, slots=True)
class SlotView:
    """What a plan may see of one slot."""

    record: ServiceRecord
    tasks: Sequence[Task]
    history: Sequence[FinishedTask]
    fate: Callable[[Task], Fate]
    settle_s: float
    """How long a task must have run to count as settled; 0 outside of rollouts."""
    is_wanted: bool = True
    may_create: bool = True


def plan_slot(view: SlotView, now: Now) -> SlotPlan:
    """Decide what the slot needs now; see the module for the order of things."""
    actions, live, history = part_ended(view)
    if not view.is_wanted:
        return plan_closing(actions, live)
    wanted: list[Task] = []
    stopping: list[Task] = []
    lost: list[Task] = []
    for task in live:
        fate = view.fate(task)
        if not task.is_wanted:
            stopping.append(task)
        elif fate is Fate.LOST:
            lost.append(task)
        elif fate is Fate.EVICT:
            actions.append(SetDesired(task, TaskState.SHUTDOWN, EVICTED))
            stopping.append(task)
        else:
            wanted.append(task)
    kept = None if any(task.node_id is not None for task in wanted) else _worth_waiting(view, lost)
    actions += [SetDesired(task, TaskState.SHUTDOWN, LOST) for task in lost if task is not kept]
    draft = _Draft(view, now, actions, history, stop_gate(view, stopping, now))
    return draft.plan_held(wanted) if wanted else draft.plan_missing()


def part_ended(view: SlotView) -> tuple[list[Action], list[Task], list[FinishedTask]]:
    """Return what to do with ended tasks, the tasks that live, and the history with the ended."""
    actions: list[Action] = []
    live: list[Task] = []
    history = list(view.history)
    for task in view.tasks:
        if not task.observed.is_terminal:
            live.append(task)
        elif task.desired == TaskState.REMOVE:
            actions.append(Drop(task))
        else:
            actions.append(Finish(task))
            policy = view.record.templates[task.template_version].task.restart
            history.append(finished_from(task, history, policy))
    history.sort(key=lambda entry: entry.attempt)  # An earlier attempt may end after a later one.
    return actions, live, history


def _worth_waiting(view: SlotView, lost: Sequence[Task]) -> Task | None:
    """Return the lost task that may go on if its node is back first: none that is outdated.

    What a rollout would replace must not come back beside a successor that it did not begin. What
    is fenced has stopped when it counts as lost: its successor is all that is wanted.
    """
    if view.record.is_fenced:
        return None
    current = [task for task in lost if view.record.runs_current(task.template_version)]
    return min(current, key=_worth, default=None)


def _worth(task: Task) -> tuple[bool, int]:
    """Return the order in which tasks of a slot are kept: what runs first, then the oldest."""
    return task.observed != TaskState.RUNNING, task.attempt


LOST = "its node is lost"
EVICTED = "its node no longer satisfies the placement constraints"


def plan_closing(actions: list[Action], live: Sequence[Task]) -> SlotPlan:
    """Return the plan of a slot that is not wanted: stop what is left of it, then forget it."""
    for task in live:
        if task.node_id is None:
            actions.append(Drop(task))
        elif task.desired < TaskState.REMOVE:
            actions.append(SetDesired(task, TaskState.REMOVE, "the slot is closed"))
    if all(task.node_id is None for task in live):
        actions.append(CloseSlot())
    return SlotPlan(tuple(actions))


def stop_gate(view: SlotView, stopping: Sequence[Task], now: Now) -> Instant:
    """Return when a successor may start at the latest: its predecessors must have stopped.

    A task that is told to stop gets its grace and a margin; then, or when its node is lost, nobody
    waits for it any longer. `now` or earlier means that the gate is open. For a fenced service no
    time is long enough: only its end, or the loss of its node with the fence's delay, counts.
    """
    gate = now.instant
    for task in stopping:
        if view.fate(task) is Fate.LOST:
            continue
        if view.record.is_fenced:
            return NEVER
        container = view.record.templates[task.template_version].task.container
        since = now.instant if task.stop_since is None else task.stop_since
        gate = max(gate, after(since, effective_stop_grace_s(container) + STOP_MARGIN_S))
    return gate


@dataclass(slots=True)
class _Draft:
    """A plan in the making for a slot that is wanted."""

    view: SlotView
    now: Now
    actions: list[Action]
    history: list[FinishedTask]
    gate: Instant

    def plan_missing(self) -> SlotPlan:
        """Nothing fills the slot: another attempt, now or later, or none."""
        version = self._version_to_make()
        policy = self.view.record.templates[version].task.restart
        history = since_last_run(self.history, self.view.tasks)
        restart = plan_restart(history, policy, version, self.now.timestamp)
        if isinstance(restart, GiveUp):
            return self._plan(Phase.ENDED)
        if not self.view.may_create:
            return self._plan(Phase.AWAY)
        due = max(self.gate, after(self.now.instant, restart.wait_s))
        if due <= self.now.instant:
            self.actions.append(Create(version, TaskState.RUNNING))
            return self._plan(Phase.YOUNG)
        if restart.wait_s > 0 and self.history[-1].state is TaskState.REJECTED:
            # It failed while being prepared: to prepare it again at once would skip the delay.
            return self._plan(Phase.YOUNG, due)
        # It is placed and pulled while its delay, or its predecessor's stop, goes on.
        self.actions.append(Create(version, TaskState.READY))
        return self._plan(Phase.YOUNG, due)

    def plan_held(self, wanted: list[Task]) -> SlotPlan:
        """At least one task fills the slot: promote it, or go on replacing."""
        record = self.view.record
        if not record.is_paused:
            wanted = self._drop_outdated_waiting(wanted)
            if not wanted:
                return self.plan_missing()
        current = [t for t in wanted if record.runs_current(t.template_version)]
        stale = [t for t in wanted if not record.runs_current(t.template_version)]
        leaving = [t for t in current if self.view.fate(t) is Fate.LEAVE]
        current = [t for t in current if self.view.fate(t) is not Fate.LEAVE]
        current = self._keep_best(current, "another task fills its slot")
        old = self._keep_best(stale + leaving, "an even older task fills its slot")
        if current and old:
            return self._plan_replacing(current[0], old[0], is_leaving=old[0] in leaving)
        if current:
            return self._plan_single(current[0])
        (task,) = old
        if task in leaving and self._is_over(task):
            return self._plan_over(task)
        wake_at = self._promote(task)
        return self._plan(Phase.LEAVING if task in leaving else Phase.OUTDATED, wake_at)

    def _drop_outdated_waiting(self, wanted: list[Task]) -> list[Task]:
        """Drop what was never placed and has another template: it is made anew from the newest.

        Even where that makes the same container: it may be placed elsewhere than the old one.
        """
        newest = self.view.record.template_version
        for task in wanted:
            if task.node_id is None and task.template_version != newest:
                self.actions.append(Drop(task))
        return [t for t in wanted if t.node_id is not None or t.template_version == newest]

    def _version_to_make(self) -> int:
        # A paused rollout leaves every slot at the template that it had.
        record = self.view.record
        if record.is_paused and self.history:
            last = self.history[-1].template_version
            if last in record.templates:
                return last
        return record.template_version

    def _keep_best(self, tasks: list[Task], reason: str) -> list[Task]:
        if len(tasks) <= 1:
            return tasks
        best = min(tasks, key=_worth)
        for task in tasks:
            if task is not best:
                self._end(task, reason)
        return [best]

    def _end(self, task: Task, reason: str) -> None:
        if task.node_id is None:
            self.actions.append(Drop(task))
        else:
            self.actions.append(SetDesired(task, TaskState.SHUTDOWN, reason))

    def _plan_replacing(self, new: Task, old: Task, *, is_leaving: bool) -> SlotPlan:
        if self.view.record.is_paused and not is_leaving and new.desired == TaskState.READY:
            self._end(new, "the rollout is paused")
            return self._plan(Phase.OUTDATED)
        takes_over_at = TaskState.READY if new.desired == TaskState.READY else TaskState.RUNNING
        if new.observed >= takes_over_at:
            self._end(old, "a newer task replaces it")
        return self._plan(Phase.REPLACING)

    def _plan_single(self, task: Task) -> SlotPlan:
        if self._is_over(task):
            return self._plan_over(task)
        if self._is_early(task):
            self._end(task, "its predecessor's restart delay goes on")
            return self.plan_missing()
        wake_at = self._promote(task)
        if task.observed == TaskState.RUNNING:
            since = task.running_since if task.running_since is not None else self.now.instant
            settled_at = after(since, self.view.settle_s)
            if settled_at <= self.now.instant:
                return self._plan(Phase.SETTLED, wake_at)
            return self._plan(Phase.YOUNG, min(wake_at, settled_at))
        return self._plan(Phase.YOUNG, wake_at)

    def _is_over(self, task: Task) -> bool:
        """Return whether it was to take over from one that meanwhile ended for good."""
        is_begun = task.desired != TaskState.READY and task.node_id is not None
        return not is_begun and isinstance(self._restart_of(task), GiveUp)

    def _is_early(self, task: Task) -> bool:
        """Return whether it waits to run for one that meanwhile failed: that one's delay holds."""
        if task.node_id is not None or task.desired != TaskState.RUNNING:
            return False
        restart = self._restart_of(task)
        return isinstance(restart, Restart) and restart.wait_s > 0

    def _plan_over(self, task: Task) -> SlotPlan:
        self._end(task, "the restart policy allows no other attempt")
        return self._plan(Phase.ENDED)

    def _promote(self, task: Task) -> Instant:
        """Want RUNNING of a task that is wanted READY, when its delay and gate are past."""
        if task.desired != TaskState.READY:
            return NEVER
        due = self.gate
        restart = self._restart_of(task)
        if not isinstance(restart, GiveUp):
            due = max(due, after(self.now.instant, restart.wait_s))
        if due > self.now.instant:
            return due
        self.actions.append(SetDesired(task, TaskState.RUNNING, ""))
        return NEVER

    def _restart_of(self, task: Task) -> Restart | GiveUp:
        policy = self.view.record.templates[task.template_version].task.restart
        history = since_last_run(self.history, self.view.tasks, before=task.attempt)
        return plan_restart(history, policy, task.template_version, self.now.timestamp)

    def _plan(self, phase: Phase, wake_at: Instant = NEVER) -> SlotPlan:
        return SlotPlan(tuple(self.actions), phase, wake_at)
