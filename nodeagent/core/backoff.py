"""Decide how long to wait before a failed call, a connection or a crashed task is tried again.

Duty: the agent's delays, as arithmetic alone.
Not here: restart delays of services (berth.model.backoff, shared with the leader), timers.
Invariants (tests/unit/nodeagent/core/test_backoff.py): delays never fall as failures go on, and
never pass their cap.
"""

import zlib

PULL_FIRST_S = 1.0
PULL_MAX_S = 60.0
ENGINE_FIRST_S = 0.5
ENGINE_MAX_S = 10.0
CONNECT_FIRST_S = 0.1
CONNECT_MAX_S = 3.0

_DOUBLINGS_MAX = 32


def doubled_s(first_s: float, max_s: float, failures: int) -> float:
    """Return `first_s` after one failure, twice that after two, and so on up to `max_s`."""
    assert failures >= 1
    return min(first_s * 2.0 ** min(failures - 1, _DOUBLINGS_MAX), max_s)


def spread(delay_s: float, key: str) -> float:
    """Return 75..100 % of `delay_s`, always the same for the same `key`.

    The nodes of a cluster then do not all ask a registry that came back in the same moment.
    """
    return delay_s * (0.75 + 0.25 * (zlib.crc32(key.encode()) % 1000) / 999)


def pull_retry_s(task_id: str, failures: int) -> float:
    """Return the wait before the next attempt to pull a task's image."""
    return spread(doubled_s(PULL_FIRST_S, PULL_MAX_S, failures), task_id)


def engine_retry_s(task_id: str, failures: int) -> float:
    """Return the wait before any other call to the Engine is made again."""
    return spread(doubled_s(ENGINE_FIRST_S, ENGINE_MAX_S, failures), task_id)


def connect_retry_s(failures: int) -> float:
    """Return the longest wait before the next scheduler is tried; the caller adds jitter."""
    return doubled_s(CONNECT_FIRST_S, CONNECT_MAX_S, failures)
