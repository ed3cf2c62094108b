"""Empty this node before its machine goes down.

Duty: let the leader know, and wait until the tasks have left or waiting is in vain.
Not here: how long (nodeagent.core.departure), who says that the machine goes down (the unit).
"""

import structlog

from berth.clock import Clock
from nodeagent.agent import Agent
from nodeagent.core.departure import DepartureBegun, why_over

log = structlog.get_logger(__name__)

_LOOK_EVERY_S = 0.2


async def depart(agent: Agent, clock: Clock, limit_s: float) -> str:
    """Have the tasks of a running agent moved away.

    Args:
        agent: goes on meanwhile, and stops the tasks as the leader says.
        clock: sleeps.
        limit_s: how long this may take at most; 0 = not at all.

    Returns:
        Why there is nothing more to wait for.
    """
    agent.feed(DepartureBegun(limit_s))
    departure = agent.state.departure
    assert departure is not None
    log.info("departure_begun", tasks=agent.state.left, limit_s=limit_s)
    while not (why := why_over(departure, agent.state.left, clock.instant())):
        if departure.takers is None:
            await agent.tell_departing()
        await clock.sleep(_LOOK_EVERY_S)
    log.info("departure_over", why=why, tasks=agent.state.left)
    return why
