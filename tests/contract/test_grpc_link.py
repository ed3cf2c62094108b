"""The link over real gRPC: what the session logic may rely on, and a whole agent on top of it."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from berth.certificates import create_authority, issue
from berth.clock import SystemClock
from berth.entropy import SeededEntropy, SystemEntropy
from berth.errors import UnavailableError
from berth.model.ids import NodeId
from berth.model.task import TaskState
from berth.v1 import dispatcher_pb2 as pb
from berth.v1 import dispatcher_pb2_grpc, streams_pb2_grpc
from berth.v1.streams_pb2 import LogChunk, LogLine, PublishSummary
from berth.wire import kernel_keepalive
from berth.wire.channel import bind, make_server
from berth.wire.convert import to_proto
from berth.wire.tls import Role
from nodeagent.agent import Agent, AgentOptions
from nodeagent.link.grpc_link import GrpcLink
from tests.fakes.fake_engine_host import FakeEngineHost, ImageBehaviour
from tests.fakes.fake_journal import FakeJournal
from tests.fakes.fake_runtime import FakeRuntime
from tests.unit.nodeagent.bench import NODE, a_task, a_template

UNWANTED = "nobody wants this"


class Scheduler(dispatcher_pb2_grpc.DispatcherServicer, streams_pb2_grpc.StreamsServicer):
    """Keeps what it hears; says what it is told to say."""

    def __init__(self):
        self.heard: list[pb.AgentMessage] = []
        self.chunks: list[LogChunk] = []
        self.to_say: asyncio.Queue[pb.SchedulerMessage | None] = asyncio.Queue()
        self.ended = asyncio.Event()

    async def Session(self, request_iterator, context):  # noqa: N802
        async def speak():
            while (message := await self.to_say.get()) is not None:
                await context.write(message)

        speaking = asyncio.ensure_future(speak())
        try:
            while isinstance(message := await context.read(), pb.AgentMessage):
                self.heard.append(message)
        finally:
            speaking.cancel()
            self.ended.set()

    async def PublishLogs(self, request_iterator, context):  # noqa: N802
        async for chunk in request_iterator:
            self.chunks.append(chunk)
            if chunk.request_id == UNWANTED:
                break
        return PublishSummary()

    def kinds(self):
        return [message.WhichOneof("body") for message in self.heard]


@contextlib.asynccontextmanager
async def serving(tls=None):
    server, scheduler = make_server(), Scheduler()
    dispatcher_pb2_grpc.add_DispatcherServicer_to_server(scheduler, server)
    streams_pb2_grpc.add_StreamsServicer_to_server(scheduler, server)
    port = bind(server, "127.0.0.1:0", tls)
    await server.start()
    try:
        yield f"127.0.0.1:{port}", scheduler, server
    finally:
        await server.stop(None)


async def until(holds, within_s=60.0):
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.01)


def heartbeat():
    return pb.AgentMessage(node_id="n", heartbeat=pb.Heartbeat(sequence=1))


@pytest.fixture(params=["clear", "tls"])
def tls(request, tmp_path: Path):
    """(the scheduler's files, the agent's files), or two times None."""
    if request.param == "clear":
        return None, None
    sources = {"clock": SystemClock(), "entropy": SystemEntropy()}
    folder = tmp_path / "ca"
    folder.mkdir()
    authority = create_authority(folder, **sources)
    return (
        issue(authority, Role.SCHEDULER, "s1", ["127.0.0.1"], tmp_path / "s", **sources),
        issue(authority, Role.AGENT, "n1", [], tmp_path / "a", **sources),
    )


def test_messages_go_both_ways_and_what_was_sent_arrives_before_the_end(tls):
    async def run():
        async with serving(tls[0]) as (address, scheduler, _):
            link = GrpcLink(tls[1])
            stream = await link.connect(address)
            scheduler.to_say.put_nowait(pb.SchedulerMessage(epoch=3))
            assert (await anext(aiter(stream))).epoch == 3
            for _ in range(50):
                await stream.send(heartbeat())
            await stream.aclose()
            await until(scheduler.ended.is_set)
            assert len(scheduler.heard) == 50
            with pytest.raises(UnavailableError):
                await stream.send(heartbeat())
            await link.aclose()

    asyncio.run(run())


def test_nobody_there_is_said_at_once():
    async def run():
        async with serving() as (address, _, server):
            await server.stop(None)
            link = GrpcLink(None)
            async with asyncio.timeout(30):
                with pytest.raises(UnavailableError):
                    await link.connect(address)
            await link.aclose()

    asyncio.run(run())


def test_a_scheduler_that_dies_ends_the_stream():
    async def run():
        async with serving() as (address, scheduler, server):
            link = GrpcLink(None)
            stream = await link.connect(address)
            await stream.send(heartbeat())
            await until(lambda: scheduler.heard)
            await server.stop(None)
            with pytest.raises(UnavailableError):
                async for _ in stream:
                    pass
            with pytest.raises(UnavailableError):
                await stream.send(heartbeat())
            await stream.aclose()
            await link.aclose()

    asyncio.run(run())


def test_a_stream_that_was_closed_holds_no_connection_whoever_remembers_it():
    """A task group's error remembers all that was at hand, until a collection that may be far."""

    async def run():
        async with serving() as (first, scheduler, _), serving() as (second, _, _):
            link = GrpcLink(None)
            stream = await link.connect(first)
            await stream.send(heartbeat())
            scheduler.to_say.put_nowait(pb.SchedulerMessage(epoch=3))
            reading = aiter(stream)
            await anext(reading)
            port = int(first.rpartition(":")[2])
            assert kernel_keepalive.arm_connections(port) == 1
            await stream.aclose()
            other = await link.connect(second)
            await until(lambda: kernel_keepalive.arm_connections(port) == 0)
            with pytest.raises(UnavailableError):
                await stream.send(heartbeat())
            assert [message async for message in reading] == []
            await other.aclose()
            await link.aclose()

    asyncio.run(run())


def test_closing_wakes_whoever_reads():
    async def run():
        async with serving() as (address, scheduler, _):
            link = GrpcLink(None)
            stream = await link.connect(address)
            await stream.send(heartbeat())

            async def read():
                return [message async for message in stream]

            reading = asyncio.ensure_future(read())
            await until(lambda: scheduler.heard)
            await stream.aclose()
            assert await reading == []
            await link.aclose()

    asyncio.run(run())


def test_logs_go_beside_the_session_and_nowhere_else():
    async def chunks():
        for number in range(3):
            line = LogLine(task_id="t", data=b"x" * 1000)
            yield LogChunk(request_id=f"r{number}", lines=[line])

    async def run():
        async with serving() as (address, scheduler, _):
            link = GrpcLink(None)
            with pytest.raises(UnavailableError):
                await link.publish(address, chunks())
            stream = await link.connect(address)
            await link.publish(address, chunks())
            assert [chunk.request_id for chunk in scheduler.chunks] == ["r0", "r1", "r2"]
            await stream.aclose()
            await link.aclose()

    asyncio.run(run())


def test_logs_that_nobody_wants_any_more_can_be_closed_at_once():
    """A user who ends `docker service logs --follow` must not end the agent."""

    async def run():
        async with serving() as (address, scheduler, _):
            link = GrpcLink(None)
            stream = await link.connect(address)

            async def chunks():
                yield LogChunk(request_id=UNWANTED)
                await asyncio.Event().wait()

            async with contextlib.aclosing(chunks()) as following:
                await link.publish(address, following)
            assert len(scheduler.chunks) == 1
            await stream.aclose()
            await link.aclose()

    asyncio.run(run())


def test_an_agent_serves_over_real_connections(tls):
    """Hello, assignments, statuses, goodbye: the shell's own tests, with gRPC between."""

    async def run():
        clock = SystemClock()
        host = FakeEngineHost(clock)
        host.program("app:1", ImageBehaviour(pull_time_s=0.01, start_time_s=0.01))
        async with serving(tls[0]) as (address, scheduler, _):
            link = GrpcLink(tls[1])
            agent = Agent(
                AgentOptions(NODE, (address,)),
                clock=clock,
                entropy=SeededEntropy(1),
                runtime=FakeRuntime(host, node_id=NodeId(NODE)),
                link=link,
                publisher=link,
                journal=FakeJournal(),
            )
            running = asyncio.ensure_future(agent.run())
            await until(lambda: scheduler.kinds() == ["hello"])
            welcome = pb.Welcome(session_id="s", cluster_id="c", schedulers=[address])
            scheduler.to_say.put_nowait(pb.SchedulerMessage(epoch=5, welcome=welcome))
            assignments = pb.Assignments(
                complete=True,
                sequence=1,
                templates=[to_proto(a_template())],
                tasks=[to_proto(a_task(1))],
            )
            scheduler.to_say.put_nowait(pb.SchedulerMessage(epoch=5, assignments=assignments))

            def told():
                return {
                    task.state
                    for message in scheduler.heard
                    if message.HasField("status")
                    for task in message.status.tasks
                }

            await until(lambda: TaskState.RUNNING in told())
            await agent.stop("SIGTERM")
            await until(lambda: scheduler.kinds()[-1] == "goodbye")
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
            await link.aclose()
        assert len(host.running_tasks()) == 1

    asyncio.run(run())
