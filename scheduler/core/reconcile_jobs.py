"""One slot of a job: what its tasks are, whether it has completed, what must be run again.

Duty: `plan_job_slot`, which is to jobs what `reconcile.plan_slot` is to services that stay up. A
slot of a job is to complete once in each run; that it has is read off its history, which is in the
store, so that no change of leader makes anything run twice. What failed, or went with its node, is
run again, by the restart policy or elsewhere; what completed never is.

Not here: which slots take part and how many at once, when a run ends (supervise_jobs).
Deliberately different from services that stay up: nothing is replaced while it runs, so a drain
stops a job's task at once, as in Swarm, and it begins anew on another node once it has stopped.

Invariant (tests/property/test_jobs.py): no task is made in a slot that has completed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from berth.model.defaults import job_restart
from berth.model.instant import NEVER, Instant, after
from berth.model.node import Node, NodeState
from berth.model.task import FinishedTask, Task, TaskState
from scheduler.core.now import Now
from scheduler.core.reconcile import (
    Action,
    Create,
    Drop,
    Fate,
    Phase,
    SetDesired,
    SlotPlan,
    SlotView,
    part_ended,
    plan_closing,
    stop_gate,
)
from scheduler.core.restart import GiveUp, Restart, plan_restart
from scheduler.core.service_record import ServiceRecord

_END_REASONS = {
    Fate.LOST: "its node is lost",
    Fate.EVICT: "its node no longer satisfies the placement constraints",
    Fate.LEAVE: "its node is drained",
}


def has_completed(history: Sequence[FinishedTask], run_version: int) -> bool:
    """Return whether a task of that run completed in this slot.

    Also one that was given up with its node, or was told to stop: a task is only ever COMPLETE when
    its work ended well by itself.
    """
    return any(
        entry.template_version == run_version and entry.state is TaskState.COMPLETE
        for entry in history
    )


class Home(StrEnum):
    """What a slot that is a node can expect of it; a numbered slot is always OPEN."""

    OPEN = "open"  # It takes tasks.
    UNHEARD = "unheard"  # It may, once it is heard again: the run waits for it.
    SHUT = "shut"  # It takes none, but lets those that it has end.
    LOST = "lost"  # Nobody waits for what it may still be running.


def home_of(node: Node | None, *, is_candidate: bool) -> Home:
    """Return what a slot that is `node` can expect of it.

    Args:
        node: the node, None when it was removed.
        is_candidate: whether it satisfies the job's constraints.
    """
    if node is None or node.state is NodeState.DOWN:
        return Home.LOST
    if not is_candidate or not node.is_open:
        return Home.SHUT
    return Home.OPEN if node.state is NodeState.READY else Home.UNHEARD


def plan_job_slot(view: SlotView, now: Now, home: Home, *, is_open: bool) -> SlotPlan:
    """Decide what a job's slot needs now.

    Args:
        view: the slot.
        now: this turn's time.
        home: what can be expected of the node that the slot is.
        is_open: whether the slot takes part in the newest run already.
    """
    assert view.record.job is not None
    run_version = view.record.job.run_version
    actions, live, history = part_ended(view)
    if not view.is_wanted:
        return plan_closing(actions, live)
    is_done = has_completed(history, run_version)
    wanted: list[Task] = []
    stopping: list[Task] = []
    for task in live:
        if not task.is_wanted:
            stopping.append(task)
        elif reason := _end_reason(view, task, home, is_filled=is_done or bool(wanted)):
            actions.append(_end(task, reason))
            stopping.append(task)
        else:
            wanted.append(task)
    if is_done:
        return SlotPlan(tuple(actions), Phase.DONE)
    gate = stop_gate(view, [task for task in stopping if task.node_id is not None], now)
    draft = _Draft(view.record, now, actions, history, gate)
    if wanted:
        return draft.plan_held(wanted[0], home)
    return draft.plan_missing(home) if is_open else draft.plan(None)


def _end_reason(view: SlotView, task: Task, home: Home, *, is_filled: bool) -> str:
    if not view.record.runs_current(task.template_version):
        return "another run of the job replaces it"
    if is_filled:
        return "another task fills its slot"
    if task.node_id is None and home is not Home.OPEN:
        return "its node takes no tasks now"
    return _END_REASONS.get(view.fate(task), "")


def _end(task: Task, reason: str) -> Action:
    return Drop(task) if task.node_id is None else SetDesired(task, TaskState.SHUTDOWN, reason)


@dataclass(slots=True)
class _Draft:
    """A plan in the making for a slot that has not completed."""

    record: ServiceRecord
    now: Now
    actions: list[Action]
    history: Sequence[FinishedTask]
    gate: Instant

    def plan_held(self, task: Task, home: Home) -> SlotPlan:
        """A task fills the slot: let it start when its delay and its predecessor are past."""
        phase = Phase.AWAY if home is Home.LOST else Phase.YOUNG
        if task.desired != TaskState.READY:
            return self.plan(phase)
        restart, due = self._restart(), self.gate
        if isinstance(restart, Restart):
            due = max(due, after(self.now.instant, restart.wait_s))
        if due > self.now.instant:
            return self.plan(phase, due)
        self.actions.append(SetDesired(task, TaskState.COMPLETE, ""))
        return self.plan(phase)

    def plan_missing(self, home: Home) -> SlotPlan:
        """Nothing fills the slot: another attempt, now or later, or none."""
        restart = self._restart()
        if isinstance(restart, GiveUp):
            return self.plan(Phase.ENDED)
        if home is not Home.OPEN:
            return self.plan(Phase.YOUNG if home is Home.UNHEARD else Phase.AWAY)
        due = max(self.gate, after(self.now.instant, restart.wait_s))
        if due <= self.now.instant:
            self.actions.append(Create(self._run_version, TaskState.COMPLETE))
            return self.plan(Phase.YOUNG)
        if restart.wait_s > 0 and self.history[-1].state is TaskState.REJECTED:
            # It failed while being prepared: to prepare it again at once would skip the delay.
            return self.plan(Phase.YOUNG, due)
        self.actions.append(Create(self._run_version, TaskState.READY))
        return self.plan(Phase.YOUNG, due)

    def plan(self, phase: Phase | None, wake_at: Instant = NEVER) -> SlotPlan:
        """Return what was drafted."""
        return SlotPlan(tuple(self.actions), phase, wake_at)

    @property
    def _run_version(self) -> int:
        return self.record.live_version

    def _restart(self) -> Restart | GiveUp:
        version = self._run_version
        policy = job_restart(self.record.templates[version].task.restart)
        return plan_restart(self.history, policy, version, self.now.timestamp)
