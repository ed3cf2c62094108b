"""One slot's plan in words, for tables: `check(plan(task, ...), "shutdown 1; close", ...)`."""

from collections.abc import Callable, Sequence

from berth.model.instant import NEVER
from berth.model.task import FinishedTask, Task, TaskState
from scheduler.core.reconcile import (
    Action,
    CloseSlot,
    Create,
    Drop,
    Fate,
    Finish,
    Phase,
    SetDesired,
    SlotPlan,
    SlotView,
    plan_slot,
)
from scheduler.core.service_record import ServiceRecord
from tests.unit.scheduler.core.builders import NOW, a_record

S = TaskState


def words(action: Action) -> str:
    match action:
        case Finish(task):
            return f"finish {task.attempt}"
        case Drop(task):
            return f"drop {task.attempt}"
        case SetDesired(task, desired, _):
            return f"{desired.name.lower()} {task.attempt}"
        case Create(version, desired):
            return f"create v{version} {desired.name.lower()}"
        case CloseSlot():
            return "close"


def plan(
    *tasks: Task,
    record: ServiceRecord | None = None,
    history: Sequence[FinishedTask] = (),
    fate: Callable[[Task], Fate] | Fate = Fate.KEEP,
    settle_s: float = 0.0,
    is_wanted: bool = True,
    may_create: bool = True,
) -> SlotPlan:
    view = SlotView(
        record=record or a_record(),
        tasks=tasks,
        history=history,
        fate=(lambda _: fate) if isinstance(fate, Fate) else fate,
        settle_s=settle_s,
        is_wanted=is_wanted,
        may_create=may_create,
    )
    return plan_slot(view, NOW)


def check(plan: SlotPlan, actions: str, phase: Phase | None, wake_s: float = NEVER) -> None:
    assert "; ".join(words(action) for action in plan.actions) == actions
    assert plan.phase == phase
    assert plan.wake_at - NOW.instant == wake_s


def on(node: str, fate: Fate) -> Callable[[Task], Fate]:
    return lambda task: fate if task.node_id == node else Fate.KEEP
