"""May this slot have another attempt, and when: judged from its history alone.

History is in the store, so the answer is the same under a new leader (Swarm keeps the counts in the
leader's memory and loses them). Source of the rules: swarmkit's restart supervisor; the back-off
(berth.model.backoff) is ours.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from berth.model.backoff import restart_delay_s
from berth.model.defaults import effective_restart
from berth.model.instant import Timestamp, remaining_s
from berth.model.service import RestartCondition, RestartPolicy
from berth.model.task import FinishedTask, Task, TaskState
from scheduler.core.history import attempts


@dataclass(frozen=True, slots=True)
class Restart:
    """Another attempt is due in `wait_s` seconds; 0 = now."""

    wait_s: float
    delay_s: float
    ends_in_row: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No other attempt, until the service's template changes."""

    reason: str


def since_last_run(
    history: Sequence[FinishedTask], tasks: Iterable[Task], before: int | None = None
) -> list[FinishedTask]:
    """Return what ended, or nothing where a task that still runs came after all of it.

    That one answered the newest end. It does not wipe out the earlier ones: they count for a later
    end as they will when it has ended, too.

    Args:
        history: finished tasks of the slot, oldest first.
        tasks: the slot's tasks that have not ended.
        before: count only tasks with a lower attempt as running; None = all.
    """
    newest = max(
        (
            task.attempt
            for task in tasks
            if task.observed == TaskState.RUNNING and (before is None or task.attempt < before)
        ),
        default=0,
    )
    return list(history) if any(entry.attempt > newest for entry in history) else []


def plan_restart(
    history: Sequence[FinishedTask],
    policy: RestartPolicy,
    template_version: int,
    now: Timestamp,
) -> Restart | GiveUp:
    """Decide what follows the last finished task of a slot.

    Args:
        history: finished tasks of the slot, oldest first.
        policy: of the template that the next task would have.
        template_version: of the next task; earlier templates' failures do not count.
        now: wall clock; only ever compared with the leader's own stamps, and clamped.
    """
    history = attempts(history)
    if not history:
        return Restart(0.0, 0.0, 0)
    last = history[-1]
    if not last.counts_as_restart or last.template_version != template_version:
        return Restart(0.0, 0.0, 0)
    rules = effective_restart(policy)
    if rules.condition is RestartCondition.NONE:
        return GiveUp("restart condition is none")
    if rules.condition is RestartCondition.ON_FAILURE and last.state is TaskState.COMPLETE:
        return GiveUp("it completed, and the restart condition is on-failure")
    if rules.max_attempts:
        counted = [
            entry
            for entry in history
            if entry.counts_as_restart
            and entry.template_version == template_version
            and (not rules.window_s or last.finished_at - entry.finished_at <= rules.window_s)
        ]
        # The first end is not a restart yet: n ends in a row mean n-1 restarts so far.
        if len(counted) > rules.max_attempts:
            return GiveUp(f"all {rules.max_attempts} restart attempts are used up")
    delay_s = restart_delay_s(rules.delay_s, last.ends_in_row)
    return Restart(remaining_s(last.finished_at, delay_s, now), delay_s, last.ends_in_row)
