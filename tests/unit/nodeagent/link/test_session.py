"""How long the agent waits for a scheduler that does not answer, and whose word it takes."""

import asyncio
import contextlib
import itertools
from dataclasses import replace

import pytest

from berth.entropy import SeededEntropy
from berth.errors import UnavailableError
from berth.model.ids import TaskId
from berth.model.instant import Instant
from berth.v1 import dispatcher_pb2 as pb
from berth.v1 import types_pb2
from berth.wire.convert import write_proto
from nodeagent.agent import DESCRIBE_PERIOD_S
from nodeagent.core.backoff import CONNECT_FIRST_S
from nodeagent.core.messages import SchedulerSpoke
from nodeagent.link.addresses import AddressBook
from nodeagent.link.session import WAITING_MAX_S, Session
from tests.fakes.fake_link import FakeLink, FakeStream
from tests.fakes.virtual_time import VirtualClock, run_virtually
from tests.unit.nodeagent.bench import Bench, virtually


class Owner:
    """An agent that knows nothing and obeys nobody."""

    def hello(self) -> pb.Hello:
        return pb.Hello()

    def lose_link(self) -> None:
        pass


class DeadEnd(FakeLink):
    """A first scheduler that does not answer, or is silent; the second one is down."""

    def __init__(self, clock: VirtualClock, *, is_silent: bool) -> None:
        super().__init__()
        self.clock = clock
        self.is_silent = is_silent
        self.tried_at: dict[str, float] = {}
        self.silent = FakeStream("s1:1")

    async def connect(self, address: str) -> FakeStream:
        self.tried_at.setdefault(address, self.clock.instant())
        if address == "s1:1" and self.is_silent:
            return self.silent
        if address == "s1:1":
            await asyncio.get_running_loop().create_future()
        return await super().connect(address)


async def next_tried_after_s(*, is_silent: bool) -> tuple[float, DeadEnd]:
    clock = VirtualClock()
    link = DeadEnd(clock, is_silent=is_silent)
    return await tried_after_s(clock, link), link


async def tried_after_s(clock: VirtualClock, link: DeadEnd, within_s: float = 30) -> float:
    """Return how much later than the first scheduler the second one was tried."""
    session = Session(
        Owner(),
        node_id="n1",
        link=link,
        book=AddressBook(("s1:1", "s2:1"), ()),
        clock=clock,
        entropy=SeededEntropy(1),
    )
    running = asyncio.ensure_future(session.run())
    await clock.sleep(within_s)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    return link.tried_at["s2:1"] - link.tried_at["s1:1"]


def test_a_scheduler_that_cannot_be_reached_within_three_seconds_is_given_up():
    after_s, _ = run_virtually(next_tried_after_s(is_silent=False))
    assert 3.0 < after_s <= 3.0 + CONNECT_FIRST_S


def test_a_scheduler_that_does_not_welcome_within_five_seconds_is_given_up():
    after_s, link = run_virtually(next_tried_after_s(is_silent=True))
    assert 5.0 < after_s <= 5.0 + CONNECT_FIRST_S
    assert link.silent.kinds()[0] == "hello"
    assert not link.silent.is_open


def test_a_scheduler_that_asks_for_patience_is_given_as_much():
    async def scenario() -> float:
        clock = VirtualClock()
        link = DeadEnd(clock, is_silent=True)
        link.silent.say(pb.SchedulerMessage(waiting=pb.Waiting(within_s=15.0)))
        return await tried_after_s(clock, link)

    after_s = run_virtually(scenario())
    assert 15.0 < after_s <= 15.0 + CONNECT_FIRST_S


def test_but_not_for_ever():
    async def scenario() -> float:
        clock = VirtualClock()
        link = DeadEnd(clock, is_silent=True)
        link.silent.say(pb.SchedulerMessage(waiting=pb.Waiting(within_s=1e9)))
        return await tried_after_s(clock, link, within_s=WAITING_MAX_S + 10)

    after_s = run_virtually(scenario())
    assert WAITING_MAX_S < after_s <= WAITING_MAX_S + CONNECT_FIRST_S


@virtually
async def test_the_next_scheduler_is_told_whose_session_broke():
    bench = Bench()
    bench.link = RecordingLink()
    bench.link.leader = "s1:1"
    async with bench.agent():
        await bench.joined()
        bench.link.followers = {"s2:1": "s1:1"}
        bench.link.stream.break_off()
        await bench.until(lambda: bench.link.asked.get("s2:1"), "s2 to be asked")
        (hello,) = [it.hello for it in bench.link.asked["s2:1"][0].received]
        assert hello.can_wait
        assert list(hello.unreachable) == ["s1:1"]


@virtually
async def test_what_changes_while_an_agent_is_held_is_told_once_it_is_welcome():
    bench = Bench()
    link = bench.link = HoldingLink()
    async with bench.agent():
        await bench.until(lambda: link.held.kinds() == ["hello"], "a hello")
        for version in ("20.10.1", "20.10.2"):
            bench.runtime.description = replace(bench.runtime.description, engine_version=version)
            await bench.clock.sleep(DESCRIBE_PERIOD_S)
        link.welcome()
        await bench.clock.sleep(1)
        told = [it for it in link.held.received if it.WhichOneof("body") == "description"]
        assert [it.description.engine_version for it in told] == ["20.10.2"]


class HoldingLink(FakeLink):
    """Its only scheduler asks every agent to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.held = FakeStream("s1:1")

    async def connect(self, address: str) -> FakeStream:
        if address != "s1:1":
            raise UnavailableError("connection refused")
        self.held.say(pb.SchedulerMessage(waiting=pb.Waiting(within_s=WAITING_MAX_S)))
        return self.held

    def welcome(self) -> None:
        welcome = pb.Welcome(cluster_id=self.cluster_id, node_name="node-1")
        write_proto(self.settings, welcome.settings)
        self.held.say(pb.SchedulerMessage(epoch=self.epoch, welcome=welcome))


class RecordingLink(FakeLink):
    """Remembers all streams by address, also those to schedulers that refused."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: dict[str, list[FakeStream]] = {}

    async def connect(self, address: str) -> FakeStream:
        stream = await super().connect(address)
        self.asked.setdefault(address, []).append(stream)
        return stream


class TimedLink(FakeLink):
    """Remembers when each scheduler was tried."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self.clock = clock
        self.tries: list[tuple[float, str]] = []

    async def connect(self, address: str) -> FakeStream:
        self.tries.append((self.clock.instant(), address))
        return await super().connect(address)


@virtually
async def test_after_a_cut_of_its_own_network_it_follows_the_first_hint_at_once():
    bench = Bench()
    bench.link = TimedLink(bench.clock)
    bench.link.leader = "s1:1"
    async with bench.agent():
        await bench.joined()
        bench.link.leader = ""  # Nobody can be reached.
        bench.link.stream.break_off()
        cut_at = len(bench.link.tries)
        await bench.until(
            lambda: len(bench.link.tries) > cut_at + 4 and bench.link.attempts[-1] == "s1:1",
            "several failures, the leader's last",
        )
        bench.link.tries.clear()
        bench.link.leader = "s1:1"
        bench.link.followers = {"s2:1": "s1:1"}
        await bench.until(lambda: len(bench.link.streams) == 2, "a second session")
        (asked_at, follower), (followed_at, leader) = bench.link.tries
        assert (follower, leader) == ("s2:1", "s1:1")
        assert followed_at == asked_at


@virtually
async def test_a_leader_that_alone_has_just_failed_is_not_believed_in():
    bench = Bench()
    bench.link = TimedLink(bench.clock)
    bench.link.leader = "s1:1"
    async with bench.agent():
        await bench.joined()
        bench.link.leader = ""  # It died; its follower does not know yet.
        bench.link.followers = {"s2:1": "s1:1"}
        bench.link.stream.break_off()
        bench.link.tries.clear()
        await bench.until(lambda: len(bench.link.tries) >= 5, "tries")
        after_refusals = [
            later - at
            for (at, address), (later, _) in itertools.pairwise(bench.link.tries)
            if address == "s2:1"
        ]
        assert after_refusals[0] == 0  # Followed, and found dead.
        assert after_refusals[1] > 0.05


class BusyOwner(Owner):
    """An agent, one of whose tasks takes a step just as the hello was written."""

    session: Session
    now: Instant

    def hello(self) -> pb.Hello:
        self.session.note_statuses([TaskId("t2")], self.now, are_passing=True)
        return pb.Hello()

    async def hear(self, event: SchedulerSpoke) -> None:
        return None

    def heartbeat_period_s(self) -> float:
        return 60.0

    def statuses(self, task_ids: list[TaskId]) -> list[types_pb2.TaskStatus]:
        return [types_pb2.TaskStatus(task_id=task_id) for task_id in task_ids]


def test_what_settled_before_the_hello_does_not_hurry_what_is_on_its_way_after_it():
    """It had turned without end while it waited, so that the agent's loop stood still."""

    async def scenario() -> list[str]:
        clock, link, owner = VirtualClock(), FakeLink(), BusyOwner()
        link.leader, owner.now = "s1:1", clock.instant()
        book = AddressBook(("s1:1",), ())
        owner.session = session = Session(
            owner, node_id="n1", link=link, book=book, clock=clock, entropy=SeededEntropy(1)
        )
        session.note_statuses([TaskId("t1")], clock.instant())
        running = asyncio.ensure_future(session.run())
        await clock.sleep(1.0)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        return link.stream.kinds()

    assert run_virtually(scenario()) == ["hello", "status"]


@virtually
async def test_what_was_said_of_no_task_does_not_hurry_the_next_batch():
    bench = Bench()
    async with bench.agent() as agent:
        await bench.joined()
        await bench.clock.sleep(5)
        session, now = agent._session, bench.clock.instant()
        session.note_statuses([], now)
        session.note_statuses(["t1"], now, are_passing=True)
        await bench.clock.sleep(5)  # Which never ended while it looked and looked again.
        assert not len(session._reporter)


@pytest.mark.parametrize("rounds", range(8))
def test_a_session_that_breaks_while_it_is_cancelled_stays_cancelled(rounds):
    """An agent that was told to stop just as its leader went away had run on without end."""

    async def scenario() -> None:
        clock, link, owner = VirtualClock(), FakeLink(), BusyOwner()
        link.leader, owner.now = "s1:1", clock.instant()
        book = AddressBook(("s1:1",), ())
        owner.session = session = Session(
            owner, node_id="n1", link=link, book=book, clock=clock, entropy=SeededEntropy(1)
        )
        running = asyncio.ensure_future(session.run())
        await clock.sleep(1.0)
        link.stream.break_off()
        for _ in range(rounds):
            await asyncio.sleep(0)
        running.cancel()
        await clock.sleep(30.0)
        assert running.cancelled()

    run_virtually(scenario())
