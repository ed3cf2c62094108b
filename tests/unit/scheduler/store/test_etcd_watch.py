"""How long a watch waits for a sign of life from a member that hangs; on virtual time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from berth.model.ids import Revision
from scheduler.store.etcd_settings import EtcdSettings
from scheduler.store.etcd_watch import watch_events
from scheduler.store.etcdpb import etcd_pb2 as pb
from tests.fakes.virtual_time import VirtualClock, run_virtually

WATCH_FROM = Revision(1)


class HangingMember:
    """A member that takes every watch, and its channel; it says what the test lets it say."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.channel = self
        self.opened_at: list[float] = []
        self.probed_at: list[float] = []
        self.says: asyncio.Queue[pb.WatchResponse] = asyncio.Queue()

    def stream_stream(self, path, **codecs):
        return lambda requests, metadata: self

    async def write(self, request: pb.WatchRequest) -> None:
        is_probe = request.HasField("progress_request")
        (self.probed_at if is_probe else self.opened_at).append(self.clock.instant())

    async def read(self) -> pb.WatchResponse:
        return await self.says.get()

    def cancel(self) -> None:
        pass


class OneMember:
    """As much of an etcd client as a watch needs, and of its choice of members."""

    def __init__(self, member: HangingMember) -> None:
        self.member = member
        self.clock = member.clock
        self.settings = EtcdSettings(("a:1",))
        self.endpoints = self

    def __len__(self) -> int:
        return 1

    def current(self) -> HangingMember:
        return self.member

    def demote(self, member: HangingMember) -> None:
        pass

    async def metadata(self, member: HangingMember, timeout_s: float) -> tuple[()]:
        return ()


@asynccontextmanager
async def watching() -> AsyncIterator[HangingMember]:
    member = HangingMember(VirtualClock())
    events = watch_events(OneMember(member), b"a", b"", WATCH_FROM)
    waiting = asyncio.ensure_future(anext(events))
    try:
        yield member
    finally:
        waiting.cancel()
        await asyncio.wait({waiting})
        await events.aclose()


def test_a_silent_watch_is_probed_less_and_less_often() -> None:
    async def main() -> list[float]:
        async with watching() as member:
            await member.clock.sleep(130)
        probes = zip(member.opened_at, member.probed_at, strict=False)
        return [probed - opened for opened, probed in probes]

    assert run_virtually(main()) == pytest.approx([2.0, 4.0, 8.0, 16.0, 16.0, 16.0])


def test_a_sign_of_life_makes_it_as_watchful_as_before() -> None:
    async def main() -> tuple[float, float]:
        async with watching() as member:
            await member.clock.sleep(30)
            member.says.put_nowait(pb.WatchResponse())
            answered_at = member.clock.instant()
            probes = len(member.probed_at)
            await member.clock.sleep(10)
        return answered_at, member.probed_at[probes]

    answered_at, probed_at = run_virtually(main())
    assert probed_at - answered_at == pytest.approx(2.0)
