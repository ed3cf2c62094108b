"""/services/{id}/logs and /tasks/{id}/logs: what containers wrote, as it comes.

Not here: framing (gateway.logs), merging nodes (the control API).

A node that cannot be read does not end the rest: its words stand among the lines where they can be
laid to one of its tasks, and once more at the end, where they make the docker CLI fail.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from berth.client import ControlClient
from berth.clock import Clock
from berth.errors import BerthError, InvalidRequestError
from berth.model.ids import NodeId, TaskId
from berth.views import LogChunk, LogLine, ServiceView, TaskView
from gateway.context import gateway_of, version_of
from gateway.logs import Stream, frame, line_text, task_context
from gateway.requests import query_flag, query_time
from gateway.routes.tasks import find_task
from gateway.versioning import ApiVersion

_MULTIPLEXED_SINCE: Final = ApiVersion(1, 42)
_TAIL_MAX: Final = 2**31 - 1
_INCOMPLETE: Final = (
    "warning: incomplete log stream. some logs could not be retrieved for the following reasons: "
)


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What a client asks for."""

    follow: bool
    tail: int
    since: float
    stdout: bool
    stderr: bool
    timestamps: bool
    details: bool


def _options(request: Request) -> LogOptions:
    query = request.query_params
    stdout, stderr = query_flag(request, "stdout"), query_flag(request, "stderr")
    if not (stdout or stderr):
        raise InvalidRequestError("Bad parameters: you must choose at least one stream")
    return LogOptions(
        follow=query_flag(request, "follow"),
        tail=_tail(query.get("tail", "")),
        since=max(query_time(request, "since") or 0.0, 0.0),
        stdout=stdout,
        stderr=stderr,
        timestamps=query_flag(request, "timestamps"),
        details=query_flag(request, "details"),
    )


def _tail(text: str) -> int:
    """Return how many of the last lines are wanted; -1 = all."""
    if text in ("", "all"):
        return -1
    try:
        return min(max(int(text), -1), _TAIL_MAX)
    except ValueError:
        raise InvalidRequestError(
            f'tail: "{text[:100]}" is not a number; send one, or all'
        ) from None


async def service_logs(request: Request) -> Response:
    """GET /services/{id}/logs."""
    client = gateway_of(request).client
    service = await client.get_service(request.path_params["id"])
    return await _answer(request, service, service.id)


async def task_logs(request: Request) -> Response:
    """GET /tasks/{id}/logs."""
    client = gateway_of(request).client
    task = await find_task(client, request.path_params["id"])
    return await _answer(request, await client.get_service(task.service_id), task.id)


async def _answer(request: Request, service: ServiceView, subject: str) -> Response:
    gateway = gateway_of(request)
    options = _options(request)
    is_tty = service.spec.task.container.tty
    reading = _Reading(gateway.client, gateway.clock, service, subject, options, is_raw=is_tty)
    is_multiplexed = not is_tty and version_of(request) >= _MULTIPLEXED_SINCE
    kind = "multiplexed" if is_multiplexed else "raw"
    return StreamingResponse(reading.frames(), media_type=f"application/vnd.docker.{kind}-stream")


@dataclass(slots=True)
class _Reading:
    """One client's reading of one service or task."""

    client: ControlClient
    clock: Clock
    service: ServiceView
    subject: str
    options: LogOptions
    is_raw: bool
    _tasks: dict[TaskId, TaskView] = field(default_factory=dict)
    _problems: dict[str, None] = field(default_factory=dict)

    async def frames(self) -> AsyncIterator[bytes]:
        yield b""  # The headers leave now, so that the client knows that it is heard.
        options = self.options
        try:
            await self._learn_tasks()
            chunks = self.client.service_logs(
                self.subject,
                follow=options.follow,
                tail=options.tail,
                since=options.since,
                stdout=options.stdout,
                stderr=options.stderr,
                details=options.details,
            )
            async with aclosing(chunks) as following:  # type: ignore[type-var]  # a generator
                async for chunk in following:
                    text = await self._chunk(chunk)
                    if text:
                        yield text
        except BerthError as error:
            self._problems[error.message] = None
        if self._problems and not self.is_raw:
            words = _INCOMPLETE + "; ".join(self._problems)
            yield frame(Stream.ERROR, words.encode() + b"\n")

    async def _chunk(self, chunk: LogChunk) -> bytes:
        if any(line.task_id not in self._tasks for line in chunk.lines):
            await self._learn_tasks()
        pieces = [
            self._line(line, chunk.node_id)
            for line in chunk.lines
            # The docker CLI asks for each task, and ends at one that is forgotten.
            if line.task_id in self._tasks
        ]
        if chunk.error:
            pieces.append(await self._problem(chunk))
        return b"".join(pieces)

    async def _learn_tasks(self) -> None:
        tasks = await self.client.list_tasks(services=[self.service.id])
        self._tasks = {task.id: task for task in tasks}

    def _line(self, line: LogLine, node: NodeId) -> bytes:
        context = task_context(node, self.service.id, line.task_id)
        text = line_text(
            line.data,
            time_ns=line.time_ns if self.options.timestamps else None,
            context=context if self.options.details and not self.is_raw else None,
            attributes=line.attributes,
        )
        if self.is_raw:
            return text
        return frame(Stream.STDERR if line.is_stderr else Stream.STDOUT, text)

    async def _problem(self, chunk: LogChunk) -> bytes:
        """Return the words as a line of one of the node's tasks, if there is one."""
        self._problems[chunk.error] = None
        task = next((t for t in self._tasks.values() if t.node_id == chunk.node_id), None)
        if task is None or not self.options.stderr:
            return b""
        words = f"berth: {chunk.error}".encode()
        time_ns = round(self.clock.timestamp() * 1e9)
        return self._line(LogLine(task.id, True, time_ns, words), chunk.node_id)


ROUTES = [
    Route("/services/{id}/logs", service_logs, methods=["GET"]),
    Route("/tasks/{id}/logs", task_logs, methods=["GET"]),
]
