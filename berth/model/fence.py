"""Self-fencing: the label by which a service says that it must never run twice.

``berth.fence=after:30s`` makes an agent that no leader has reached for 30 s stop the service's
tasks by itself. The leader replaces such a task of a lost node only when the agent must have done
so.

Duty: read the label, and say how long the leader must wait.
Not here: the agent's deadline (nodeagent.core.isolation), the leader's timer.
"""

from collections.abc import Mapping

from berth.errors import InvalidRequestError
from berth.model.duration import parse_duration_s

FENCE_LABEL = "berth.fence"
FENCE_MARGIN_S = 5.0
"""What the leader adds: for the agent's timer, a busy Engine, and the kill that follows a stop."""

_PREFIX = "after:"
_SHORTEST_S = 1.0


def fence_after_s(labels: Mapping[str, str]) -> float | None:
    """Return after how many seconds without a leader the service's tasks must stop, or None.

    Raises:
        InvalidRequestError: the label is there and cannot be read; mend it as the message says.
    """
    text = labels.get(FENCE_LABEL)
    if text is None:
        return None
    if not text.startswith(_PREFIX):
        raise InvalidRequestError(_fault_text(text, "it does not begin with after:"))
    try:
        seconds = parse_duration_s(text.removeprefix(_PREFIX))
    except InvalidRequestError as error:
        raise InvalidRequestError(_fault_text(text, error.message)) from None
    if seconds < _SHORTEST_S:
        raise InvalidRequestError(
            _fault_text(text, f"it is shorter than {_SHORTEST_S:g}s, which a mere hiccup can last")
        )
    return seconds


def replace_after_s(fence_s: float, stop_grace_s: float) -> float:
    """Return how long after a node was last heard its fenced task has surely stopped.

    Args:
        fence_s: from `fence_after_s`.
        stop_grace_s: how long the task's container may take to stop.
    """
    return fence_s + stop_grace_s + FENCE_MARGIN_S


def _fault_text(text: str, problem: str) -> str:
    return f'label {FENCE_LABEL}="{text}" is refused: {problem}; write {FENCE_LABEL}=after:30s'
