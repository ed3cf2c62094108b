"""One agent's session with the leader, on any transport.

Duty: refuse where we do not lead, pass messages up, write the outbox down, coalesced. Not here:
gRPC (service), what messages mean (scheduler.leader), merging (outbox). Runs unchanged in the
simulator.
"""

import asyncio
import contextlib
from typing import Protocol

import structlog

from berth.clock import Clock
from berth.errors import BerthError, NotLeaderError, StaleEpochError, UnavailableError
from berth.model.instant import after
from berth.v1 import dispatcher_pb2 as pb
from scheduler.dispatch.desk import AgentDesk, AgentSession
from scheduler.dispatch.turnstile import Turnstile
from scheduler.dispatch.twins import TwinError, refuse_twin
from scheduler.dispatch.waiting_room import HOLD_S, WaitingRoom
from scheduler.leader import Leader

log = structlog.get_logger()

SPACING_S = 0.02
"""How soon after a message the next one follows: few, fat messages cost the leader least. The first
one after a silence leaves at once."""

JOIN_UNITS = 5
"""Of the turnstile, for a session's beginning."""

TURN_PATIENCE_S = 2.0
"""Who waits longer for its turn to join is told so: it would give up after 5 s, and be the last."""

_JOIN_WITHIN_S = 60.0
"""Ten thousand agents that join at once, 3 ms each, take half of it."""

REPORTS_PER_UNIT = 10
"""How many states of tasks are folded in within one unit of the turnstile."""

HELLO_TIMEOUT_S = 10.0
_RETRY_AFTER_S = 0.5
_WAITING_MARGIN_S = 5.0
"""Beyond what an agent is told to wait at most, for what stands between."""
_RETRY_AFTER_FAULT_S = 30.0


class _SessionOverError(Exception):
    """The leader, or the agent, ended the session."""


class AgentStream(Protocol):
    """One agent's stream, as a server sees it."""

    async def read(self) -> pb.AgentMessage | None:
        """Return the next message; None at the end of the stream.

        Raises:
            UnavailableError: it broke.
        """
        ...

    async def write(self, message: pb.SchedulerMessage) -> None:
        """Send a message; one at a time.

        Raises:
            UnavailableError: the stream broke.
        """
        ...


async def serve_agent(
    room: WaitingRoom,
    clock: Clock,
    stream: AgentStream,
    *,
    distrust: str | None = None,
    certified_as: str = "",
) -> None:
    """Run one agent's session until either side ends it.

    Args:
        room: where the leader is found, or waited for.
        clock: for coalescing.
        stream: freshly opened; the caller closes it.
        distrust: why this peer must not be served, if it must not.
        certified_as: the name in its certificate, "" without TLS.

    Raises:
        TimeoutError: the agent did not say hello in time.
    """
    async with asyncio.timeout(HELLO_TIMEOUT_S):
        hello = await stream.read()
    if hello is None:
        return
    if distrust is not None:
        await stream.write(_refusal(distrust, "", _RETRY_AFTER_FAULT_S))
        return
    if hello.hello.can_wait and await room.is_in_vain(hello.hello.unreachable):
        await stream.write(_waiting(HOLD_S))
        await room.wait(hello.hello.unreachable)
    try:
        leader = room.require_local()
        leader.desk.expect(hello, certified_as=certified_as)
        await refuse_twin(leader.desk, hello, stream, clock)
        await _await_turn(leader.desk.turnstile, hello.hello, stream)
        session = leader.desk.join(hello, certified_as=certified_as)
    except NotLeaderError as error:
        await stream.write(_refusal(error.message, error.leader_address, _RETRY_AFTER_S))
        return
    except StaleEpochError as error:
        log.error("stale_leadership_shown_by_agent", node_id=hello.node_id, why=str(error))
        await stream.write(_refusal(error.message, "", _RETRY_AFTER_S))
        return
    except TwinError as error:
        log.error("twin_disowned", node_id=hello.node_id, why=error.message)
        refusal = _refusal(error.message, "", _RETRY_AFTER_FAULT_S)
        refusal.epoch, refusal.refused.disowned = leader.epoch, True
        await stream.write(refusal)
        return
    except BerthError as error:
        log.warning("agent_refused", node_id=hello.node_id, why=error.message)
        await stream.write(_refusal(error.message, "", _RETRY_AFTER_FAULT_S))
        return
    try:
        await _converse(leader, session, clock, stream)
    finally:
        leader.desk.leave(session)


async def _await_turn(turnstile: Turnstile, hello: pb.Hello, stream: AgentStream) -> None:
    """Wait for the turn to join, and ask the agent for patience where thousands do."""
    units = JOIN_UNITS + len(hello.tasks) // REPORTS_PER_UNIT
    entering = asyncio.ensure_future(turnstile.enter(units))
    try:
        await asyncio.wait({entering}, timeout=TURN_PATIENCE_S)
        if hello.can_wait and not entering.done():
            with contextlib.suppress(UnavailableError):  # Whoever reads next sees that it broke.
                await stream.write(_waiting(_JOIN_WITHIN_S))
        await entering
    finally:
        entering.cancel()


async def _converse(
    leader: Leader, session: AgentSession, clock: Clock, stream: AgentStream
) -> None:
    turnstile = leader.desk.turnstile
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_write_outbox(leader.desk, session, clock, stream))
            while (message := await stream.read()) is not None:
                leader.desk.hear(session)
                if message.HasField("heartbeat"):
                    continue  # That it was heard is all that it says: no work to take turns for.
                await turnstile.enter(1 + len(message.status.tasks) // REPORTS_PER_UNIT)
                leader.desk.receive(session, message)
            raise _SessionOverError
    except* _SessionOverError:
        pass
    except* UnavailableError as failures:
        log.debug("session_broke", node_id=session.node, why=str(failures.exceptions[0]))


async def _write_outbox(
    desk: AgentDesk, session: AgentSession, clock: Clock, stream: AgentStream
) -> None:
    outbox = session.outbox
    next_at = clock.instant()
    while True:
        await outbox.wait_ready()
        early_s = next_at - clock.instant()
        if early_s > 0 and not outbox.is_closed:
            await clock.sleep(early_s)
        await desk.turnstile.enter()
        for message in outbox.take():
            await stream.write(message)
            desk.note_sent()
        if outbox.is_closed:
            raise _SessionOverError
        next_at = after(clock.instant(), SPACING_S)


def _waiting(within_s: float) -> pb.SchedulerMessage:
    return pb.SchedulerMessage(waiting=pb.Waiting(within_s=within_s + _WAITING_MARGIN_S))


def _refusal(reason: str, leader_address: str, retry_after_s: float) -> pb.SchedulerMessage:
    return pb.SchedulerMessage(
        refused=pb.Refused(
            reason=reason, leader_address=leader_address, retry_after_s=retry_after_s
        )
    )
