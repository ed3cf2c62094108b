"""A whole cluster in one thread: schedulers and agents as processes, machines, etcd, a network.

Duty: put the real parts together on the model ones, start them, kill them, start them again.
Not here: when (faults), what users do (workload), what must hold (checkers).
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Protocol

from berth.entropy import SeededEntropy
from berth.errors import UnavailableError
from berth.model.files import FilePayload
from berth.model.ids import NodeId, id_from_text
from berth.model.instant import Instant, Timestamp
from berth.model.resources import NodeResources
from berth.v1.streams_pb2 import LogChunk
from nodeagent.agent import Agent, AgentOptions
from nodeagent.departing import depart
from scheduler.core.step import TurnReport
from scheduler.directory import Directory
from scheduler.election.etcd_election import EtcdElection
from scheduler.election.port import Leadership
from scheduler.leader import Leader
from scheduler.replica import Replica
from scheduler.store.etcd_store import EtcdStore
from scheduler.store.port import ClusterStore
from tests.fakes.fake_engine_host import FakeContainer, FakeEngineHost
from tests.fakes.fake_journal import FakeJournal
from tests.fakes.fake_runtime import FakeRuntime
from tests.sim.etcd import PREFIX, SimEtcd, SimEtcdClient
from tests.sim.history import History
from tests.sim.loop import Process, SimLoop
from tests.sim.network import AgentLink, Network

_EPOCH_S = 1_700_000_000.0
LEASE_TTL_S = 5


class SimClock:
    """One machine's clocks. The wall clock may jump; the two machines' instants never compare."""

    def __init__(self, loop: SimLoop, instant_offset_s: float = 0.0) -> None:
        self.wall_offset_s = 0.0
        self._loop = loop
        self._instant_offset_s = instant_offset_s

    def instant(self) -> Instant:
        return Instant(self._loop.time() + self._instant_offset_s)

    def timestamp(self) -> Timestamp:
        return Timestamp(_EPOCH_S + self._loop.time() + self.wall_offset_s)

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)


class Watcher(Protocol):
    """Who looks at what happens in the cluster, as it happens."""

    def turn_taken(self, scheduler: "SimScheduler", report: TurnReport) -> None:
        """A leader took a turn; nothing of it has left yet."""
        ...

    def container_starts(self, machine: "SimMachine", container: FakeContainer) -> None:
        """A container is about to start."""
        ...

    def container_ended(self, machine: "SimMachine", container: FakeContainer) -> None:
        """A container has just ended."""
        ...


@dataclass
class SimScheduler:
    """A machine with a scheduler on it, which may be dead."""

    cluster: "Cluster"
    name: str
    clock: SimClock
    etcd: SimEtcdClient
    process: Process | None = None
    directory: Directory | None = None
    starts: int = 0
    _running: "asyncio.Task[None] | None" = None

    @property
    def address(self) -> str:
        return f"{self.name}:7701"

    @property
    def is_alive(self) -> bool:
        return self.process is not None and self.process.is_alive

    @property
    def leader(self) -> Leader | None:
        """The leader's shell in this very process, whether or not it still leads."""
        return self.directory.local if self.is_alive and self.directory else None

    def start(self) -> None:
        """Start the process."""
        assert not self.is_alive
        self.starts += 1
        cluster = self.cluster
        self.process = Process(cluster.loop, self.name)
        self.directory = Directory(self.name, self.address)
        election = EtcdElection(self.etcd, PREFIX, self.name, self.address, LEASE_TTL_S, self.clock)

        def open_store(leadership: Leadership) -> ClusterStore:
            return EtcdStore(self.etcd, PREFIX, leadership, None, self.clock)

        replica = Replica(
            election,
            open_store,
            self.directory,
            clock=self.clock,
            entropy=SeededEntropy(f"{cluster.seed}/{self.name}/{self.starts}"),
            observer=_SchedulerWatch(self),
            unseal=lambda _sealed, _context: None,
            open_file=lambda file: FilePayload(file.kind, file.id, file.name, data=b"x"),
            growing_memory=nullcontext,
            collect_all=lambda: None,
        )
        cluster.network.listen(self.address, self.process, self.directory, self.clock)
        self._running = self.process.spawn(replica.run(), self.name)
        self._running.add_done_callback(self._note_end)
        cluster.history.note(self.name, "process starts")

    def kill(self) -> None:
        """End the process at once."""
        assert self.process is not None
        self.process.kill()
        self.cluster.history.note(self.name, "process is killed")
        self.cluster.network.noticed_end(self.process)

    async def stop(self) -> None:
        """End the process in order, as SIGTERM does; at once if the caller loses patience."""
        assert self._running is not None
        process = self.process
        self.cluster.history.note(self.name, "process is asked to stop")
        self._running.cancel()
        try:
            await asyncio.wait({self._running}, timeout=5.0)
        finally:
            if self.process is process and self.is_alive:
                self.kill()

    def _note_end(self, ended: "asyncio.Task[None]") -> None:
        if not ended.cancelled() and (error := ended.exception()) is not None:
            self.cluster.history.violate("no scheduler crashes", f"{self.name}: {error!r}")


class _SchedulerWatch:
    """A `ReplicaObserver` that tells the checkers."""

    def __init__(self, scheduler: SimScheduler) -> None:
        self._scheduler = scheduler

    def turn(self, report: TurnReport, duration_s: float) -> None:
        self._scheduler.cluster.watcher.turn_taken(self._scheduler, report)

    def session_opened(self) -> None:
        pass

    def session_closed(self) -> None:
        pass

    def node_lost(self, silent_s: float) -> None:
        pass

    def heard(self, late_s: float) -> None:
        pass

    def assignments_sent(self, tasks: int) -> None:
        pass

    def reported(self, tasks: int) -> None:
        pass

    def message_sent(self) -> None:
        pass

    def task_running(self, since_created_s: float) -> None:
        pass

    def election_won(self, epoch: int) -> None:
        self._scheduler.cluster.history.note(self._scheduler.name, f"leads, epoch {epoch}")

    def leadership_ended(self, outcome: str) -> None:
        self._scheduler.cluster.history.note(self._scheduler.name, f"ceased to lead: {outcome}")


class WatchedHost(FakeEngineHost):
    """A machine whose containers the checkers see start and end."""

    machine: "SimMachine"

    def start(self, container: FakeContainer) -> None:
        self.machine.cluster.watcher.container_starts(self.machine, container)
        super().start(container)
        task = container.task
        self.machine.note(f"container starts: {task.service_name}.{task.slot}.{task.attempt}")

    def _exit(self, container: FakeContainer, exit_code: int, at: Instant | None = None) -> None:
        super()._exit(container, exit_code, at)
        task = container.task
        self.machine.note(
            f"container ends ({exit_code}): {task.service_name}.{task.slot}.{task.attempt}"
        )
        self.machine.cluster.watcher.container_ended(self.machine, container)


class _NoLogs:
    """A `LogPublisher` that reaches nobody."""

    async def publish(self, address: str, chunks: AsyncIterator[LogChunk]) -> None:
        raise UnavailableError(f"model: {address} takes no logs")


@dataclass
class SimMachine:
    """A node: a machine with an Engine and an agent, which may be dead."""

    cluster: "Cluster"
    name: str
    id: NodeId
    clock: SimClock
    host: WatchedHost
    resources: NodeResources
    labels: dict[str, str]
    journal: FakeJournal = field(default_factory=FakeJournal)
    process: Process | None = None
    agent: Agent | None = None
    starts: int = 0
    removed_at: float = -1000.0
    """When its node was removed from the cluster by force: then nobody knows what runs there."""
    impaired_at: float = 0.0
    """When its agent or Engine was last not fully at work, or its network not whole."""

    @property
    def is_agent_alive(self) -> bool:
        return self.process is not None and self.process.is_alive

    @property
    def is_whole(self) -> bool:
        """True while agent and Engine are at work and the network is open."""
        agent_works = self.process is not None and self.process.is_running
        cuts = self.cluster.network.faults.cuts
        return agent_works and self.host.is_engine_up and not any(self.name in way for way in cuts)

    def note(self, what: str) -> None:
        self.cluster.history.note(self.name, what)

    def start_agent(self) -> None:
        """Start the agent's process on what its journal and the Engine have."""
        assert not self.is_agent_alive
        assert self.host.is_powered
        self.starts += 1
        process = self.process = Process(self.cluster.loop, self.name)
        entropy = SeededEntropy(f"{self.cluster.seed}/{self.name}/{self.starts}")
        options = AgentOptions(
            node_id=self.id,
            schedulers=tuple(scheduler.address for scheduler in self.cluster.schedulers),
            agent_labels=self.labels,
        )
        runtime = FakeRuntime(
            self.host, node_id=self.id, node_name=self.name, resources=self.resources
        )
        self.agent = process.run(
            lambda: Agent(
                options,
                clock=self.clock,
                entropy=entropy,
                runtime=runtime,
                link=AgentLink(self.cluster.network, self.name, process),
                publisher=_NoLogs(),
                journal=self.journal,
            )
        )
        process.spawn(self.agent.run(), self.name).add_done_callback(self._note_end)
        self.note("agent starts")

    def kill_agent(self) -> None:
        """End the agent's process at once."""
        assert self.process is not None
        self.process.kill()
        self.note("agent is killed")
        self.cluster.network.noticed_end(self.process)

    async def stop_agent(self) -> None:
        """End the agent's process in order; at once if the caller loses patience."""
        assert self.process is not None
        assert self.agent is not None
        self.note("agent is asked to stop")
        process = self.process
        stopping = process.spawn(self.agent.stop("maintenance"), "stop")
        try:
            await asyncio.wait({stopping}, timeout=3.0)
        finally:
            if self.process is process and process.is_alive:
                self.kill_agent()

    async def shut_down(self, limit_s: float) -> None:
        """Shut the machine down in order: its tasks may take `limit_s` to leave.

        Its power is cut if the caller loses patience.
        """
        process, agent = self.process, self.agent
        assert process is not None
        assert agent is not None
        self.note("is shut down")
        leaving = process.spawn(depart(agent, self.clock, limit_s), "departure")
        try:
            await asyncio.wait({leaving}, timeout=limit_s + 1.0)
        except asyncio.CancelledError:
            if self.process is process and self.host.is_powered:
                self.power_off()
            raise
        if self.process is process and process.is_running:  # Else something else broke it first.
            await self.stop_agent()
            self.power_off()

    def power_off(self) -> None:
        """Cut the machine's power."""
        assert self.process is not None
        self.process.kill()
        self.note("power is cut")
        self.host.power_off()
        self.cluster.network.look()

    def power_on(self) -> None:
        """Boot the machine."""
        self.note("boots")
        self.host.power_on()
        self.start_agent()

    def _note_end(self, ended: "asyncio.Task[None]") -> None:
        if not ended.cancelled() and (error := ended.exception()) is not None:
            self.cluster.history.violate("no agent crashes", f"{self.name}: {error!r}")


class Cluster:
    """See the module."""

    def __init__(
        self, loop: SimLoop, seed: int, rng: random.Random, *, schedulers: int, nodes: int
    ) -> None:
        self.loop = loop
        self.seed = seed
        self.history = History(loop)
        self.network = Network(loop, random.Random(rng.random()))
        self.etcd = SimEtcd(SimClock(loop))
        self.watcher: Watcher
        self.schedulers: list[SimScheduler] = []
        self.machines: list[SimMachine] = []
        for number in range(1, schedulers + 1):
            clock = SimClock(loop, rng.uniform(0, 1e5))
            client = SimEtcdClient(self.etcd, clock)
            self.schedulers.append(SimScheduler(self, f"s{number}", clock, client))
        for number in range(1, nodes + 1):
            self.machines.append(self._make_machine(number, rng))

    def _make_machine(self, number: int, rng: random.Random) -> SimMachine:
        name = f"n{number}"
        clock = SimClock(self.loop, rng.uniform(0, 1e5))
        host = WatchedHost(clock, live_restore=rng.random() < 0.5)
        node_id = NodeId(id_from_text(f"node {name} of seed {self.seed:09}"))
        resources = NodeResources(
            nano_cpus=rng.choice((2, 4, 4, 8)) * 10**9, memory_bytes=rng.choice((2, 4, 8)) * 2**30
        )
        labels = {"zone": rng.choice("ab")}
        machine = SimMachine(self, name, node_id, clock, host, resources, labels)
        host.machine = machine
        return machine

    def start(self) -> None:
        """Start everything."""
        for scheduler in self.schedulers:
            scheduler.start()
        for machine in self.machines:
            machine.start_agent()

    def leading(self) -> SimScheduler | None:
        """Return a scheduler that runs and believes to lead, the newest if there are two."""
        found = [
            scheduler
            for scheduler in self.schedulers
            if scheduler.leader is not None and scheduler.process and scheduler.process.is_running
        ]
        return max(found, key=_epoch_of, default=None)

    def machine_of(self, node: NodeId) -> SimMachine | None:
        return next((machine for machine in self.machines if machine.id == node), None)


def _epoch_of(scheduler: SimScheduler) -> int:
    return scheduler.leader.epoch if scheduler.leader is not None else 0
