"""How calls go round when no member answers: a real client, and a port where nobody listens."""

import asyncio
import itertools

import pytest

from berth.model.instant import Instant, after
from scheduler.store.errors import EtcdCallError
from scheduler.store.etcd_client import EtcdClient
from scheduler.store.etcd_settings import EtcdSettings
from scheduler.store.etcdpb import etcd_pb2 as pb
from tests.fakes.virtual_time import VirtualClock
from tests.hosts.ports import free_port


class PausesOnly(VirtualClock):
    """A clock on which only pauses take time; it remembers them."""

    def __init__(self) -> None:
        self.now = Instant(1000.0)
        self.pauses: list[float] = []

    def instant(self) -> Instant:
        return self.now

    async def sleep(self, delay_s: float) -> None:
        self.pauses.append(delay_s)
        self.now = after(self.now, delay_s)


@pytest.fixture
def nobody():
    return f"127.0.0.1:{free_port()}"


@pytest.mark.parametrize("members", [1, 2])
def test_rounds_over_all_members_are_paced_until_the_calls_time_is_over(nobody, members):
    async def main():
        clock = PausesOnly()
        client = EtcdClient(EtcdSettings((nobody,) * members), clock)
        with pytest.raises(EtcdCallError):
            await client.range(pb.RangeRequest(key=b"k"))
        await client.aclose()
        return clock.pauses

    pauses = asyncio.run(main())
    assert pauses[:6] == [0.05, 0.1, 0.2, 0.4, 0.5, 0.5]
    assert max(pauses) == 0.5
    assert 3.5 - 0.001 <= list(itertools.accumulate(pauses))[-1] < 4.0
