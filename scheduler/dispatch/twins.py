"""Tell a restarted agent from a twin: a second machine with the same node ID, mostly a cloned disk.

Duty: hold an agent whose node has an open session with another process until it is clear which of
the two it is. Not here: sessions (session, desk).

Welcomed at once, a twin would supersede the session, report the node's containers as gone, run its
tasks a second time, and be superseded in its turn, a dozen times a second. A restarted agent finds
the session of the process before it closed by the kernel, or, where that could not be told (a power
cut, a cut link), silent. One that is still heard, again and again, is at work: the newcomer is no
restart of it.
"""

import contextlib
from enum import Enum
from typing import Final, Protocol

from berth.clock import Clock
from berth.errors import PermissionDeniedError, UnavailableError
from berth.model.instant import after
from berth.v1 import dispatcher_pb2 as pb
from scheduler.dispatch.desk import AgentDesk, AgentSession

SIGNS: Final = 3
"""So many signs of life after the newcomer's hello show that the process before it lives."""

LOOK_S: Final = 0.25
"""How often is looked. Signs within one look count once: they may all have waited unread in a
leader that was paused, as may those of a process that is dead by now, but then its end comes with
them."""

HEARD_FOR_S_MIN: Final = 15.0
"""How long after the newcomer's hello the process before it must still be heard. A leader that is
behind with its reading hears a dead process for a while, and to disown a node that is none's twin
would stop all that it runs; a true twin loses nothing by waiting."""

SILENCE_MARGIN_S: Final = 1.0
"""How much longer than its heartbeat period a process must be silent to be given up."""

PATIENCE_S: Final = 30.0
"""How long a newcomer is asked to wait at a time."""


class TwinError(PermissionDeniedError):
    """The node is at work on another machine. Stop its tasks on this one, and stay away."""


class Verdict(Enum):
    """What a newcomer is."""

    UNCLEAR = "unclear"
    RESTARTED = "restarted"
    TWIN = "twin"


def judge(signs: int, heard_for_s: float, silent_s: float, period_s: float) -> Verdict:
    """Judge a newcomer by what was heard of the session that it found open.

    Args:
        signs: in how many looks since its hello something was heard.
        heard_for_s: from its hello to the last that was heard.
        silent_s: for how long nothing has been heard.
        period_s: of the heartbeat.
    """
    if signs >= SIGNS and heard_for_s >= HEARD_FOR_S_MIN:
        return Verdict.TWIN
    if silent_s > period_s + SILENCE_MARGIN_S:
        return Verdict.RESTARTED
    return Verdict.UNCLEAR


class Patient(Protocol):
    """The stream of an agent that may be asked to wait."""

    async def write(self, message: pb.SchedulerMessage) -> None:
        """Send a message."""
        ...


async def refuse_twin(
    desk: AgentDesk, hello: pb.AgentMessage, stream: Patient, clock: Clock
) -> None:
    """Return once the sender of this Hello may join; at once, unless its node has a live session.

    Raises:
        TwinError: it is a twin.
    """
    rival = desk.rival_of(hello)
    if rival is None:
        return
    came_at = ask_at = clock.instant()
    signs, seen_at = 0, rival.heard_at
    while desk.rival_of(hello) is rival:
        now = clock.instant()
        if hello.hello.can_wait and now >= ask_at:
            ask_at = after(now, PATIENCE_S)
            with contextlib.suppress(UnavailableError):  # Whoever joins sees that it broke.
                waiting = pb.Waiting(within_s=PATIENCE_S + SILENCE_MARGIN_S)
                await stream.write(pb.SchedulerMessage(waiting=waiting))
        if rival.heard_at > seen_at:
            signs, seen_at = signs + 1, rival.heard_at
        heard_for_s, silent_s = rival.heard_at - came_at, now - rival.heard_at
        match judge(signs, heard_for_s, silent_s, desk.period_s):
            case Verdict.RESTARTED:
                return
            case Verdict.TWIN:
                raise TwinError(_words(desk, rival))
            case Verdict.UNCLEAR:
                await clock.sleep(LOOK_S)


def _words(desk: AgentDesk, rival: AgentSession) -> str:
    place = desk.place_of(rival.node)
    return (
        f"node {rival.node} is at work on another machine ({place}): this one is a copy of it, and "
        "runs none of its tasks. To make it a node of its own, stop its agent, delete its state "
        "directory, give it a certificate of its own, and start the agent again"
    )
