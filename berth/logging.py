"""Logs: one event name in snake_case and fields, as JSON lines or for a terminal.

Duty: set structlog up once per process, route the standard library's loggers through it, and keep
secrets out of what is written.
Not here: what is logged; the core logs nothing, it returns reasons.
Invariant (tests/unit/berth/test_logging.py): a field whose name speaks of a secret is never
written, however deep it is nested.
"""

import json
import logging
import os
import sys
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from berth.clock import Clock, SystemClock
from berth.model.instant import to_text

REDACTED: Final = "[redacted]"
_SECRET_WORDS: Final = (
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "authorization",
    "registry_auth",
    "credential",
    "private_key",
    "sealed",
)
_HARMLESS_ENDINGS: Final = ("_file", "_path", "_id", "_name", "_names", "_count", "_total", "_s")
_PRIORITY_OF_INFO: Final = 6
_PRIORITIES: Final = {"critical": 2, "error": 3, "exception": 3, "warning": 4, "debug": 7}
"""syslog's numbers, by the method of a logger."""
_QUIET_LIBRARIES: Final = ("uvicorn", "urllib3", "docker", "asyncio", "grpc")


class LogLevel(StrEnum):
    """The least that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    @property
    def number(self) -> int:
        """The standard library's number of this level."""
        return logging.getLevelNamesMapping()[self.value.upper()]


class LogFormat(StrEnum):
    """How a line looks; AUTO is for people on a terminal and JSON elsewhere."""

    AUTO = "auto"
    JSON = "json"
    CONSOLE = "console"


@dataclass(frozen=True, slots=True)
class LogSettings:
    """The ``[log]`` table of every program."""

    level: LogLevel = LogLevel.INFO
    format: LogFormat = LogFormat.AUTO


def configure_logging(
    settings: LogSettings,
    *,
    stream: TextIO | None = None,
    clock: Clock | None = None,
    context: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
) -> None:
    """Set logging up for this process; a later call replaces an earlier one.

    Args:
        settings: level and format.
        stream: where lines go, standard error by default.
        clock: stamps each line.
        context: fields of every line, for example the program and the node.
        env: the environment, by which systemd says that the stream is its journal: each line then
            carries its level in the journal's way, for ``journalctl -p warning``.
    """
    target = stream or sys.stderr
    wants_console = settings.format is LogFormat.CONSOLE or (
        settings.format is LogFormat.AUTO and target.isatty()
    )
    stamped: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        _Constant(dict(context or {})),
        _Stamp(clock or SystemClock()),
        redact,
    ]
    renderer: Processor
    if wants_console:
        # Never rich tracebacks: they print local variables, and with them secrets.
        renderer = structlog.dev.ConsoleRenderer(
            colors=target.isatty(),
            timestamp_key="time",
            exception_formatter=structlog.dev.plain_traceback,
        )
        finish: list[Processor] = [renderer]
    else:
        renderer = structlog.processors.JSONRenderer(serializer=json.dumps, default=str)
        finish = [structlog.processors.format_exc_info, renderer]
    if _is_journal(target, env or {}):
        finish.append(_with_priority)
    structlog.configure(
        processors=[*stamped, *finish],
        wrapper_class=structlog.make_filtering_bound_logger(settings.level.number),
        logger_factory=structlog.WriteLoggerFactory(target),
        cache_logger_on_first_use=False,
    )
    _route_standard_library(settings.level, target, stamped, finish)


def _route_standard_library(
    level: LogLevel, target: TextIO, stamped: list[Processor], finish: list[Processor]
) -> None:
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *stamped],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *finish],
        )
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.number)
    for name in _QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(max(level.number, logging.WARNING))


def _is_journal(target: TextIO, env: Mapping[str, str]) -> bool:
    """Tell whether systemd's journal reads `target`: JOURNAL_STREAM names its device and inode."""
    try:
        found = os.fstat(target.fileno())
    except (OSError, ValueError):  # It is no file at all.
        return False
    return env.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _with_priority(logger: WrappedLogger, method: str, line: Any) -> str:
    """Put the level before a line as sd-daemon(3) has it; the journal takes it off again."""
    return f"<{_PRIORITIES.get(method, _PRIORITY_OF_INFO)}>{line}"


class _Stamp:
    """Adds the time, from our own clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        event["time"] = to_text(self._clock.timestamp())
        return event


class _Constant:
    """Adds fields that hold for the whole process."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = fields

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        for key, value in self._fields.items():
            event.setdefault(key, value)
        return event


def redact(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Replace every value whose name speaks of a secret (a structlog processor)."""
    return _redacted(event)


def _redacted(fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    clean: dict[str, Any] = {}
    for key, value in fields.items():
        if value and is_secret_name(str(key)):
            clean[key] = REDACTED
        else:
            clean[key] = _redacted_value(value)
    return clean


def _redacted_value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _redacted(dict(value))
    # Exactly these: a named tuple, such as an exc_info, must stay what it is.
    if type(value) in (list, tuple):
        return type(value)(_redacted_value(item) for item in value)
    return value


def is_secret_name(name: str) -> bool:
    """Return whether a field of this name holds a secret rather than a word about one."""
    folded = name.lower().replace("-", "_")
    if folded.endswith(_HARMLESS_ENDINGS):
        return False
    return any(word in folded for word in _SECRET_WORDS)
