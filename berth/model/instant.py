"""Two kinds of time that must never be mixed.

An `Instant` is monotonic seconds of one process: good for deadlines, meaningless elsewhere. A
`Timestamp` is wall-clock seconds since 1970 (UTC): good for people and records. Timestamps of two
machines are never compared to decide anything; where a stored timestamp becomes a deadline, the
remaining time is clamped to the full delay (`remaining_s`), so that a skewed clock costs at most
one delay and never more.
"""

from datetime import UTC, datetime
from typing import NewType

Instant = NewType("Instant", float)
Timestamp = NewType("Timestamp", float)

NEVER = Instant(float("inf"))
START = Instant(0.0)
NO_TIME = Timestamp(0.0)


def after(now: Instant, delay_s: float) -> Instant:
    """Return the instant `delay_s` seconds after `now`."""
    return Instant(now + delay_s)


def remaining_s(since: Timestamp, delay_s: float, now: Timestamp) -> float:
    """Return how much of `delay_s`, begun at `since`, is left, within 0..delay_s.

    `since` may have been written by another machine; a clock that runs behind must not lengthen
    the delay, and one that runs ahead can at worst cut it short.
    """
    return min(max(since + delay_s - now, 0.0), delay_s)


def to_text(timestamp: Timestamp) -> str:
    """Return RFC 3339 text in UTC with microseconds, as Docker's clients read it."""
    moment = datetime.fromtimestamp(timestamp, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
