"""About what the parts of a turn cost, so that a turn is bounded in time without reading a clock.

Duty: estimates, in microseconds of a core of 2020's, and how many tasks fit into what is left. A
bound by count must suit the dearest kind of work, and then makes the cheap kinds slow: a replica
that is born in a group costs a tenth of a slot that must be planned. Estimates keep the same state
and `Now` giving the same turn. bench/core.py prints how long turns really take.
"""

from typing import Final

TURN_SHARE_US: Final = 2500
"""What supervision may cost in one turn, and what placement may; the loop waits for both.

A group of a thousand can then be placed in one pass over the nodes."""

SERVICE_US: Final = 10
"""To look at a service at all."""

SLOT_US: Final = 12
"""To plan one slot."""

BIRTH_US: Final = 2
"""To make one task of a group, which waits, in slots that were just opened."""

PLACE_US: Final = 15
"""To find a node for one task, by masks."""

GROUP_US: Final = 400
"""To find nodes for a large group, by vectors, however many its tasks are."""

BIND_US: Final = 2
"""To give one task of a group the node that was found, or to make it there."""


def group_us(tasks: int) -> int:
    """Return what it costs to place so many tasks of one group."""
    return tasks * BIND_US + min(tasks * PLACE_US, GROUP_US)


def tasks_within(budget_us: int) -> int:
    """Return how many tasks of one group may be placed for that; at least one."""
    few = budget_us // (BIND_US + PLACE_US)
    many = (budget_us - GROUP_US) // BIND_US
    return max(few if few * PLACE_US <= GROUP_US else many, 1)
