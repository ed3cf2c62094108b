"""Follow a container's output.

Duty: ask the Engine for the lines wanted, hand them on one by one.
Not here: exec and attach (another issue); cutting bytes into lines (log_lines).
Invariants (tests/contract/test_docker_runtime.py): under fast output no line is lost or doubled; a
caller that stops is served no longer within a moment.
"""

import contextlib
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import docker.errors

from berth.clock import Clock
from berth.errors import RetryRule
from berth.model.instant import Timestamp
from nodeagent.runtime.docker_errors import TRANSPORT_ERRORS, call_error, is_not_found
from nodeagent.runtime.engine_pool import EnginePool
from nodeagent.runtime.log_cursor import LogCursor
from nodeagent.runtime.log_lines import FramedLines, TerminalLines
from nodeagent.runtime.port import ContainerLogLine, LogOptions, RuntimeCallError

_FOLLOW_AGAIN_DELAY_S = 0.5


class DockerLogs:
    """Reads logs; at most `streams_max` at once, so that a node cannot run out of threads."""

    def __init__(self, pool: EnginePool, clock: Clock, streams_max: int) -> None:
        self._clock = clock
        self._pool = pool
        self._streams_max = streams_max
        self._open = 0

    async def lines(
        self, container_id: str, options: LogOptions
    ) -> AsyncGenerator[ContainerLogLine, None]:
        """Yield the lines of `container_id` that `options` asks for.

        Raises:
            RuntimeCallError: there is no such container, its log driver cannot be read, too many
                logs are being read, or the Engine went away (LATER: ask again from the last time).
        """
        if self._open >= self._streams_max:
            raise RuntimeCallError(
                f"{self._streams_max} logs are being read on this node already; end one, or raise "
                "the agent's limit of log streams",
                retry=RetryRule.LATER,
            )
        self._open += 1
        try:
            async with contextlib.aclosing(self._lines(container_id, options)) as lines:
                async for line in lines:
                    yield line
        finally:
            self._open -= 1

    async def _lines(
        self, container_id: str, options: LogOptions
    ) -> AsyncGenerator[ContainerLogLine, None]:
        document = await self._inspect(container_id)
        if document is None:
            raise RuntimeCallError(
                f"container {container_id[:12]} is gone, and its logs with it",
                retry=RetryRule.NEVER,
            )
        cursor = LogCursor(_baseline_ns(options, self._clock.timestamp()))
        is_terminal = bool(document["Config"].get("Tty"))
        while True:
            parser = (TerminalLines if is_terminal else FramedLines)(options.details)
            async with contextlib.aclosing(self._read(container_id, options, parser)) as lines:
                async for line in lines:
                    if cursor.take(line):
                        yield line
            document = await self._inspect(container_id) if options.follow else None
            if document is None:  # Nothing more can be read: what was begun is all there is.
                for line in parser.finish():
                    if cursor.take(line):
                        yield line
                return
            # Read again: the last lines may be missing, or it runs on after the Engine's restart.
            is_alive = bool(document["State"]["Running"])
            options = replace(
                options,
                follow=is_alive,
                since=cursor.since,
                tail=-1 if cursor.has_any or options.tail == 0 else options.tail,
            )
            cursor.begin_pass()
            if is_alive:
                await self._clock.sleep(_FOLLOW_AGAIN_DELAY_S)

    async def _read(
        self, container_id: str, options: LogOptions, parser: TerminalLines | FramedLines
    ) -> AsyncGenerator[ContainerLogLine, None]:
        """Yield the complete lines of one answer; a line that was only begun stays in `parser`."""
        path = f"/containers/{container_id}/logs"
        try:
            async with (
                self._pool.stream("logs", "GET", path, params=_query(options)) as stream,
                contextlib.aclosing(stream.batches()) as batches,
            ):
                async for batch in batches:
                    for line in parser.feed(batch):
                        yield line
        except TRANSPORT_ERRORS as error:
            raise call_error(_what(container_id), error, is_final=False) from error

    async def _inspect(self, container_id: str) -> dict[str, Any] | None:
        try:
            document: dict[str, Any] = await self._pool.call(
                "inspect_container",
                _what(container_id),
                lambda client: client.inspect_container(container_id),
                raises_raw=True,
            )
        except docker.errors.APIError as error:
            if is_not_found(error):
                return None
            raise call_error(_what(container_id), error, is_final=False) from error
        return document


def _what(container_id: str) -> str:
    return f"read the logs of container {container_id[:12]}"


def _baseline_ns(options: LogOptions, now: Timestamp) -> int:
    """Return before when no line is wanted: now, for those who want only what comes."""
    return int((now if options.tail == 0 else options.since) * 1_000_000_000)


def _query(options: LogOptions) -> dict[str, str]:
    return {
        "follow": str(int(options.follow)),
        "stdout": str(int(options.stdout)),
        "stderr": str(int(options.stderr)),
        "timestamps": "1",
        "details": str(int(options.details)),
        "tail": "all" if options.tail < 0 else str(options.tail),
        "since": f"{options.since:.9f}" if options.since else "0",
    }
