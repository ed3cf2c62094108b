"""Answer requests for logs: read containers' output, batch it, send it to the leader.

Duty: one stream of chunks per request, lines of several tasks merged as they come; a task whose
logs cannot be read is named in `error`, and the others go on.
Not here: the network (nodeagent.link), reading itself (nodeagent.runtime).
Invariants (tests/unit/nodeagent/test_log_relay.py): a batch waits at most BATCH_WAIT_S and holds at
most about BATCH_BYTES_MAX; a slow reader slows the reading down, it never fills memory; the last
chunk of an answer that was not cancelled says `done`.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeAlias

import structlog

from berth.errors import UnavailableError
from berth.model.ids import NodeId, TaskId
from berth.v1.streams_pb2 import LogChunk, LogLine
from nodeagent.core.messages import LogsRequested
from nodeagent.link.port import LogPublisher
from nodeagent.runtime.port import ContainerRuntime, LogOptions, RuntimeCallError

log = structlog.get_logger(__name__)

BATCH_WAIT_S = 0.1
BATCH_BYTES_MAX = 64 * 1024
_LINES_AHEAD = 256
_LINE_OVERHEAD_BYTES = 48

_Piece: TypeAlias = LogLine | str | None
"""A line, the reason why a task's logs end early, or None: that task has no more."""


class LogRelay:
    """Serves requests for logs, each until it is done, cancelled or nobody listens."""

    def __init__(
        self, *, node_id: NodeId, runtime: ContainerRuntime, publisher: LogPublisher
    ) -> None:
        self._node_id = node_id
        self._runtime = runtime
        self._publisher = publisher
        self._serving: dict[str, asyncio.Task[None]] = {}

    def serve(self, group: asyncio.TaskGroup, request: LogsRequested, address: str) -> None:
        """Serve `request`, or end the answer to an earlier one when it says so."""
        if request.cancel:
            self.cancel(request.request_id)
        else:
            self.begin(group, request, address)

    def begin(self, group: asyncio.TaskGroup, request: LogsRequested, address: str) -> None:
        """Serve `request` beside everything else; a repeated one is served once."""
        if request.request_id in self._serving:
            return
        task = group.create_task(self._serve(request, address), name="logs")
        self._serving[request.request_id] = task
        task.add_done_callback(lambda _: self._serving.pop(request.request_id, None))

    def cancel(self, request_id: str) -> None:
        """End the answer to a request."""
        serving = self._serving.get(request_id)
        if serving is not None:
            serving.cancel()

    async def _serve(self, request: LogsRequested, address: str) -> None:
        pieces: asyncio.Queue[_Piece] = asyncio.Queue(_LINES_AHEAD)
        try:
            async with asyncio.TaskGroup() as group:
                readers = [
                    group.create_task(self._read(task_id, request, pieces))
                    for task_id in request.task_ids
                ]
                chunks = self._chunks(request, pieces)
                async with contextlib.aclosing(chunks):
                    await self._publisher.publish(address, chunks)
                for reader in readers:  # The leader may have heard enough before the end.
                    reader.cancel()
        except* UnavailableError as errors:
            why = str(errors.exceptions[0])
            log.info("log_stream_broke", request_id=request.request_id, why=why)

    async def _chunks(
        self, request: LogsRequested, pieces: asyncio.Queue[_Piece]
    ) -> AsyncGenerator[LogChunk, None]:
        """Yield the answer: batches of lines, errors, and at last `done`."""
        # The first chunk bears the request's ID at once, so that the leader knows who answers.
        yield LogChunk(request_id=request.request_id, node_id=self._node_id)
        async for chunk in _batches(pieces, len(request.task_ids)):
            yield chunk
        yield LogChunk(done=True)

    async def _read(
        self, task_id: TaskId, request: LogsRequested, pieces: asyncio.Queue[_Piece]
    ) -> None:
        options = LogOptions(
            follow=request.follow,
            tail=request.tail,
            since=request.since,
            stdout=request.stdout,
            stderr=request.stderr,
            details=request.details,
        )
        try:
            seen = await self._runtime.inspect_task(task_id)
            if seen is None:
                await pieces.put(f"task {task_id}: its container is gone from node {self._node_id}")
            else:
                lines = self._runtime.logs(seen.container_id, options)
                async for line in lines:
                    await pieces.put(
                        LogLine(
                            task_id=task_id,
                            is_stderr=line.is_stderr,
                            time_ns=line.time_ns,
                            data=line.data,
                            attributes=line.attributes,
                        )
                    )
        except RuntimeCallError as error:
            await pieces.put(f"task {task_id}: {error.message}")
        await pieces.put(None)


async def _batches(pieces: asyncio.Queue[_Piece], readers: int) -> AsyncIterator[LogChunk]:
    """Yield what comes until each reader has said that it is done."""
    loop = asyncio.get_running_loop()
    while readers:
        chunk = LogChunk()
        piece = await pieces.get()
        size_bytes = 0
        deadline = loop.time() + BATCH_WAIT_S
        while True:
            match piece:
                case None:
                    readers -= 1
                case str():
                    chunk.error = f"{chunk.error}; {piece}" if chunk.error else piece
                case _:
                    chunk.lines.append(piece)
                    size_bytes += len(piece.data) + len(piece.attributes) + _LINE_OVERHEAD_BYTES
            if not readers or size_bytes >= BATCH_BYTES_MAX:
                break
            try:
                async with asyncio.timeout_at(deadline):
                    piece = await pieces.get()
            except TimeoutError:
                break
        if chunk.lines or chunk.error:
            yield chunk
