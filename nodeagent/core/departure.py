"""Decide how long a machine that is being shut down waits for its tasks to leave.

Duty: what is known of the departure, and when there is nothing more to wait for.
Not here: noticing that the machine goes down (deploy/systemd/leave-cluster), telling the leader
(nodeagent.agent), moving the tasks (the leader's).
Invariant (tests/unit/nodeagent/core/test_departure.py): a departure is over at its limit, whatever
else happens or fails to.
"""

from dataclasses import dataclass

from berth.model.instant import Instant, after

ANSWER_WITHIN_S = 10.0
"""How long a leader is waited for: a change of leader takes less, a cluster without one more."""


@dataclass(frozen=True, slots=True)
class DepartureBegun:
    """This machine is being shut down; its tasks may take `limit_s` to leave it."""

    limit_s: float


@dataclass(frozen=True, slots=True)
class DepartureNoted:
    """The leader knows that this machine goes down; `takers` other nodes take tasks now."""

    takers: int


@dataclass(slots=True)
class Departure:
    """The machine is going down."""

    begun_at: Instant
    limit_s: float
    asked_at: Instant
    """Since when an answer is waited for; counts while `takers` is None."""
    takers: int | None = None
    """How many other nodes take tasks, as the leader that we are connected to has answered."""

    def note(self, takers: int) -> None:
        """Take in the leader's answer."""
        self.takers = takers

    def cut(self, now: Instant) -> None:
        """Take in that the session is over: the next leader has to answer anew."""
        if self.takers is not None:
            self.takers, self.asked_at = None, now


def why_over(departure: Departure, left: int, now: Instant) -> str:
    """Return why there is nothing more to wait for; "" while there is.

    Args:
        departure: what is known of it.
        left: tasks on this node that have not ended.
        now: this moment.
    """
    if now >= after(departure.begun_at, departure.limit_s):
        return f"{_tasks(left)} left after {departure.limit_s:g} s"
    if departure.takers is None:
        if now >= after(departure.asked_at, ANSWER_WITHIN_S):
            return f"no leader answers; {_tasks(left)} left"
        return ""
    if left == 0:
        return "no task is left"
    if departure.takers == 0:
        return f"no other node takes tasks; {_tasks(left)} left"
    return ""


def _tasks(count: int) -> str:
    return f"{count} task{'' if count == 1 else 's'}"
