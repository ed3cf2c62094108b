"""What the agent needs of the network: a stream to a scheduler, and a way to send logs.

`grpc_link.py` is the real form; the simulator has a faulty one.
"""

from collections.abc import AsyncIterator
from typing import Protocol

from berth.v1.dispatcher_pb2 import AgentMessage, SchedulerMessage
from berth.v1.streams_pb2 import LogChunk


class SchedulerStream(Protocol):
    """One open session stream."""

    async def send(self, message: AgentMessage) -> None:
        """Send a message; one at a time.

        Raises:
            UnavailableError: the stream has ended.
        """
        ...

    def __aiter__(self) -> AsyncIterator[SchedulerMessage]:
        """Yield what the scheduler says until the stream ends.

        Raises:
            UnavailableError: it broke; an orderly end raises nothing.
        """
        ...

    async def aclose(self) -> None:
        """End the stream; what was sent still arrives if the network lets it."""
        ...


class SchedulerLink(Protocol):
    """The way to the schedulers."""

    async def connect(self, address: str) -> SchedulerStream:
        """Open a session stream to the scheduler at HOST:PORT.

        Raises:
            UnavailableError: it cannot be reached.
        """
        ...


class LogPublisher(Protocol):
    """The way of logs to the leader."""

    async def publish(self, address: str, chunks: AsyncIterator[LogChunk]) -> None:
        """Send `chunks` to the scheduler at HOST:PORT until they end or it has heard enough.

        Raises:
            UnavailableError: it cannot be reached, or the stream broke.
        """
        ...
