"""The model etcd as the simulator needs it: requests outlive their sender, commits are watched.

Duty: `SimEtcd`, which shows every commit to the checkers, and `SimEtcdClient`, whose requests and
answers travel outside of the process that sent them: a request of a scheduler that is killed right
after may still take effect.
Not here: what etcd does (tests.fakes.model_etcd).
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from berth.clock import Clock
from scheduler.store.commit_txn import COMMIT_KEY
from scheduler.store.errors import AmbiguousError, NotAppliedError
from scheduler.store.etcdpb import etcd_pb2 as pb
from tests.fakes.fake_store import ModelClient
from tests.fakes.model_etcd import ModelEtcd, dump
from tests.sim.loop import SimLoop

T = TypeVar("T")

PREFIX = "/berth/"
LEADERS = b"/berth/leader/"


class SimEtcd(ModelEtcd):
    """A model that tells of every commit."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.on_commit: Callable[[int, dict[str, bytes | None]], None] = lambda _epoch, _made: None
        """Called after each commit with the epoch that it says it is of, and what it wrote."""

    def txn(self, request: pb.TxnRequest) -> pb.TxnResponse:
        response = super().txn(request)
        if response.succeeded:
            written = _written(request)
            mark = written.get(COMMIT_KEY)
            if mark is not None:
                self.on_commit(int(mark.partition(b":")[0]), written)
        return response

    def oldest_candidate(self) -> int | None:
        """Return the epoch of who leads by the rule itself; None if nobody does."""
        entries = [self._newest(key) for key in dump(self, LEADERS)]
        return min((int(e.create_revision) for e in entries if e is not None), default=None)

    def entries(self) -> dict[str, bytes]:
        """Return all documents by their relative key."""
        found = dump(self, PREFIX.encode())
        return {key.decode().removeprefix(PREFIX): value for key, value in found.items()}


class SimEtcdClient(ModelClient):
    """One scheduler's connection, whose messages are in the network once they are sent."""

    async def _send(self, act: Callable[[], T], timeout_s: float) -> T:
        if self.faults.is_refused:
            await self.clock.sleep(self.faults.latency_s())
            raise NotAppliedError("model: connection refused")
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        answer: asyncio.Future[T] = loop.create_future()
        if not self.faults.loses_request():
            loop.in_world(self.faults.latency_s(), self._arrive, act, answer)
        try:
            async with asyncio.timeout(timeout_s):
                return await answer
        except TimeoutError:
            raise AmbiguousError(f"model: no answer within {timeout_s} s") from None


def _written(request: pb.TxnRequest) -> dict[str, bytes | None]:
    made: dict[str, bytes | None] = {}
    for operation in request.success:
        if operation.HasField("request_put"):
            made[_relative(operation.request_put.key)] = operation.request_put.value
        elif operation.HasField("request_delete_range"):
            made[_relative(operation.request_delete_range.key)] = None
    return made


def _relative(key: bytes) -> str:
    return key.decode().removeprefix(PREFIX)
