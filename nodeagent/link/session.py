"""Find the leader, hold a session with it, and find it again: the logic, on the link's port.

Duty: try schedulers in turn with back-off, follow a refusal to the leader, say hello, pass messages
on, report statuses in batches, send a heartbeat when there is nothing else to say.
Not here: gRPC (nodeagent.link.grpc_link), what messages mean (nodeagent.core). Runs unchanged in
the simulator.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from berth.cancellation import check_cancelled
from berth.clock import Clock
from berth.entropy import Entropy
from berth.errors import BerthError, UnavailableError
from berth.model.ids import TaskId
from berth.model.instant import Instant, after
from berth.v1 import dispatcher_pb2 as pb
from berth.v1 import types_pb2
from nodeagent.core.backoff import connect_retry_s
from nodeagent.core.messages import Disowned, DropSession, SchedulerSpoke, Welcomed
from nodeagent.link.addresses import AddressBook
from nodeagent.link.decode import event_of
from nodeagent.link.port import SchedulerLink, SchedulerStream
from nodeagent.link.reporter import Reporter

log = structlog.get_logger(__name__)

CONNECT_TIMEOUT_S = 3.0
WELCOME_TIMEOUT_S = 5.0
"""Longer if a scheduler says so, but never longer than `WAITING_MAX_S`."""
WAITING_MAX_S = 120.0
GOODBYE_TIMEOUT_S = 1.0
RETRY_AFTER_MAX_S = 30.0
_HOPS_MAX = 3  # Refusals followed at once; then two schedulers that point at each other must wait.
_FAILURE_MEMORY_S = 3.0
_HEARTBEAT_JITTER = 0.1
_HEARTBEAT_PERIOD_S_MIN = 0.2
_WITHDRAWAL = pb.Goodbye(reason="the Docker Engine does not answer", engine_away=True)


class SessionOwner(Protocol):
    """Whose session it is: the agent."""

    def hello(self) -> pb.Hello:
        """Return who we are and all that we know."""
        ...

    def statuses(self, task_ids: Sequence[TaskId]) -> list[types_pb2.TaskStatus]:
        """Return the newest statuses of those tasks that are still known."""
        ...

    def heartbeat(self) -> pb.Heartbeat:
        """Return a sign of life."""
        ...

    def heartbeat_period_s(self) -> float:
        """Return how long the leader may hear nothing."""
        ...

    async def hear(self, event: SchedulerSpoke) -> DropSession | None:
        """Take in a message; return why the session must end, if it must."""
        ...

    def lose_link(self) -> None:
        """Take in that there is no session; harmless when a leader never welcomed us."""
        ...


@dataclass(frozen=True, slots=True)
class _Refusal:
    """A scheduler did not take us."""

    leader_address: str
    retry_after_s: float


class _SessionOverError(Exception):
    """Ends the tasks of a session; not an error."""


class Session:
    """The agent's end of the line: at most one stream at a time.

    Invariant: between `hear(Welcomed)` and `lose_link` there is exactly one welcomed stream.
    """

    def __init__(
        self,
        owner: SessionOwner,
        *,
        node_id: str,
        link: SchedulerLink,
        book: AddressBook,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._owner = owner
        self._node_id = node_id
        self._link = link
        self.book = book
        self._clock = clock
        self._entropy = entropy
        self._reporter = Reporter()
        self._is_report_due = asyncio.Event()
        self._has_settled = asyncio.Event()
        self._period_s = 0.0
        """By which the next heartbeat was timed."""
        self._is_retimed = asyncio.Event()
        self._sending = asyncio.Lock()
        self._sent_at = clock.instant()
        self._stream: SchedulerStream | None = None
        self._is_welcomed = False
        self._untold: dict[str, pb.AgentMessage] = {}
        """By kind, what was to be told since the hello to whoever has not welcomed us yet."""
        self._is_leaving = False
        self._is_disowned = False
        self._may_hold = asyncio.Event()
        self._may_hold.set()
        self._failed: dict[str, Instant] = {}
        self._broken: tuple[str, Instant] | None = None
        """Whose session broke last, and when."""
        self.address = ""
        """The scheduler that welcomed us last."""

    def note_statuses(
        self, task_ids: Sequence[TaskId], now: Instant, *, are_passing: bool = False
    ) -> None:
        """Tell the leader the tasks' newest statuses soon; less soon if all `are_passing`."""
        if not task_ids:
            return
        self._reporter.note(task_ids, now, are_passing=are_passing)
        self._is_report_due.set()
        if not are_passing:
            self._has_settled.set()

    async def run(self) -> None:
        """Hold sessions until `leave`, or until we are disowned; for ever otherwise."""
        failures = hops = 0
        while not (self._is_leaving or self._is_disowned):
            await self._may_hold.wait()
            address = self.book.take()
            refusal = await self._attend(address)
            if self.address == address and refusal is None:
                failures = hops = 0
            if refusal is not None and self._is_worth_trying(refusal.leader_address, address):
                self.book.prefer(refusal.leader_address)
                hops += 1
                if hops <= _HOPS_MAX:
                    continue
            hops = 0
            failures += 1
            delay_s = connect_retry_s(failures) * self._entropy.uniform(0.5, 1.0)
            if refusal is not None:
                delay_s = max(delay_s, min(refusal.retry_after_s, RETRY_AFTER_MAX_S))
            await self._clock.sleep(delay_s)

    async def leave(self, reason: str) -> None:
        """Send what waits, say goodbye and end the session; quick whatever the network does."""
        self._is_leaving = True
        await self._say_goodbye(pb.Goodbye(reason=reason))

    async def withdraw(self) -> None:
        """End the session as `leave` does, because the Engine is away; hold none until `resume`."""
        self._may_hold.clear()
        await self._say_goodbye(_WITHDRAWAL)

    def resume(self) -> None:
        """Hold sessions again; harmless when it does."""
        self._may_hold.set()

    async def _say_goodbye(self, goodbye: pb.Goodbye) -> None:
        stream = self._stream
        if stream is None or not self._is_welcomed:
            return
        with contextlib.suppress(UnavailableError, TimeoutError):
            async with asyncio.timeout(GOODBYE_TIMEOUT_S):
                await self._send_statuses(stream)
                await self._send(stream, pb.AgentMessage(goodbye=goodbye))
                await stream.aclose()

    async def tell(self, message: pb.AgentMessage) -> None:
        """Tell the leader of what changed: now, after its welcome, or else by the hello."""
        if self._stream is None:
            return
        if not self._is_welcomed:
            self._untold[message.WhichOneof("body") or ""] = message
            return
        with contextlib.suppress(UnavailableError):
            await self._send(self._stream, message)

    def _is_worth_trying(self, hint: str, refused_by: str) -> bool:
        """Tell whether to go where a refusal points: followers name a dead leader for a while."""
        if hint in ("", refused_by):
            return False
        failed_at = self._failed.get(hint)
        if failed_at is None or self._clock.instant() - failed_at > _FAILURE_MEMORY_S:
            return True
        # Others could not be reached either since then, and somebody answers now: the fault was
        # our own network's, and it is over.
        return any(at >= failed_at for other, at in self._failed.items() if other != hint)

    def _unreachable(self) -> list[str]:
        """Return the schedulers that could not be reached, or fell silent, a moment ago."""
        since = self._clock.instant() - _FAILURE_MEMORY_S
        found = dict(self._failed)
        if self._broken is not None:
            found.setdefault(*self._broken)
        return [address for address, at in found.items() if at >= since]

    async def _attend(self, address: str) -> _Refusal | None:
        """Hold one session at `address` until it ends; return a refusal if that is how it ended."""
        self.address = ""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                stream = await self._link.connect(address)
        except (UnavailableError, TimeoutError) as error:
            # Once for each outage: a cluster that is down would fill the log otherwise.
            tell = log.debug if address in self._failed else log.warning
            tell("scheduler_unreachable", address=address, why=str(error) or "timed out")
            self._failed[address] = self._clock.instant()
            return None
        if self._failed.pop(address, None) is not None:
            self._failed.clear()  # It is back; so may the others be.
        self._stream = stream
        try:
            return await self._converse(stream, address)
        except (UnavailableError, TimeoutError) as error:
            log.info("session_broke", address=address, why=str(error) or "timed out")
        except BerthError as error:
            log.error("session_unreadable", address=address, why=error.message)
        finally:
            self._stream = None
            self._is_welcomed = False
            self._owner.lose_link()
            with contextlib.suppress(UnavailableError):
                await stream.aclose()
        return None

    async def _converse(self, stream: SchedulerStream, address: str) -> _Refusal | None:
        messages = aiter(stream)
        async with asyncio.timeout(WELCOME_TIMEOUT_S) as patience:
            self._take_batch()  # The hello tells all of it.
            self._untold.clear()
            hello = self._owner.hello()
            hello.can_wait = True
            hello.unreachable.extend(self._unreachable())
            await self._send(stream, pb.AgentMessage(hello=hello))
            first = await anext(messages, None)
            while first is not None and first.WhichOneof("body") == "waiting":
                within_s = min(first.waiting.within_s, WAITING_MAX_S)
                patience.reschedule(asyncio.get_running_loop().time() + within_s)
                first = await anext(messages, None)
        if first is None:
            raise UnavailableError(f"the scheduler at {address} ended the session without a word")
        if first.WhichOneof("body") == "refused":
            refused = first.refused
            if refused.disowned:
                await self._heed_disowning(
                    SchedulerSpoke(first.epoch, Disowned(refused.reason)), address
                )
            log.info(
                "scheduler_refused",
                address=address,
                why=refused.reason,
                leader_address=refused.leader_address,
            )
            return _Refusal(refused.leader_address, refused.retry_after_s)
        event = event_of(first)
        if event is None or not isinstance(event.said, Welcomed):
            raise UnavailableError(f"the scheduler at {address} did not begin with a welcome")
        if await self._is_dropped(event, address):
            return _Refusal("", 0.0)
        while self._untold:  # We were held; the hello is old.
            await self._send(stream, self._untold.popitem()[1])
        self._is_welcomed = True
        self.address = address
        self.book.learn(event.said.schedulers)
        log.info("session_opened", address=address, epoch=event.epoch)
        if not self._may_hold.is_set():  # It withdrew while this session was on its way.
            await self._say_goodbye(_WITHDRAWAL)
            return None
        await self._exchange(stream, messages, address)
        return None

    async def _heed_disowning(self, event: SchedulerSpoke, address: str) -> None:
        """Let go of all tasks and hold no session any more, unless who says so does not lead."""
        if await self._is_dropped(event, address):
            return
        self._is_disowned = True
        log.error("node_disowned", address=address, epoch=event.epoch)

    async def _exchange(
        self, stream: SchedulerStream, messages: AsyncIterator[pb.SchedulerMessage], address: str
    ) -> None:
        """Read, report and beat until the session is over."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._report(stream))
                group.create_task(self._beat(stream))
                async for message in messages:
                    event = event_of(message)
                    if event is not None and await self._is_dropped(event, address):
                        break
                    # A longer one holds after the next heartbeat: until then the leader waits as
                    # long as it did.
                    if self._owner.heartbeat_period_s() < self._period_s:
                        self._is_retimed.set()
                raise _SessionOverError
        except* _SessionOverError:
            log.info("session_closed", address=address)
        except* BerthError as errors:
            log.info("session_broke", address=address, why=str(errors.exceptions[0]))
            self._broken = address, self._clock.instant()
        check_cancelled()

    async def _is_dropped(self, event: SchedulerSpoke, address: str) -> bool:
        drop = await self._owner.hear(event)
        if drop is None:
            return False
        log.warning(
            "message_refused",
            address=address,
            reason=drop.reason,
            why=drop.message,
            message_epoch=event.epoch,
        )
        return True

    async def _report(self, stream: SchedulerStream) -> None:
        while True:
            await self._is_report_due.wait()
            delay_s = self._reporter.due_at() - self._clock.instant()
            if not len(self._reporter) or delay_s <= 0:
                await self._send_statuses(stream)
            elif self._reporter.has_settled:
                await self._clock.sleep(delay_s)
            else:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(delay_s):
                        await self._has_settled.wait()

    async def _send_statuses(self, stream: SchedulerStream) -> None:
        statuses = self._owner.statuses(self._take_batch())
        if statuses:
            await self._send(stream, pb.AgentMessage(status=pb.StatusBatch(tasks=statuses)))

    def _take_batch(self) -> list[TaskId]:
        """Return whose statuses are to be told, and begin a batch that nobody waits for yet."""
        self._is_report_due.clear()
        self._has_settled.clear()
        return self._reporter.take()

    async def _beat(self, stream: SchedulerStream) -> None:
        """Send a heartbeat whenever nothing else was sent for a period."""
        while True:
            self._is_retimed.clear()
            self._period_s = self._owner.heartbeat_period_s()
            period_s = max(self._period_s, _HEARTBEAT_PERIOD_S_MIN)
            period_s *= self._entropy.uniform(1.0 - _HEARTBEAT_JITTER, 1.0)
            last = self._sent_at
            delay_s = after(last, period_s) - self._clock.instant()
            if delay_s > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(delay_s):
                        await self._is_retimed.wait()
            if self._is_retimed.is_set() or self._sent_at != last:
                continue  # A shorter one holds, or something else was sent, which counts as well.
            await self._send(stream, pb.AgentMessage(heartbeat=self._owner.heartbeat()))

    async def _send(self, stream: SchedulerStream, message: pb.AgentMessage) -> None:
        message.node_id = self._node_id
        async with self._sending:
            await stream.send(message)
        self._sent_at = self._clock.instant()
