"""Self-fencing: the label by which a service says that it must never run twice.

``berth.fence=after:30s`` makes an agent that no leader has reached for 30 s stop the service's
tasks by itself. The leader replaces such a task of a lost node only when the agent must have done so.

Duty: read the label, and say how long the leader must wait.
Not here: the agent's deadline (nodeagent.core.isolation), the leader's timer.
"""

import re
from collections.abc import Mapping

from berth.errors import InvalidRequestError

FENCE_LABEL = "berth.fence"
FENCE_MARGIN_S = 5.0
"""What the leader adds: for the agent's timer, a busy Engine, and the kill that follows a stop."""

_PREFIX = "after:"
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_SHORTEST_S = 1.0


def fence_after_s(labels: Mapping[str, str]) -> float | None:
    """Return after how many seconds without a leader the service's tasks must stop, or None.

    Raises:
        InvalidRequestError: the label is there and cannot be read; mend it as the message says.
    """
    text = labels.get(FENCE_LABEL)
    if text is None:
        return None
    duration = text.removeprefix(_PREFIX)
    parts = _PART.findall(duration)
    is_whole = "".join(number + unit for number, unit in parts) == duration
    if not text.startswith(_PREFIX) or not parts or not is_whole:
        raise InvalidRequestError(
            f'label {FENCE_LABEL}="{text}" cannot be read; write {FENCE_LABEL}=after:30s'
        )
    seconds = sum(float(number) * _UNIT_S[unit] for number, unit in parts)
    if seconds < _SHORTEST_S:
        raise InvalidRequestError(
            f'label {FENCE_LABEL}="{text}" is too short; write at least after:{_SHORTEST_S:g}s'
        )
    return seconds


def replace_after_s(fence_s: float, stop_grace_s: float) -> float:
    """Return how long after a node was last heard its fenced task has surely stopped.

    Args:
        fence_s: from `fence_after_s`.
        stop_grace_s: how long the task's container may take to stop.
    """
    return fence_s + stop_grace_s + FENCE_MARGIN_S
