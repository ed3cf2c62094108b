"""Decide what an agent may do by itself while no leader answers.

Duty: which epoch to obey; from when on the agent acts alone; whether and when a task that ended is
restarted locally; from when on a service must be fenced.
Not here: noticing that the link broke (nodeagent.link.session), acting (nodeagent.core.step).
Invariants (tests/unit/nodeagent/core/test_isolation.py): a lower epoch is never obeyed; no restart
is earlier than `lost_after_s` after the cut, so that a mere change of leader restarts nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from berth.errors import InvalidRequestError
from berth.model.backoff import restart_delay_s
from berth.model.defaults import EffectiveRestart
from berth.model.fence import fence_after_s
from berth.model.instant import Instant, after
from berth.model.service import RestartCondition
from nodeagent.core.messages import TaskTemplate


@dataclass(frozen=True, slots=True)
class RestartAt:
    """Start the task's container again at this instant."""

    at: Instant


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Leave the task ended; `reason` is for people."""

    reason: str


def is_obeyed(highest: int, received: int) -> bool:
    """Return whether a message of epoch `received` may be acted on after epoch `highest`."""
    return received >= highest


def acts_alone_from(cut_at: Instant, lost_after_s: float) -> Instant:
    """Return when a node that was cut off at `cut_at` begins to decide by itself."""
    return after(cut_at, lost_after_s)


def plan_local_restart(
    policy: EffectiveRestart,
    *,
    succeeded: bool,
    is_job: bool,
    ended_at: Instant,
    ends: int,
    restarted_at: Sequence[Instant],
    alone_from: Instant,
) -> RestartAt | GiveUp:
    """Decide whether a task that ended while no leader answered is started again, and when.

    Args:
        policy: the service's restart policy.
        succeeded: whether it ended with exit code 0.
        is_job: whether it is meant to end; `any` then means `on-failure`.
        ended_at: when it was seen to have ended.
        ends: how many ends in a row, this one included.
        restarted_at: when the agent has restarted it already, oldest first.
        alone_from: from `acts_alone_from`.
    """
    match policy.condition:
        case RestartCondition.NONE:
            return GiveUp("its restart condition is none")
        case RestartCondition.ON_FAILURE if succeeded:
            return GiveUp("it finished, and its restart condition is on-failure")
        case RestartCondition.ANY if succeeded and is_job:
            return GiveUp("the job finished")
        case _:
            pass
    counted = [
        moment
        for moment in restarted_at
        if not policy.window_s or moment > ended_at - policy.window_s
    ]
    if policy.max_attempts and len(counted) >= policy.max_attempts:
        return GiveUp(f"it was restarted {len(counted)} times, as often as its policy allows")
    return RestartAt(
        Instant(max(after(ended_at, restart_delay_s(policy.delay_s, ends)), alone_from))
    )


def fence_delay_s(template: TaskTemplate | None) -> float | None:
    """Return the fence delay that a service asks for; None without one.

    Schedulers refuse an unreadable label, so one that is met here came from elsewhere and binds
    nobody.
    """
    if template is None:
        return None
    try:
        return fence_after_s(template.service_labels)
    except InvalidRequestError:
        return None
