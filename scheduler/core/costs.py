"""About what the parts of a turn cost, so that a turn is bounded in time without reading a clock.

Duty: estimates, in microseconds of a core of 2020's, and how many tasks fit into what is left. A
bound by count must suit the dearest kind of work, and then makes the cheap kinds slow: a replica
that is born in a group costs a tenth of a slot that must be planned. Estimates keep the same state
and `Now` giving the same turn. bench/core.py prints how long turns really take.
"""

from typing import Final

TURN_SHARE_US: Final = 1250
"""What supervision may cost in one turn, and what placement may; the loop waits for both. Four
hundred tasks of a group are made and placed for that."""

TURN_SHARE_US_MAX: Final = 2500
_SHARE_US_A_NODE: Final = 0.25
"""So much a node if that is more: a pass over many nodes is to be worth it. With 10,000 a thousand
tasks of a group are placed in one."""

SERVICE_US: Final = 10
"""To look at a service at all."""

SLOT_US: Final = 12
"""To plan one slot."""

BIRTH_US: Final = 2
"""To make one task of a group, which waits, in slots that were just opened."""

PLACE_US: Final = 15
"""To find a node for one task, by masks."""

TRY_US: Final = 5
"""To find that what waits of a service still fits nowhere."""

GROUP_US: Final = 400
"""To find nodes for a large group, by vectors, however many its tasks are."""

BIND_US: Final = 2
"""To give one task of a group the node that was found, or to make it there."""


def turn_share_us(nodes: int) -> int:
    """Return what supervision, and what placement, may cost in a turn of a cluster of `nodes`."""
    return min(max(TURN_SHARE_US, int(nodes * _SHARE_US_A_NODE)), TURN_SHARE_US_MAX)


def turns_in_a_row(nodes: int) -> int:
    """Return how many turns of a burst cost as much as the longest one, and so earn its pause."""
    return TURN_SHARE_US_MAX // turn_share_us(nodes)


def group_us(tasks: int) -> int:
    """Return what it costs to place so many tasks of one group."""
    return tasks * BIND_US + min(tasks * PLACE_US, GROUP_US)


def tasks_within(budget_us: int) -> int:
    """Return how many tasks of one group may be placed for that; at least one."""
    few = budget_us // (BIND_US + PLACE_US)
    many = (budget_us - GROUP_US) // BIND_US
    return max(few if few * PLACE_US <= GROUP_US else many, 1)
