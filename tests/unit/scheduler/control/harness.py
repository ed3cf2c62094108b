"""A real leader on a model store, agents that only take messages, a registry that is a dict."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import grpc.aio

from berth.clock import Clock, SystemClock
from berth.entropy import SeededEntropy
from berth.model.ids import ClusterId, Epoch
from berth.model.registry_auth import RegistryAuth
from berth.model.service import Platform, ServiceSpec
from berth.model.task import TaskState, TaskStatus
from berth.v1 import (
    control_pb2,
    dispatcher_pb2,
    dispatcher_pb2_grpc,
    line_pb2_grpc,
    streams_pb2_grpc,
)
from berth.wire.channel import bind, make_server, open_channel
from berth.wire.convert import to_proto
from berth.wire.status import BerthErrorInterceptor
from berth.wire.tls import TlsSettings
from scheduler.control.forward import Forwarder
from scheduler.control.line_answers import LineService
from scheduler.control.relay import LogRelay, StreamsService
from scheduler.control.router import ControlRouter
from scheduler.control.service import ControlService
from scheduler.core.cluster_record import ClusterRecord
from scheduler.core.now import Now
from scheduler.core.state import LeaderState
from scheduler.directory import Directory
from scheduler.dispatch.desk import AgentSession
from scheduler.dispatch.files import FileOpener, cannot_open
from scheduler.dispatch.service import DispatcherService
from scheduler.dispatch.waiting_room import WaitingRoom
from scheduler.election.port import LeaderInfo
from scheduler.leader import Leader, LeaderObserver
from scheduler.reach import can_reach
from scheduler.registry import RegistryUnreachableError, ResolvedImage
from scheduler.store.loading import load_state
from scheduler.store.port import StoreHealth, StoreState
from scheduler.store.sealing import KEY_BYTES, Sealer
from tests.builders import a_description
from tests.fakes.fake_store import ModelClient, open_fake_store
from tests.fakes.model_etcd import ModelEtcd

DIGEST_A = "sha256:" + "a" * 64
DIGEST_B = "sha256:" + "b" * 64
AMD64 = Platform("linux", "amd64")


class SilentLeaderObserver:
    def turn(self, report, duration_s):
        pass

    def node_lost(self, silent_s):
        pass

    def session_opened(self):
        pass

    def session_closed(self):
        pass

    def heard(self, late_s):
        pass

    def assignments_sent(self, tasks):
        pass

    def reported(self, tasks):
        pass

    def message_sent(self):
        pass

    def task_running(self, since_created_s):
        pass


@dataclass
class FakeRegistry:
    """Resolves the tags that a test pushed; remembers what was asked, and by whom."""

    images: dict[str, tuple[str, tuple[Platform, ...]]] = field(default_factory=dict)
    is_down: bool = False
    asked: list[tuple[str, RegistryAuth | None]] = field(default_factory=list)
    before_answer: object = None

    def push(self, image: str, digest: str, *platforms: Platform) -> None:
        self.images[image] = (digest, platforms)

    async def resolve(self, reference: str, auth: RegistryAuth | None) -> ResolvedImage:
        self.asked.append((reference, auth))
        if self.before_answer is not None:
            self.before_answer()
        tag, _, _ = reference.partition("@")
        if self.is_down or tag not in self.images:
            raise RegistryUnreachableError(f'cannot resolve image "{reference}"')
        digest, platforms = self.images[tag]
        return ResolvedImage(f"{tag}@{digest}", digest, "application/x", 7, platforms)


@dataclass
class Leading:
    """One leadership, and what a test may break about it."""

    leader: Leader
    client: ModelClient
    running: asyncio.Task
    health: StoreHealth

    def store_health(self) -> StoreHealth:
        return self.health

    async def end(self) -> None:
        self.running.cancel()
        await asyncio.wait({self.running})

    def join(self, node: str, *tasks: TaskStatus, **description) -> AgentSession:
        """An agent's session begins."""
        hello = dispatcher_pb2.Hello(
            description=to_proto(replace(a_description(node, **description), platform=AMD64)),
            tasks=[to_proto(status) for status in tasks],
            boot_id="boot",
        )
        return self.leader.desk.join(dispatcher_pb2.AgentMessage(node_id=node, hello=hello))

    def report(self, session: AgentSession, *statuses: TaskStatus) -> None:
        batch = dispatcher_pb2.StatusBatch(tasks=[to_proto(status) for status in statuses])
        message = dispatcher_pb2.AgentMessage(node_id=session.node, status=batch)
        self.leader.desk.hear(session)
        self.leader.desk.receive(session, message)

    def run_all(self) -> None:
        """Every placed task of a connected node runs from now on."""
        for node, session in self.leader.sessions.items():
            tasks = list(self.leader.state.node_tasks[node])
            statuses = [
                TaskStatus(task.id, TaskState.RUNNING, container_id=f"c-{task.id}")
                for task in tasks
                if task.is_wanted
            ]
            self.report(session, *statuses)


@asynccontextmanager
async def leading(
    clock: Clock,
    model: ModelEtcd | None = None,
    *,
    name: str = "s1",
    seed: int = 1,
    observer: LeaderObserver | None = None,
    open_file: FileOpener = cannot_open,
) -> AsyncIterator[Leading]:
    """Win the election on a model of etcd, load, and lead.

    On the real clock the lease outlasts any pause of a busy machine: it is not what is tested.
    """
    client = ModelClient(model or ModelEtcd(clock), clock)
    ttl_s = 600 if isinstance(clock, SystemClock) else 5
    store, leadership = await open_fake_store(client, name=name, ttl_s=ttl_s)
    snapshot = await store.load()
    now = Now(clock.instant(), clock.timestamp())
    cluster = ClusterRecord(ClusterId("c1"), created_at=now.timestamp)
    state: LeaderState = load_state(snapshot.entries, cluster, now)
    leader = Leader(
        state,
        store,
        leadership.epoch,
        clock=clock,
        entropy=SeededEntropy(seed),
        observer=observer or SilentLeaderObserver(),
        unseal=lambda sealed, context: None,
        schedulers=lambda: [],
        open_file=open_file,
    )
    running = asyncio.ensure_future(leader.run())
    health = StoreHealth(StoreState.OK, clock.timestamp())
    it = Leading(leader, client, running, health)
    try:
        yield it
    finally:
        await it.end()
        await store.aclose()
        await leadership.resign()


def a_sealer() -> Sealer:
    return Sealer([b"k" * KEY_BYTES], SeededEntropy("seal"))


def create(spec: ServiceSpec, **fields) -> control_pb2.CreateServiceRequest:
    return control_pb2.CreateServiceRequest(spec=to_proto(spec), **fields)


def update(name: str, spec: ServiceSpec, **fields) -> control_pb2.UpdateServiceRequest:
    return control_pb2.UpdateServiceRequest(name=name, spec=to_proto(spec), **fields)


@dataclass
class Scheduler:
    """One scheduler process's gRPC server, with a directory that the test writes."""

    directory: Directory
    server: grpc.aio.Server
    channel: grpc.aio.Channel
    forwarder: Forwarder
    relay: LogRelay
    registry: FakeRegistry
    service: ControlService
    health: StoreHealth

    @property
    def address(self) -> str:
        return self.directory.own_address

    def leads(self, led: Leading | None) -> None:
        self.directory.set_local(led.leader if led else None)

    def knows(self, other: "Scheduler | str | None", epoch: int = 1) -> None:
        """The election names `other` as the leader."""
        if other is None:
            self.directory.set_current(None, tuple)
            return
        address = other if isinstance(other, str) else other.address
        info = LeaderInfo("other", address, Epoch(epoch))
        self.directory.set_current(info, lambda: (info,))


@asynccontextmanager
async def serving(
    name: str,
    *,
    leader_wait_s: float = 5.0,
    silence_s: float = 5.0,
    tls: TlsSettings | None = None,
    health: StoreHealth | None = None,
    has_line: bool = True,
) -> AsyncIterator[Scheduler]:
    """Serve the control API, agents' sessions and their log streams on a free port."""
    clock = SystemClock()
    server = make_server(interceptors=[BerthErrorInterceptor()])
    address = f"127.0.0.1:{bind(server, '127.0.0.1:0', tls)}"
    directory = Directory(name, address)
    registry = FakeRegistry()
    relay = LogRelay(directory, clock, SeededEntropy(name), silence_s=silence_s)
    health = health or StoreHealth(StoreState.OK, clock.timestamp())
    service = ControlService(
        directory,
        registry,
        a_sealer(),
        relay,
        clock=clock,
        entropy=SeededEntropy(name),
        store_health=lambda: health,
    )
    forwarder = Forwarder(
        directory, lambda a: open_channel(a, tls), clock, leader_wait_s=leader_wait_s
    )
    is_closed = tls is not None
    server.add_generic_rpc_handlers((ControlRouter(forwarder, service, requires_tls=is_closed),))
    if has_line:  # Schedulers of older versions have none.
        line_pb2_grpc.add_LineServicer_to_server(
            LineService(forwarder, service, requires_tls=is_closed), server
        )
    streams_pb2_grpc.add_StreamsServicer_to_server(
        StreamsService(relay, requires_tls=is_closed), server
    )
    room = WaitingRoom(directory, can_reach, clock)
    dispatcher_pb2_grpc.add_DispatcherServicer_to_server(
        DispatcherService(room, clock, requires_tls=is_closed), server
    )
    await server.start()
    asking = asyncio.ensure_future(forwarder.line.run())
    async with open_channel(address, tls) as channel:
        try:
            yield Scheduler(directory, server, channel, forwarder, relay, registry, service, health)
        finally:
            asking.cancel()
            await asyncio.wait([asking])
            await server.stop(0)
            await forwarder.aclose()
