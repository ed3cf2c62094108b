"""How long the agent waits for a scheduler that does not answer."""

from berth.entropy import SeededEntropy
from berth.v1 import dispatcher_pb2 as pb
from nodeagent.core.backoff import CONNECT_FIRST_S
from nodeagent.link.addresses import AddressBook
from nodeagent.link.session import Session
from tests.fakes.fake_link import FakeLink, FakeStream
from tests.fakes.virtual_time import VirtualClock, run_virtually


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
    session = Session(
        Owner(),
        node_id="n1",
        link=link,
        book=AddressBook(("s1:1", "s2:1"), ()),
        clock=clock,
        entropy=SeededEntropy(1),
    )
    running = asyncio.ensure_future(session.run())
    await clock.sleep(30)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    return link.tried_at["s2:1"] - link.tried_at["s1:1"], link


def test_a_scheduler_that_cannot_be_reached_within_three_seconds_is_given_up():
    after_s, _ = run_virtually(next_tried_after_s(is_silent=False))
    assert 3.0 < after_s <= 3.0 + CONNECT_FIRST_S


def test_a_scheduler_that_does_not_welcome_within_five_seconds_is_given_up():
    after_s, link = run_virtually(next_tried_after_s(is_silent=True))
    assert 5.0 < after_s <= 5.0 + CONNECT_FIRST_S
    assert link.silent.kinds()[0] == "hello"
    assert not link.silent.is_open
