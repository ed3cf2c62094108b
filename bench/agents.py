"""Simulated nodes: real agents over real gRPC, one connection each, with an instant runtime.

`python -m bench.agents --scheduler HOST:PORT --first 0 --count 250`
"""

import argparse
import asyncio
import gc
from typing import Any

import structlog

from bench.instant_runtime import InstantCalls, InstantRuntime
from berth.clock import SystemClock
from berth.entropy import SystemEntropy
from berth.model.ids import NodeId
from berth.wire import convert, kernel_keepalive
from berth.wire.wakeups import WakefulLoop
from nodeagent.agent import Agent, AgentOptions
from nodeagent.core.messages import TaskTemplate
from nodeagent.core.record import JournalRecord
from nodeagent.core.state import LaneLimits
from nodeagent.link import decode, session
from nodeagent.link.grpc_link import GrpcLink, GrpcStream

CONNECTING_MAX = 50
"""How many agents of a process are on their way to a scheduler at once, and how many of those that
start are not there yet: each would have a machine to itself, and here thousands share a core."""

PATIENCE_S = 60.0
"""For a connection and a welcome: what an agent waits for its turn to use the core counts, too."""

SWEEP_S = 1.0


class NoJournal:
    """These agents are never restarted."""

    def load(self) -> JournalRecord | None:
        return None

    async def save(self, record: JournalRecord) -> None:
        return None


async def run(schedulers: tuple[str, ...], first: int, count: int, start_s: float) -> None:
    clock, entropy = SystemClock(), SystemEntropy()
    gate = asyncio.Semaphore(CONNECTING_MAX)
    connecting: set[Agent] = set()
    async with asyncio.TaskGroup() as group:
        for number in range(first, first + count):
            node = NodeId(f"sim-{number:05d}")
            link = TurnTakingLink(gate)
            agent = Agent(
                AgentOptions(node, schedulers, limits=LaneLimits(1000, 1000, 1000, 1000)),
                clock=clock,
                entropy=entropy,
                runtime=InstantRuntime(node, start_s),
                link=link,
                publisher=link,
                journal=NoJournal(),
                calls=InstantCalls,
            )
            group.create_task(agent.run())
            connecting = {it for it in (*connecting, agent) if not it.state.is_connected}
            while len(connecting) >= CONNECTING_MAX:
                await asyncio.sleep(0.01)
                connecting = {it for it in connecting if not it.state.is_connected}


def share_templates() -> None:
    """Decode each template once a process instead of once an agent.

    Real agents sit on machines of their own. Here thousands share a core with the leader, and to
    decode the same template two thousand times would measure that alone.
    """
    read = convert.from_proto
    known: dict[bytes, TaskTemplate] = {}

    def shared(kind: Any, message: Any) -> Any:
        if kind is not TaskTemplate:
            return read(kind, message)
        key = message.SerializeToString(deterministic=True)
        found = known.get(key)
        if found is None:
            found = known[key] = read(kind, message)
        return found

    vars(decode)["from_proto"] = shared


class TurnTakingLink(GrpcLink):
    """A link whose connections are made when the process has got round to it."""

    def __init__(self, gate: asyncio.Semaphore) -> None:
        super().__init__(tls=None)
        self._gate = gate

    async def connect(self, address: str) -> GrpcStream:
        async with self._gate:
            return await super().connect(address)


def be_patient() -> None:
    """Let no agent give up a scheduler because others of this process kept it from being heard."""
    for limit in ("CONNECT_TIMEOUT_S", "WELCOME_TIMEOUT_S"):
        assert limit in vars(session)
        vars(session)[limit] = PATIENCE_S


class KeepaliveSweep:
    """Has the kernel watch all new connections of the process at once, instead of each by itself.

    To find its own connection an agent looks through its process's open files: a dozen. Here they
    are thousands, and each of thousands of agents would look through all of them.
    """

    def __init__(self) -> None:
        self._ports: set[int] = set()

    def arm_soon(self, port: int) -> bool:
        if port not in self._ports:
            self._ports.add(port)
            asyncio.get_running_loop().call_later(SWEEP_S, self._sweep, port)
        return True

    def _sweep(self, port: int) -> None:
        self._ports.discard(port)
        kernel_keepalive.arm_connections(port)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scheduler", required=True)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--start-s", type=float, default=0.0)
    args = parser.parse_args()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(30), cache_logger_on_first_use=True
    )
    share_templates()
    be_patient()
    vars(kernel_keepalive)["arm_connection"] = KeepaliveSweep().arm_soon
    gc.set_threshold(100_000, 50, 50)
    with asyncio.Runner(loop_factory=WakefulLoop) as runner:
        runner.run(run(tuple(args.scheduler.split(",")), args.first, args.count, args.start_s))


if __name__ == "__main__":
    main()
