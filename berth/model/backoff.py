"""When a task that ended may be followed by another: one formula for leader and agent.

Duty: stretch a restart policy's delay with each end in a row, and say when the row is over.
Not here: whether the policy allows another attempt, and the timer.
Invariants (tests/unit/nodeagent/core/test_backoff.py): a delay never falls while the row goes on,
and is never longer than RESTART_BACKOFF_MAX_S or the policy's own delay, whichever is longer.
"""

from berth.model.defaults import RESTART_BACKOFF_MAX_S

_SHORTEST_BASE_S = 0.1
"""A policy without delay still backs off, from here, after the first restart."""

_STABLE_BASE_S = 60.0
_STABLE_FACTOR = 10.0
_DOUBLINGS_MAX = 32


def stable_after_s(delay_s: float) -> float:
    """Return how long a task must have run for the row of ends to begin anew."""
    return _STABLE_BASE_S + _STABLE_FACTOR * delay_s


def ends_in_row(before: int, ran_s: float, delay_s: float) -> int:
    """Return how many ends in a row there are with this one.

    Args:
        before: how many there were, 0 or more.
        ran_s: how long the task that ended had run; 0 when it never did.
        delay_s: the policy's own delay.
    """
    assert before >= 0
    return 1 if ran_s >= stable_after_s(delay_s) else before + 1


def restart_delay_s(delay_s: float, ends: int) -> float:
    """Return how long to wait after the `ends`-th end in a row.

    Args:
        delay_s: the policy's own delay, 0 or more; the first restart waits exactly this long.
        ends: from `ends_in_row`, 1 or more.
    """
    assert ends >= 1
    if ends == 1:
        return delay_s
    stretched = max(delay_s, _SHORTEST_BASE_S) * 2.0 ** min(ends - 1, _DOUBLINGS_MAX)
    return min(stretched, max(RESTART_BACKOFF_MAX_S, delay_s))
