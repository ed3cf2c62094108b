"""The agent's link to schedulers that a test plays by hand, on virtual time."""

import asyncio
from collections.abc import AsyncIterator

from berth.errors import UnavailableError
from berth.model.cluster import ClusterSettings
from berth.model.task import TaskState, TaskStatus
from berth.v1 import dispatcher_pb2 as pb
from berth.v1.streams_pb2 import LogChunk
from berth.wire.convert import from_proto, to_proto, write_proto
from nodeagent.core.messages import TaskAssignment, TaskTemplate


class FakeStream:
    """One stream; the test reads `received` and says things by `say`."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.received: list[pb.AgentMessage] = []
        self._said: asyncio.Queue[pb.SchedulerMessage | UnavailableError | None] = asyncio.Queue()
        self.is_open = True

    async def send(self, message: pb.AgentMessage) -> None:
        if not self.is_open:
            raise UnavailableError("the stream has ended")
        copy = pb.AgentMessage()
        copy.CopyFrom(message)
        self.received.append(copy)

    async def __aiter__(self) -> AsyncIterator[pb.SchedulerMessage]:
        while True:
            said = await self._said.get()
            if said is None:
                return
            if isinstance(said, UnavailableError):
                raise said
            yield said

    async def aclose(self) -> None:
        self.is_open = False
        self._said.put_nowait(None)

    def say(self, message: pb.SchedulerMessage) -> None:
        self._said.put_nowait(message)

    def break_off(self) -> None:
        self.is_open = False
        self._said.put_nowait(UnavailableError("connection reset"))

    def kinds(self) -> list[str]:
        return [message.WhichOneof("body") or "" for message in self.received]

    def statuses(self) -> dict[str, TaskStatus]:
        """The newest status told of each task; asserts that states only rise."""
        told: dict[str, TaskStatus] = {}
        for message in self.received:
            kind = message.WhichOneof("body")
            tasks = message.hello.tasks if kind == "hello" else message.status.tasks
            for task in tasks:
                status = from_proto(TaskStatus, task)
                if status.task_id in told:
                    assert status.state >= told[status.task_id].state
                told[status.task_id] = status
        return told

    def state_of(self, task_id: str) -> TaskState | None:
        status = self.statuses().get(task_id)
        return status.state if status else None


class FakeLink:
    """Schedulers by address. Unknown and closed ones cannot be reached; nobody else answers."""

    def __init__(self) -> None:
        self.leader = ""
        self.followers: dict[str, str] = {}  # Address -> the leader that it names.
        self.attempts: list[str] = []
        self.streams: list[FakeStream] = []
        self.epoch = 7
        self.cluster_id = "cluster-a"
        self.settings = ClusterSettings(heartbeat_period_s=1.0)
        self.schedulers: tuple[str, ...] = ("s1:1", "s2:1")
        self._sequence = 0
        self.published: list[LogChunk] = []

    async def connect(self, address: str) -> FakeStream:
        self.attempts.append(address)
        stream = FakeStream(address)
        if address in self.followers:
            refused = pb.Refused(reason="not the leader", leader_address=self.followers[address])
            stream.say(pb.SchedulerMessage(refused=refused))
            return stream
        if address != self.leader:
            raise UnavailableError(f"{address}: connection refused")
        self.streams.append(stream)
        self._sequence = 0
        welcome = pb.Welcome(
            session_id=f"session-{len(self.streams)}",
            cluster_id=self.cluster_id,
            schedulers=self.schedulers,
            node_name="node-1",
        )
        write_proto(self.settings, welcome.settings)
        stream.say(pb.SchedulerMessage(epoch=self.epoch, welcome=welcome))
        return stream

    @property
    def stream(self) -> FakeStream:
        return self.streams[-1]

    def assign(
        self,
        *tasks: TaskAssignment,
        templates: tuple[TaskTemplate, ...] = (),
        forgotten: tuple[str, ...] = (),
        purged: tuple[str, ...] = (),
        is_complete: bool = False,
        epoch: int | None = None,
    ) -> None:
        self._sequence = 1 if is_complete else self._sequence + 1
        assignments = pb.Assignments(
            complete=is_complete,
            sequence=self._sequence,
            templates=[to_proto(template) for template in templates],
            tasks=[to_proto(task) for task in tasks],
            forgotten=forgotten,
            purged=purged,
        )
        self.stream.say(
            pb.SchedulerMessage(
                epoch=self.epoch if epoch is None else epoch, assignments=assignments
            )
        )

    def set_period(self, period_s: float) -> None:
        """Tell the agent another heartbeat period."""
        self.settings = ClusterSettings(heartbeat_period_s=period_s)
        message = pb.SchedulerMessage(epoch=self.epoch)
        write_proto(self.settings, message.settings)
        self.stream.say(message)

    async def publish(self, address: str, chunks: AsyncIterator[LogChunk]) -> None:
        async for chunk in chunks:
            self.published.append(chunk)
