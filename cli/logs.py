"""Print what tasks wrote, each line under its task's name.

Duty: the form of a line (pure), and the names of tasks that turn up while following.
Not here: fetching (berth.client).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from berth.client import ControlClient
from berth.errors import InvalidRequestError
from berth.model.duration import parse_duration_s
from berth.model.instant import Timestamp
from berth.views import LogLine, TaskView
from cli.render import short

_NANOSECONDS: Final = 1_000_000_000
_UNIX_TIME: Final = re.compile(r"\d+(\.\d*)?")

WriteLine = Callable[[str, bytes, bool], None]
"""Prefix, data, and whether it came from standard error."""


@dataclass(frozen=True, slots=True)
class LogOptions:
    """How lines are shown."""

    is_raw: bool = False
    has_times: bool = False
    is_full: bool = False
    has_task_ids: bool = True


def parse_since(text: str, now: Timestamp) -> float:
    """Return seconds since 1970 for ``10m`` (ago), a Unix time, or an RFC 3339 time.

    Raises:
        InvalidRequestError: it is none of them.
    """
    if _UNIX_TIME.fullmatch(text):
        return float(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        pass
    else:
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    try:
        return now - parse_duration_s(text)
    except InvalidRequestError:
        raise InvalidRequestError(
            f'"{text}" is not a time; write 10m, 2026-01-31T10:00:00Z or seconds since 1970'
        ) from None


def time_text(time_ns: int) -> str:
    """Return RFC 3339 text with nine digits, as Docker prints it."""
    seconds, nanoseconds = divmod(time_ns, _NANOSECONDS)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"


def line_prefix(line: LogLine, task: TaskView | None, options: LogOptions) -> str:
    """Return what stands before a line: ``web.1.abc123@node-1 | ``."""
    stamp = f"{time_text(line.time_ns)} " if options.has_times else ""
    if options.is_raw:
        return stamp
    identifier = short(line.task_id, is_full=options.is_full)
    if task is None:
        return f"{stamp}{identifier} | "
    name = f"{task.name}.{identifier}" if options.has_task_ids else task.name
    return f"{stamp}{name}@{task.node_name or short(task.node_id)} | "


@dataclass(slots=True)
class LogPrinter:
    """Prints lines, aligned as far as names are known."""

    client: ControlClient
    options: LogOptions
    write: WriteLine
    _tasks: dict[str, TaskView] = field(default_factory=dict)
    _unknown: set[str] = field(default_factory=set)
    _width: int = 0

    async def print_logs(self, name: str, *, follow: bool, tail: int, since: float) -> list[str]:
        """Print the logs of a service or task; return what could not be read."""
        problems: list[str] = []
        async for chunk in self.client.service_logs(name, follow=follow, tail=tail, since=since):
            for line in chunk.lines:
                task = None if self.options.is_raw else await self._task(line.task_id)
                prefix = line_prefix(line, task, self.options)
                self._width = max(self._width, len(prefix))
                padded = prefix if self.options.is_raw else self._padded(prefix)
                data = line.data if line.data.endswith(b"\n") else line.data + b"\n"
                self.write(padded, data, line.is_stderr)
            if chunk.error:
                problems.append(chunk.error)
        return problems

    def _padded(self, prefix: str) -> str:
        return f"{prefix.removesuffix('| ').ljust(self._width - 2)}| "

    async def _task(self, task_id: str) -> TaskView | None:
        if task_id not in self._tasks and task_id not in self._unknown:
            found = await self.client.list_tasks(ids=[task_id])
            self._tasks.update((task.id, task) for task in found)
            if task_id not in self._tasks:
                self._unknown.add(task_id)
        return self._tasks.get(task_id)
