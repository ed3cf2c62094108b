"""When another attempt may be wanted up, checked right after the turn that wanted it.

Duty: the restart policy once more, in its plainest form: its condition, its attempts, its delay and
how that grows with each end in a row.
Not here: what jobs promise besides (job_checkers), placing (placement_checkers).
"""

from berth.model.defaults import effective_restart
from berth.model.instant import Timestamp
from berth.model.service import RestartCondition
from berth.model.task import FinishedTask, Task, TaskState
from scheduler.core.service_state import ServiceState, slot_of
from scheduler.core.state import LeaderState
from tests.sim.history import History
from tests.sim.placement_checkers import words_of

_LONG_RUN_S = 60.0
"""Who ran for less is one more in a row of ends, whatever the delay."""
_SLACK_S = 0.001


def check_restart(history: History, state: LeaderState, task: Task, now: Timestamp | None) -> None:
    """Check a task that is wanted up as of this turn, or got its node while it was.

    Args:
        history: takes violations.
        state: the leader's memory.
        task: the task.
        now: true time; None when the clocks of this run are wrong: then delays are not checked.
    """
    service = state.services[task.service_id]
    ended = service.history.get(slot_of(task), ())
    last = ended[-1] if ended else None
    if last is None or not last.counts_as_restart:
        return
    if last.template_version != task.template_version or _is_answered(service, task, last):
        return
    policy = effective_restart(service.record.templates[task.template_version].task.restart)
    words = f"{words_of(state, task)} is wanted up"
    rule = "a restart policy's condition and attempts hold"
    history.check(
        policy.condition is not RestartCondition.NONE
        and (
            policy.condition is not RestartCondition.ON_FAILURE
            or last.state is not TaskState.COMPLETE
        ),
        rule,
        f"{words} by {policy.condition} after attempt {last.attempt} was {last.state.name}",
    )
    counted = [
        entry
        for entry in ended
        if entry.counts_as_restart and entry.template_version == task.template_version
    ]
    if policy.max_attempts and not policy.window_s:
        what = f"{words} after {len(counted)} ends, {policy.max_attempts} restarts are allowed"
        history.check(len(counted) <= policy.max_attempts, rule, what)
    if now is None:
        return
    row = last.ends_in_row
    if len(counted) > 1 and _is_in_row(counted[-2], last):
        what = f"{words} after ends {counted[-2].attempt} and {last.attempt}, counted as {row}"
        history.check(row > 1, "ends in a row are counted", what)
    waited_s, delay_s = now - last.finished_at, _delay_s(policy.delay_s, row)
    history.check(
        waited_s >= delay_s - _SLACK_S,
        "restart delays hold",
        f"{words} {waited_s:.3f} s after its predecessor's end, the {row}. in a row, not "
        f"{delay_s:g} s",
    )


def _is_answered(service: ServiceState, task: Task, last: FinishedTask) -> bool:
    """It takes over from one that runs: what that one answered is long past."""
    return any(
        last.attempt < other.attempt < task.attempt and other.observed == TaskState.RUNNING
        for other in service.slots[slot_of(task)]
    )


def _is_in_row(earlier: FinishedTask, last: FinishedTask) -> bool:
    return (
        last.attempt == earlier.attempt + 1
        and last.finished_at > earlier.finished_at
        and last.ran_s < _LONG_RUN_S
    )


def _delay_s(base_s: float, row: int) -> float:
    """The first restart waits for the policy's delay, each further one for twice the last."""
    if row <= 1:
        return base_s
    return min(max(base_s, 0.1) * 2 ** (row - 1), max(60.0, base_s))
