"""Cut a container's output, as the Engine streams it, into lines with their times. Pure.

Duty: take apart the frames of stdout and stderr (or the raw stream of a terminal), strip the
Engine's time stamp, join what the Engine cut.
Not here: reading the stream (docker_streams).
Invariants (tests/unit/nodeagent/runtime/test_log_lines.py): however the bytes are cut into pieces,
the same lines come out; no line is lost or doubled; a line's bytes are the container's own.

The Engine writes each message as one frame: `TIME SPACE data`, with a line feed unless the message
is a part of a line longer than 16 KiB. A terminal has no frames; there, a time stamp in the middle
of a line is the Engine's exactly when it follows 16 KiB of data. Asked for details, the Engine
writes `TIME SPACE attributes SPACE data`; the attributes are escaped and so without a space, and
may be none.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from nodeagent.runtime.port import ContainerLogLine
from nodeagent.runtime.seen import unix_nanoseconds

_HEADER_BYTES = 8
_STDERR = 2
_PART_BYTES = 16 * 1024
_STAMP = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}(?:Z|[+-]\d\d:\d\d) ")
_DETAILED_STAMP = re.compile(_STAMP.pattern + rb"([^ ]*) ")
_HEAD_BYTES_MAX = 36
_DETAILED_HEAD_BYTES_MAX = _HEAD_BYTES_MAX + _PART_BYTES


@dataclass(slots=True)
class _OpenLine:
    """A line whose end has not come yet."""

    time_ns: int = 0
    attributes: str = ""
    data: bytearray = field(default_factory=bytearray)
    is_begun: bool = False


class FramedLines:
    """For a container without a terminal: frames with a header of eight bytes."""

    def __init__(self, has_details: bool = False) -> None:
        self._stamp = _DETAILED_STAMP if has_details else _STAMP
        self._rest = bytearray()
        self._open = {False: _OpenLine(), True: _OpenLine()}

    def feed(self, piece: bytes) -> Iterator[ContainerLogLine]:
        """Yield the lines that `piece` completes."""
        self._rest += piece
        position = 0
        while len(self._rest) - position >= _HEADER_BYTES:
            size = int.from_bytes(self._rest[position + 4 : position + _HEADER_BYTES], "big")
            end = position + _HEADER_BYTES + size
            if end > len(self._rest):
                break
            is_stderr = self._rest[position] == _STDERR
            message = bytes(self._rest[position + _HEADER_BYTES : end])
            yield from self._message(is_stderr, message)
            position = end
        del self._rest[:position]

    def finish(self) -> Iterator[ContainerLogLine]:
        """Yield what was written without a line feed at the end."""
        for is_stderr, line in self._open.items():
            if line.is_begun:
                yield ContainerLogLine(is_stderr, line.time_ns, bytes(line.data), line.attributes)
        self._open = {False: _OpenLine(), True: _OpenLine()}

    def _message(self, is_stderr: bool, message: bytes) -> Iterator[ContainerLogLine]:
        line = self._open[is_stderr]
        stamp = self._stamp.match(message)
        data = message[stamp.end() :] if stamp else message
        if not line.is_begun:
            line.time_ns, line.attributes = _head_of(stamp)
            line.is_begun = True
        line.data += data
        if data.endswith(b"\n"):
            yield ContainerLogLine(is_stderr, line.time_ns, bytes(line.data[:-1]), line.attributes)
            self._open[is_stderr] = _OpenLine()


class TerminalLines:
    """For a container with a terminal: one raw stream."""

    def __init__(self, has_details: bool = False) -> None:
        self._stamp = _DETAILED_STAMP if has_details else _STAMP
        self._head_bytes_max = _DETAILED_HEAD_BYTES_MAX if has_details else _HEAD_BYTES_MAX
        self._rest = b""

    def feed(self, piece: bytes) -> Iterator[ContainerLogLine]:
        """Yield the lines that `piece` completes."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        yield from map(self._line, lines)

    def finish(self) -> Iterator[ContainerLogLine]:
        """Yield what was written without a line feed at the end."""
        if self._rest:
            yield self._line(self._rest)
        self._rest = b""

    def _line(self, raw: bytes) -> ContainerLogLine:
        stamp = self._stamp.match(raw)
        position = stamp.end() if stamp else 0
        parts = []
        while stamp is not None and len(raw) - position > _PART_BYTES:
            cut = position + _PART_BYTES
            inner = self._stamp.match(raw, cut, cut + self._head_bytes_max)
            if inner is None:
                break
            parts.append(raw[position:cut])
            position = inner.end()
        parts.append(raw[position:])
        time_ns, attributes = _head_of(stamp)
        return ContainerLogLine(False, time_ns, b"".join(parts), attributes)


def _head_of(stamp: re.Match[bytes] | None) -> tuple[int, str]:
    """Return a message's time and attributes."""
    if stamp is None:
        return 0, ""
    time_text, _, attributes = stamp[0].decode(errors="replace").rstrip().partition(" ")
    return unix_nanoseconds(time_text), attributes
