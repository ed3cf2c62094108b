"""Logs in Docker's framing. Pure.

Duty: one line -> one frame, with its time and where it is from. Not here: reading logs (the
control API), HTTP (routes.logs).
Invariants (tests/unit/gateway/test_logs.py): a frame bears exactly one line; the context of a line
is one word without spaces, which the docker CLI cuts off again.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final
from urllib.parse import quote_plus

from gateway.translate.writing import precise_time_text

_LABEL_PREFIX: Final = "com.docker.swarm."


class Stream(IntEnum):
    """Where a frame is from; an ERROR ends what the docker CLI reads."""

    STDOUT = 1
    STDERR = 2
    ERROR = 3


def frame(stream: Stream, data: bytes) -> bytes:
    """Return `data` behind Docker's header of eight bytes."""
    return bytes((stream, 0, 0, 0)) + len(data).to_bytes(4, "big") + data


def line_text(
    data: bytes,
    *,
    time_ns: int | None = None,
    context: Mapping[str, str] | None = None,
    attributes: str = "",
) -> bytes:
    """Return one line.

    Args:
        data: what the container wrote, with or without its newline.
        time_ns: put before it; None without.
        context: put before it, after the time; None without.
        attributes: what the log driver adds, escaped already; joins the context.
    """
    parts = [] if time_ns is None else [precise_time_text(time_ns).encode()]
    if context is not None:
        words = context_text(context)
        parts.append(f"{words},{attributes}".encode() if attributes else words.encode())
    parts.append(data if data.endswith(b"\n") else data + b"\n")
    return b" ".join(parts)


def context_text(context: Mapping[str, str]) -> str:
    """Return where a line is from, as one word."""
    return ",".join(
        f"{quote_plus(key)}={quote_plus(value)}" for key, value in sorted(context.items())
    )


def task_context(node: str, service: str, task: str) -> dict[str, str]:
    """Return the context without which the docker CLI does not take a line."""
    return {
        f"{_LABEL_PREFIX}node.id": node,
        f"{_LABEL_PREFIX}service.id": service,
        f"{_LABEL_PREFIX}task.id": task,
    }
